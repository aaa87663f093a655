//! A question as a person asks it: typed, bounded, the same at every party.
//!
//! Nothing here is text for an interpreter: filters are typed comparisons, measures a closed list.
//! It never holds an identifier of a subject; a look-up's list stays at the home node, beside the
//! question.

mod file;
mod gist;
mod measure;
mod part;
mod pattern;
mod relation;
mod replay;
mod signed;
mod tally;
mod wire;
pub mod words;

use crate::error::Refusal;

pub use file::{LOOKUP_MAX, QuestionFile, ShiftFile, parse_moment, parse_question, parse_shift};
pub use measure::{Measure, Trait, baseline_from_ms, saturating};
pub use part::{LinkPart, OpenedIndicator};
pub use pattern::{PATTERN_FILE_BYTES_MAX, Pattern, PatternName, SignedPattern};
pub use relation::{MINUTES_MAX, Order, PLACE_MINUTES_MAX, PLACES_MAX, RELATIONS_MAX, Relation, RelationKind};
pub use replay::ReplayGuard;
pub use signed::{
    AGE_MAX_MS, Asker, Circumstances, Commitment, Header, LocatorRange, OpenedQuestion, QuestionId, SKEW_MAX_MS,
    SignedQuestion, WrittenQuestion, check_freshness, vouches_for,
};
pub use tally::{COUNTS, Tally};

/// Indicators in one question, at most.
pub const INDICATORS_MAX: usize = 16;
/// Matches that one answer may return, at most.
pub const TOP_MAX: u32 = 10_000;
/// The subject of questions about persons, whom several identifiers and their names stand for.
pub const PERSON: &str = "person";
/// Comparisons in one indicator's filter, at most.
pub const COMPARISONS_MAX: usize = 16;
/// Values in one comparison, at most.
pub const VALUES_MAX: usize = 100;
/// Bytes of any one text in a question, at most.
pub const TEXT_BYTES_MAX: usize = 250;
/// Milliseconds for a whole question, at least and at most.
pub const DEADLINE_MS: std::ops::RangeInclusive<u32> = 100..=600_000;

/// A typed question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// A line for people.
    pub title: String,
    /// Type of identifier that subjects are known by, such as `phone`.
    pub subject: String,
    /// What is looked for, one data set each; 1 to [`INDICATORS_MAX`].
    pub indicators: Vec<Indicator>,
    /// Event time that counts.
    pub window: Window,
    /// Different data sets that must hold a subject before anything about it opens (t).
    pub minimum_datasets: u32,
    /// Matches to return at most.
    pub top: u32,
    /// Why it is asked, in the words policies know.
    pub purpose: String,
    /// Case the question belongs to; empty when there is none.
    pub case_number: String,
    /// Why it is asked, in the asker's words.
    pub reason: String,
    /// For the whole question, in milliseconds.
    pub deadline_ms: u32,
    /// Rank the contacts of the indicator that stands in relation, not its subjects.
    pub rank_contacts: bool,
}

/// Why a question is asked: what a pattern leaves to whoever runs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// In the words policies know.
    pub purpose: String,
    /// Case the question belongs to; empty when there is none.
    pub case_number: String,
    /// In the asker's words; may be empty.
    pub reason: String,
}

impl Why {
    /// Checks that a purpose is stated and every text fits.
    ///
    /// # Errors
    /// A [`Refusal`] of kind bad input that names the part.
    pub fn validate(&self) -> Result<(), Refusal> {
        validate_text("purpose", &self.purpose, true)?;
        validate_text("case_number", &self.case_number, false)?;
        validate_text("reason", &self.reason, false)
    }
}

/// One data set's part of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    /// `AGENCY.NAME`.
    pub dataset: String,
    /// Which identifier column names the subject; empty when only one has the subject's type.
    pub identifier: String,
    /// All of these must hold for an event to count.
    pub filter: Vec<Comparison>,
    /// How events become evidence.
    pub measure: Measure,
    /// Weight in the score, in thousandths; 0 to 10,000.
    pub weight_thousandths: u32,
    /// A subject without it is no match.
    pub required: bool,
    /// How relations call it; may be empty.
    pub name: String,
    /// Narrows the question's window.
    pub window: Window,
    /// Which identifier names the other side of an event; empty when it does not matter.
    pub contact: String,
    /// Each event is also one of its contact with its subject.
    pub both_ways: bool,
    /// What it has to do with another indicator.
    pub relation: Option<Relation>,
    /// Its events are counted by place and period instead.
    pub tally: Option<Tally>,
}

impl Indicator {
    /// The agency that owns the data set: what stands before the first dot.
    pub fn owner(&self) -> &str {
        self.dataset.split('.').next().unwrap_or_default()
    }
}

/// Half-open interval of event time in milliseconds since 1970; an absent bound is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// First moment that counts.
    pub from_ms: Option<i64>,
    /// First moment that no longer counts.
    pub until_ms: Option<i64>,
}

impl Window {
    /// What lies in both.
    pub fn and(self, other: Self) -> Self {
        Self {
            from_ms: self.from_ms.max(other.from_ms),
            until_ms: [self.until_ms, other.until_ms].into_iter().flatten().min(),
        }
    }

    fn is_empty(&self) -> bool {
        self.from_ms.zip(self.until_ms).is_some_and(|(from, until)| from >= until)
    }
}

/// A typed comparison over a declared attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the attribute in the data set's description.
    pub attribute: String,
    /// How to compare.
    pub operator: Operator,
    /// One value; for [`Operator::OneOf`] 1 to [`VALUES_MAX`].
    pub values: Vec<Value>,
}

/// How an attribute is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    OneOf,
}

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Compared byte by byte.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Decimal(f64),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    TimeMs(i64),
}

impl Question {
    /// Checks every bound that does not need to know the data sets.
    ///
    /// # Errors
    /// A [`Refusal`] of kind bad input that names the part and the bound.
    pub fn validate(&self) -> Result<(), Refusal> {
        self.why().validate()?;
        self.validate_what()
    }

    /// Why it is asked.
    pub fn why(&self) -> Why {
        Why { purpose: self.purpose.clone(), case_number: self.case_number.clone(), reason: self.reason.clone() }
    }

    /// Everything but why it is asked.
    fn validate_what(&self) -> Result<(), Refusal> {
        validate_text("title", &self.title, false)?;
        validate_text("subject", &self.subject, true)?;
        if self.indicators.is_empty() || self.indicators.len() > INDICATORS_MAX {
            return Err(Refusal::bad_input(
                "indicator_count",
                format!("A question needs 1 to {INDICATORS_MAX} indicators; this one has {}.", self.indicators.len()),
            ));
        }
        for indicator in &self.indicators {
            indicator.validate()?;
            indicator.measure.validate(self.window.and(indicator.window))?;
        }
        self.validate_persons()?;
        self.validate_counts()?;
        self.validate_relations()?;
        if self.top == 0 || self.top > TOP_MAX {
            return Err(Refusal::bad_input(
                "top_out_of_range",
                format!("`top` must be 1 to {TOP_MAX}; it is {}.", self.top),
            ));
        }
        if !DEADLINE_MS.contains(&self.deadline_ms) {
            return Err(Refusal::bad_input(
                "deadline_out_of_range",
                format!("The deadline must be 0.1 to 600 seconds; it is {} ms.", self.deadline_ms),
            ));
        }
        let windows = self.indicators.iter().map(|indicator| self.window.and(indicator.window));
        if windows.chain([self.window]).any(|window| window.is_empty()) {
            return Err(Refusal::bad_input("window_empty", "A window ends before it begins; swap `from` and `until`."));
        }
        Ok(())
    }

    /// Checks t against the data sets that can hold a subject; `own_list` counts the asker's list.
    ///
    /// # Errors
    /// A [`Refusal`] of kind bad input.
    pub fn validate_threshold(&self, own_list: bool) -> Result<(), Refusal> {
        if self.is_of_counts() {
            return tally::validate_threshold(self.minimum_datasets, own_list);
        }
        let datasets = self.dataset_count() + u32::from(own_list);
        if self.minimum_datasets < 2 {
            return Err(Refusal::bad_input(
                "minimum_datasets_too_small",
                "`minimum_datasets` must be at least 2: only subjects of several data sets may open.",
            ));
        }
        if self.minimum_datasets > datasets {
            return Err(Refusal::bad_input(
                "minimum_datasets_too_large",
                format!(
                    "`minimum_datasets` is {}, but the question has only {datasets} different data sets; \
                     add indicators or lower it.",
                    self.minimum_datasets
                ),
            ));
        }
        Ok(())
    }

    /// How many different data sets the indicators name.
    pub fn dataset_count(&self) -> u32 {
        let names: std::collections::BTreeSet<_> = self.indicators.iter().map(|i| &i.dataset).collect();
        u32::try_from(names.len()).unwrap_or(u32::MAX)
    }

    /// True when subjects are persons, found through all identifiers and names that data sets hold.
    pub fn is_of_persons(&self) -> bool {
        self.subject == PERSON
    }

    fn validate_persons(&self) -> Result<(), Refusal> {
        if !self.is_of_persons() {
            return Ok(());
        }
        let wrong = |reason, message: &str| Err(Refusal::bad_input(reason, message));
        if self.dataset_count() as usize != self.indicators.len() {
            return wrong(
                "person_dataset_twice",
                "A question about persons names each data set once; join the filters.",
            );
        }
        let counts = |indicator: &Indicator| !indicator.measure.is_behaviour() && indicator.relation.is_none();
        if self.rank_contacts || !self.indicators.iter().all(counts) {
            return wrong(
                "person_measure",
                "A question about persons measures presence, frequency, recency or strongest; ask for behaviour and \
                 relations by an identifier, such as `subject = \"phone\"`.",
            );
        }
        if self.indicators.iter().any(|indicator| !indicator.identifier.is_empty()) {
            return wrong(
                "person_identifier",
                "Persons are known by everything that a data set holds: leave `identifier` out.",
            );
        }
        Ok(())
    }
}

impl Indicator {
    fn validate(&self) -> Result<(), Refusal> {
        validate_text("dataset", &self.dataset, true)?;
        validate_text("identifier", &self.identifier, false)?;
        if !self.dataset.split_once('.').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty()) {
            return Err(Refusal::bad_input(
                "dataset_name",
                format!("`{}` is no data set name; write AGENCY.NAME, such as cbp.crossings.", self.dataset),
            ));
        }
        if self.weight_thousandths > 10_000 {
            return Err(Refusal::bad_input("weight_out_of_range", "A weight must be 0 to 10."));
        }
        if self.filter.len() > COMPARISONS_MAX {
            return Err(Refusal::bad_input(
                "filter_too_long",
                format!("A filter may hold at most {COMPARISONS_MAX} comparisons."),
            ));
        }
        validate_text("contact", &self.contact, false)?;
        if self.both_ways && self.contact.is_empty() {
            return Err(Refusal::bad_input("contact_missing", "`both_ways` needs a `contact`."));
        }
        if matches!(self.measure, Measure::Novelty { .. }) && self.contact.is_empty() {
            return Err(Refusal::bad_input(
                "contact_missing",
                "Novelty is of a contact: say which identifier it is, such as `contact = \"callee\"`.",
            ));
        }
        self.validate_tally()?;
        self.filter.iter().try_for_each(Comparison::validate)
    }
}

impl Comparison {
    fn validate(&self) -> Result<(), Refusal> {
        validate_text("attribute", &self.attribute, true)?;
        let allowed = if self.operator == Operator::OneOf { 1..=VALUES_MAX } else { 1..=1 };
        if !allowed.contains(&self.values.len()) {
            return Err(Refusal::bad_input(
                "filter_value_count",
                format!(
                    "The comparison on `{}` takes {} to {} values; it has {}.",
                    self.attribute,
                    allowed.start(),
                    allowed.end(),
                    self.values.len()
                ),
            ));
        }
        self.values.iter().try_for_each(|value| match value {
            Value::Text(text) => validate_text("value", text, false),
            Value::Decimal(number) if !number.is_finite() => {
                Err(Refusal::bad_input("filter_value", "A number in a filter must be finite."))
            }
            _ => Ok(()),
        })
    }
}

fn validate_text(name: &str, text: &str, needed: bool) -> Result<(), Refusal> {
    if needed && text.trim().is_empty() {
        return Err(Refusal::bad_input(&format!("{name}_missing"), format!("The question needs `{name}`.")));
    }
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Refusal::bad_input(
            &format!("{name}_unusable"),
            format!("`{name}` must be one line of at most {TEXT_BYTES_MAX} bytes without control characters."),
        ));
    }
    Ok(())
}
