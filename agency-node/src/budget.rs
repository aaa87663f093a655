//! What this node gives away at most: questions by person, agency and purpose, scores of a subject,
//! identifiers on the list of a look-up.
//!
//! Identifiers have little entropy, so that what many small answers tell together is bounded here and
//! not by cryptography. A use is durable before anything leaves; whoever takes one waits for those before,
//! so two questions cannot both take the last one. What was used stays used, whatever comes of it
//! afterwards. Counts of subjects are by number; no name of a subject comes into this module.

mod journal;
mod repeats;
mod settings;
mod uses;
mod wire;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SecondsFormat};
use sallyport_trust::{
    error::{Kind, Refusal},
    question::{DEADLINE_MS, QuestionId},
};

use crate::{about::About, identifier::IdentifierType, period::Period};
use journal::{Journal, Use};
use repeats::Repeats;
use settings::{Per, Questions};
use uses::{Remainder, Uses, is_in};

pub use settings::Budget;
pub(crate) use settings::validate;
pub(crate) use uses::Asking;

/// How long a question may go on, with room for its accounting.
const QUESTION_MS: i64 = 2 * *DEADLINE_MS.end() as i64;
/// Lines that are appended before the journal is written anew.
const APPENDED_MAX: usize = 20_000;

/// The node's budgets and what is used of them.
pub(crate) struct Budgets {
    budgets: Vec<Budget>,
    /// Held by whoever takes something until it is durable; locked before `kept`.
    journal: Mutex<Journal>,
    /// Never held while the disk is waited for.
    kept: Mutex<Kept>,
}

struct Kept {
    uses: Uses,
    /// Lately counted questions: each counts once, however many of the node's data sets it asks.
    counted: HashMap<QuestionId, Counted>,
    repeats: Repeats,
}

impl Kept {
    fn is_counted(&self, question: &QuestionId, asking: &Asking<'_>, now_ms: i64) -> bool {
        self.counted.contains_key(question) || self.repeats.is_counted(asking.gist, now_ms)
    }
}

#[derive(Default)]
struct Counted {
    at_ms: i64,
    scores: HashSet<About>,
}

/// A budget and what it leaves someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) of: &'static str,
    /// The one purpose that counts; all when absent.
    pub(crate) purpose: Option<String>,
    pub(crate) limit: u64,
    /// Absent where nothing is counted, or nothing for the person alone.
    pub(crate) left: Option<u64>,
    pub(crate) period: Option<Period>,
    pub(crate) renews_at_ms: Option<i64>,
}

/// Subjects of whom nothing more may be released for now.
#[derive(Debug, Default)]
pub(crate) struct OverBudget(HashSet<About>);

impl OverBudget {
    pub(crate) fn holds(&self, about: About) -> bool {
        self.0.contains(&about)
    }

    /// How many there are of a type, in whatever data set: a number that says nothing about those whom
    /// one question is about.
    pub(crate) fn count(&self, kind: IdentifierType) -> u64 {
        self.0.iter().filter(|about| matches!(about, About::Subject(of, _) if *of == kind)).count() as u64
    }

    /// How many there are of all types.
    pub(crate) fn total(&self) -> u64 {
        self.0.len() as u64
    }
}

impl Budgets {
    /// Reads what was used; the journal keeps only what a budget looks at.
    ///
    /// # Errors
    /// When it cannot be read or written, or is damaged.
    pub(crate) fn open(path: &Path, budgets: Vec<Budget>, now_ms: i64) -> io::Result<Self> {
        let (journal, written) = Journal::open(path)?;
        let mut uses = Uses::default();
        for used in &written {
            match used {
                Use::Question { at_ms, person, agency, purpose } => {
                    uses.add_question(*at_ms, &Asking { person, agency, purpose, looked_up: 0, gist: None });
                }
                Use::Scores { at_ms, of } => uses.add_scores(*at_ms, of.iter().copied()),
            }
        }
        let kept = Mutex::new(Kept { uses, counted: HashMap::new(), repeats: Repeats::default() });
        let budgets = Self { budgets, journal: Mutex::new(journal), kept };
        budgets.compact(now_ms)?;
        Ok(budgets)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses whoever has nothing left, before any work; takes nothing.
    ///
    /// # Errors
    /// `budget_person`, `budget_agency`, `budget_purpose` or `budget_look_up`.
    pub(crate) fn check(&self, question: &QuestionId, asking: &Asking<'_>, now_ms: i64) -> Result<(), Refusal> {
        let kept = self.kept();
        if kept.is_counted(question, asking, now_ms) { Ok(()) } else { self.refuse(&kept.uses, asking, now_ms) }
    }

    /// Takes one question, once, and a standing one once a day; durable when this returns. What is left afterwards.
    ///
    /// # Errors
    /// As [`check`](Self::check), or `budget_not_kept`; nothing may leave then.
    pub(crate) fn take(
        &self,
        question: &QuestionId,
        asking: &Asking<'_>,
        now_ms: i64,
    ) -> Result<Vec<Standing>, Refusal> {
        let mut journal = self.journal();
        if !self.kept().is_counted(question, asking, now_ms) {
            self.refuse(&self.kept().uses, asking, now_ms)?;
            self.count(question, asking, now_ms);
            let [person, agency, purpose] = [asking.person, asking.agency, asking.purpose].map(str::to_owned);
            let used = Use::Question { at_ms: now_ms, person, agency, purpose };
            if self.counts_questions()
                && let Err(refusal) = append(&mut journal, &used)
            {
                // Used all the same, and not to be answered.
                self.kept().counted.remove(question);
                return Err(refusal);
            }
        }
        let mut kept = self.kept();
        kept.repeats.count(asking.gist, now_ms);
        Ok(self.applying(asking).map(|budget| standing(&kept.uses, &budget, asking, now_ms)).collect())
    }

    /// Counts scores of these that were released in a question, those of a standing part once a day; durable when this
    /// returns.
    ///
    /// # Errors
    /// `budget_not_kept`.
    pub(crate) fn release(
        &self,
        (question, gist): (&QuestionId, Option<[u8; 32]>),
        about: &[About],
        now_ms: i64,
    ) -> Result<(), Refusal> {
        if self.budgets.iter().all(|budget| budget.scores().is_none()) {
            return Ok(());
        }
        let mut journal = self.journal();
        let mut guarded = self.kept();
        let kept = &mut *guarded;
        let counted = kept.counted.entry(*question).or_insert_with(|| Counted { at_ms: now_ms, ..Counted::default() });
        // Two data sets give one score of a subject.
        let new = about.iter().copied().filter(|about| counted.scores.insert(*about));
        let of: Vec<About> = new.filter(|about| kept.repeats.counts_score(gist, *about, now_ms)).collect();
        kept.uses.add_scores(now_ms, of.iter().copied());
        drop(guarded);
        if of.is_empty() { Ok(()) } else { append(&mut journal, &Use::Scores { at_ms: now_ms, of }) }
    }

    /// Who has no scores left.
    pub(crate) fn over(&self, now_ms: i64) -> OverBudget {
        let kept = self.kept();
        let of_subjects = self.budgets.iter().filter_map(Budget::scores);
        OverBudget(of_subjects.flat_map(|(limit, period)| kept.uses.with_scores(limit, period.ms(), now_ms)).collect())
    }

    /// Every budget, with what it leaves a person whose purpose is not known yet.
    pub(crate) fn standings(&self, person: &str, agency: &str, now_ms: i64) -> Vec<Standing> {
        let kept = self.kept();
        let standings = self.budgets.iter().map(|budget| {
            let is_known = |questions: &Questions<'_>| questions.per != Per::Purpose || questions.purpose.is_some();
            let Some(questions) = budget.questions().filter(is_known) else { return limit_of(budget) };
            let asking =
                Asking { person, agency, purpose: questions.purpose.unwrap_or_default(), looked_up: 0, gist: None };
            standing(&kept.uses, &questions, &asking, now_ms)
        });
        standings.collect()
    }

    /// Forgets questions that are over, and now and then writes the journal anew.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn tidy(&self, now_ms: i64) -> io::Result<()> {
        let mut kept = self.kept();
        kept.counted.retain(|_, counted| is_in(counted.at_ms, QUESTION_MS, now_ms));
        kept.repeats.forget(now_ms);
        drop(kept);
        let is_long = self.journal().appended() > APPENDED_MAX;
        if is_long { self.compact(now_ms) } else { Ok(()) }
    }

    /// Writes the journal anew without what no budget looks at any more.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn compact(&self, now_ms: i64) -> io::Result<()> {
        let of_questions = self.budgets.iter().filter_map(Budget::questions);
        let questions_ms = of_questions.map(|budget| budget.period.ms()).max().unwrap_or(0);
        let of_subjects = self.budgets.iter().filter_map(Budget::scores);
        let scores_ms = of_subjects.map(|(_, period)| period.ms()).max().unwrap_or(0);
        self.kept().uses.forget(questions_ms, scores_ms, now_ms);
        self.journal().retain(|used| match used {
            Use::Question { at_ms, .. } => is_in(*at_ms, questions_ms, now_ms),
            Use::Scores { at_ms, .. } => is_in(*at_ms, scores_ms, now_ms),
        })
    }

    fn counts_questions(&self) -> bool {
        self.budgets.iter().any(|budget| budget.questions().is_some())
    }

    fn count(&self, question: &QuestionId, asking: &Asking<'_>, now_ms: i64) {
        let mut kept = self.kept();
        if self.counts_questions() {
            kept.uses.add_question(now_ms, asking);
        }
        kept.counted.insert(*question, Counted { at_ms: now_ms, scores: HashSet::new() });
    }

    /// Budgets of questions that a question of this purpose counts in.
    fn applying<'a>(&'a self, asking: &'a Asking<'_>) -> impl Iterator<Item = Questions<'a>> {
        let of_questions = self.budgets.iter().filter_map(Budget::questions);
        of_questions.filter(|budget| budget.purpose.is_none_or(|purpose| purpose == asking.purpose))
    }

    fn refuse(&self, uses: &Uses, asking: &Asking<'_>, now_ms: i64) -> Result<(), Refusal> {
        for budget in &self.budgets {
            if let Budget::LookUp { identifiers } = budget
                && u64::from(asking.looked_up) > *identifiers
            {
                return Err(Refusal::new(
                    Kind::Exhausted,
                    "budget_look_up",
                    format!(
                        "The budget of {identifiers} identifiers per look-up is exceeded by {}; split the list.",
                        u64::from(asking.looked_up) - identifiers
                    ),
                ));
            }
        }
        self.applying(asking).try_for_each(|budget| {
            let remainder = uses.remainder(&budget, asking, now_ms);
            if remainder.left > 0 { Ok(()) } else { Err(used_up(&budget, &remainder)) }
        })
    }
}

fn append(journal: &mut Journal, used: &Use) -> Result<(), Refusal> {
    journal.append(used).map_err(|error| Refusal::internal("budget_not_kept", &error))
}

fn standing(uses: &Uses, budget: &Questions<'_>, asking: &Asking<'_>, now_ms: i64) -> Standing {
    let remainder = uses.remainder(budget, asking, now_ms);
    Standing {
        of: budget.per.name(),
        purpose: budget.purpose.map(str::to_owned),
        limit: budget.limit,
        left: Some(remainder.left),
        period: Some(budget.period),
        renews_at_ms: remainder.renews_at_ms,
    }
}

/// A budget that says the same to everybody.
fn limit_of(budget: &Budget) -> Standing {
    let (of, limit, period) = budget.limit();
    Standing { of, purpose: None, limit, left: None, period, renews_at_ms: None }
}

fn used_up(budget: &Questions<'_>, remainder: &Remainder) -> Refusal {
    let reason = match budget.per {
        Per::Person => "budget_person",
        Per::Agency => "budget_agency",
        Per::Purpose => "budget_purpose",
    };
    let purpose = budget.purpose.map_or_else(String::new, |purpose| format!(" for {purpose}"));
    let per = match budget.per {
        // A purpose that is named already.
        Per::Purpose if budget.purpose.is_some() => budget.period.to_string(),
        per => format!("{} and {}", per.name(), budget.period),
    };
    // To the second, and never earlier than it is true.
    let renews_at_ms = remainder.renews_at_ms.map(|at_ms| at_ms.saturating_add(999));
    let renews = renews_at_ms.and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    Refusal::new(
        Kind::Exhausted,
        reason,
        format!(
            "The budget of {} questions{purpose} per {per} is used up; it renews at {}, and the owner can raise it.",
            budget.limit,
            renews.to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
    )
}

#[cfg(test)]
mod tests;
