//! The positions as a Delta Lake table, partitioned by day: what settles from the journal, for questions and for
//! any program that reads the format.
//!
//! Only what this table needs of the protocol is written here. A library of it would bring an HTTP client,
//! three clouds' credentials and a second cryptographic provider into every node, and would not wait for the
//! disk before it calls a version committed.
//!
//! Each commit that brings rows says, as an application transaction, up to which place of the journal they
//! come: a crash between the commit and whatever follows it repeats nothing. Files are named at random and
//! never change; one that belongs to no version any more is deleted after a while (`vacuum`), so that whoever
//! reads an older version can end.
//!
//! It never deletes a row but by age, and never writes over another program's version: where that was first,
//! the work is done again on what it left.

mod actions;
mod checkpoint;
mod compact;
mod log;
mod rows;
mod vacuum;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Days, NaiveDate};
use serde_json::json;

use actions::{Action, Format, MetaData, PROTOCOL, Snapshot, Transaction};
pub(super) use rows::Row;

use super::{Settings, error::StoreError};
use crate::disk;

/// Names the journal in the table's transactions.
const APPLICATION: &str = "sallyport-positions";
/// A checkpoint is written each time so many versions have been.
const CHECKPOINT_EVERY: u64 = 20;
/// Versions before the last checkpoint are kept so long, for readers of older ones.
const LOG_KEPT_MS: i64 = 3 * 86_400_000;

/// What readers need of a version.
#[derive(Debug)]
pub(super) struct Contents {
    /// Place of the journal up to which it holds everything.
    pub(super) settled: u64,
    /// Its data files.
    pub(super) files: Vec<PathBuf>,
}

/// The newest version of the table in a directory; empty where there is no table.
///
/// # Errors
/// When its log cannot be read.
pub(super) fn read(directory: &Path) -> Result<Contents, StoreError> {
    Ok(log::read(directory)?.contents(directory))
}

/// The table, open for writing.
#[derive(Debug)]
pub(super) struct Table {
    directory: PathBuf,
    snapshot: Snapshot,
    retention_days: u32,
    safe_ms: i64,
}

impl Snapshot {
    fn settled(&self) -> u64 {
        self.transactions.get(APPLICATION).map_or(0, |transaction| transaction.version)
    }

    fn contents(&self, table: &Path) -> Contents {
        Contents { settled: self.settled(), files: self.files.keys().map(|path| table.join(path)).collect() }
    }
}

impl Table {
    /// Opens the table in a directory, or makes one.
    ///
    /// # Errors
    /// When its log cannot be read or written.
    pub(super) fn open(directory: &Path, settings: &Settings, now_ms: i64) -> Result<Self, StoreError> {
        let at = |error: std::io::Error| StoreError::files(directory, &error);
        let log = directory.join(log::LOG_DIRECTORY);
        disk::create_directory(&log).map_err(at)?;
        disk::sync_directory_of(&log).map_err(at)?;
        disk::sync_directory_of(directory).map_err(at)?;
        let mut table = Self {
            directory: directory.to_owned(),
            snapshot: log::read(directory)?,
            retention_days: settings.retention_days,
            safe_ms: settings.safe_ms(),
        };
        if table.snapshot.next_version == 0 {
            table.create(now_ms)?;
        }
        if table.snapshot.metadata.as_ref().is_none_or(|metadata| metadata.partition_columns != [rows::DAY]) {
            return Err(StoreError::Damaged("the table is not one of positions by day".to_owned()));
        }
        Ok(table)
    }

    fn create(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let hours = self.safe_ms / 3_600_000;
        let metadata = MetaData {
            id: random_id(),
            format: Format { provider: "parquet".to_owned(), options: BTreeMap::new() },
            schema_string: rows::delta_schema(),
            partition_columns: vec![rows::DAY.to_owned()],
            configuration: BTreeMap::from([
                ("delta.deletedFileRetentionDuration".to_owned(), format!("interval {hours} hours")),
                ("delta.logRetentionDuration".to_owned(), "interval 3 days".to_owned()),
            ]),
            created_time: Some(now_ms),
        };
        self.commit("CREATE TABLE", vec![Action::Protocol(PROTOCOL), Action::MetaData(metadata)], now_ms)
    }

    /// Place of the journal up to which the table holds everything.
    pub(super) fn settled(&self) -> u64 {
        self.snapshot.settled()
    }

    /// What readers need of the newest version.
    pub(super) fn contents(&self) -> Contents {
        self.snapshot.contents(&self.directory)
    }

    /// Adds rows, and says that with them everything before a place of the journal is in the table.
    pub(super) fn append(&mut self, rows: &[Row], settled: u64, now_ms: i64) -> Result<(), StoreError> {
        let mut days: BTreeMap<NaiveDate, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            days.entry(row.day()).or_default().push(row);
        }
        let transaction = Transaction { app_id: APPLICATION.to_owned(), version: settled, last_updated: Some(now_ms) };
        let mut actions = vec![Action::Txn(transaction)];
        for (day, rows) in days {
            let add = rows::write(&self.directory, day, &rows, now_ms);
            actions.push(Action::Add(add.map_err(|error| StoreError::files(&self.directory, &error))?));
        }
        self.commit("WRITE", actions, now_ms)
    }

    /// Drops the days that are kept no longer.
    pub(super) fn drop_old_days(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let today = DateTime::from_timestamp_millis(now_ms).unwrap_or_default().date_naive();
        let oldest = today.checked_sub_days(Days::new(self.retention_days.into())).unwrap_or_default().to_string();
        // Dates written like this are in the order of their letters.
        let old = self.snapshot.files.values().filter(|file| file.day().is_some_and(|day| day < oldest.as_str()));
        let actions: Vec<Action> = old.map(|file| file.removed(now_ms, true)).collect();
        if actions.is_empty() { Ok(()) } else { self.commit("DELETE", actions, now_ms) }
    }

    /// Deletes files that belong to no version that may still be read.
    pub(super) fn vacuum(&mut self, now_ms: i64) -> Result<(), StoreError> {
        vacuum::delete_unused(&self.directory, &self.snapshot, now_ms - self.safe_ms)?;
        log::forget(&self.directory, now_ms - LOG_KEPT_MS)
    }

    /// Takes in what other programs have committed.
    pub(super) fn catch_up(&mut self) -> Result<(), StoreError> {
        log::catch_up(&self.directory, &mut self.snapshot)
    }

    /// Writes the next version.
    fn commit(&mut self, operation: &str, mut actions: Vec<Action>, now_ms: i64) -> Result<(), StoreError> {
        let engine = concat!("sallyport/", env!("CARGO_PKG_VERSION"));
        actions.push(Action::CommitInfo(
            json!({"timestamp": now_ms, "operation": operation, "operationParameters": {}, "engineInfo": engine}),
        ));
        if !log::write(&self.directory, self.snapshot.next_version, &actions)? {
            return Err(StoreError::Overtaken);
        }
        actions.into_iter().for_each(|action| self.snapshot.apply(action));
        self.snapshot.next_version += 1;
        if self.snapshot.next_version.is_multiple_of(CHECKPOINT_EVERY) {
            let safe_ms = now_ms - self.safe_ms;
            self.snapshot.removed.retain(|_, removed| removed.deletion_timestamp.is_some_and(|at_ms| at_ms > safe_ms));
            log::write_checkpoint(&self.directory, &self.snapshot, safe_ms)?;
        }
        Ok(())
    }
}

/// A random UUID, version 4.
fn random_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests;
