//! The index of a log: finds the actions that a query may mean, without reading the whole log.
//!
//! It lies in a folder of its own and can be thrown away: it is built from the log's published
//! entries, and caught up with them before each search. **It is never believed.** What it finds is
//! read from the log and compared with the query there; it records the size and the root of the log
//! it was built from and a digest of everything in its files, and one that is damaged, of an older
//! form or of another log is built again from the first entry.
//!
//! ```text
//! rows    one row of fixed width for each action, in blocks, in the order of the openings
//! words   the texts that rows name by number
//! head    size and root of the log, digests of all blocks and of the words
//! ```
//!
//! Files are written without waiting for the disk: after a power failure the digests tell, and the
//! index is built again. Memory holds the words, which are bounded, one digest for each
//! [`BLOCK_ROWS`] actions, and the names of actions that have no completion.

mod file;
mod head;
mod row;
mod words;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::entry::{Entry, EntryId, Phase};
use super::published::{Published, ReadError};
use super::query::Query;
use file::Rows;
use head::{Head, hash_text};
use row::Filter;
use words::Words;

pub(super) use file::BLOCK_ROWS;
pub(super) use row::Row;

/// Entries after which a long catching up is saved, so that a restart need not begin again.
const SAVED_AT_LEAST_EVERY: u64 = 1 << 20;

const WORDS_FILE: &str = "words";
const HEAD_FILE: &str = "head";

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    /// Its files do not hold what they must; building it again helps.
    #[error("the index is damaged")]
    Damaged,
    /// Its folder cannot be used.
    #[error("the index in {path} cannot be used ({cause}); make the folder writable or delete it")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// An index that is open.
#[derive(Debug)]
pub(super) struct Index {
    folder: PathBuf,
    /// Entries of the log that are indexed.
    size: u64,
    rows: Rows,
    words: Words,
    /// Rows of the actions without a completion.
    open: HashMap<EntryId, u64>,
}

impl Index {
    /// Opens the index in a folder, if it is whole and of the log that is read; else starts anew.
    pub(super) fn open(folder: &Path, log: &mut Published) -> Result<Self, IndexError> {
        match Self::load(folder, log) {
            Ok(Some(index)) => Ok(index),
            Ok(None) | Err(IndexError::Damaged) => {
                tracing::info!("the index of the audit log is built anew");
                Self::start(folder)
            }
            Err(error) => Err(error),
        }
    }

    /// An empty index, whatever the folder holds.
    pub(super) fn start(folder: &Path) -> Result<Self, IndexError> {
        let unusable = |cause| IndexError::Folder { path: folder.to_owned(), cause };
        let cleared = match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => super::disk::create_private_directory(folder),
        };
        cleared.map_err(unusable)?;
        let rows = Rows::create(folder).map_err(unusable)?;
        Ok(Self { folder: folder.to_owned(), size: 0, rows, words: Words::default(), open: HashMap::new() })
    }

    /// What the folder holds; none when it is not an index of this log.
    fn load(folder: &Path, log: &mut Published) -> Result<Option<Self>, IndexError> {
        let read = |name: &str| super::disk::read_if_there(&folder.join(name));
        let unusable = |cause| IndexError::Folder { path: folder.to_owned(), cause };
        let Some(head) = read(HEAD_FILE).map_err(unusable)?.and_then(|bytes| Head::from_bytes(&bytes)) else {
            return Ok(None);
        };
        let same_log = head.origin == log.checkpoint().origin
            && head.size <= log.size()
            && log.root_at(head.size)?.to_string() == head.root;
        let words = read(WORDS_FILE).map_err(unusable)?.filter(|words| hash_text(words) == head.words);
        let (Some(words), Some(blocks), true) =
            (words.and_then(|words| Words::from_bytes(&words)), head.blocks(), same_log)
        else {
            return Ok(None);
        };
        let mut rows = Rows::open(folder, head.rows, blocks).map_err(unusable)?;
        let mut open = HashMap::new();
        rows.each(0..head.rows, |number, row| {
            if row.completion().is_none() {
                open.insert(row.id, number);
            }
            true
        })?;
        Ok(Some(Self { folder: folder.to_owned(), size: head.size, rows, words, open }))
    }

    /// Takes up everything that the log has published since. After an error the index has to be
    /// opened again.
    pub(super) fn catch_up(&mut self, log: &mut Published) -> Result<(), IndexError> {
        if self.size >= log.size() {
            return Ok(());
        }
        for index in self.size..log.size() {
            let entry = Entry::from_bytes(&log.entry(index)?);
            self.add(index, entry.map_err(|cause| ReadError::Entry { index, cause })?)?;
            self.size = index + 1;
            if self.size.is_multiple_of(SAVED_AT_LEAST_EVERY) {
                self.save(log)?;
            }
        }
        self.save(log)
    }

    fn add(&mut self, index: u64, entry: Entry) -> Result<(), IndexError> {
        match entry.phase {
            Phase::Open(opening) => {
                let row = Row::open(index, entry.at_ms, entry.entry, &opening, &mut self.words);
                self.open.insert(entry.entry, self.rows.push(row)?);
                Ok(())
            }
            Phase::Complete(completion) => match self.open.remove(&entry.entry) {
                Some(number) => {
                    let words = &mut self.words;
                    self.rows.change(number, |row| row.complete(index, &completion, words))
                }
                // A completion of nothing is for `verify` to name; no action can show it.
                None => Ok(()),
            },
        }
    }

    fn save(&mut self, log: &mut Published) -> Result<(), IndexError> {
        self.rows.write_back()?;
        let unusable = |cause: std::io::Error| match cause.kind() {
            // The folder was taken away.
            std::io::ErrorKind::NotFound => IndexError::Damaged,
            _ => IndexError::Folder { path: self.folder.clone(), cause },
        };
        let words = self.words.to_bytes();
        let root = log.root_at(self.size)?.to_string();
        let head = Head::new(&log.checkpoint().origin, self.size, root, self.rows.count(), &words, self.rows.digests());
        let head = head.to_bytes().map_err(|error| unusable(error.into()))?;
        std::fs::write(self.folder.join(WORDS_FILE), words).map_err(unusable)?;
        let aside = self.folder.join("head.new");
        let placed = std::fs::write(&aside, head).and_then(|()| std::fs::rename(&aside, self.folder.join(HEAD_FILE)));
        placed.map_err(unusable)
    }

    /// Number of actions.
    pub(super) fn rows(&self) -> u64 {
        self.rows.count()
    }

    /// Number of the first action that was opened at an entry or after it.
    pub(super) fn row_of(&mut self, entry: u64) -> Result<u64, IndexError> {
        let (mut begin, mut end) = (0, self.rows.count());
        while begin < end {
            let middle = begin.midpoint(end);
            if self.rows.get(middle)?.opening < entry {
                begin = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(begin)
    }

    /// Candidates for a query about the first `size` entries, oldest first, among the actions of a range
    /// of numbers: at most `limit`, and the number to go on from.
    pub(super) fn first_candidates(
        &mut self,
        query: &Query,
        size: u64,
        range: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Row>, u64), IndexError> {
        let filter = Filter::new(query, size, &self.words);
        let (mut found, mut next) = (Vec::new(), range.end.max(range.start));
        self.rows.each(range, |number, row| {
            if filter.may_match(row) {
                found.push(*row);
            }
            next = number + 1;
            found.len() < limit
        })?;
        Ok((found, next))
    }

    /// As [`Index::first_candidates`], newest first; goes on before the number returned.
    pub(super) fn last_candidates(
        &mut self,
        query: &Query,
        size: u64,
        end: u64,
        limit: usize,
    ) -> Result<(Vec<Row>, u64), IndexError> {
        let filter = Filter::new(query, size, &self.words);
        let (mut found, mut next) = (Vec::new(), 0);
        self.rows.each_back(end, |number, row| {
            if filter.may_match(row) {
                found.push(*row);
            }
            next = number;
            found.len() < limit
        })?;
        Ok((found, next))
    }

    /// The newest action that `is` says it is.
    pub(super) fn newest(&mut self, is: impl Fn(&Row) -> bool) -> Result<Option<Row>, IndexError> {
        let mut found = None;
        self.rows.each_back(self.rows.count(), |_, row| {
            found = is(row).then_some(*row);
            found.is_none()
        })?;
        Ok(found)
    }
}
