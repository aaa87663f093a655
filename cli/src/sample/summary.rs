//! What was written: the counts that an answer's coverage can be held against.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::partial::PartialFile;
use super::{SampleError, SampleOptions, TRUTH_SUMMARY};

/// How often real data goes wrong, in cases of 1,000; planted subjects are spared where their counts
/// would suffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorRates {
    /// Phone fields that cannot be read as one number: no area code, letters for digits, `unknown`, empty.
    pub unusable_phone: u32,
    /// Rows that come twice, identifier and all.
    pub duplicate_row: u32,
    /// Plates not recorded though there is a vehicle.
    pub missing_plate: u32,
    /// Shipments reported one to nine days after they were booked, out of order.
    pub late_row: u32,
}

/// The rates in every sample.
pub(crate) const ERROR_RATES: ErrorRates =
    ErrorRates { unusable_phone: 20, duplicate_row: 5, missing_plate: 40, late_row: 10 };

/// Days in which a file has no events although there were some: a feed that was down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    /// The file, relative to the sample's directory.
    pub file: String,
    /// First silent day.
    pub from: NaiveDate,
    /// First day after the silence.
    pub until: NaiveDate,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSummary {
    /// Its place, relative to the sample's directory.
    pub file: String,
    /// Rows that can be read, with repeated ones, without the header.
    pub rows: u64,
    /// Of these, rows that repeat the row before them.
    pub duplicates: u64,
    /// Lines with a wrong number of fields, not among `rows`.
    pub malformed: u64,
    /// Of `rows`, those out of order because they were reported late.
    pub late: u64,
    /// For each column of phones, rows whose phone cannot be read (empty ones among them).
    pub unusable_phones: BTreeMap<String, u64>,
    /// Size in bytes.
    pub bytes: u64,
}

impl FileSummary {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into(), ..Self::default() }
    }
}

/// Everything that was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleSummary {
    /// What was asked for: the same options make the same bytes.
    pub options: SampleOptions,
    /// How often things go wrong, in cases of 1,000.
    pub rates_per_mille: ErrorRates,
    /// The agencies' files.
    pub files: Vec<FileSummary>,
    /// Known gaps.
    pub gaps: Vec<Gap>,
}

impl SampleSummary {
    /// Rows of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The summary of one file, by its place relative to the sample's directory.
    #[cfg(test)]
    pub(crate) fn file(&self, file: &str) -> Option<&FileSummary> {
        self.files.iter().find(|summary| summary.file == file)
    }

    /// Writes `truth/summary.json`.
    pub(super) fn write(&self, directory: &Path) -> Result<(), SampleError> {
        let mut file = PartialFile::create(directory, TRUTH_SUMMARY)?;
        let text = serde_json::to_string_pretty(self).map_err(|error| file.error(error.into()))?;
        writeln!(file, "{text}").map_err(|source| file.error(source))?;
        file.commit()
    }
}
