//! What an auditor looks for: a free combination of conditions on recorded actions.
//!
//! Pure. All fields have to fit; of several values of one field, one has to. [`Query::matches`] is the
//! meaning of a query, and reads the log's entries; the index only finds candidates for it.

use std::fmt;

use super::action::{RecordedAction, agency_of, is_person};
use super::entry::{Decision, Outcome};

/// Values of one field, at most.
pub const VALUES_MAX: usize = 32;
/// Bytes of one value, at most.
pub const VALUE_BYTES_MAX: usize = 512;
/// Digits that a question is named by, at least.
pub const QUESTION_DIGITS_MIN: usize = 8;

/// Conditions on recorded actions; an empty field lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Who acted: a SPIFFE ID, or the name at the end of a person's in upper or lower case.
    pub persons: Vec<String>,
    /// Agency of the actor, in upper or lower case.
    pub agencies: Vec<String>,
    /// What was done, such as `ask` or `contribute`.
    pub actions: Vec<String>,
    /// What it was done to, such as a data set.
    pub resources: Vec<String>,
    /// Purpose that was stated.
    pub purposes: Vec<String>,
    /// Case number that was stated.
    pub case_numbers: Vec<String>,
    /// Question's digest, or the beginning of it, in hexadecimal.
    pub questions: Vec<String>,
    /// What the policy decided.
    pub decisions: Vec<Decision>,
    /// How it ended; none stands for an action without a completion.
    pub outcomes: Vec<Option<Outcome>>,
    /// One of the rules that decided.
    pub rules: Vec<String>,
    /// Stable reason of the completion.
    pub details: Vec<String>,
    /// Opened at this moment or later, in milliseconds since 1970-01-01T00:00:00Z.
    pub from_ms: Option<i64>,
    /// Opened before this moment.
    pub until_ms: Option<i64>,
}

/// Why a query is not put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A field has too many values.
    #[error("`{field}` has more than {VALUES_MAX} values; search in several steps")]
    TooManyValues {
        /// The field.
        field: &'static str,
    },
    /// A value is empty or too long.
    #[error("a value of `{field}` is empty or longer than {VALUE_BYTES_MAX} bytes; leave it out or shorten it")]
    Value {
        /// The field.
        field: &'static str,
    },
    /// A question's name is too short or not hexadecimal.
    #[error("name a question by at least {QUESTION_DIGITS_MIN} of its digits, 0-9 and a-f")]
    Question,
    /// The period is empty.
    #[error("the period ends before it begins; exchange `from` and `until`")]
    Period,
}

/// The word for an action that has no completion, where an outcome is named.
pub const OPEN: &str = "open";

/// The word for how an action ended.
pub fn outcome_word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or(OPEN, Outcome::as_str)
}

impl Query {
    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`QueryError`] that names the field.
    pub fn check(&self) -> Result<(), QueryError> {
        for (field, values) in self.texts() {
            if values.len() > VALUES_MAX {
                return Err(QueryError::TooManyValues { field });
            }
            if values.iter().any(|value| value.is_empty() || value.len() > VALUE_BYTES_MAX) {
                return Err(QueryError::Value { field });
            }
        }
        let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if self.questions.iter().any(|question| question.len() < QUESTION_DIGITS_MIN || !hexadecimal(question)) {
            return Err(QueryError::Question);
        }
        match (self.from_ms, self.until_ms) {
            (Some(from), Some(until)) if from >= until => Err(QueryError::Period),
            _ => Ok(()),
        }
    }

    /// Whether an action fits.
    pub fn matches(&self, action: &RecordedAction) -> bool {
        let said = &action.opening.said;
        let text = |value: &Option<String>, wanted: &[String]| one_of(wanted, |wanted| value.as_ref() == Some(wanted));
        let questioned = said.question.as_deref().unwrap_or_default();
        self.covers(action.opening.at_ms)
            && self.is_actor(&said.actor)
            && one_of(&self.actions, |wanted| said.action == *wanted)
            && one_of(&self.resources, |wanted| said.resource == *wanted)
            && text(&said.purpose, &self.purposes)
            && text(&said.case_number, &self.case_numbers)
            && one_of(&self.questions, |wanted| questioned.starts_with(wanted.as_str()))
            && one_of(&self.decisions, |wanted| action.decision() == Some(*wanted))
            && one_of(&self.outcomes, |wanted| action.outcome() == *wanted)
            && self.is_rule(action.rule())
            && one_of(&self.details, |wanted| action.detail() == *wanted)
    }

    /// Persons, agencies, actions and resources that are looked for, each in words and as a query for it
    /// alone.
    pub fn names(&self) -> Vec<(String, Self)> {
        let alone = |what: &str, values: &[String], query: fn(String) -> Self| {
            let named = |value: &String| (format!("{what} `{value}`"), query(value.clone()));
            values.iter().map(named).collect::<Vec<_>>()
        };
        let mut names = alone("The person", &self.persons, |value| Self { persons: vec![value], ..Self::default() });
        names.extend(alone("The agency", &self.agencies, |value| Self { agencies: vec![value], ..Self::default() }));
        names.extend(alone("The action", &self.actions, |value| Self { actions: vec![value], ..Self::default() }));
        names
            .extend(alone("The resource", &self.resources, |value| Self { resources: vec![value], ..Self::default() }));
        names
    }

    /// Whether a moment lies in the period.
    pub(super) fn covers(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from| at_ms >= from) && self.until_ms.is_none_or(|until| at_ms < until)
    }

    /// Whether an actor is among the persons and of the agencies.
    pub(super) fn is_actor(&self, actor: &str) -> bool {
        one_of(&self.persons, |wanted| is_person(actor, wanted))
            && one_of(&self.agencies, |wanted| {
                agency_of(actor).is_some_and(|agency| agency.eq_ignore_ascii_case(wanted))
            })
    }

    /// Whether one of the rules that decided together is among those looked for.
    pub(super) fn is_rule(&self, rules: &str) -> bool {
        one_of(&self.rules, |wanted| rules.split(' ').any(|rule| rule == wanted))
    }

    fn texts(&self) -> [(&'static str, &[String]); 9] {
        [
            ("person", &self.persons),
            ("agency", &self.agencies),
            ("action", &self.actions),
            ("resource", &self.resources),
            ("purpose", &self.purposes),
            ("case", &self.case_numbers),
            ("question", &self.questions),
            ("rule", &self.rules),
            ("detail", &self.details),
        ]
    }
}

/// Whether one of the values fits, or there are none to fit.
pub(super) fn one_of<T>(wanted: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

impl fmt::Display for Query {
    /// In words for the audit log: `agency=hsi decision=deny`, or `everything`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (field, values) in self.texts() {
            words.extend(values.iter().map(|value| format!("{field}={value}")));
        }
        words.extend(self.decisions.iter().map(|decision| format!("decision={}", decision.as_str())));
        words.extend(self.outcomes.iter().map(|outcome| format!("outcome={}", outcome_word(*outcome))));
        words.extend(self.from_ms.map(|from| format!("from_ms={from}")));
        words.extend(self.until_ms.map(|until| format!("until_ms={until}")));
        f.write_str(if words.is_empty() { "everything".to_owned() } else { words.join(" ") }.as_str())
    }
}
