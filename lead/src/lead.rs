//! A lead: what follows from its events. Nothing else changes one.
//!
//! ```text
//! raised ──assigned──► assigned ──pursued──► pursued ──outcome──► concluded
//!   │                     ├──declined──► unpursued
//!   │                     └──referred, false match──► concluded
//!   └── an exception is confirmed, while it is open ──► cleared
//! unpursued, cleared, concluded ──reopened──► raised
//! ```

use std::collections::BTreeMap;

use crate::{
    event::{Event, Outcome, Sighting, What},
    invalid::{EVENTS_MAX, Invalid, REMARKS_MAX, said},
    people::Actor,
    playbook::{Exception, Plan, exception_for},
};

/// The largest amount of a seizure, in whatever unit.
const AMOUNT_MAX: f64 = 1e9;
/// How long a false match lasts at most, in milliseconds: five years.
const FALSE_MATCH_MS_MAX: i64 = 5 * 366 * 86_400_000;

/// Where a lead stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nobody has it in hand.
    Raised,
    /// Somebody has it in hand.
    Assigned,
    /// Its owner acts on it.
    Pursued,
    /// Its owner decided not to act, with a reason.
    Unpursued,
    /// A lawful exception holds.
    Cleared,
    /// It has an outcome.
    Concluded,
}

impl State {
    /// Stable name in `snake_case`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Assigned => "assigned",
            Self::Pursued => "pursued",
            Self::Unpursued => "unpursued",
            Self::Cleared => "cleared",
            Self::Concluded => "concluded",
        }
    }

    /// Whether somebody must still do something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Raised | Self::Assigned | Self::Pursued)
    }
}

/// The times that clocks look at, since the lead was raised or reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// How often it was reopened or became more severe before.
    pub number: u32,
    /// When the clocks began.
    pub began_ms: i64,
    /// When somebody first had it in hand.
    pub acknowledged_ms: Option<i64>,
    /// When it was pursued.
    pub pursued_ms: Option<i64>,
    /// When it was closed.
    pub ended_ms: Option<i64>,
}

impl Round {
    fn beginning(number: u32, began_ms: i64) -> Self {
        Self { number, began_ms, acknowledged_ms: None, pursued_ms: None, ended_ms: None }
    }
}

/// What somebody found about an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub confirmed: bool,
    /// Name of who found it.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// Until when the subject is not raised again; the moment itself when it does not hold.
    pub until_ms: i64,
}

/// A lead as its events leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// Its name at the node.
    pub id: String,
    /// The match, with the newest evidence.
    pub sighting: Sighting,
    /// What it obliges to.
    pub plan: Plan,
    /// Where it stands.
    pub state: State,
    /// Who has it in hand.
    pub owner: Option<String>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// What was found about exceptions since it was raised or reopened.
    pub exceptions: BTreeMap<String, Verdict>,
    /// The times that clocks look at.
    pub round: Round,
    history: Vec<Event>,
}

impl Lead {
    /// The lead that these events make.
    ///
    /// # Errors
    /// [`Invalid`] for the first event that cannot have happened.
    pub fn replay(id: &str, events: impl IntoIterator<Item = Event>) -> Result<Self, Invalid> {
        let mut events = events.into_iter();
        let mut lead = Self::begin(id, events.next().ok_or(Invalid::Beginning)?)?;
        for event in events {
            lead.apply(event)?;
        }
        Ok(lead)
    }

    /// The lead that begins with this event.
    ///
    /// # Errors
    /// [`Invalid::Beginning`] when it is another than a raising.
    pub fn begin(id: &str, event: Event) -> Result<Self, Invalid> {
        let What::Raised { sighting, plan } = &event.what else { return Err(Invalid::Beginning) };
        Ok(Self {
            id: id.to_owned(),
            sighting: sighting.clone(),
            plan: (**plan).clone(),
            state: State::Raised,
            owner: None,
            outcome: None,
            exceptions: BTreeMap::new(),
            round: Round::beginning(0, event.at_ms),
            history: vec![event],
        })
    }

    /// The lead after one more event.
    ///
    /// # Errors
    /// [`Invalid`] when that cannot happen now.
    pub fn after(&self, event: Event) -> Result<Self, Invalid> {
        let mut lead = self.clone();
        lead.apply(event)?;
        Ok(lead)
    }

    /// Everything that happened, oldest first.
    pub fn history(&self) -> &[Event] {
        &self.history
    }

    /// When it was raised first.
    pub fn raised_ms(&self) -> i64 {
        self.history.first().map_or(0, |event| event.at_ms)
    }

    /// When something happened last.
    pub fn changed_ms(&self) -> i64 {
        self.history.last().map_or(0, |event| event.at_ms)
    }

    fn apply(&mut self, event: Event) -> Result<(), Invalid> {
        let is_remark = matches!(event.what, What::Noted { .. } | What::SeenAgain { .. });
        if self.history.len() >= if is_remark { REMARKS_MAX } else { EVENTS_MAX } {
            return Err(Invalid::Full);
        }
        if event.at_ms < self.changed_ms() {
            return Err(Invalid::Backwards);
        }
        self.change(event.at_ms, &event.by, &event.what)?;
        self.history.push(event);
        Ok(())
    }

    fn change(&mut self, at_ms: i64, by: &Actor, what: &What) -> Result<(), Invalid> {
        match what {
            What::Raised { .. } => return Err(Invalid::Beginning),
            What::SeenAgain { sighting, plan } => self.see_again(at_ms, sighting, plan.as_deref())?,
            What::Assigned { to } => self.assign(at_ms, to)?,
            What::Pursued => {
                self.owned_by(by)?;
                if self.state == State::Pursued {
                    return Err(Invalid::AlreadyPursued);
                }
                self.state = State::Pursued;
                self.round.pursued_ms = Some(at_ms);
            }
            What::Declined { reason } => {
                self.owned_by(by)?;
                said(reason)?;
                if self.state == State::Pursued {
                    return Err(Invalid::AlreadyPursued);
                }
                self.close(State::Unpursued, at_ms);
            }
            What::Noted { text } => said(text)?,
            What::ExceptionConfirmed { exception, note } => {
                let clears_ms = self.exception_for(by, exception, note)?.clears_ms;
                self.find(exception, by, at_ms, Some(clears_ms));
                self.close(State::Cleared, at_ms);
            }
            What::ExceptionRejected { exception, note } => {
                self.exception_for(by, exception, note)?;
                self.find(exception, by, at_ms, None);
            }
            What::Concluded { outcome, note } => self.conclude(at_ms, by, outcome, note)?,
            What::Reopened { reason } => self.reopen(at_ms, reason)?,
        }
        Ok(())
    }

    fn see_again(&mut self, at_ms: i64, sighting: &Sighting, plan: Option<&Plan>) -> Result<(), Invalid> {
        self.is_open()?;
        if !self.sighting.is_of_subject(sighting) {
            return Err(Invalid::OtherSubject);
        }
        self.sighting = sighting.clone();
        if let Some(plan) = plan {
            self.plan = plan.clone();
            let so_far = self.round;
            self.round = Round {
                // What was done already needs not be done again, but the more severe lead's time begins now.
                acknowledged_ms: so_far.acknowledged_ms.map(|_| at_ms),
                pursued_ms: so_far.pursued_ms.map(|_| at_ms),
                ..Round::beginning(so_far.number + 1, at_ms)
            };
        }
        Ok(())
    }

    fn assign(&mut self, at_ms: i64, to: &str) -> Result<(), Invalid> {
        self.is_open()?;
        said(to)?;
        self.owner = Some(to.to_owned());
        self.round.acknowledged_ms.get_or_insert(at_ms);
        if self.state == State::Raised {
            self.state = State::Assigned;
        }
        Ok(())
    }

    fn conclude(&mut self, at_ms: i64, by: &Actor, outcome: &Outcome, note: &str) -> Result<(), Invalid> {
        self.owned_by(by)?;
        if !note.is_empty() {
            said(note)?;
        }
        is_outcome(outcome, at_ms)?;
        let takes_pursuit = !matches!(outcome, Outcome::FalseMatch { .. } | Outcome::Referred { .. });
        if takes_pursuit && self.state != State::Pursued {
            return Err(Invalid::NotPursued);
        }
        self.outcome = Some(outcome.clone());
        self.close(State::Concluded, at_ms);
        Ok(())
    }

    fn reopen(&mut self, at_ms: i64, reason: &str) -> Result<(), Invalid> {
        if self.state.is_open() {
            return Err(Invalid::Open);
        }
        said(reason)?;
        self.state = State::Raised;
        (self.owner, self.outcome) = (None, None);
        self.exceptions.clear();
        self.round = Round::beginning(self.round.number + 1, at_ms);
        Ok(())
    }

    fn close(&mut self, state: State, at_ms: i64) {
        self.state = state;
        self.round.ended_ms = Some(at_ms);
    }

    fn is_open(&self) -> Result<(), Invalid> {
        if self.state.is_open() { Ok(()) } else { Err(Invalid::Closed) }
    }

    fn owned_by(&self, by: &Actor) -> Result<(), Invalid> {
        self.is_open()?;
        match &self.owner {
            None => Err(Invalid::NotAssigned),
            Some(owner) if *owner != by.name => Err(Invalid::NotOwner(owner.clone())),
            Some(_) => Ok(()),
        }
    }

    /// The exception, if the actor may rule on it now.
    fn exception_for(&self, by: &Actor, name: &str, note: &str) -> Result<&Exception, Invalid> {
        self.is_open()?;
        let exception = exception_for(&self.plan.exceptions, name, by)?;
        said(note)?;
        Ok(exception)
    }

    fn find(&mut self, exception: &str, by: &Actor, at_ms: i64, clears_ms: Option<i64>) {
        let verdict = Verdict {
            confirmed: clears_ms.is_some(),
            by: by.name.clone(),
            at_ms,
            until_ms: at_ms.saturating_add(clears_ms.unwrap_or(0)),
        };
        self.exceptions.insert(exception.to_owned(), verdict);
    }
}

fn is_outcome(outcome: &Outcome, at_ms: i64) -> Result<(), Invalid> {
    match outcome {
        Outcome::Arrest { people: 0 } => Err(Invalid::Amount),
        Outcome::Seizure { what, amount, unit } => {
            said(what)?;
            said(unit)?;
            if *amount > 0.0 && *amount <= AMOUNT_MAX { Ok(()) } else { Err(Invalid::Amount) }
        }
        Outcome::FalseMatch { until_ms } => {
            let latest_ms = at_ms.saturating_add(FALSE_MATCH_MS_MAX);
            if (at_ms.saturating_add(1)..=latest_ms).contains(until_ms) {
                Ok(())
            } else {
                Err(Invalid::FalseMatchUntil)
            }
        }
        Outcome::Referred { to: text } | Outcome::Other { what: text } => said(text),
        Outcome::Arrest { .. } | Outcome::NoFinding => Ok(()),
    }
}

#[cfg(test)]
#[path = "lead/tests.rs"]
pub(crate) mod tests;
