//! Budgets as an owner writes them in the node's TOML.

use std::collections::HashSet;

use sallyport_trust::question::LOOKUP_MAX;
use serde::Deserialize;

use crate::period::Period;

/// Budgets of one node, at most.
const BUDGETS_MAX: usize = 64;
/// The longest period that is counted over.
const PERIOD_MAX: Period = Period::days(366);
/// Questions or scores of one budget, at most.
const LIMIT_MAX: u64 = 1_000_000;

/// A limit on what one node gives away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Budget {
    /// Questions that each person may ask of this node.
    Person {
        /// How many in any such period.
        questions: u64,
        /// How far back questions count.
        period: Period,
        /// Only questions of this purpose count; of every purpose when absent.
        purpose: Option<String>,
    },
    /// Questions that all people of each agency may ask together.
    Agency {
        /// How many in any such period.
        questions: u64,
        /// How far back questions count.
        period: Period,
        /// Only questions of this purpose count; of every purpose when absent.
        purpose: Option<String>,
    },
    /// Questions that everybody together may ask for each purpose.
    Purpose {
        /// How many in any such period.
        questions: u64,
        /// How far back questions count.
        period: Period,
        /// The budget is of this purpose alone; of each one when absent.
        purpose: Option<String>,
    },
    /// Scores of each subject that are released to everybody together.
    Subject {
        /// How many in any such period.
        scores: u64,
        /// How far back scores count.
        period: Period,
    },
    /// Identifiers on the list of one look-up.
    LookUp {
        /// How many.
        identifiers: u64,
    },
}

/// Whose questions count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Per {
    Person,
    Agency,
    Purpose,
}

impl Per {
    /// As in the configuration, and in the reason of a refusal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agency => "agency",
            Self::Purpose => "purpose",
        }
    }
}

/// A budget of questions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Questions<'a> {
    pub(super) per: Per,
    pub(super) limit: u64,
    pub(super) period: Period,
    pub(super) purpose: Option<&'a str>,
}

impl Budget {
    /// The budget as one of questions, if it is one.
    pub(super) fn questions(&self) -> Option<Questions<'_>> {
        let (per, limit, period, purpose) = match self {
            Self::Person { questions, period, purpose } => (Per::Person, questions, period, purpose),
            Self::Agency { questions, period, purpose } => (Per::Agency, questions, period, purpose),
            Self::Purpose { questions, period, purpose } => (Per::Purpose, questions, period, purpose),
            Self::Subject { .. } | Self::LookUp { .. } => return None,
        };
        Some(Questions { per, limit: *limit, period: *period, purpose: purpose.as_deref() })
    }

    /// How many scores of a subject in which period, if the budget is of subjects.
    pub(super) fn scores(&self) -> Option<(u64, Period)> {
        match self {
            Self::Subject { scores, period } => Some((*scores, *period)),
            _ => None,
        }
    }

    /// What is limited, how many of it, and in which period.
    pub(super) fn limit(&self) -> (&'static str, u64, Option<Period>) {
        match self {
            Self::Person { questions, period, .. } => (Per::Person.name(), *questions, Some(*period)),
            Self::Agency { questions, period, .. } => (Per::Agency.name(), *questions, Some(*period)),
            Self::Purpose { questions, period, .. } => (Per::Purpose.name(), *questions, Some(*period)),
            Self::Subject { scores, period } => ("subject", *scores, Some(*period)),
            Self::LookUp { identifiers } => ("look_up", *identifiers, None),
        }
    }

    fn check(&self, disclosures_kept: Period) -> Result<(), &'static str> {
        let (_, limit, period) = self.limit();
        let most = if period.is_some() { LIMIT_MAX } else { LOOKUP_MAX as u64 };
        if !(1..=most).contains(&limit) {
            return Err("a budget is 1 to 1,000,000 questions or scores, or 1 to 1,000 identifiers");
        }
        if period.is_some_and(|period| period > PERIOD_MAX) {
            return Err("a `period` is at most 366 days");
        }
        // What is counted of a subject must not outlive what was written down about it.
        if self.scores().is_some_and(|(_, period)| period > disclosures_kept) {
            return Err("the `period` of a subject's budget is at most as long as [disclosures] are kept");
        }
        Ok(())
    }
}

/// Checks budgets, each and together.
///
/// # Errors
/// What is wrong and what to write.
pub(crate) fn validate(budgets: &[Budget], disclosures_kept: Period) -> Result<(), &'static str> {
    if budgets.len() > BUDGETS_MAX {
        return Err("there are more than 64; leave some out");
    }
    let mut seen = HashSet::new();
    if !budgets.iter().all(|budget| seen.insert(budget)) {
        return Err("two of them are the same; leave one out");
    }
    budgets.iter().try_for_each(|budget| budget.check(disclosures_kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        budget: Vec<Budget>,
    }

    fn read(text: &str) -> Result<Vec<Budget>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        validate(&file.budget, Period::days(30))?;
        Ok(file.budget)
    }

    #[test]
    fn every_kind_is_read() {
        let budgets = read(
            "[[budget]]\nof = \"person\"\nquestions = 200\nperiod = \"1d\"\n\
             [[budget]]\nof = \"agency\"\nquestions = 5\nperiod = \"12h\"\npurpose = \"border-security\"\n\
             [[budget]]\nof = \"purpose\"\nquestions = 9\nperiod = \"7d\"\n\
             [[budget]]\nof = \"subject\"\nscores = 20\nperiod = \"30d\"\n\
             [[budget]]\nof = \"look_up\"\nidentifiers = 100\n",
        );
        let budgets = budgets.unwrap();
        assert_eq!(budgets[0], Budget::Person { questions: 200, period: Period::days(1), purpose: None });
        assert_eq!(budgets[3].scores(), Some((20, Period::days(30))));
        assert_eq!(budgets[4], Budget::LookUp { identifiers: 100 });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in [
            "of = \"person\"\nquestions = 0\nperiod = \"1d\"",
            "of = \"person\"\nquestions = 1000001\nperiod = \"1d\"",
            "of = \"person\"\nquestions = 5\nperiod = \"367d\"",
            "of = \"person\"\nquestions = 5",
            "of = \"person\"\nscores = 5\nperiod = \"1d\"",
            "of = \"person\"\nquestions = 5\nperiod = \"1d\"\nlimit = 3",
            "of = \"persons\"\nquestions = 5\nperiod = \"1d\"",
            "of = \"subject\"\nscores = 5\nperiod = \"31d\"",
            "of = \"look_up\"\nidentifiers = 1001",
            "of = \"look_up\"\nidentifiers = 5\nperiod = \"1d\"",
            "questions = 5\nperiod = \"1d\"",
        ] {
            assert!(read(&format!("[[budget]]\n{wrong}\n")).is_err(), "{wrong}");
        }
        let one = "[[budget]]\nof = \"look_up\"\nidentifiers = 7\n";
        assert!(read(&one.repeat(2)).is_err());
    }
}
