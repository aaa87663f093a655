//! The edge between held questions and their protobuf form.

use std::collections::BTreeMap;

use sallyport_proto::node::v1 as pb;
use sallyport_trust::error::Refusal;

use super::{
    held::{Decision, HeldQuestion, Part, State, Verdict},
    kept::{Fate, Kept},
    officers::{Decided, Wanted},
};

/// The state, and until when it lasts; 0 when it just is so.
pub(super) fn state(held: &HeldQuestion, now_ms: i64) -> (pb::ReleaseState, i64) {
    match held.state(now_ms) {
        State::Waiting => (pb::ReleaseState::Waiting, held.expires_at_ms),
        State::Granted => (pb::ReleaseState::Granted, held.expires_at_ms),
        State::Standing(until_ms) => (pb::ReleaseState::Standing, until_ms),
        State::Refused => (pb::ReleaseState::Refused, 0),
        State::Used => (pb::ReleaseState::Used, 0),
        State::Expired => (pb::ReleaseState::Expired, 0),
    }
}

/// A held question for a release officer.
pub(crate) fn held_question(held: HeldQuestion, now_ms: i64) -> pb::HeldQuestion {
    let needs = held.release_by.iter().map(|(role, needed)| pb::ReleaseNeed {
        role: role.clone(),
        needed: *needed,
        granted: held.granted(role).min(*needed),
    });
    pb::HeldQuestion {
        question_id: held.question.to_string(),
        state: state(&held, now_ms).0.into(),
        needs: needs.collect(),
        id: held.id,
        agency: held.asked.agency,
        asker: held.asked.asker.into_iter().collect(),
        purpose: held.asked.purpose,
        case_number: held.asked.case_number,
        reason: held.asked.reason,
        dataset: held.asked.dataset,
        subject: held.asked.subject,
        looked_up: held.asked.looked_up,
        identifiers: held.asked.identifiers,
        minimum_datasets: held.asked.minimum_datasets,
        parts: held.parts.into_iter().map(part).collect(),
        maximum_results: held.maximum_results,
        score_step_thousandths: held.score_step_thousandths,
        minimum_cohort: held.minimum_cohort,
        rule: held.rule,
        asked_at_ms: held.asked_at_ms,
        expires_at_ms: held.expires_at_ms,
        decisions: held.decisions.into_iter().map(decision).collect(),
    }
}

fn part(part: Part) -> pb::HeldPart {
    pb::HeldPart {
        identifier: part.identifier,
        measure: part.measure,
        filter: part.filter,
        window: part.window,
        relation: part.relation,
        rows: part.rows,
        subjects: part.subjects,
    }
}

fn decision(decision: Decision) -> pb::ReleaseDecision {
    pb::ReleaseDecision {
        officer: decision.officer,
        granted: decision.verdict != Verdict::Refuse,
        reason: decision.reason,
        at_ms: decision.at_ms,
        until_ms: match decision.verdict {
            Verdict::UntilMs(until_ms) => Some(until_ms),
            _ => None,
        },
    }
}

/// What an officer wants to read.
pub(crate) fn wanted(request: pb::ReleasesRequest) -> Wanted {
    match (request.id.is_empty(), request.decided) {
        (false, _) => Wanted::One(request.id),
        (true, true) => Wanted::All,
        (true, false) => Wanted::Waiting,
    }
}

/// An officer's decision.
pub(crate) fn decided(request: pb::ReleaseRequest) -> Result<Decided, Refusal> {
    use pb::release_request::Verdict as Wire;
    let verdict = match request.verdict {
        Some(Wire::Once(_)) => Verdict::Once,
        Some(Wire::UntilMs(until_ms)) => Verdict::UntilMs(until_ms),
        Some(Wire::Refuse(_)) => Verdict::Refuse,
        None => return Err(Refusal::bad_input("release_verdict", "Say whether the question is granted or refused.")),
    };
    Ok(Decided { id: request.id, verdict, reason: request.reason })
}

/// An own held question, with what its owners say of each data set that they hold.
pub(super) fn own_question(
    kept: &Kept,
    told: &BTreeMap<String, pb::OwnHeldDataset>,
) -> Result<pb::OwnHeldQuestion, Refusal> {
    let question = kept.question()?;
    let datasets = kept.datasets.iter().map(|(dataset, fate)| {
        let known = |state: pb::ReleaseState| pb::OwnHeldDataset {
            dataset: dataset.clone(),
            state: state.into(),
            ..pb::OwnHeldDataset::default()
        };
        match fate {
            Fate::Answered => known(pb::ReleaseState::Answered),
            Fate::Held | Fate::Refused => {
                told.get(dataset).cloned().unwrap_or_else(|| known(pb::ReleaseState::Unspecified))
            }
            Fate::Other => known(pb::ReleaseState::Unspecified),
        }
    });
    Ok(pb::OwnHeldQuestion {
        question_id: kept.id.to_string(),
        datasets: datasets.collect(),
        title: question.title,
        subject: question.subject,
        looked_up: kept.lookup.len() as u32,
        purpose: question.purpose,
        case_number: question.case_number,
        asked_at_ms: kept.asked_at_ms,
        expires_at_ms: kept.expires_at_ms,
    })
}
