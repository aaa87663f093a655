//! Answers of late, so that a person can raise a match from one without typing a score or a subject: what
//! is raised is what was answered. Kept in memory alone; after a restart a question is asked again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sallyport_lead::event::Evidence;
use sallyport_trust::error::{Kind, Refusal};

use crate::identifier::{Canonical, IdentifierType};

/// How long an answer is kept, and how many of all people together.
const KEPT_MS: i64 = 86_400_000;
const ANSWERS_MAX: usize = 500;

/// A match of an answer, by its rank.
#[derive(Clone)]
pub(crate) struct Matched {
    pub(crate) rank: u32,
    /// None for subjects that this node's data do not hold.
    pub(crate) subject: Option<Canonical>,
    pub(crate) qe_millionths: u32,
    pub(crate) evidence: Vec<Evidence>,
}

struct Answer {
    kind: IdentifierType,
    matches: Vec<Matched>,
    at_ms: i64,
    /// Who may raise from it; nobody until the answer was shown.
    asker: Option<String>,
    pattern: Option<String>,
}

/// A match that a person raises.
pub(super) struct Chosen {
    pub(super) kind: IdentifierType,
    pub(super) subject: Canonical,
    pub(super) qe_millionths: u32,
    pub(super) evidence: Vec<Evidence>,
    pub(super) pattern: Option<String>,
}

/// Answers of late, by the question's id.
#[derive(Default)]
pub(crate) struct RecentAnswers(Mutex<BTreeMap<String, Answer>>);

impl RecentAnswers {
    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer that is about to be shown.
    pub(crate) fn keep(&self, question: &str, kind: IdentifierType, matches: Vec<Matched>, now_ms: i64) {
        let mut answers = self.answers();
        answers.retain(|_, answer| answer.at_ms > now_ms.saturating_sub(KEPT_MS));
        if answers.len() >= ANSWERS_MAX {
            let oldest = answers.iter().min_by_key(|(_, answer)| answer.at_ms).map(|(question, _)| question.clone());
            oldest.map(|question| answers.remove(&question));
        }
        answers.insert(question.to_owned(), Answer { kind, matches, at_ms: now_ms, asker: None, pattern: None });
    }

    /// Says whose answer it was, once it is theirs to see, and which matches of it they see.
    pub(crate) fn shown(&self, question: &str, asker: &str, pattern: Option<String>, ranks: &[u32]) {
        if let Some(answer) = self.answers().get_mut(question) {
            answer.asker = Some(asker.to_owned());
            answer.pattern = pattern;
            answer.matches.retain(|matched| ranks.contains(&matched.rank));
        }
    }

    /// Everything that was matched and shown in an answer, and of which type the subjects are.
    pub(crate) fn of(&self, question: &str) -> Option<(IdentifierType, Vec<Matched>)> {
        self.answers().get(question).map(|answer| (answer.kind, answer.matches.clone()))
    }

    /// A match of a person's own answer.
    ///
    /// # Errors
    /// `answer_unknown` or `match_unknown`, `match_not_own` for somebody whom own data do not hold.
    pub(super) fn choose(&self, asker: &str, question: &str, rank: u32, now_ms: i64) -> Result<Chosen, Refusal> {
        let answers = self.answers();
        let own = answers
            .get(question)
            .filter(|answer| answer.asker.as_deref() == Some(asker) && answer.at_ms > now_ms.saturating_sub(KEPT_MS));
        let answer = own.ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                "answer_unknown",
                "You have no answer to this question of the last 24 hours that this node still knows; ask again.",
            )
        })?;
        let matched =
            answer.matches.iter().find(|matched| matched.rank == rank).ok_or_else(|| {
                Refusal::new(Kind::NotFound, "match_unknown", "The answer has no match of this rank.")
            })?;
        let subject = matched.subject.clone().ok_or_else(|| {
            Refusal::new(
                Kind::Conflict,
                "match_not_own",
                "Your agency's own data do not hold this subject, so nobody here knows who it is; nothing can be raised.",
            )
        })?;
        Ok(Chosen {
            kind: answer.kind,
            subject,
            qe_millionths: matched.qe_millionths,
            evidence: matched.evidence.clone(),
            pattern: answer.pattern.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::{Context, canonicalise};

    fn matched(rank: u32, own: bool) -> Matched {
        let subject = canonicalise(IdentifierType::Device, "TRK-1", &Context::default()).unwrap();
        Matched { rank, subject: own.then_some(subject), qe_millionths: 1_000_000, evidence: Vec::new() }
    }

    #[test]
    fn a_person_raises_what_they_were_shown_and_nothing_else() {
        let recent = RecentAnswers::default();
        recent.keep("q", IdentifierType::Device, vec![matched(1, true), matched(2, false), matched(3, true)], 0);
        let choose = |asker: &str, question: &str, rank: u32, now_ms: i64| {
            recent.choose(asker, question, rank, now_ms).map(|chosen| chosen.pattern).map_err(|refusal| refusal.reason)
        };
        assert_eq!(choose("ana", "q", 1, 1), Err("answer_unknown".to_owned()));
        recent.shown("q", "ana", Some("cbp.p@1".to_owned()), &[1, 2]);
        assert_eq!(choose("ana", "q", 1, 1), Ok(Some("cbp.p@1".to_owned())));
        assert_eq!(choose("bo", "q", 1, 1), Err("answer_unknown".to_owned()));
        assert_eq!(choose("ana", "r", 1, 1), Err("answer_unknown".to_owned()));
        assert_eq!(choose("ana", "q", 2, 1), Err("match_not_own".to_owned()));
        assert_eq!(choose("ana", "q", 3, 1), Err("match_unknown".to_owned()));
        assert_eq!(choose("ana", "q", 1, KEPT_MS), Err("answer_unknown".to_owned()));
    }

    #[test]
    fn the_oldest_of_too_many_make_room() {
        let recent = RecentAnswers::default();
        for number in 0..=ANSWERS_MAX {
            recent.keep(&number.to_string(), IdentifierType::Device, Vec::new(), number as i64);
        }
        assert_eq!(recent.answers().len(), ANSWERS_MAX);
        assert!(!recent.answers().contains_key("0"));
    }
}
