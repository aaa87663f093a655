//! A lead as a person reads it, and as scripts do.

use chrono::{DateTime, Utc};
use sallyport_proto::node::v1::{Lead, LeadDeadline, LeadOutcome, lead_outcome::Outcome};
use sallyport_trust::question::words::moment;
use serde_json::{Value, json};

use super::at;
use crate::terminal;

/// One line of the list.
pub(super) fn row(lead: &Lead) -> Vec<String> {
    let next = next(lead);
    vec![
        lead.id.clone(),
        lead.severity.clone(),
        lead.title.clone(),
        format!("{} {}", lead.subject_type, lead.subject),
        qe(lead.qe_millionths),
        lead.state.clone(),
        who(lead),
        next.map_or_else(String::new, |next| next.clock.clone()),
        next.map_or_else(String::new, |next| moment(next.due_ms)),
        if lead.level == 0 { String::new() } else { lead.level.to_string() },
    ]
}

/// Where it stands, in one sentence.
pub(crate) fn standing(lead: &Lead) -> String {
    let owner = match (lead.owner.as_str(), lead.state.as_str()) {
        ("", _) => String::new(),
        (owner, "assigned") => format!(" to {owner}"),
        (owner, _) => format!(" by {owner}"),
    };
    let outcome = lead.outcome.as_ref().map_or_else(String::new, |outcome| format!(": {}", in_words(outcome)));
    let next = next(lead).map_or_else(String::new, |next| {
        let missed = if next.missed { ", which was missed" } else { "" };
        format!("; {} by {}{missed}", next.clock, moment(next.due_ms))
    });
    format!("Lead {} is {}{owner}{outcome}{next}.", lead.id, lead.state)
}

/// The whole of it.
pub(crate) fn print(lead: &Lead) {
    let cause = match (lead.watch.as_str(), lead.pattern.as_str()) {
        ("", "") => "a person, from their own question".to_owned(),
        ("", pattern) => format!("a person, from pattern {pattern}"),
        (watch, "") => format!("watch {watch}"),
        (watch, pattern) => format!("watch {watch}, pattern {pattern}"),
    };
    let mut lines = vec![
        standing(lead),
        String::new(),
        format!("what      {} ({})", lead.title, lead.severity),
        format!("subject   {} {}", lead.subject_type, lead.subject),
        format!("raised    {} by {cause}", moment(lead.raised_at_ms)),
        format!("receipt   question {}", lead.question_id),
        format!("evidence  QE {}", qe(lead.qe_millionths)),
    ];
    lines.extend(lead.evidence.iter().map(|piece| {
        let strength = f64::from(piece.strength_thousandths) / 1e3;
        format!("          {strength:.3} from {}{}", piece.dataset, newest(piece.newest_day))
    }));
    lines.push(format!("playbook  {}: for {}", lead.playbook, lead.who));
    lines.extend(lead.steps.iter().zip(1..).map(|(step, number)| format!("          {number}. {step}")));
    for exception in &lead.exceptions {
        let found = match exception.confirmed {
            None => "not looked for yet",
            Some(true) => "holds",
            Some(false) => "does not hold",
        };
        lines.push(format!("unless    {}: {} ({found})", exception.name, exception.title));
        lines.push(format!("          {} Confirmed by {}.", exception.check, exception.confirmed_by.join(" or ")));
    }
    lines.extend(lead.deadlines.iter().map(deadline));
    lines.extend(lead.escalations.iter().map(|escalation| {
        format!(
            "escalated {} to {}, as nobody did {} in time",
            moment(escalation.at_ms),
            escalation.to,
            escalation.clock
        )
    }));
    lines.extend(lead.history.iter().map(|event| {
        let colon = if event.detail.is_empty() { "" } else { ": " };
        format!(
            "          {} {} {}{colon}{}",
            moment(event.at_ms),
            event.by,
            event.what.replace('_', " "),
            event.detail
        )
    }));
    lines.iter().for_each(|line| println!("{}", terminal::line(line)));
}

fn deadline(deadline: &LeadDeadline) -> String {
    let state = match (deadline.stopped_ms, deadline.missed) {
        (Some(stopped_ms), false) => format!("done {}", moment(stopped_ms)),
        (Some(stopped_ms), true) => format!("done late, {}", moment(stopped_ms)),
        (None, true) => "missed".to_owned(),
        (None, false) => "runs".to_owned(),
    };
    format!("deadline  {} by {}: {state}", deadline.clock, moment(deadline.due_ms))
}

/// The next deadline that still runs.
fn next(lead: &Lead) -> Option<&LeadDeadline> {
    lead.deadlines.iter().filter(|deadline| deadline.stopped_ms.is_none()).min_by_key(|deadline| deadline.due_ms)
}

fn who(lead: &Lead) -> String {
    if lead.owner.is_empty() { lead.who.clone() } else { lead.owner.clone() }
}

fn newest(day: u32) -> String {
    let moment = DateTime::<Utc>::from_timestamp(i64::from(day) * 86_400, 0).filter(|_| day > 0);
    moment.map_or_else(String::new, |moment| format!(", newest of {}", moment.date_naive()))
}

fn qe(millionths: u32) -> String {
    format!("{:.3}", f64::from(millionths / 1_000) / 1e3)
}

fn in_words(outcome: &LeadOutcome) -> String {
    match &outcome.outcome {
        Some(Outcome::Arrest(arrest)) => format!("{} arrested", arrest.people),
        Some(Outcome::Seizure(seizure)) => format!("{} {} of {} seized", seizure.amount, seizure.unit, seizure.what),
        Some(Outcome::NoFinding(_)) => "nothing found".to_owned(),
        Some(Outcome::FalseMatch(ruled)) => format!("false match until {}", moment(ruled.until_ms)),
        Some(Outcome::Referred(to)) => format!("referred to {to}"),
        Some(Outcome::Other(what)) => what.clone(),
        None => "unknown".to_owned(),
    }
}

/// Its fields are a promise to scripts.
pub(crate) fn json(lead: &Lead) -> Value {
    json!({
        "id": lead.id,
        "state": lead.state,
        "playbook": lead.playbook,
        "title": lead.title,
        "severity": lead.severity,
        "who": lead.who,
        "owner": lead.owner,
        "subject_type": lead.subject_type,
        "subject": lead.subject,
        "qe": f64::from(lead.qe_millionths / 1_000) / 1e3,
        "watch": lead.watch,
        "pattern": lead.pattern,
        "question_id": lead.question_id,
        "raised": at(lead.raised_at_ms),
        "level": lead.level,
        "outcome": lead.outcome.as_ref().map(outcome),
        "deadlines": lead.deadlines.iter().map(|deadline| json!({
            "clock": deadline.clock,
            "due": at(deadline.due_ms),
            "stopped": deadline.stopped_ms.map(at),
            "missed": deadline.missed,
        })).collect::<Vec<_>>(),
        "evidence": lead.evidence.iter().map(|piece| json!({
            "dataset": piece.dataset,
            "strength": f64::from(piece.strength_thousandths) / 1e3,
            "newest_day": piece.newest_day,
        })).collect::<Vec<_>>(),
        "steps": lead.steps,
        "exceptions": lead.exceptions.iter().map(|exception| json!({
            "name": exception.name,
            "title": exception.title,
            "check": exception.check,
            "confirmed_by": exception.confirmed_by,
            "confirmed": exception.confirmed,
        })).collect::<Vec<_>>(),
        "escalations": lead.escalations.iter().map(|escalation| json!({
            "clock": escalation.clock,
            "level": escalation.level,
            "to": escalation.to,
            "at": at(escalation.at_ms),
        })).collect::<Vec<_>>(),
        "history": lead.history.iter().map(|event| json!({
            "at": at(event.at_ms),
            "by": event.by,
            "what": event.what,
            "detail": event.detail,
        })).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: &LeadOutcome) -> Value {
    match &outcome.outcome {
        Some(Outcome::Arrest(arrest)) => json!({ "kind": "arrest", "people": arrest.people }),
        Some(Outcome::Seizure(seizure)) => {
            json!({ "kind": "seizure", "what": seizure.what, "amount": seizure.amount, "unit": seizure.unit })
        }
        Some(Outcome::NoFinding(_)) => json!({ "kind": "no_finding" }),
        Some(Outcome::FalseMatch(ruled)) => json!({ "kind": "false_match", "until": at(ruled.until_ms) }),
        Some(Outcome::Referred(to)) => json!({ "kind": "referred", "to": to }),
        Some(Outcome::Other(what)) => json!({ "kind": "other", "what": what }),
        None => Value::Null,
    }
}
