//! Sample data: three agencies' files, with errors and gaps as real data has them, and the truth about
//! the subjects planted in them.
//!
//! The same options make the same bytes on every machine. Rows are made one after the other: memory does
//! not grow with the scale. All people, numbers and plates are invented; the telephone numbers are ones
//! that no subscriber has. Reads nothing, needs no network, and writes only under the directory given;
//! each file appears under its name when it is whole, and `truth/summary.json` last of all, so where it
//! stands the sample is complete.
//!
//! | file | what it holds |
//! |---|---|
//! | `cbp/crossings.csv` | border crossings, inbound only: outbound was never recorded |
//! | `cbp/travellers.parquet` | known travellers |
//! | `hsi/calls.csv` | telephone records |
//! | `hsi/case_outcomes.csv` | what became of cases |
//! | `acme/shipments.csv` | an industry partner's shipments, with a week missing |
//! | `truth/planted.csv`, `truth/deviations.csv` | what is planted: for no agency |
//! | `truth/summary.json` | what was written: for no agency |
//!
//! In the last third of the period vehicles avoid Laredo, where portals went into service: see
//! [`SampleOptions::portals_on`].
//!
//! A new kind of file is a module with a `write` function and a line in [`generate`]; its own
//! [`random::Stream`] leaves the bytes of the other files as they are. Events that must happen just so
//! are scripted beforehand and take their places among the drawn ones ([`plan::interleave`]), whose
//! bytes but for their running numbers stay as they are too.

mod activity;
mod calendar;
mod calls;
mod cases;
mod crossings;
mod csv;
mod deviations;
mod numbering;
mod partial;
mod people;
mod plan;
mod planted;
mod random;
mod shipments;
mod summary;
#[cfg(test)]
mod tests;
mod travellers;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};

pub(crate) use deviations::{MAX_DEVIATORS, MIN_DEVIATORS};
pub(crate) use planted::MAX_PLANTED;
pub(crate) use summary::{ERROR_RATES, Gap, SampleSummary};

use plan::Plan;

/// Border crossings.
pub(crate) const CROSSINGS: &str = "cbp/crossings.csv";
/// Known travellers.
pub(crate) const TRAVELLERS: &str = "cbp/travellers.parquet";
/// Telephone records.
pub(crate) const CALLS: &str = "hsi/calls.csv";
/// Case outcomes.
pub(crate) const CASE_OUTCOMES: &str = "hsi/case_outcomes.csv";
/// The partner's shipments.
pub(crate) const SHIPMENTS: &str = "acme/shipments.csv";
/// The planted subjects.
pub(crate) const TRUTH_PLANTED: &str = "truth/planted.csv";
/// The planted called numbers.
pub(crate) const TRUTH_DEVIATIONS: &str = "truth/deviations.csv";
/// What was written.
pub(crate) const TRUTH_SUMMARY: &str = "truth/summary.json";

/// Most travellers, most phones and most trucks.
pub(crate) const MAX_PEOPLE: u64 = 10_000_000;
/// Longest period in days.
pub(crate) const MAX_DAYS: u32 = 3_660;
/// Most unreadable lines a file.
pub(crate) const MAX_MALFORMED_LINES: u32 = 10_000;

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleOptions {
    /// Another seed makes other people and other events.
    pub seed: u64,
    /// Ordinary travellers at the border, 1 to [`MAX_PEOPLE`].
    pub travellers: u64,
    /// Ordinary subscribers in the telephone records, 1 to [`MAX_PEOPLE`].
    pub phones: u64,
    /// The partner's trucks, each with its driver, 1 to [`MAX_PEOPLE`].
    pub trucks: u64,
    /// Subjects active in all three agencies' data, 0 to [`MAX_PLANTED`], besides the ordinary people.
    pub planted: u32,
    /// Crossers with a steady pattern who deviate from it after crossing, 0 or [`MIN_DEVIATORS`] to
    /// [`MAX_DEVIATORS`]; in a short period there are none.
    pub deviators: u32,
    /// Length of the period in days, 1 to [`MAX_DAYS`].
    pub days: u32,
    /// First day (UTC), from 2000 on; the period ends before 2100.
    pub start: NaiveDate,
    /// Lines with a wrong number of fields in each CSV file, 0 to [`MAX_MALFORMED_LINES`].
    pub malformed_lines: u32,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            travellers: 6_000,
            phones: 4_000,
            trucks: 1_500,
            planted: 12,
            deviators: 40,
            days: 180,
            start: first_of_january(2026),
            malformed_lines: 0,
        }
    }
}

fn first_of_january(year: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default()
}

impl SampleOptions {
    /// The partner's silent days, counted from the first day of the period; none in a period of less than
    /// four weeks.
    fn silent_days(&self) -> std::ops::Range<u32> {
        if self.days < 28 {
            return 0..0;
        }
        self.days / 2..self.days / 2 + 7
    }

    /// The week that is missing from the partner's shipments: its first day and the first day after it.
    pub(crate) fn silent_week(&self) -> Option<(NaiveDate, NaiveDate)> {
        let days = self.silent_days();
        let day = |day: u32| self.start.checked_add_days(Days::new(u64::from(day)));
        (!days.is_empty()).then(|| day(days.start).zip(day(days.end))).flatten()
    }

    /// When portals go into service at a port: the first Monday of the period's last third, if there is one.
    pub(crate) fn portals_on(&self) -> Option<NaiveDate> {
        let third = self.start.checked_add_days(Days::new(u64::from(self.days) * 2 / 3))?;
        let monday = third.checked_add_days(Days::new(u64::from((7 - third.weekday().num_days_from_monday()) % 7)))?;
        let end = self.start.checked_add_days(Days::new(u64::from(self.days)))?;
        Some(monday).filter(|monday| *monday < end)
    }

    /// The same in minutes of the period.
    fn portals_from(&self) -> Option<u32> {
        let days = (self.portals_on()? - self.start).num_days();
        u32::try_from(days).ok()?.checked_mul(calendar::MINUTES_PER_DAY)
    }

    fn validate(&self) -> Result<(), SampleError> {
        let people = [("travellers", self.travellers), ("phones", self.phones), ("trucks", self.trucks)];
        for (option, given) in people {
            within(option, given, 1, MAX_PEOPLE)?;
        }
        within("planted", self.planted.into(), 0, MAX_PLANTED.into())?;
        if self.deviators > 0 {
            within("deviators", self.deviators.into(), MIN_DEVIATORS.into(), MAX_DEVIATORS.into())?;
        }
        within("days", self.days.into(), 1, MAX_DAYS.into())?;
        let most = MAX_MALFORMED_LINES.into();
        within("malformed lines", self.malformed_lines.into(), 0, most)?;
        let end = self.start.checked_add_days(Days::new(self.days.into()));
        let allowed = first_of_january(2000)..=first_of_january(2100);
        if !allowed.contains(&self.start) || end.is_none_or(|end| !allowed.contains(&end)) {
            return Err(SampleError::Period);
        }
        Ok(())
    }
}

fn within(option: &'static str, given: u64, least: u64, most: u64) -> Result<(), SampleError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(SampleError::OutOfRange { option, given, least, most })
}

/// How far the work has come; reported about every 100,000 rows and at the end of each file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    /// The file being written, relative to the sample's directory.
    pub file: String,
    /// Rows of it done, without repeated ones.
    pub rows: u64,
    /// Rows it will have, without repeated ones.
    pub total: u64,
}

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    /// An option is too small or too large.
    #[error("{option} = {given} is out of range: choose a number from {least} to {most}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was given.
        given: u64,
        /// Smallest value.
        least: u64,
        /// Largest value.
        most: u64,
    },
    /// The period leaves the years that can be written.
    #[error("the period must lie between 2000-01-01 and 2099-12-31: choose another start or fewer days")]
    Period,
    /// A file cannot be written.
    #[error("cannot write {}: {source}; choose a directory that you may write to, with room for the files", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A Parquet file cannot be written.
    #[error("cannot write {}: {source}; choose a directory that you may write to, with room for the files", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library says.
        source: parquet::errors::ParquetError,
    },
}

/// Writes the sample under `directory`, which is made if it is not there; files of an earlier sample are
/// replaced. Refuses options out of range before anything is written.
pub(crate) fn generate(
    options: &SampleOptions,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<SampleSummary, SampleError> {
    options.validate()?;
    let plan = Plan::new(options, directory);
    // Its presence says that the sample is whole: not while files of two samples stand side by side.
    forget(&directory.join(TRUTH_SUMMARY))?;

    let files = vec![
        crossings::write(&plan, progress)?,
        travellers::write(&plan, progress)?,
        calls::write(&plan, progress)?,
        cases::write(&plan, progress)?,
        shipments::write(&plan, progress)?,
    ];
    planted::write(directory, &plan.planted)?;
    plan.deviations.write(directory)?;

    let summary = SampleSummary { options: options.clone(), rates_per_mille: ERROR_RATES, files, gaps: gaps(options) };
    summary.write(directory)?;
    Ok(summary)
}

/// The planted subjects that a sample with these options has, in order of rank; writes nothing.
#[cfg(test)]
pub(crate) fn planted_subjects(options: &SampleOptions) -> Result<Vec<planted::PlantedSubject>, SampleError> {
    options.validate()?;
    Ok(planted::subjects(options, &people::People::new(options)))
}

fn gaps(options: &SampleOptions) -> Vec<Gap> {
    let gap = options.silent_week().map(|(from, until)| Gap { file: SHIPMENTS.into(), from, until });
    gap.into_iter().collect()
}

fn forget(path: &Path) -> Result<(), SampleError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SampleError::Write { path: path.into(), source })
        }
        _ => Ok(()),
    }
}
