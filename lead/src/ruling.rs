//! Whether a match becomes a lead: not while one of the same cause is open, not while a ruling says that
//! it is nothing, and not for evidence that a closed lead had already.

use serde::{Deserialize, Serialize};

use crate::{
    event::{Outcome, Sighting},
    lead::{Lead, State},
    playbook::Plan,
};

/// A subject that is not raised for a while, recorded before any lead: a lawful exception that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearance {
    /// Type of the identifier.
    pub subject_kind: String,
    /// The identifier in its canonical form.
    pub subject: String,
    /// Name of the playbook.
    pub playbook: String,
    /// Name of the exception in it.
    pub exception: String,
    /// How that is known.
    pub note: String,
    /// Name of who confirmed it.
    pub by: String,
    /// When it was confirmed, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Until when it holds.
    pub until_ms: i64,
}

/// What a match is, given the leads that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A new lead.
    New,
    /// The lead with this id is about it.
    Known(String),
    /// It is nothing until this moment.
    Suppressed(i64),
}

/// What a match is that obliges to `plan`.
pub fn standing<'a>(
    leads: impl IntoIterator<Item = &'a Lead>,
    clearances: impl IntoIterator<Item = &'a Clearance>,
    (sighting, plan): (&Sighting, &Plan),
    now_ms: i64,
) -> Standing {
    let cleared = clearances.into_iter().filter(|clearance| {
        (&clearance.subject_kind, &clearance.subject) == (&sighting.subject_kind, &sighting.subject)
            && clearance.playbook == plan.playbook
    });
    let mut until_ms = cleared.map(|clearance| clearance.until_ms).max();
    let mut known: Option<&Lead> = None;
    for lead in leads.into_iter().filter(|lead| lead.sighting.is_of_subject(sighting)) {
        until_ms = until_ms.max(suppresses_until_ms(lead, (sighting, plan)));
        if is_same_cause(lead, (sighting, plan)) {
            let order = |lead: &Lead| (lead.state.is_open(), lead.changed_ms());
            known = known.filter(|other| order(other) > order(lead)).or(Some(lead));
        }
    }
    match (known, until_ms.filter(|until_ms| *until_ms > now_ms)) {
        (Some(lead), _) if lead.state.is_open() => Standing::Known(lead.id.clone()),
        (_, Some(until_ms)) => Standing::Suppressed(until_ms),
        (Some(lead), None) if !is_news(lead, (sighting, plan)) => Standing::Known(lead.id.clone()),
        _ => Standing::New,
    }
}

/// Whether a match says more than its lead knows: newer evidence, or enough for a worse severity.
pub fn is_news(lead: &Lead, (sighting, plan): (&Sighting, &Plan)) -> bool {
    sighting.newest_day() > lead.sighting.newest_day() || is_worse(lead, plan)
}

/// Whether a match obliges to more than its lead does.
pub fn is_worse(lead: &Lead, plan: &Plan) -> bool {
    lead.plan.playbook == plan.playbook && plan.rank > lead.plan.rank
}

/// The same watch; without one the same pattern, and without either the same playbook.
fn is_same_cause(lead: &Lead, (sighting, plan): (&Sighting, &Plan)) -> bool {
    let known = &lead.sighting;
    match (&known.watch, &sighting.watch, &known.pattern, &sighting.pattern) {
        (Some(known), Some(watch), ..) => known == watch,
        (None, None, Some(known), Some(pattern)) => unversioned(known) == unversioned(pattern),
        _ => lead.plan.playbook == plan.playbook,
    }
}

fn unversioned(pattern: &str) -> &str {
    pattern.split_once('@').map_or(pattern, |(name, _)| name)
}

/// Until when a closed lead keeps such a match from being raised: a false match for its own cause, a
/// lawful exception for everything that its playbook covers.
fn suppresses_until_ms(lead: &Lead, cause: (&Sighting, &Plan)) -> Option<i64> {
    match (lead.state, &lead.outcome) {
        (State::Concluded, Some(Outcome::FalseMatch { until_ms })) if is_same_cause(lead, cause) => Some(*until_ms),
        (State::Cleared, _) if lead.plan.playbook == cause.1.playbook => {
            let confirmed = lead.exceptions.values().filter(|verdict| verdict.confirmed);
            confirmed.map(|verdict| verdict.until_ms).max()
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "ruling/tests.rs"]
mod tests;
