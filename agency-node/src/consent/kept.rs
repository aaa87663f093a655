//! The home node's half: questions that an owner holds, kept whole until the person completes them.
//!
//! What was looked up is kept with them, in a file that only this node can read, and is forgotten with
//! them. A person finds their own questions only.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use sallyport_proto::common::v1::{self as pb, Coverage, Outcome};
use sallyport_trust::{
    error::{Kind, Refusal},
    question::{Question, QuestionId},
};
use serde::{Deserialize, Serialize};

use super::{DAMAGED, DIGITS_MIN, held::WAITING_MS};
use crate::folder::Folder;

/// How long a question is kept: a decision may come at the end of the wait and waits as long itself.
const KEPT_MS: i64 = 2 * WAITING_MS;
/// Questions kept for one person, at most; the oldest make room.
const OF_PERSON_MAX: usize = 100;

/// Questions of this agency's people that owners hold.
pub(crate) struct KeptQuestions {
    folder: Folder,
    kept: Mutex<BTreeMap<QuestionId, Kept>>,
}

/// One question with everything that is needed to ask it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The question as it was first asked.
    pub(crate) id: QuestionId,
    /// SPIFFE ID of the person who asked.
    person: String,
    pub(super) asked_at_ms: i64,
    pub(super) expires_at_ms: i64,
    /// In its wire form.
    question: Vec<u8>,
    pub(crate) lookup: Vec<String>,
    /// How wide the ranges of the look-up were: asked again, they must be the same.
    pub(crate) range_bits: Option<u32>,
    /// What became of each data set when it was last asked.
    pub(super) datasets: BTreeMap<String, Fate>,
}

/// What became of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    Answered,
    Held,
    Refused,
    Other,
}

impl Kept {
    /// A question as a person asks it for the first time.
    pub(crate) fn new(
        person: String,
        question: &Question,
        lookup: Vec<String>,
        range_bits: Option<u32>,
        id: QuestionId,
        now_ms: i64,
    ) -> Self {
        Self {
            id,
            person,
            asked_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(KEPT_MS),
            question: pb::Question::from(question).encode_to_vec(),
            lookup,
            range_bits,
            datasets: BTreeMap::new(),
        }
    }

    /// The question.
    pub(crate) fn question(&self) -> Result<Question, Refusal> {
        let unreadable = |error: &dyn std::fmt::Display| Refusal::internal("kept_question_unreadable", error);
        let wire = pb::Question::decode(self.question.as_slice()).map_err(|error| unreadable(&error))?;
        Question::try_from(wire)
    }

    fn note(&mut self, coverage: &[Coverage]) {
        let fates = coverage.iter().map(|entry| (entry.dataset.clone(), Fate::of(entry)));
        self.datasets = fates.collect();
    }

    /// Says of what is held once more that a grant was used up: nobody is to wonder who has to decide
    /// again.
    pub(crate) fn explain_asked_anew(&self, coverage: &mut [Coverage]) {
        let was_answered = |entry: &&mut Coverage| {
            entry.outcome() == Outcome::Held && self.datasets.get(&entry.dataset) == Some(&Fate::Answered)
        };
        for entry in coverage.iter_mut().filter(was_answered) {
            entry.explanation = format!(
                "It was answered before, which uses up a grant for one answer; this asks the owner anew. {}",
                entry.explanation
            );
        }
    }

    fn is_held(&self) -> bool {
        self.datasets.values().any(|fate| *fate == Fate::Held)
    }
}

impl Fate {
    fn of(coverage: &Coverage) -> Self {
        match (coverage.outcome(), coverage.reason.as_str()) {
            (Outcome::Answered, _) => Self::Answered,
            (Outcome::Held, _) => Self::Held,
            (_, "release_refused") => Self::Refused,
            _ => Self::Other,
        }
    }
}

impl KeptQuestions {
    /// Opens what is kept under `state`.
    ///
    /// # Errors
    /// When it cannot be read, or a file is damaged.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let (folder, kept) = Folder::open::<Kept>(&state.join("held"), DAMAGED)?;
        Ok(Self { folder, kept: Mutex::new(kept.into_iter().map(|kept| (kept.id, kept)).collect()) })
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<QuestionId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The person's own question that the digits begin the id of.
    ///
    /// # Errors
    /// `question_not_held`, whether there is none or it is somebody else's.
    pub(crate) fn find(&self, person: &str, digits: &str, now_ms: i64) -> Result<Kept, Refusal> {
        let own = self.of(person, now_ms);
        let mut named = own.into_iter().filter(|kept| kept.id.to_string().starts_with(digits));
        match (named.next(), named.next()) {
            (Some(kept), None) if digits.len() >= DIGITS_MIN => Ok(kept),
            _ => Err(Refusal::new(
                Kind::NotFound,
                "question_not_held",
                format!(
                    "None of your held questions has that id, or too few of its digits are given (at least \
                     {DIGITS_MIN}); `sallyport held` lists them."
                ),
            )),
        }
    }

    /// The person's own questions, oldest first.
    pub(super) fn of(&self, person: &str, now_ms: i64) -> Vec<Kept> {
        let kept = self.kept();
        let own = kept.values().filter(|kept| kept.person == person && kept.expires_at_ms > now_ms);
        let mut own: Vec<Kept> = own.cloned().collect();
        own.sort_by_key(|kept| kept.asked_at_ms);
        own
    }

    /// Writes down what became of a question; one that nobody holds and nobody held is not kept. True
    /// when it can be completed.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) fn note(&self, mut asked: Kept, coverage: &[Coverage], now_ms: i64) -> Result<bool, Refusal> {
        asked.note(coverage);
        let mut all = self.kept();
        self.forget(&mut all, now_ms);
        if !asked.is_held() && !all.contains_key(&asked.id) {
            return Ok(false);
        }
        self.make_room(&mut all, &asked);
        let held = asked.is_held();
        self.folder
            .write(&asked.id.to_string(), &asked)
            .map_err(|error| Refusal::internal("held_question_not_kept", &error))?;
        all.insert(asked.id, asked);
        Ok(held)
    }

    fn forget(&self, all: &mut BTreeMap<QuestionId, Kept>, now_ms: i64) {
        all.retain(|id, kept| kept.expires_at_ms > now_ms || self.folder.remove(&id.to_string()).is_err());
    }

    fn make_room(&self, all: &mut BTreeMap<QuestionId, Kept>, asked: &Kept) {
        let own = all.values().filter(|kept| kept.person == asked.person && kept.id != asked.id);
        let (count, oldest) = (own.clone().count(), own.min_by_key(|kept| kept.asked_at_ms).map(|kept| kept.id));
        if let Some(oldest) = oldest.filter(|_| count >= OF_PERSON_MAX) {
            all.remove(&oldest);
            let _ = self.folder.remove(&oldest.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use sallyport_trust::question::parse_question;

    use super::*;

    const PERSON: &str = "spiffe://f/agency/hsi/user/a";

    fn asked(person: &str, id: u8, now_ms: i64) -> Kept {
        let text = "subject = \"phone\"\npurpose = \"p\"\n[[indicator]]\ndataset = \"cbp.crossings\"\n";
        let question = parse_question(text, 0).unwrap().question;
        let lookup = vec!["6039031234".to_owned()];
        Kept::new(person.to_owned(), &question, lookup, Some(3), QuestionId([id; 32]), now_ms)
    }

    fn coverage(outcome: Outcome) -> Vec<Coverage> {
        vec![Coverage { dataset: "cbp.crossings".to_owned(), outcome: outcome.into(), ..Coverage::default() }]
    }

    #[test]
    fn a_held_question_is_found_by_its_person_alone_and_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptQuestions::open(directory.path()).unwrap();
        assert!(kept.note(asked(PERSON, 1, 0), &coverage(Outcome::Held), 0).unwrap());
        assert!(!kept.note(asked(PERSON, 2, 0), &coverage(Outcome::Answered), 0).unwrap());
        for kept in [kept, KeptQuestions::open(directory.path()).unwrap()] {
            let found = kept.find(PERSON, "01010101", 1).unwrap();
            assert_eq!(found.question().unwrap().indicators[0].dataset, "cbp.crossings");
            assert_eq!((found.lookup.len(), found.range_bits), (1, Some(3)));
            for (person, digits) in
                [("somebody else", "01010101"), (PERSON, "0101010"), (PERSON, "02020202"), (PERSON, "")]
            {
                assert_eq!(kept.find(person, digits, 1).unwrap_err().reason, "question_not_held");
            }
        }
    }

    #[test]
    fn an_answered_question_is_kept_until_it_expires() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptQuestions::open(directory.path()).unwrap();
        kept.note(asked(PERSON, 1, 0), &coverage(Outcome::Held), 0).unwrap();
        let again = kept.find(PERSON, "01010101", 1).unwrap();
        assert!(!kept.note(again, &coverage(Outcome::Answered), 1).unwrap());
        assert_eq!(kept.find(PERSON, "01010101", KEPT_MS - 1).unwrap().datasets["cbp.crossings"], Fate::Answered);
        assert!(kept.find(PERSON, "01010101", KEPT_MS).is_err());
        kept.note(asked(PERSON, 3, KEPT_MS), &coverage(Outcome::Held), KEPT_MS).unwrap();
        let files = std::fs::read_dir(directory.path().join("held")).unwrap().count();
        assert_eq!(files, 1, "what has expired is removed from the disk");
    }

    #[test]
    fn what_was_answered_and_is_held_again_is_said_to_be_asked_anew() {
        let mut kept = asked(PERSON, 1, 0);
        let explained = |kept: &Kept, outcome| {
            let mut coverage = coverage(outcome);
            kept.explain_asked_anew(&mut coverage);
            coverage[0].explanation.starts_with("It was answered before")
        };
        assert!(!explained(&kept, Outcome::Held), "nothing is known of the first time");
        kept.note(&coverage(Outcome::Held));
        assert!(!explained(&kept, Outcome::Held), "it still waits");
        kept.note(&coverage(Outcome::Answered));
        assert!(explained(&kept, Outcome::Held));
        assert!(!explained(&kept, Outcome::Answered));
    }

    #[test]
    fn the_oldest_of_too_many_make_room() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptQuestions::open(directory.path()).unwrap();
        for id in 0..=OF_PERSON_MAX as u8 {
            kept.note(asked(PERSON, id, i64::from(id)), &coverage(Outcome::Held), 200).unwrap();
        }
        assert_eq!(kept.of(PERSON, 200).len(), OF_PERSON_MAX);
        assert!(kept.find(PERSON, "00000000", 200).is_err());
        assert!(kept.find(PERSON, "01010101", 200).is_ok());
    }
}
