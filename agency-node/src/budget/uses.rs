//! What has been used of budgets, as far back as they look. Pure: no clock, no disk.
//!
//! Windows slide: what counts at a moment is what was used in the period that ends there. So an owner's
//! limit holds over *every* such period, where windows with fixed bounds would let twice as much through
//! around a bound. The price is one number for each use, which the limits keep small.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::settings::{Per, Questions};
use crate::about::About;

/// Who asks, for which purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asking<'a> {
    /// Federation Id of the person.
    pub(crate) person: &'a str,
    pub(crate) agency: &'a str,
    pub(crate) purpose: &'a str,
    /// Identifiers on the list of a look-up; 0 for a question about all subjects.
    pub(crate) looked_up: u32,
    /// Of a standing question, what it wants of the part, whenever it is asked.
    pub(crate) gist: Option<[u8; 32]>,
}

impl<'a> Asking<'a> {
    fn name(&self, per: Per) -> &'a str {
        match per {
            Per::Person => self.person,
            Per::Agency => self.agency,
            Per::Purpose => self.purpose,
        }
    }
}

#[derive(Debug)]
struct Question {
    at_ms: i64,
    purpose: Arc<str>,
}

/// Uses, by whom they count for.
#[derive(Debug, Default)]
pub(super) struct Uses {
    questions: HashMap<Per, HashMap<String, Vec<Question>>>,
    scores: HashMap<About, Vec<i64>>,
}

/// How much of a budget is left at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remainder {
    pub(super) left: u64,
    /// When one more is left than now; nothing while nothing is used.
    pub(super) renews_at_ms: Option<i64>,
}

impl Uses {
    pub(super) fn add_question(&mut self, at_ms: i64, asking: &Asking<'_>) {
        let purpose: Arc<str> = asking.purpose.into();
        for per in [Per::Person, Per::Agency, Per::Purpose] {
            let of = self.questions.entry(per).or_default().entry(asking.name(per).to_owned()).or_default();
            of.push(Question { at_ms, purpose: purpose.clone() });
        }
    }

    pub(super) fn add_scores(&mut self, at_ms: i64, about: impl IntoIterator<Item = About>) {
        about.into_iter().for_each(|about| self.scores.entry(about).or_default().push(at_ms));
    }

    /// What a budget of questions leaves whoever asks.
    pub(super) fn remainder(&self, budget: &Questions<'_>, asking: &Asking<'_>, now_ms: i64) -> Remainder {
        let of = self.questions.get(&budget.per).and_then(|of| of.get(asking.name(budget.per)));
        let counts = |question: &&Question| {
            is_in(question.at_ms, budget.period.ms(), now_ms)
                && budget.purpose.is_none_or(|purpose| *question.purpose == *purpose)
        };
        let mut times: Vec<i64> = of.into_iter().flatten().filter(counts).map(|question| question.at_ms).collect();
        times.sort_unstable();
        remainder(budget.limit, budget.period.ms(), &times)
    }

    /// Everyone of whom as many scores as this, or more, were released in the period.
    pub(super) fn with_scores(&self, limit: u64, period_ms: i64, now_ms: i64) -> HashSet<About> {
        let used = |times: &[i64]| times.iter().filter(|at_ms| is_in(**at_ms, period_ms, now_ms)).count() as u64;
        self.scores.iter().filter(|(_, times)| used(times) >= limit).map(|(about, _)| *about).collect()
    }

    /// Forgets what no budget looks at any more.
    pub(super) fn forget(&mut self, questions_ms: i64, scores_ms: i64, now_ms: i64) {
        for of in self.questions.values_mut() {
            of.retain(|_, questions| {
                questions.retain(|question| is_in(question.at_ms, questions_ms, now_ms));
                !questions.is_empty()
            });
        }
        self.scores.retain(|_, times| {
            times.retain(|at_ms| is_in(*at_ms, scores_ms, now_ms));
            !times.is_empty()
        });
    }
}

/// True for a use that counts in the period before `now_ms`; one in the future counts as well.
pub(super) fn is_in(at_ms: i64, period_ms: i64, now_ms: i64) -> bool {
    at_ms > now_ms.saturating_sub(period_ms)
}

/// `times` are those that count, in order.
fn remainder(limit: u64, period_ms: i64, times: &[i64]) -> Remainder {
    let used = times.len() as u64;
    // Where more is used than the limit, which may have been lowered, that much has to be forgotten first.
    let first = times.get(used.saturating_sub(limit) as usize);
    Remainder { left: limit.saturating_sub(used), renews_at_ms: first.map(|at_ms| at_ms.saturating_add(period_ms)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{identifier::IdentifierType, period::Period};

    const ANA: Asking<'_> = Asking { person: "ana", agency: "hsi", purpose: "a", looked_up: 0, gist: None };
    const BEN: Asking<'_> = Asking { person: "ben", agency: "hsi", purpose: "b", looked_up: 0, gist: None };
    const CAY: Asking<'_> = Asking { person: "cay", agency: "cbp", purpose: "a", looked_up: 0, gist: None };

    fn budget(per: Per, limit: u64, purpose: Option<&str>) -> Questions<'_> {
        Questions { per, limit, period: Period::from_seconds(10), purpose }
    }

    #[test]
    fn uses_count_for_the_person_the_agency_and_the_purpose() {
        let mut uses = Uses::default();
        for (at_ms, asking) in [(1_000, ANA), (2_000, BEN), (3_000, CAY), (4_000, ANA)] {
            uses.add_question(at_ms, &asking);
        }
        let left = |per, asking: &Asking<'_>, purpose| uses.remainder(&budget(per, 5, purpose), asking, 5_000).left;
        assert_eq!(left(Per::Person, &ANA, None), 3);
        assert_eq!(left(Per::Person, &BEN, None), 4);
        assert_eq!(left(Per::Agency, &BEN, None), 2);
        assert_eq!(left(Per::Agency, &BEN, Some("a")), 3);
        assert_eq!(left(Per::Purpose, &CAY, None), 2);
        assert_eq!(left(Per::Person, &Asking { person: "dee", ..ANA }, None), 5);
    }

    #[test]
    fn what_is_left_renews_as_the_window_slides() {
        let mut uses = Uses::default();
        let told = |uses: &Uses, limit, now_ms| {
            let remainder = uses.remainder(&budget(Per::Person, limit, None), &ANA, now_ms);
            (remainder.left, remainder.renews_at_ms)
        };
        assert_eq!(told(&uses, 2, 0), (2, None));
        uses.add_question(1_000, &ANA);
        uses.add_question(4_000, &ANA);
        assert_eq!(told(&uses, 2, 5_000), (0, Some(11_000)));
        assert_eq!(told(&uses, 2, 10_999), (0, Some(11_000)));
        assert_eq!(told(&uses, 2, 11_000), (1, Some(14_000)));
        assert_eq!(told(&uses, 2, 14_000), (2, None));
        // A lowered limit: both have to be forgotten before one is left.
        assert_eq!(told(&uses, 1, 5_000), (0, Some(14_000)));
        // A clock that went back gives nothing back.
        assert_eq!(told(&uses, 2, 0), (0, Some(11_000)));
    }

    #[test]
    fn a_subject_is_over_its_budget_while_the_period_holds_as_many_scores() {
        let (ann, bob) = (About::Subject(IdentifierType::Phone, 1), About::Record(1));
        let mut uses = Uses::default();
        uses.add_scores(1_000, [ann, bob]);
        uses.add_scores(5_000, [ann]);
        assert_eq!(uses.with_scores(2, 10_000, 6_000), HashSet::from([ann]));
        assert_eq!(uses.with_scores(1, 10_000, 6_000), HashSet::from([ann, bob]));
        assert_eq!(uses.with_scores(1, 10_000, 11_000), HashSet::from([ann]));
        uses.forget(0, 10_000, 11_000);
        assert_eq!(uses.scores.len(), 1);
        uses.forget(0, 10_000, 15_000);
        assert!(uses.scores.is_empty());
    }

    proptest! {
        /// Whoever asks only while something is left never asks more than the limit in any period.
        #[test]
        fn no_period_anywhere_holds_more_than_the_limit(
            gaps in prop::collection::vec(0i64..4_000, 1..200),
            limit in 1u64..6,
        ) {
            let (mut uses, mut now_ms, mut asked) = (Uses::default(), 0, Vec::new());
            for gap in gaps {
                now_ms += gap;
                let before = uses.remainder(&budget(Per::Person, limit, None), &ANA, now_ms);
                if before.left > 0 {
                    uses.add_question(now_ms, &ANA);
                    asked.push(now_ms);
                } else {
                    // Not a moment earlier than told, and then indeed.
                    let renews_at_ms = before.renews_at_ms.unwrap();
                    let left = |at_ms| uses.remainder(&budget(Per::Person, limit, None), &ANA, at_ms).left;
                    prop_assert_eq!((left(renews_at_ms - 1), left(renews_at_ms) > 0), (0, true));
                }
                uses.forget(10_000, 0, now_ms);
            }
            for from_ms in &asked {
                let within = asked.iter().filter(|at_ms| (*from_ms..from_ms + 10_000).contains(at_ms)).count();
                prop_assert!(within as u64 <= limit);
            }
        }
    }
}
