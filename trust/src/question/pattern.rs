//! A pattern: a named, versioned question with its thresholds, as the agency that learned it wrote it.
//!
//! It says what is asked and in words what is looked for, and never why: purpose, case and reason are
//! those of whoever runs it. It names no date and no subject; its window is relative to the moment it
//! is asked. Its text is kept as it was written, since that is what its owner signs ([`SignedPattern`]).

mod signed;

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::Deserialize;
use toml::{Spanned, de::DeTable};

use super::{
    Question, Why, Window,
    file::{File, Toml},
};
use crate::error::Refusal;

pub use signed::{PATTERN_FILE_BYTES_MAX, SignedPattern};

/// Bytes of a pattern's text, at most.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of what a pattern says in words, at most.
const WORDS_BYTES_MAX: usize = 1_000;
/// Bytes of a pattern's name, at most.
const NAME_BYTES_MAX: usize = 63;
/// A score is at most sqrt(16 · 10²).
const QE_MAX: f64 = 40.0;

/// What a pattern's file has beside the keys of a question's file.
const HEAD: [&str; 5] = ["name", "version", "looks_for", "learned_from", "minimum_qe"];
/// What whoever runs a pattern gives.
const NOT_ITS_OWN: [&str; 4] = ["purpose", "case_number", "reason", "lookup"];

/// A pattern that was read and found sound.
#[derive(Clone)]
pub struct Pattern {
    agency: String,
    head: Head,
    asked: File,
    summary: Summary,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    version: u32,
    looks_for: String,
    #[serde(default)]
    learned_from: String,
    #[serde(default)]
    minimum_qe: f64,
}

/// What of a pattern's question is the same whenever it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Type of identifier that subjects are known by.
    pub subject: String,
    /// Data sets that are asked, each once.
    pub datasets: BTreeSet<String>,
    /// Data sets that must hold a subject.
    pub minimum_datasets: u32,
    /// Matches wanted, at most.
    pub top: u32,
}

impl Pattern {
    /// Reads the pattern that `agency` owns.
    ///
    /// # Errors
    /// A [`Refusal`] of kind bad input that names the line or the key.
    pub fn parse(agency: &str, text: &str) -> Result<Self, Refusal> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::bad_input("pattern_too_large", "A pattern's file takes at most 16 KiB; shorten it."));
        }
        let toml = Toml { what: "pattern", text };
        let (head, question) = split(toml.table()?);
        if let Some(key) = NOT_ITS_OWN.into_iter().find(|&key| question.get_ref().contains_key(key)) {
            return Err(Refusal::bad_input(
                "pattern_settings",
                format!("`{key}` belongs to whoever runs a pattern: leave it out."),
            ));
        }
        let mut head: Head = toml.read(head)?;
        head.validate()?;
        let asked: File = toml.read(question)?;
        if asked.is_fixed_in_time() {
            return Err(Refusal::bad_input(
                "pattern_window",
                "A pattern is run later: instead of `from` and `until` give a window `last_days`, or none.",
            ));
        }
        let question = asked.clone().into_question(0)?;
        question.validate_what()?;
        question.validate_threshold(!question.is_linked_only())?;
        PatternName::new(agency, &head.name, None)?;
        Ok(Self { agency: agency.to_owned(), head, asked, summary: Summary::of(&question) })
    }

    /// Its name with its version.
    pub fn name(&self) -> PatternName {
        PatternName { agency: self.agency.clone(), name: self.head.name.clone(), version: Some(self.head.version) }
    }

    /// 1, 2, ….
    pub fn version(&self) -> u32 {
        self.head.version
    }

    /// What it looks for, in words.
    pub fn looks_for(&self) -> &str {
        &self.head.looks_for
    }

    /// What it was learned from, in words; may be empty.
    pub fn learned_from(&self) -> &str {
        &self.head.learned_from
    }

    /// Quality of evidence below which a match is not shown, in millionths.
    pub fn minimum_qe_millionths(&self) -> u32 {
        (self.head.minimum_qe * 1e6).round() as u32
    }

    /// What of its question is the same whenever it is asked.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The question that it asks at `now_ms`, or as if it were `as_of_ms`: then nothing after that moment
    /// counts.
    ///
    /// # Errors
    /// A [`Refusal`] of kind bad input: what the person gave is wrong.
    pub fn question(&self, why: &Why, now_ms: i64, as_of_ms: Option<i64>) -> Result<Question, Refusal> {
        let mut question = self.asked.clone().into_question(as_of_ms.unwrap_or(now_ms))?;
        question.window = question.window.and(Window { from_ms: None, until_ms: as_of_ms });
        question.purpose.clone_from(&why.purpose);
        question.case_number.clone_from(&why.case_number);
        question.reason.clone_from(&why.reason);
        question.validate()?;
        Ok(question)
    }
}

/// The keys that only patterns have, and those of a question's file, where they stood in the text.
fn split(table: Spanned<DeTable<'_>>) -> (Spanned<DeTable<'_>>, Spanned<DeTable<'_>>) {
    let span = table.span();
    let mut question = table.into_inner();
    let head = HEAD.into_iter().filter_map(|key| question.remove_entry(key)).collect();
    (Spanned::new(span.clone(), head), Spanned::new(span, question))
}

impl Head {
    fn validate(&mut self) -> Result<(), Refusal> {
        if self.version == 0 {
            return Err(Refusal::bad_input("pattern_version", "Versions of a pattern count from 1."));
        }
        if !(0.0..=QE_MAX).contains(&self.minimum_qe) {
            return Err(Refusal::bad_input("minimum_qe_out_of_range", "`minimum_qe` must be 0 to 40."));
        }
        for (key, words, needed) in
            [("looks_for", &mut self.looks_for, true), ("learned_from", &mut self.learned_from, false)]
        {
            // Words may be written over several lines.
            *words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            if needed && words.is_empty() {
                return Err(Refusal::bad_input("looks_for_missing", "Say in words what it looks for: `looks_for`."));
            }
            if words.len() > WORDS_BYTES_MAX || words.chars().any(char::is_control) {
                return Err(Refusal::bad_input(
                    &format!("{key}_unusable"),
                    format!("`{key}` takes at most {WORDS_BYTES_MAX} bytes without control characters."),
                ));
            }
        }
        Ok(())
    }
}

impl Summary {
    fn of(question: &Question) -> Self {
        Self {
            subject: question.subject.clone(),
            datasets: question.indicators.iter().map(|indicator| indicator.dataset.clone()).collect(),
            minimum_datasets: question.minimum_datasets,
            top: question.top,
        }
    }
}

/// Names a pattern: `AGENCY.NAME`, or one of its versions: `AGENCY.NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PatternName {
    /// The agency that owns it.
    pub agency: String,
    /// Its name among the agency's patterns.
    pub name: String,
    /// 1, 2, …; none for the newest.
    pub version: Option<u32>,
}

impl PatternName {
    fn new(agency: &str, name: &str, version: Option<u32>) -> Result<Self, Refusal> {
        if [agency, name].into_iter().all(is_label) && version != Some(0) {
            return Ok(Self { agency: agency.to_owned(), name: name.to_owned(), version });
        }
        Err(Refusal::bad_input(
            "pattern_name",
            "A pattern's name takes a-z, 0-9 and -, at most 63; elsewhere it is AGENCY.NAME or AGENCY.NAME@VERSION, \
             such as hsi.deviating-crossers@2.",
        ))
    }

    /// The name without a version, as policies know it.
    pub fn unversioned(&self) -> String {
        format!("{}.{}", self.agency, self.name)
    }
}

fn is_label(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Display for PatternName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.agency, self.name)?;
        self.version.map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl FromStr for PatternName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (name, version) = match text.split_once('@') {
            // A number that cannot be is refused as version 0 is.
            Some((name, version)) => (name, Some(version.parse().unwrap_or(0))),
            None => (text, None),
        };
        let (agency, name) = name.split_once('.').unwrap_or_default();
        Self::new(agency, name, version)
    }
}

#[cfg(test)]
mod tests;
