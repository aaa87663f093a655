//! Leads at their home node: matches that somebody of the agency must act on.
//!
//! A watch or a person [raises](Leads::raise) a match; a playbook must cover it. From then on the lead is
//! what its events say: they are durable before anybody is told of them. A [task](clocks) runs the clocks
//! and lets notices go out. Subjects are named in the node's own files and to the agency's own people whom
//! the policy allows, never in notices, logs or refusals, and nothing of a lead goes to another party.

mod calibrate;
mod clocks;
mod desk;
mod notify;
mod outcomes;
mod recent;
mod settings;
mod shelf;
mod store;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use sallyport_lead::{
    event::{Evidence, Sighting, What},
    lead::Lead,
    people::{Actor, People},
    playbook::{Covered, Uncovered},
    qe,
    ruling::Clearance,
};
use sallyport_trust::{
    error::{Kind, Refusal},
    policy::attribute,
};

use crate::{
    Config,
    dataset::Dataset,
    identifier::{Canonical, IdentifierType},
};

pub(crate) use calibrate::calibrate;
pub(crate) use clocks::keep_time;
pub(crate) use desk::{act, clear, list, name_of, raise, request, show};
pub(crate) use recent::{Matched, RecentAnswers};
pub use settings::LeadSettings;
pub(crate) use wire::{acted, clearing, told};

use shelf::Shelf;
use store::Store;

/// All leads of the agency, its playbooks, and the notices that wait.
pub(crate) struct Leads {
    people: People,
    shelf: Shelf,
    store: Store,
    outbox: notify::Outbox,
    outcomes: PathBuf,
    /// The outcomes on the disk are not what the leads say.
    outcomes_changed: AtomicBool,
    pub(crate) recent: RecentAnswers,
}

/// A match that may become a lead.
#[derive(Debug, Clone)]
pub(crate) struct Raised {
    /// What found it.
    pub(crate) cause: Cause,
    /// The question's id, in hexadecimal.
    pub(crate) question: String,
    pub(crate) kind: IdentifierType,
    pub(crate) subject: Canonical,
    pub(crate) qe_millionths: u32,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) at_ms: i64,
}

/// What found a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A watch, with the pattern that it asks if it asks one.
    Watch { name: String, pattern: Option<String> },
    /// A person, in an answer to a pattern or under a playbook that they chose.
    Person { by: Actor, pattern: Option<String>, playbook: Option<String> },
}

/// What became of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RaisedAs {
    /// A lead with this id.
    New(String),
    /// The lead with this id is about it already.
    Known(String),
    /// Nothing: a ruling says so until this moment.
    Suppressed(i64),
}

impl Leads {
    /// Opens what is kept under the node's state and reads the playbooks.
    ///
    /// # Errors
    /// When something cannot be read or written, or is damaged.
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let role = |attributes: &std::collections::BTreeMap<String, String>| {
            attributes.get(attribute::ROLE).cloned().unwrap_or_default()
        };
        let people: People =
            config.person.iter().map(|person| (person.name.clone(), role(&person.attributes))).collect();
        let state = config.state.join("leads");
        let leads = Self {
            shelf: Shelf::open(config.leads.playbooks(&config.policies), people.clone())?,
            people,
            store: Store::open(&state)?,
            outbox: notify::Outbox::open(&state, &config.leads)?,
            outcomes: state.join("outcomes.csv"),
            outcomes_changed: AtomicBool::new(false),
            recent: RecentAnswers::default(),
        };
        leads.write_outcomes()?;
        Ok(leads)
    }

    /// Whether a playbook covers a watch; a watch that none covers is not armed.
    ///
    /// # Errors
    /// `playbook_missing`, with what to write; `playbooks_not_whole`.
    pub(crate) fn covers(&self, watch: &str, pattern: Option<&str>) -> Result<(), Refusal> {
        self.shelf.playbooks()?.covering(Covered::Watch(watch, pattern)).map(|_playbook| ()).map_err(uncovered)
    }

    /// Makes a lead of a match, unless one is about it already or a ruling says that it is nothing.
    /// Durable when this returns; it waits for the disk, so call it off the threads that answer calls.
    ///
    /// # Errors
    /// `playbook_missing`, `playbooks_not_whole`, `score_below_playbook`, `too_many_leads`, or when it cannot be kept.
    pub(crate) fn raise(&self, raised: Raised) -> Result<RaisedAs, Refusal> {
        let playbooks = self.shelf.playbooks()?;
        let playbook = playbooks.covering(raised.cause.covered()?).map_err(uncovered)?;
        let plan = playbook.plan(raised.qe_millionths).ok_or_else(|| {
            Refusal::new(
                Kind::Conflict,
                "score_below_playbook",
                format!(
                    "The playbook `{}` raises leads from a score of {}.",
                    playbook.name,
                    qe(playbook.raises_from())
                ),
            )
        })?;
        let at_ms = raised.at_ms;
        let (by, sighting) = raised.into_sighting();
        self.store.raise(by, sighting, plan, at_ms)
    }

    /// Lets something happen to a lead.
    fn act(&self, id: &str, by: Actor, what: What, now_ms: i64) -> Result<Lead, Refusal> {
        if let What::Assigned { to } = &what
            && !self.people.has(to)
        {
            return Err(Refusal::bad_input(
                "person_unknown",
                "Nobody of this name is among the people of the node; assign the lead to one of them.",
            ));
        }
        let lead = self.store.act(id, by, what, now_ms)?;
        self.outcomes_changed.store(true, Ordering::Release);
        Ok(lead)
    }

    /// Keeps a lawful exception of a subject that is known before any lead, as long as its playbook says.
    fn clear(&self, by: &Actor, clearing: desk::Clearing, now_ms: i64) -> Result<i64, Refusal> {
        let playbooks = self.shelf.playbooks()?;
        let playbook = playbooks.covering(Covered::Named(&clearing.playbook)).map_err(uncovered)?;
        let exception = playbook.exception(&clearing.exception, by).map_err(store::refusal)?;
        let until_ms = now_ms.saturating_add(exception.clears_ms);
        let clearance = Clearance {
            subject_kind: clearing.kind.name().to_owned(),
            subject: clearing.subject.as_str().to_owned(),
            playbook: clearing.playbook,
            exception: clearing.exception,
            note: clearing.note,
            by: by.name.clone(),
            at_ms: now_ms,
            until_ms,
        };
        self.store.clear(clearance, now_ms)?;
        Ok(until_ms)
    }

    /// The data set of outcomes, described as if it stood in the configuration.
    pub(crate) fn outcomes_dataset(&self, agency: &str, datasets: &[Dataset]) -> Option<Dataset> {
        outcomes::dataset(agency, datasets, &self.outcomes)
    }

    /// What became of each subject of this type, in its newest lead that was closed, or that it is cleared; by
    /// canonical identifier.
    pub(crate) fn labels(&self, kind: IdentifierType, now_ms: i64) -> HashMap<String, &'static str> {
        outcomes::labels(&self.store, kind, now_ms)
    }

    fn write_outcomes(&self) -> io::Result<()> {
        outcomes::write(&self.store, &self.outcomes)
    }
}

impl Cause {
    fn covered(&self) -> Result<Covered<'_>, Refusal> {
        match self {
            Self::Watch { name, pattern } => Ok(Covered::Watch(name, pattern.as_deref())),
            Self::Person { playbook: Some(playbook), .. } => Ok(Covered::Named(playbook)),
            Self::Person { pattern: Some(pattern), .. } => Ok(Covered::Pattern(pattern)),
            Self::Person { .. } => Err(Refusal::bad_input(
                "playbook_missing",
                "The answer is not to a pattern, so say under which playbook the match is raised.",
            )),
        }
    }
}

impl Raised {
    fn into_sighting(self) -> (Actor, Sighting) {
        let (by, watch, pattern) = match self.cause {
            Cause::Watch { name, pattern } => (Actor { name: name.clone(), role: String::new() }, Some(name), pattern),
            Cause::Person { by, pattern, .. } => (by, None, pattern),
        };
        let sighting = Sighting {
            watch,
            pattern,
            question: self.question,
            subject_kind: self.kind.name().to_owned(),
            subject: self.subject.as_str().to_owned(),
            qe_millionths: self.qe_millionths,
            evidence: self.evidence,
        };
        (by, sighting)
    }
}

fn uncovered(uncovered: Uncovered) -> Refusal {
    Refusal::new(Kind::Conflict, Uncovered::REASON, uncovered.0)
}
