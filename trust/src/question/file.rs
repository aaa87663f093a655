//! A question as a TOML file, strict: an unknown key is an error, never a silent nothing.

mod indicator;
mod shift;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use toml::{Spanned, de::DeTable};

use super::{Comparison, Operator, Question, Value, Window};
use crate::error::Refusal;
pub use shift::{ShiftFile, parse_shift};

/// Identifiers in one look-up, at most.
pub const LOOKUP_MAX: usize = 1_000;
/// Days of a window that is relative to the moment of asking.
const LAST_DAYS: std::ops::RangeInclusive<u32> = 1..=3_650;
const DAY_MS: i64 = 86_400_000;

/// What a question file holds: the question and, for a look-up, the subjects looked up.
#[derive(Clone)]
pub struct QuestionFile {
    /// The question.
    pub question: Question,
    /// Identifiers of the question's subject type; empty for a question about all subjects.
    pub lookup: Vec<String>,
}

/// Reads a question from the text of a TOML file; a relative window ends at `now_ms`.
///
/// # Errors
/// A [`Refusal`] of kind bad input that names the line or the key.
pub fn parse_question(text: &str, now_ms: i64) -> Result<QuestionFile, Refusal> {
    let toml = Toml { what: "question", text };
    let file: File = toml.read(toml.table()?)?;
    if file.lookup.len() > LOOKUP_MAX {
        return Err(Refusal::bad_input(
            "lookup_too_long",
            format!("A look-up takes at most {LOOKUP_MAX} identifiers; split the list."),
        ));
    }
    let lookup = file.lookup.clone();
    let question = file.into_question(now_ms)?;
    question.validate()?;
    Ok(QuestionFile { question, lookup })
}

/// A TOML text and what it is called when it cannot be read.
#[derive(Clone, Copy)]
pub(super) struct Toml<'a> {
    pub(super) what: &'static str,
    pub(super) text: &'a str,
}

impl<'a> Toml<'a> {
    pub(super) fn table(self) -> Result<Spanned<DeTable<'a>>, Refusal> {
        DeTable::parse(self.text).map_err(|error| self.unreadable(&error))
    }

    pub(super) fn read<T: DeserializeOwned>(self, table: Spanned<DeTable<'a>>) -> Result<T, Refusal> {
        T::deserialize(toml::Deserializer::from(table)).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(self, error: &toml::de::Error) -> Refusal {
        let what = self.what;
        let mut message = format!("The {what}'s file cannot be read");
        if let Some(span) = error.span() {
            let line = self.text.get(..span.start).unwrap_or(self.text).lines().count().max(1);
            message.push_str(&format!(" near line {line}"));
        }
        Refusal::bad_input(&format!("{what}_file"), format!("{message}: {}", error.message()))
    }
}

/// A question as its file has it, with windows that may be relative.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    title: String,
    subject: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    case_number: String,
    #[serde(default)]
    reason: String,
    #[serde(default = "default_minimum_datasets")]
    minimum_datasets: u32,
    #[serde(default = "default_top")]
    top: u32,
    #[serde(default = "default_deadline_seconds")]
    deadline_seconds: f64,
    #[serde(default)]
    rank: Rank,
    #[serde(default)]
    window: FileWindow,
    indicator: Vec<indicator::FileIndicator>,
    #[serde(default)]
    lookup: Vec<String>,
}

#[derive(Clone, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileWindow {
    from: Option<toml::Value>,
    until: Option<toml::Value>,
    last_days: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Rank {
    #[default]
    Subject,
    Contact,
}

impl FileWindow {
    fn is_fixed(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// The window as it is at `now_ms`; `name` stands before its keys.
    fn into_window(self, name: &str, now_ms: i64) -> Result<Window, Refusal> {
        if let Some(days) = self.last_days {
            if self.is_fixed() || !LAST_DAYS.contains(&days) {
                return Err(Refusal::bad_input(
                    "last_days_unusable",
                    format!("`{name}last_days` must be 1 to 3,650, without `from` and `until`."),
                ));
            }
            let from_ms = now_ms.saturating_sub(i64::from(days) * DAY_MS);
            return Ok(Window { from_ms: Some(from_ms), until_ms: Some(now_ms) });
        }
        let bound = |key: &str, value: Option<toml::Value>| {
            value.as_ref().map(|value| moment(&format!("{name}{key}"), value)).transpose()
        };
        Ok(Window { from_ms: bound("from", self.from)?, until_ms: bound("until", self.until)? })
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileComparison {
    attribute: String,
    #[serde(rename = "is")]
    operator: String,
    value: toml::Value,
}

fn default_minimum_datasets() -> u32 {
    2
}

fn default_top() -> u32 {
    20
}

fn default_deadline_seconds() -> f64 {
    30.0
}

impl File {
    /// The question that is asked at `now_ms`, not validated yet.
    pub(super) fn into_question(self, now_ms: i64) -> Result<Question, Refusal> {
        Ok(Question {
            title: self.title,
            subject: self.subject,
            indicators: self.indicator.into_iter().map(|indicator| indicator.read(now_ms)).collect::<Result<_, _>>()?,
            window: self.window.into_window("window.", now_ms)?,
            minimum_datasets: self.minimum_datasets,
            top: self.top,
            purpose: self.purpose,
            case_number: self.case_number,
            reason: self.reason,
            // A float that is no number or out of range saturates and is refused by `validate`.
            deadline_ms: (self.deadline_seconds * 1000.0) as u32,
            rank_contacts: self.rank == Rank::Contact,
        })
    }

    /// True when a window of the file names a date.
    pub(super) fn is_fixed_in_time(&self) -> bool {
        self.window.is_fixed() || self.indicator.iter().any(|indicator| indicator.window().is_fixed())
    }
}

impl FileComparison {
    fn into_comparison(self) -> Result<Comparison, Refusal> {
        let operator = match self.operator.as_str() {
            "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::Greater,
            ">=" => Operator::AtLeast,
            "one of" => Operator::OneOf,
            other => {
                return Err(Refusal::bad_input(
                    "operator_unknown",
                    format!("`{other}` is no comparison; use =, !=, <, <=, >, >= or \"one of\"."),
                ));
            }
        };
        let values = match self.value {
            toml::Value::Array(values) => values.iter().map(|v| value(&self.attribute, v)).collect::<Result<_, _>>()?,
            single => vec![value(&self.attribute, &single)?],
        };
        Ok(Comparison { attribute: self.attribute, operator, values })
    }
}

fn value(attribute: &str, value: &toml::Value) -> Result<Value, Refusal> {
    Ok(match value {
        toml::Value::String(text) => Value::Text(text.clone()),
        toml::Value::Integer(number) => Value::Integer(*number),
        toml::Value::Float(number) => Value::Decimal(*number),
        toml::Value::Boolean(flag) => Value::Boolean(*flag),
        toml::Value::Datetime(_) => Value::TimeMs(moment(attribute, value)?),
        toml::Value::Array(_) | toml::Value::Table(_) => {
            return Err(Refusal::bad_input("filter_value", format!("`{attribute}` is compared with a list of lists.")));
        }
    })
}

/// A date, or a date and time with its zone, as text or as a TOML date.
fn moment(name: &str, value: &toml::Value) -> Result<i64, Refusal> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(datetime) => datetime.to_string(),
        _ => String::new(),
    };
    parse_moment(name, &text)
}

/// A date, or a date and time with its zone, in milliseconds since 1970; a date means its midnight in UTC.
///
/// # Errors
/// `time_unreadable`, with `name` for what was to be a moment.
pub fn parse_moment(name: &str, text: &str) -> Result<i64, Refusal> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|moment| moment.with_timezone(&Utc)).or_else(|_| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| NaiveDateTime::new(day, NaiveTime::MIN).and_utc())
    });
    parsed.map(|moment| moment.timestamp_millis()).map_err(|_| {
        Refusal::bad_input(
            "time_unreadable",
            format!("`{name}` must be a date (2026-01-31) or a time with its zone (2026-01-31T08:00:00Z)."),
        )
    })
}

#[cfg(test)]
mod tests;
