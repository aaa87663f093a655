//! A question as a TOML file, strict: an unknown key is an error, never a silent nothing.

mod indicator;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use toml::{Spanned, de::DeTable};

use super::{Comparison, Operator, Question, Value, Window};
use crate::error::Refusal;

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
mod tests {
    use super::{
        super::{Measure, Order, RelationKind, TEXT_BYTES_MAX, Trait},
        *,
    };

    const WHOLE: &str = r#"
        title = "Phones that cross and call"
        subject = "phone"
        purpose = "counter-narcotics"
        case_number = "HSI-2026-0117"
        reason = "link analysis"
        minimum_datasets = 2
        top = 5
        deadline_seconds = 2.5
        [window]
        from = 2026-01-01
        until = "2026-02-01T00:00:00Z"
        [[indicator]]
        dataset = "cbp.crossings"
        measure = "frequency"
        half_at = 10
        weight = 0.5
        required = true
        where = [
            { attribute = "port", is = "one of", value = ["2304", "2305"] },
            { attribute = "crossings", is = ">=", value = 3 },
        ]
        [[indicator]]
        dataset = "hsi.calls"
        identifier = "caller"
    "#;

    #[test]
    fn a_whole_file_is_read_and_survives_the_wire() {
        let question = parse_question(WHOLE, 0).unwrap().question;
        assert_eq!(question.deadline_ms, 2_500);
        assert_eq!(question.window.from_ms, Some(1_767_225_600_000));
        assert_eq!(question.window.until_ms, Some(1_769_904_000_000));
        assert_eq!(question.indicators[0].weight_thousandths, 500);
        assert_eq!(question.indicators[0].filter[0].values.len(), 2);
        assert_eq!(question.indicators[1].measure, Measure::Presence);
        let wire = sallyport_proto::common::v1::Question::from(&question);
        assert_eq!(Question::try_from(wire).unwrap(), question);
    }

    #[test]
    fn a_relative_window_ends_when_the_question_is_asked() {
        let fixed = "from = 2026-01-01\n        until = \"2026-02-01T00:00:00Z\"";
        let relative = WHOLE.replace(fixed, "last_days = 30");
        let now_ms = 1_790_000_000_123;
        let window = Window { from_ms: Some(now_ms - 30 * DAY_MS), until_ms: Some(now_ms) };
        assert_eq!(parse_question(&relative, now_ms).unwrap().question.window, window);
        let of_indicator = relative.replace("identifier = \"caller\"", "last_days = 7");
        let narrowed = parse_question(&of_indicator, now_ms).unwrap().question.indicators[1].window;
        assert_eq!(narrowed.from_ms, Some(now_ms - 7 * DAY_MS));
        for text in [
            WHOLE.replace("from = 2026-01-01", "last_days = 30"),
            relative.replace("= 30", "= 0"),
            relative.replace("= 30", "= 3651"),
        ] {
            assert_eq!(parse_question(&text, now_ms).err().unwrap().reason, "last_days_unusable");
        }
        assert_eq!(parse_question(&relative.replace("= 30", "= -1"), 0).err().unwrap().reason, "question_file");
    }

    /// A question with an indicator that has each event's strength from this attribute.
    fn strongest(attribute: &str) -> String {
        let strength_of = format!("strength_of = \"{attribute}\"");
        WHOLE.replace("\"frequency\"", "\"strongest\"").replace("half_at = 10", &strength_of)
    }

    #[test]
    fn the_strongest_event_is_asked_by_its_attribute_and_survives_the_wire() {
        let question = parse_question(&strongest("strength"), 0).unwrap().question;
        assert_eq!(question.indicators[0].measure, Measure::Strongest { of: "strength".to_owned() });
        let wire = sallyport_proto::common::v1::Question::from(&question);
        assert_eq!(Question::try_from(wire).unwrap(), question);
    }

    #[test]
    fn each_fault_has_its_reason() {
        let faults = [
            ("subject = 1", "question_file"),
            (&*WHOLE.replace("purpose = \"counter-narcotics\"", ""), "purpose_missing"),
            ("title = \"unfinished", "question_file"),
            (&*WHOLE.replace("top = 5", "tip = 5"), "question_file"),
            (&*WHOLE.replace("top = 5", "top = 10001"), "top_out_of_range"),
            (&*WHOLE.replace("\"frequency\"", "\"frequent\""), "measure_unknown"),
            (&*WHOLE.replace("half_at = 10", ""), "measure_settings"),
            (&*WHOLE.replace("half_at = 10", "half_at = 0"), "half_at_out_of_range"),
            (&*WHOLE.replace("half_at = 10", "strength_of = \"strength\""), "measure_settings"),
            (&*WHOLE.replace("\"frequency\"", "\"strongest\""), "measure_settings"),
            (&*strongest("strength").replace("strength_of", "rarity_of"), "measure_settings"),
            (&*strongest(""), "strength_of"),
            (&*strongest(&"s".repeat(TEXT_BYTES_MAX + 1)), "strength_of"),
            (&*WHOLE.replace("weight = 0.5", "weight = -1"), "weight_out_of_range"),
            (&*WHOLE.replace("is = \">=\"", "is = \"like\""), "operator_unknown"),
            (&*WHOLE.replace("[\"2304\", \"2305\"]", "[]"), "filter_value_count"),
            (&*WHOLE.replace("\"cbp.crossings\"", "\"crossings\""), "dataset_name"),
            (&*WHOLE.replace("2026-01-01", "2027-01-01"), "window_empty"),
            (&*WHOLE.replace("2026-01-01", "\"soon\""), "time_unreadable"),
            (&*WHOLE.replace("2.5", "-3"), "deadline_out_of_range"),
            (&*WHOLE.replace("\"counter-narcotics\"", "\" \""), "purpose_missing"),
        ];
        for (text, reason) in faults {
            match parse_question(text, 0) {
                Err(refusal) => assert_eq!(refusal.reason, reason, "{}", refusal.message),
                Ok(_) => panic!("expected {reason}"),
            }
        }
    }

    #[test]
    fn the_threshold_needs_as_many_different_data_sets() {
        let mut question = parse_question(WHOLE, 0).unwrap().question;
        question.validate_threshold(false).unwrap();
        question.indicators[1].dataset = "cbp.crossings".to_owned();
        assert_eq!(question.validate_threshold(false).unwrap_err().reason, "minimum_datasets_too_large");
        question.validate_threshold(true).unwrap();
        question.minimum_datasets = 1;
        assert_eq!(question.validate_threshold(false).unwrap_err().reason, "minimum_datasets_too_small");
    }

    const RELATED: &str = r#"
        subject = "phone"
        purpose = "counter-narcotics"
        [window]
        from = 2026-05-01
        [[indicator]]
        dataset = "cbp.crossings"
        [[indicator]]
        dataset = "hsi.calls"
        identifier = "caller"
        contact = "callee"
        measure = "novelty"
        baseline_days = 90
        after = "cbp.crossings"
        within = "24h"
    "#;

    #[test]
    fn a_relation_in_time_survives_the_wire() {
        let question =
            parse_question(&RELATED.replace("[window]", "rank = \"contact\"\n[window]"), 0).unwrap().question;
        let relation = question.indicators[1].relation.clone().unwrap();
        assert_eq!(relation.kind, RelationKind::InTime { order: Order::After, minutes: 1_440 });
        assert!(question.rank_contacts && question.is_linked_only());
        let wire = sallyport_proto::common::v1::Question::from(&question);
        assert_eq!(Question::try_from(wire).unwrap(), question);
    }

    #[test]
    fn every_measure_of_behaviour_survives_the_wire() {
        let settings = [
            ("\"novelty\"", Measure::Novelty { baseline_days: 90 }),
            ("\"burst\"", Measure::Burst { baseline_days: 90 }),
            ("\"silence\"", Measure::Silence { baseline_days: 90 }),
            ("\"rarity\"\nrarity_of = \"hour\"", Measure::Rarity { of: Trait::Hour, baseline_days: 90 }),
            (
                "\"rarity\"\nrarity_of = \"port\"",
                Measure::Rarity { of: Trait::Attribute("port".to_owned()), baseline_days: 90 },
            ),
        ];
        for (text, measure) in settings {
            let alone = RELATED.replace("after = \"cbp.crossings\"", "").replace("within = \"24h\"", "");
            let question = parse_question(&alone.replace("\"novelty\"", text), 0).unwrap().question;
            assert_eq!(question.indicators[1].measure, measure);
            let wire = sallyport_proto::common::v1::Question::from(&question);
            assert_eq!(Question::try_from(wire).unwrap(), question);
        }
    }

    #[test]
    fn each_fault_of_a_relation_has_its_reason() {
        let both = "dataset = \"cbp.crossings\"\nafter = \"hsi.calls\"\nwithin = \"1h\"";
        let faults = [
            (RELATED.replace("24h", "0m"), "relation_minutes"),
            (RELATED.replace("24h", "91d"), "relation_minutes"),
            (RELATED.replace("24h", "soon"), "relation_minutes"),
            (RELATED.replace("24h", "99999999999d"), "relation_minutes"),
            (RELATED.replace("within = \"24h\"", ""), "relation_settings"),
            (RELATED.replace("after = ", "hops = 2\n        after = "), "relation_settings"),
            (RELATED.replace("after = \"cbp.crossings\"", "after = \"cbp.flights\""), "relation_unknown"),
            (RELATED.replace("after = \"cbp.crossings\"", "after = \"hsi.calls\""), "relation_to_itself"),
            (RELATED.replacen("dataset = \"cbp.crossings\"", both, 1), "relation_circle"),
            (RELATED.replace("\"novelty\"", "\"burst\""), "relation_measure"),
            (
                RELATED
                    .replace("\"novelty\"", "\"strongest\"\nstrength_of = \"strength\"")
                    .replace("baseline_days = 90\n", ""),
                "relation_measure",
            ),
            (RELATED.replace("contact = \"callee\"", ""), "contact_missing"),
            (RELATED.replace("from = 2026-05-01", ""), "baseline_needs_window"),
            (RELATED.replace("= 90\n", "= 0\n"), "baseline_out_of_range"),
            (
                RELATED.replacen("dataset = \"cbp.crossings\"", "name = \"cbp.crossings\"\ndataset = \"hsi.calls\"", 1),
                "relation_same_dataset",
            ),
            (
                RELATED
                    .replace("after = \"cbp.crossings\"", "contacts_in_common_with = \"cbp.crossings\"")
                    .replace("within = \"24h\"", ""),
                "contact_missing",
            ),
        ];
        for (text, reason) in faults {
            match parse_question(&text, 0) {
                Err(refusal) => assert_eq!(refusal.reason, reason, "{}", refusal.message),
                Ok(_) => panic!("expected {reason}"),
            }
        }
    }
}
