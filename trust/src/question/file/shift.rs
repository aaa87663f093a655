//! A shift file: what is counted, and when something changed.

use sallyport_shift::{PERIODS_MAX, Period, measure::BASELINE_MIN, period};
use serde::Deserialize;

use super::{super::*, FileComparison, Toml, default_deadline_seconds, moment};

/// Whole periods before the change that are the baseline.
const BEFORE: std::ops::RangeInclusive<u32> = BASELINE_MIN as u32..=120;
/// Places that may be marked as changed.
const CHANGED_MAX: usize = 100;

/// What a shift file holds: the question of counts, and how its answer is read.
#[derive(Clone)]
pub struct ShiftFile {
    /// The question.
    pub question: Question,
    /// The places where something changed.
    pub changed: Vec<String>,
    /// How time is cut.
    pub period: Period,
    /// How many of the question's periods are before the change; the rest is after it.
    pub before: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    title: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    case_number: String,
    #[serde(default)]
    reason: String,
    #[serde(default = "default_deadline_seconds")]
    deadline_seconds: f64,
    period: String,
    changed_at: toml::Value,
    changed_until: Option<toml::Value>,
    before: u32,
    #[serde(default)]
    changed: Vec<String>,
    count: Vec<FileCount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCount {
    dataset: String,
    place: String,
    #[serde(default, rename = "where")]
    filter: Vec<FileComparison>,
}

/// Reads a shift file.
///
/// # Errors
/// A [`Refusal`] of kind bad input that names the line or the key.
pub fn parse_shift(text: &str) -> Result<ShiftFile, Refusal> {
    let toml = Toml { what: "shift", text };
    let file: File = toml.read(toml.table()?)?;
    let period = Period::named(&file.period).ok_or_else(|| {
        Refusal::bad_input("period_unknown", format!("`{}` is no period; use day, week or month.", file.period))
    })?;
    if !BEFORE.contains(&file.before) {
        return Err(Refusal::bad_input(
            "before_out_of_range",
            format!("`before` must be {} to {} periods; it is {}.", BEFORE.start(), BEFORE.end(), file.before),
        ));
    }
    if file.changed.len() > CHANGED_MAX {
        return Err(Refusal::bad_input("changed_too_many", format!("`changed` takes at most {CHANGED_MAX} places.")));
    }
    let (changed_at, until) = (bound(period, "changed_at", &file.changed_at)?, file.changed_until.as_ref());
    let until = until.map_or_else(
        || period.next(changed_at).ok_or_else(|| no_bound(period, "changed_at")),
        |until| bound(period, "changed_until", until),
    )?;
    let from = period.before(changed_at, file.before).ok_or_else(|| no_bound(period, "changed_at"))?;
    if until <= changed_at || period.between(from, until).is_none() {
        return Err(Refusal::bad_input(
            "changed_until_out_of_range",
            format!("`changed_until` must be after `changed_at`, with at most {PERIODS_MAX} periods before and after."),
        ));
    }
    let window = Window { from_ms: Some(period::midnight_ms(from)), until_ms: Some(period::midnight_ms(until)) };
    let (changed, before) = (file.changed.clone(), file.before as usize);
    let question = file.into_question(period, window)?;
    question.validate()?;
    Ok(ShiftFile { question, changed, period, before })
}

/// A moment at which a period begins, as its day.
fn bound(period: Period, name: &str, value: &toml::Value) -> Result<i32, Refusal> {
    let moment_ms = moment(name, value)?;
    period
        .begin_at(moment_ms)
        .filter(|begin| period::midnight_ms(*begin) == moment_ms)
        .ok_or_else(|| no_bound(period, name))
}

fn no_bound(period: Period, name: &str) -> Refusal {
    let begins = match period {
        Period::Day => "at midnight",
        Period::Week => "on a Monday",
        Period::Month => "on the first",
    };
    Refusal::bad_input(
        "changed_within_period",
        format!("`{name}` must be where a {} begins: {begins}, in UTC.", period.name()),
    )
}

impl File {
    fn into_question(self, period: Period, window: Window) -> Result<Question, Refusal> {
        Ok(Question {
            title: self.title,
            subject: COUNTS.to_owned(),
            indicators: self.count.into_iter().map(|count| count.read(period)).collect::<Result<_, _>>()?,
            window,
            minimum_datasets: 1,
            top: 1,
            purpose: self.purpose,
            case_number: self.case_number,
            reason: self.reason,
            // A float that is no number or out of range saturates and is refused by `validate`.
            deadline_ms: (self.deadline_seconds * 1000.0) as u32,
            rank_contacts: false,
        })
    }
}

impl FileCount {
    fn read(self, period: Period) -> Result<Indicator, Refusal> {
        Ok(Indicator {
            dataset: self.dataset,
            identifier: String::new(),
            filter: self.filter.into_iter().map(FileComparison::into_comparison).collect::<Result<_, _>>()?,
            measure: Measure::Presence,
            weight_thousandths: 0,
            required: false,
            name: String::new(),
            window: Window::default(),
            contact: String::new(),
            both_ways: false,
            relation: None,
            tally: Some(Tally { place: self.place, period }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
title = "Trucks after the blockades"
purpose = "border-security"
case_number = "CBP-2026-0042"
period = "month"
changed_at = 2022-02-01
before = 12
changed = ["3310"]
[[count]]
dataset = "cbp.crossings"
place = "port_code"
where = [{ attribute = "measure", is = "=", value = "Trucks" }]
"#;

    fn reason(change: (&str, &str)) -> String {
        assert!(FILE.contains(change.0));
        parse_shift(&FILE.replacen(change.0, change.1, 1)).err().map(|refusal| refusal.reason).unwrap_or_default()
    }

    #[test]
    fn a_file_is_a_question_of_whole_periods() {
        let shift = parse_shift(FILE).unwrap();
        let tally = shift.question.indicators[0].tally.clone().unwrap();
        let begins = tally.begins(shift.question.window).unwrap();
        let day = |day: i32| period::date(day).unwrap().to_string();
        assert_eq!((begins.len(), shift.before), (13, 12));
        assert_eq!((day(begins[0]), day(begins[12])), ("2021-02-01".to_owned(), "2022-02-01".to_owned()));
        assert_eq!((shift.question.subject.as_str(), shift.question.minimum_datasets), (COUNTS, 1));
    }

    #[test]
    fn what_is_no_comparison_of_whole_periods_is_refused() {
        assert_eq!(reason(("2022-02-01", "2022-02-02")), "changed_within_period");
        assert_eq!(reason(("\"month\"", "\"week\"")), "changed_within_period");
        assert_eq!(reason(("\"month\"", "\"year\"")), "period_unknown");
        assert_eq!(reason(("before = 12", "before = 5")), "before_out_of_range");
        assert_eq!(reason(("before = 12", "before = 12\nchanged_until = 2022-02-01")), "changed_until_out_of_range");
        assert_eq!(reason(("before = 12", "before = 120\nchanged_until = 2040-02-01")), "changed_until_out_of_range");
        assert_eq!(reason(("before = 12", "before = 12\nsubject = \"phone\"")), "shift_file");
        assert_eq!(reason(("place = \"port_code\"", "place = \"\"")), "place_missing");
        assert_eq!(reason(("[[count]]", "[[count]]\ndataset = \"cbp.x\"\nplace = \"p\"\n[[count]]")), "");
        let twice = FILE.to_owned() + "[[count]]\ndataset = \"cbp.crossings\"\nplace = \"port_code\"\n";
        assert_eq!(parse_shift(&twice).err().unwrap().reason, "counts_dataset_twice");
    }

    /// Counts are a question of their own: neither parts of other questions nor mixed with them.
    #[test]
    fn counts_and_subjects_do_not_mix() {
        let question = parse_shift(FILE).unwrap().question;
        let refused = |change: fn(&mut Question)| {
            let mut changed = question.clone();
            change(&mut changed);
            changed.validate().and_then(|()| changed.validate_threshold(false)).unwrap_err().reason
        };
        assert_eq!(refused(|q| q.subject = "phone".to_owned()), "counts_mixed");
        assert_eq!(refused(|q| q.indicators[0].tally = None), "counts_mixed");
        assert_eq!(refused(|q| q.indicators[0].identifier = "plate".to_owned()), "counts_of_nobody");
        assert_eq!(refused(|q| q.indicators[0].measure = Measure::Regularity), "counts_of_nobody");
        assert_eq!(refused(|q| q.minimum_datasets = 2), "counts_minimum_datasets");
        assert_eq!(refused(|q| q.window.until_ms = None), "counts_window");
        assert_eq!(question.validate_threshold(true).unwrap_err().reason, "counts_look_up");
    }

    #[test]
    fn a_question_of_counts_travels_whole() {
        use sallyport_proto::common::v1 as pb;
        let question = parse_shift(FILE).unwrap().question;
        assert_eq!(Question::try_from(pb::Question::from(&question)).unwrap(), question);
        let mut wire = pb::Question::from(&question);
        wire.indicators[0].tally.as_mut().unwrap().period = 0;
        assert_eq!(Question::try_from(wire).unwrap_err().reason, "question_incomplete");
    }
}
