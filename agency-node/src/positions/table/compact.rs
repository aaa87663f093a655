//! Fewer, larger files: what settles every few seconds is put together in the background.

use std::collections::BTreeMap;

use super::{
    Table,
    actions::{Action, Add},
    rows,
};
use crate::positions::error::StoreError;

/// A day is compacted when it has so many small files.
const SMALL_FILES: usize = 8;
/// A file with fewer rows is small.
const SMALL_ROWS: u64 = 250_000;
/// A compacted file has at most so many rows, which together lie in memory once.
const FILE_ROWS: u64 = 1_000_000;

impl Table {
    /// Puts small files of one day together, if one has enough of them; true when that was done.
    pub(in crate::positions) fn compact(&mut self, now_ms: i64) -> Result<bool, StoreError> {
        let Some((day, files)) = self.small_files() else { return Ok(false) };
        let whole = rows::rewrite(&self.directory, &day, &files, now_ms);
        let whole = whole.map_err(|error| StoreError::files(&self.directory, &error))?;
        let mut actions: Vec<Action> = files.iter().map(|file| file.removed(now_ms, false)).collect();
        actions.push(Action::Add(Add { data_change: false, ..whole }));
        self.commit("OPTIMIZE", actions, now_ms)?;
        Ok(true)
    }

    /// The day with the most small files and as many of those as fit into one.
    fn small_files(&self) -> Option<(String, Vec<&Add>)> {
        let mut days: BTreeMap<&str, Vec<(u64, &Add)>> = BTreeMap::new();
        for file in self.snapshot.files.values() {
            if let (Some(day), Some(rows)) = (file.day(), file.rows().filter(|rows| *rows < SMALL_ROWS)) {
                days.entry(day).or_default().push((rows, file));
            }
        }
        let (day, mut small) = days.into_iter().max_by_key(|(_, small)| small.len())?;
        if small.len() < SMALL_FILES {
            return None;
        }
        small.sort_by_key(|(rows, _)| *rows);
        let mut rows_in_all = 0;
        let fits = |(rows, _): &(u64, &Add)| {
            rows_in_all += rows;
            rows_in_all <= FILE_ROWS
        };
        Some((day.to_owned(), small.into_iter().take_while(fits).map(|(_, file)| file).collect()))
    }
}
