//! A log as auditors read it: what its newest checkpoint covers, found by an index, read from the log.
//!
//! The index only says where to look. Every action that leaves here was read from entries that are
//! proved against the signed checkpoint, and fits the query by what those entries say. An index that
//! turns out wrong is thrown away and built again. Everything here blocks on reading files, and
//! nothing is read without a [`Permit`] to audit.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::action::{ActionError, RecordedAction};
use super::checkpoint::VerifierKey;
use super::entry::EntryId;
use super::index::{BLOCK_ROWS, Index, IndexError, Row};
use super::merkle::Hash;
use super::published::{Published, ReadError};
use super::query::{Query, QueryError};
use super::verify::{Verified, VerifyError, verify_directory_with};
use crate::policy::{Action, Permit};

/// Actions on one page, at most.
pub const PAGE_MAX: usize = 500;
/// A page ends early when its entries hold this many bytes.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Candidates taken from the index at a time.
const CANDIDATES_AT_A_TIME: usize = BLOCK_ROWS as usize;

/// Why the archive does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The query is refused.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The log cannot be read, or is not what its checkpoint promises.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// An entry is not what its action needs; when that is the index's fault, it is built again for the
    /// next search.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The index cannot be kept.
    #[error("{0}")]
    Index(String),
    /// The permit is for something else; a fault of our own.
    #[error("the permit is not one to read the audit log")]
    OtherPermit,
}

impl From<IndexError> for ArchiveError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Log(error) => Self::Log(error),
            other => Self::Index(other.to_string()),
        }
    }
}

/// A log and its index.
#[derive(Debug)]
pub struct Archive {
    log: PathBuf,
    folder: PathBuf,
    key: VerifierKey,
    /// None until it is first needed, and after it turned out unusable.
    index: Mutex<Option<Index>>,
}

/// What is asked for by its place or its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The action one of whose entries has this index.
    Index(u64),
    /// The action of this name.
    Id(EntryId),
}

/// Some of the actions that fit a query, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The actions.
    pub actions: Vec<RecordedAction>,
    /// Older ones may follow: ask for those opened before this entry.
    pub next_before: Option<u64>,
}

impl Archive {
    /// The log in a directory, with its index in a folder beside it that is called `NAME-index`.
    pub fn new(log: &Path, key: VerifierKey) -> Self {
        let mut name = log.file_name().unwrap_or_default().to_owned();
        name.push("-index");
        Self { log: log.to_owned(), folder: log.with_file_name(name), key, index: Mutex::new(None) }
    }

    /// The key that verifies the log's checkpoints.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The log as its newest checkpoint has it.
    ///
    /// # Errors
    /// [`ArchiveError::OtherPermit`], or [`ArchiveError::Log`] when there is no good checkpoint.
    pub fn read(&self, permit: &Permit) -> Result<Reading<'_>, ArchiveError> {
        if permit.action() != Action::Audit {
            return Err(ArchiveError::OtherPermit);
        }
        Ok(Reading { archive: self, log: Published::read(&self.log, &self.key)?, own: None })
    }

    fn discard_index(&self) {
        let mut index = self.index();
        *index = None;
        // What cannot be removed is found out by its digests, or refused by the next search.
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    fn index(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One checkpoint of the log, being read.
#[derive(Debug)]
pub struct Reading<'a> {
    archive: &'a Archive,
    log: Published,
    /// The action that this reading is done under, which has not ended.
    own: Option<EntryId>,
}

impl Reading<'_> {
    /// Reads under an action that the same log records.
    #[must_use]
    pub fn under(self, action: EntryId) -> Self {
        Self { own: Some(action), ..self }
    }

    /// The action that this reading is done under.
    pub fn own(&self) -> Option<EntryId> {
        self.own
    }

    /// The checkpoint that everything read here stands under.
    pub fn published(&self) -> &Published {
        &self.log
    }

    /// Up to `limit` actions that fit, newest first, opened before the entry `before`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn search(&mut self, query: &Query, before: Option<u64>, limit: usize) -> Result<Page, ArchiveError> {
        query.check()?;
        let (size, limit) = (self.log.size(), limit.clamp(1, PAGE_MAX));
        let before = before.unwrap_or(size).min(size);
        let mut end = self.indexed(|index| index.row_of(before))?;
        let (mut actions, mut bytes) = (Vec::new(), 0);
        while end > 0 {
            let wanted = limit - actions.len();
            let (rows, next) = self.indexed(|index| index.last_candidates(query, size, end, wanted))?;
            for row in rows {
                let action = self.action(&row)?;
                if query.matches(&action) {
                    bytes += action.bytes();
                    actions.push(action);
                }
                if actions.len() == limit || bytes >= PAGE_BYTES {
                    return Ok(Page { actions, next_before: (row.opening > 0).then_some(row.opening) });
                }
            }
            end = next;
        }
        Ok(Page { actions, next_before: None })
    }

    /// Visits every action that fits, oldest first, until `visit` says no; how many there were.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn each(&mut self, query: &Query, mut visit: impl FnMut(RecordedAction) -> bool) -> Result<u64, ArchiveError> {
        query.check()?;
        let size = self.log.size();
        let end = self.indexed(|index| Ok(index.rows()))?;
        let (mut next, mut visited) = (0, 0);
        while next < end {
            let range = next..end;
            let (rows, after) =
                self.indexed(|index| index.first_candidates(query, size, range.clone(), CANDIDATES_AT_A_TIME))?;
            for row in rows {
                let action = self.action(&row)?;
                if query.matches(&action) {
                    visited += 1;
                    if !visit(action) {
                        return Ok(visited);
                    }
                }
            }
            next = after;
        }
        Ok(visited)
    }

    /// One action; none when the checkpoint covers no such entry.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn find(&mut self, wanted: Wanted) -> Result<Option<RecordedAction>, ArchiveError> {
        let is_wanted = |row: &Row| match wanted {
            Wanted::Index(entry) => row.opening == entry || row.completion() == Some(entry),
            Wanted::Id(id) => row.id == id,
        };
        let row = self.indexed(|index| index.newest(is_wanted))?;
        row.filter(|row| row.opening < self.log.size()).map(|row| self.action(&row)).transpose()
    }

    /// The inclusion proof of an entry under the checkpoint.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn proof(&mut self, entry: u64) -> Result<Vec<Hash>, ArchiveError> {
        Ok(self.log.proof(entry)?)
    }

    /// Recomputes the whole log from its files. The index is thrown away, so that what is searched
    /// next rests on the log as it was found.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        self.archive.discard_index();
        verify_directory_with(&self.archive.log, &self.archive.key)
    }

    /// Asks the index, caught up with the checkpoint; a damaged one is built again, once.
    fn indexed<T>(&mut self, mut ask: impl FnMut(&mut Index) -> Result<T, IndexError>) -> Result<T, ArchiveError> {
        let mut kept = self.archive.index();
        let mut index = match kept.take() {
            Some(index) => index,
            None => Index::open(&self.archive.folder, &mut self.log)?,
        };
        let mut caught_up_and_asked = |index: &mut Index| index.catch_up(&mut self.log).and_then(|()| ask(index));
        let answer = match caught_up_and_asked(&mut index) {
            Err(IndexError::Damaged) => {
                tracing::warn!("the index of the audit log was damaged and is built anew");
                index = Index::start(&self.archive.folder)?;
                caught_up_and_asked(&mut index)?
            }
            answer => answer?,
        };
        *kept = Some(index);
        Ok(answer)
    }

    /// The action of a row, as the log has it at this checkpoint.
    fn action(&mut self, row: &Row) -> Result<RecordedAction, ArchiveError> {
        let opening = (row.opening, self.log.entry(row.opening)?);
        let completion = match row.completion().filter(|index| *index < self.log.size()) {
            Some(index) => Some((index, self.log.entry(index)?)),
            None => None,
        };
        let action = RecordedAction::of(opening, completion);
        if matches!(action, Err(ActionError::OtherHalf { .. })) {
            // The row is wrong although its digest is right: somebody made it so.
            tracing::warn!("the index of the audit log does not agree with the log and is thrown away");
            self.archive.discard_index();
        }
        Ok(action?)
    }
}

#[cfg(test)]
mod tests;
