//! The owner's release queue: every held question in a file of its own.
//!
//! Each change is durable before anyone is told of it, and happens under one lock: of two that want the
//! same grant, one gets it. After a restart everything stands where it stood.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{TryRng, rngs::SysRng};
use sallyport_trust::{
    error::{Kind, Refusal},
    policy::Hold,
    question::QuestionId,
};

use super::{
    DAMAGED, DIGITS_MIN,
    content::Asking,
    held::{Asked, Decision, HeldQuestion, Part, State, WAITING_MS},
};
use crate::folder::Folder;

/// Questions that wait at a time, at most: of one person, of one agency; and all, decided ones included.
const OF_PERSON_MAX: usize = 20;
const OF_AGENCY_MAX: usize = 250;
const IN_ALL_MAX: usize = 1_000;

/// Held questions of this agency's data sets.
pub(crate) struct ReleaseQueue {
    folder: Folder,
    held: Mutex<BTreeMap<String, HeldQuestion>>,
}

/// What the queue says of a question.
pub(super) enum Found {
    Granted(HeldQuestion),
    Refused(HeldQuestion),
    Waiting(HeldQuestion),
    /// Nobody has been asked yet.
    Nothing,
}

impl ReleaseQueue {
    /// Opens what is kept under `state`.
    ///
    /// # Errors
    /// When it cannot be read, or a file is damaged.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let (folder, held) = Folder::open::<HeldQuestion>(&state.join("releases"), DAMAGED)?;
        Ok(Self { folder, held: Mutex::new(held.into_iter().map(|held| (held.id.clone(), held)).collect()) })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, HeldQuestion>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was decided about a question, or about its pattern.
    pub(super) fn find(&self, asking: &Asking, now_ms: i64) -> Found {
        let held = self.held();
        let same = |held: &&HeldQuestion| {
            held.question == asking.first && held.context == asking.context && held.has_part(&asking.part)
        };
        let granted = held.values().find(|held| match held.state(now_ms) {
            State::Standing(_) => held.pattern == asking.pattern && held.has_part(&asking.part),
            State::Granted => same(held),
            State::Used => same(held) && held.used_by == Some(asking.id),
            _ => false,
        });
        let same_in = |state: State| held.values().find(|held| held.state(now_ms) == state && same(held)).cloned();
        granted
            .cloned()
            .map(Found::Granted)
            .or_else(|| same_in(State::Refused).map(Found::Refused))
            .or_else(|| same_in(State::Waiting).map(Found::Waiting))
            .unwrap_or(Found::Nothing)
    }

    /// Puts a question into the queue; another part of the same question joins those that wait.
    ///
    /// # Errors
    /// `release_queue_full`, or when it cannot be kept.
    pub(super) fn hold(
        &self,
        asking: &Asking,
        hold: &Hold,
        asked: Asked,
        part: Part,
        now_ms: i64,
    ) -> Result<HeldQuestion, Refusal> {
        let mut all = self.held();
        self.forget_expired(&mut all, now_ms);
        let joins = |held: &&HeldQuestion| {
            held.state(now_ms) == State::Waiting
                && held.question == asking.first
                && held.context == asking.context
                && held.asked.dataset == asked.dataset
        };
        let held = match all.values().find(joins) {
            Some(waiting) if waiting.has_part(&part.digest) => return Ok(waiting.clone()),
            Some(waiting) => {
                let mut joined = waiting.clone();
                joined.parts.push(part);
                joined
            }
            None => {
                check_room(&all, &asked, now_ms)?;
                waiting(asking, hold, asked, part, now_ms)?
            }
        };
        self.keep(&mut all, held)
    }

    /// The held question that the digits begin the id of, if it is the only one and has not expired.
    pub(super) fn get(&self, digits: &str, now_ms: i64) -> Option<HeldQuestion> {
        let all = self.held();
        let mut named = all.values().filter(|held| held.id.starts_with(digits) && held.state(now_ms) != State::Expired);
        match (named.next(), named.next()) {
            (Some(held), None) if digits.len() >= DIGITS_MIN => Some(held.clone()),
            _ => None,
        }
    }

    /// All that have not expired, oldest first.
    pub(super) fn all(&self, now_ms: i64) -> Vec<HeldQuestion> {
        let mut all: Vec<HeldQuestion> =
            self.held().values().filter(|held| held.state(now_ms) != State::Expired).cloned().collect();
        all.sort_by(|a, b| (a.asked_at_ms, &a.id).cmp(&(b.asked_at_ms, &b.id)));
        all
    }

    /// Writes down what a person decided.
    ///
    /// # Errors
    /// As [`HeldQuestion::decided`], or when it cannot be kept.
    pub(super) fn decide(&self, id: &str, decision: Decision) -> Result<HeldQuestion, Refusal> {
        self.change(id, |held| held.decided(decision))
    }

    /// Takes a grant for the rows of `question`: of one answer's grant nothing is left then.
    ///
    /// # Errors
    /// As [`HeldQuestion::used`], or when it cannot be kept; no row may leave then.
    pub(super) fn use_up(&self, id: &str, question: QuestionId, now_ms: i64) -> Result<(), Refusal> {
        self.change(id, |held| held.used(question, now_ms)).map(|_used| ())
    }

    /// Lets a question wait for everybody whom the rules in force name.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(super) fn need(&self, id: &str, hold: &Hold, now_ms: i64) -> Result<HeldQuestion, Refusal> {
        self.change(id, |held| Ok(held.needing((&hold.rule, &hold.release_by), hold.obligations(), now_ms)))
    }

    fn change(
        &self,
        id: &str,
        change: impl FnOnce(HeldQuestion) -> Result<HeldQuestion, Refusal>,
    ) -> Result<HeldQuestion, Refusal> {
        let mut all = self.held();
        let before = all.get(id).cloned().ok_or_else(unknown)?;
        let after = change(before.clone())?;
        if after == before { Ok(after) } else { self.keep(&mut all, after) }
    }

    fn keep(&self, all: &mut BTreeMap<String, HeldQuestion>, held: HeldQuestion) -> Result<HeldQuestion, Refusal> {
        self.folder.write(&held.id, &held).map_err(|error| Refusal::internal("release_not_kept", &error))?;
        all.insert(held.id.clone(), held.clone());
        Ok(held)
    }

    fn forget_expired(&self, all: &mut BTreeMap<String, HeldQuestion>, now_ms: i64) {
        all.retain(|id, held| {
            let expired = held.state(now_ms) == State::Expired;
            // One that stays on the disk is expired there as well.
            !expired || self.folder.remove(id).is_err()
        });
    }
}

fn check_room(all: &BTreeMap<String, HeldQuestion>, asked: &Asked, now_ms: i64) -> Result<(), Refusal> {
    let waiting = all.values().filter(|held| held.state(now_ms) == State::Waiting);
    let of_agency = waiting.filter(|held| held.asked.agency == asked.agency);
    let of_person = of_agency.clone().filter(|held| held.asked.person() == asked.person());
    let room = of_person.count() < OF_PERSON_MAX && of_agency.count() < OF_AGENCY_MAX && all.len() < IN_ALL_MAX;
    room.then_some(()).ok_or_else(|| {
        Refusal::new(
            Kind::Exhausted,
            "release_queue_full",
            "Too many questions wait for the owner's release officers; ask again when they have decided about yours.",
        )
    })
}

fn waiting(asking: &Asking, hold: &Hold, asked: Asked, part: Part, now_ms: i64) -> Result<HeldQuestion, Refusal> {
    let mut id = [0; 8];
    TryRng::try_fill_bytes(&mut SysRng, &mut id).map_err(|error| Refusal::internal("no_randomness", &error))?;
    let obligations = hold.obligations();
    Ok(HeldQuestion {
        id: format!("{:016x}", u64::from_be_bytes(id)),
        question: asking.first,
        context: asking.context,
        pattern: asking.pattern,
        maximum_results: asked.top.min(obligations.maximum_results),
        score_step_thousandths: obligations.score_step_thousandths,
        minimum_cohort: obligations.minimum_cohort,
        asked,
        parts: vec![part],
        rule: hold.rule.clone(),
        release_by: hold.release_by.clone(),
        asked_at_ms: now_ms,
        expires_at_ms: now_ms.saturating_add(WAITING_MS),
        decisions: Vec::new(),
        used_by: None,
    })
}

/// No question waits under that id.
pub(super) fn unknown() -> Refusal {
    Refusal::new(
        Kind::NotFound,
        "release_unknown",
        "No question waits under that id, or too few of its digits are given (at least 8); `sallyport release list` \
         shows those that wait.",
    )
}

#[cfg(test)]
#[path = "queue/tests.rs"]
mod tests;
