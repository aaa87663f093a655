//! The edge between leads and their protobuf form.

use sallyport_lead::{
    clock,
    event::{Event, Outcome, What},
    qe,
};
use sallyport_proto::node::v1::{
    self as pb, act_on_lead_request::Act, lead_outcome::Outcome as Wire, raise_lead_response::Raised,
};
use sallyport_trust::{error::Refusal, question::words};

use super::{
    RaisedAs,
    desk::{self, Clearing, Seen},
};
use crate::node::Node;

/// A lead for a person; `whole` with everything that a list leaves out.
pub(crate) fn told(seen: Seen, whole: bool) -> pb::Lead {
    let Seen { lead, subject, now_ms } = seen;
    let deadlines = clock::deadlines(&lead).into_iter().map(|deadline| pb::LeadDeadline {
        clock: deadline.clock.name().to_owned(),
        due_ms: deadline.due_ms,
        stopped_ms: deadline.stopped_ms,
        missed: deadline.is_missed(now_ms),
    });
    let mut told = pb::Lead {
        id: lead.id.clone(),
        state: lead.state.name().to_owned(),
        playbook: lead.plan.playbook.clone(),
        title: lead.plan.title.clone(),
        severity: lead.plan.severity.clone(),
        who: lead.plan.who.to_string(),
        owner: lead.owner.clone().unwrap_or_default(),
        subject_type: lead.sighting.subject_kind.clone(),
        subject,
        qe_millionths: lead.sighting.qe_millionths,
        watch: lead.sighting.watch.clone().unwrap_or_default(),
        pattern: lead.sighting.pattern.clone().unwrap_or_default(),
        question_id: lead.sighting.question.clone(),
        raised_at_ms: lead.raised_ms(),
        level: clock::level(&lead, now_ms),
        deadlines: deadlines.collect(),
        outcome: lead.outcome.as_ref().map(outcome),
        ..pb::Lead::default()
    };
    if whole {
        told.evidence = lead.sighting.evidence.iter().map(evidence).collect();
        told.steps.clone_from(&lead.plan.steps);
        told.exceptions = lead.plan.exceptions.iter().map(|known| exception(&lead, known)).collect();
        told.escalations = clock::escalations(&lead, now_ms).into_iter().map(escalation).collect();
        told.history = lead.history().iter().map(event).collect();
    }
    told
}

fn evidence(piece: &sallyport_lead::event::Evidence) -> pb::LeadEvidence {
    pb::LeadEvidence {
        dataset: piece.dataset.clone(),
        strength_thousandths: piece.strength_thousandths,
        newest_day: piece.newest_day,
    }
}

fn exception(lead: &sallyport_lead::lead::Lead, known: &sallyport_lead::playbook::Exception) -> pb::LeadException {
    pb::LeadException {
        name: known.name.clone(),
        title: known.title.clone(),
        check: known.check.clone(),
        confirmed_by: known.confirmed_by.iter().map(ToString::to_string).collect(),
        confirmed: lead.exceptions.get(&known.name).map(|verdict| verdict.confirmed),
    }
}

fn escalation(escalation: clock::Escalation) -> pb::LeadEscalation {
    pb::LeadEscalation {
        clock: escalation.clock.name().to_owned(),
        level: escalation.level,
        to: escalation.to.to_string(),
        at_ms: escalation.at_ms,
    }
}

fn event(event: &Event) -> pb::LeadEvent {
    let detail = match &event.what {
        What::Raised { sighting, plan } => format!("QE {}, {}", qe(sighting.qe_millionths), plan.severity),
        What::SeenAgain { sighting, plan: Some(plan) } => {
            format!("QE {}, now {}", qe(sighting.qe_millionths), plan.severity)
        }
        What::SeenAgain { sighting, plan: None } => format!("QE {}", qe(sighting.qe_millionths)),
        What::Assigned { to } => format!("to {to}"),
        What::Pursued => String::new(),
        What::Declined { reason: text } | What::Noted { text } | What::Reopened { reason: text } => text.clone(),
        What::ExceptionConfirmed { exception, note } | What::ExceptionRejected { exception, note } => {
            format!("{exception}: {note}")
        }
        What::Concluded { outcome, note } if note.is_empty() => in_words(outcome),
        What::Concluded { outcome, note } => format!("{}: {note}", in_words(outcome)),
    };
    pb::LeadEvent { at_ms: event.at_ms, by: event.by.name.clone(), what: event.what.name().to_owned(), detail }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Arrest { people } => format!("{people} arrested"),
        Outcome::Seizure { what, amount, unit } => format!("{amount} {unit} of {what} seized"),
        Outcome::NoFinding => "nothing found".to_owned(),
        Outcome::FalseMatch { until_ms } => format!("false match until {}", words::moment(*until_ms)),
        Outcome::Referred { to } => format!("referred to {to}"),
        Outcome::Other { what } => what.clone(),
    }
}

fn outcome(outcome: &Outcome) -> pb::LeadOutcome {
    let outcome = match outcome.clone() {
        Outcome::Arrest { people } => Wire::Arrest(pb::Arrest { people }),
        Outcome::Seizure { what, amount, unit } => Wire::Seizure(pb::Seizure { what, amount, unit }),
        Outcome::NoFinding => Wire::NoFinding(pb::NoFinding {}),
        Outcome::FalseMatch { until_ms } => Wire::FalseMatch(pb::FalseMatch { until_ms }),
        Outcome::Referred { to } => Wire::Referred(to),
        Outcome::Other { what } => Wire::Other(what),
    };
    pb::LeadOutcome { outcome: Some(outcome) }
}

/// What a person does with which lead.
pub(crate) fn acted(request: pb::ActOnLeadRequest) -> Result<(String, What), Refusal> {
    let what = match request.act {
        Some(Act::Assign(to)) => What::Assigned { to },
        Some(Act::Pursue(_)) => What::Pursued,
        Some(Act::Decline(reason)) => What::Declined { reason },
        Some(Act::Note(text)) => What::Noted { text },
        Some(Act::Reopen(reason)) => What::Reopened { reason },
        Some(Act::Exception(pb::RuleOnException { exception, holds: true, note })) => {
            What::ExceptionConfirmed { exception, note }
        }
        Some(Act::Exception(pb::RuleOnException { exception, holds: false, note })) => {
            What::ExceptionRejected { exception, note }
        }
        Some(Act::Conclude(pb::Conclude { outcome, note })) => What::Concluded { outcome: concluded(outcome)?, note },
        None => return Err(Refusal::bad_input("lead_act", "Say what happens to the lead.")),
    };
    Ok((request.id, what))
}

fn concluded(outcome: Option<pb::LeadOutcome>) -> Result<Outcome, Refusal> {
    Ok(match outcome.and_then(|outcome| outcome.outcome) {
        Some(Wire::Arrest(pb::Arrest { people })) => Outcome::Arrest { people },
        Some(Wire::Seizure(pb::Seizure { what, amount, unit })) => Outcome::Seizure { what, amount, unit },
        Some(Wire::NoFinding(_)) => Outcome::NoFinding,
        Some(Wire::FalseMatch(pb::FalseMatch { until_ms })) => Outcome::FalseMatch { until_ms },
        Some(Wire::Referred(to)) => Outcome::Referred { to },
        Some(Wire::Other(what)) => Outcome::Other { what },
        None => return Err(Refusal::bad_input("lead_outcome", "Say what came of the lead.")),
    })
}

/// What became of a match.
impl From<RaisedAs> for pb::RaiseLeadResponse {
    fn from(raised: RaisedAs) -> Self {
        let raised = match raised {
            RaisedAs::New(id) => Raised::New(id),
            RaisedAs::Known(id) => Raised::Known(id),
            RaisedAs::Suppressed(until_ms) => Raised::SuppressedUntilMs(until_ms),
        };
        Self { raised: Some(raised) }
    }
}

/// A subject that a person clears.
pub(crate) fn clearing(node: &Node, request: pb::ClearSubjectRequest) -> Result<Clearing, Refusal> {
    let pb::ClearSubjectRequest { playbook, exception, subject_type, subject, note } = request;
    let (kind, subject) = desk::subject(node, &subject_type, subject)?;
    Ok(Clearing { playbook, exception, kind, subject, note })
}
