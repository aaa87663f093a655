//! Checking a log from its files alone.
//!
//! Every entry is hashed, every tile computed anew and compared byte for byte, the root compared
//! with the signed checkpoint, and every entry read for what it says: one completion for an
//! opening, and no time that runs backwards. Memory does not grow with the number of entries. A log
//! that is being written can be checked; nothing is changed or locked.
//!
//! It does not prove that the log is the one that others were shown: an older copy of a log is a
//! good log. That takes witnesses: the log must lead to what lies beside it under their signatures,
//! which whoever has their keys then checks.

mod witnessed;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use super::disk::{partial_widths, read_tile};
use super::entry::{Entry, EntryError, EntryId, Phase};
use super::journal::{self, Journal, JournalError};
use super::merkle::Hash;
use super::recovery::{CHECKPOINT_FILE, VERIFIER_FILE};
use super::tiles::{TILE_WIDTH, TileId, TileKind, TileTree, decode_hashes, narrowed, split_bundle};

pub use witnessed::Cosigned;

/// How far the time of an entry may lie before that of an earlier one.
pub const TIME_TOLERANCE_MS: i64 = 60_000;

/// What a log was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Name of the log.
    pub origin: String,
    /// Entries under the signed checkpoint.
    pub entries: u64,
    /// Root of the signed checkpoint.
    pub root: Hash,
    /// Entries in the journal that no checkpoint covers yet.
    pub pending: u64,
    /// Openings, pending ones included.
    pub opened: u64,
    /// Completions, pending ones included.
    pub completed: u64,
    /// Openings without a completion: work in progress, or cut off by a crash.
    pub still_open: u64,
    /// Time of the newest entry under the checkpoint, in milliseconds since 1970-01-01T00:00:00Z.
    pub checkpoint_at_ms: Option<i64>,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{path} cannot be read ({cause}); name the audit directory and make it readable")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The checkpoint or its signature is wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The journal is wrong.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal is missing or ends before the checkpoint.
    #[error(
        "the log is truncated: its checkpoint counts {published} entries and its journal ends at \
         {held}; restore the directory from a backup"
    )]
    Truncated {
        /// Entries counted by the checkpoint.
        published: u64,
        /// Index after the last entry of the journal.
        held: u64,
    },
    /// The checkpoint does not reach the journal.
    #[error(
        "the checkpoint counts {published} entries and the journal begins at {first}: the \
         checkpoint is an older one; restore the newest"
    )]
    OldCheckpoint {
        /// Entries counted by the checkpoint.
        published: u64,
        /// Index of the journal's first entry.
        first: u64,
    },
    /// A tile or entry bundle is not there.
    #[error("{tile} is missing; restore it, or start the log's process once to rebuild its edge")]
    Missing {
        /// Its path inside the directory.
        tile: String,
    },
    /// A tile or entry bundle does not hold what the entries lead to.
    #[error("{tile} is not what the entries lead to; it was changed: compare it with a backup")]
    Tile {
        /// Its path inside the directory.
        tile: String,
    },
    /// An entry does not have the hash that its tile records.
    #[error("entry {index} does not have the hash in {tile}; one was changed: compare with a backup")]
    Hash {
        /// Index of the entry.
        index: u64,
        /// Path of the tile inside the directory.
        tile: String,
    },
    /// Journal and tiles hold different entries.
    #[error("entry {index} differs between journal and tiles; one was changed: compare with a backup")]
    JournalEntry {
        /// Index of the entry.
        index: u64,
    },
    /// The tree has another root than the signed one.
    #[error(
        "the {size} entries do not lead to the signed root; they were changed: compare with a \
         backup"
    )]
    Root {
        /// Entries counted by the checkpoint.
        size: u64,
    },
    /// An entry cannot be understood.
    #[error("entry {index}: {cause}")]
    Entry {
        /// Index of the entry.
        index: u64,
        /// What is wrong with it.
        cause: EntryError,
    },
    /// An entry is older than one before it.
    #[error("entry {index} is {behind_ms} ms older than one before it; ask who set the clock back")]
    TimeWentBack {
        /// Index of the entry.
        index: u64,
        /// How far, in milliseconds.
        behind_ms: i64,
    },
    /// Two openings share a name, the first one still being open.
    #[error("entry {index} opens again what is open; ask the log's owner who wrote it")]
    OpenedTwice {
        /// Index of the second opening.
        index: u64,
    },
    /// The checkpoint that witnesses have cosigned is not this log's.
    #[error("the cosigned checkpoint, `cosigned`: {cause}")]
    Cosigned {
        /// What is wrong with it.
        cause: CheckpointError,
    },
    /// The log does not lead to what its witnesses have cosigned.
    #[error(
        "its witnesses have cosigned another history of {cosigned} entries than these {entries}; this is an older or \
         a changed copy: restore the newest, and keep both"
    )]
    NotAsCosigned {
        /// Entries that the cosigned checkpoint counts.
        cosigned: u64,
        /// Entries of this log.
        entries: u64,
    },
    /// A witness holds a checkpoint that the log signed and does not lead to.
    #[error(
        "{witness} holds a checkpoint of this log over {held} entries that these {entries} do not lead to; the \
         proof lies beside the log, in `contradiction`: restore the newest copy, and keep both"
    )]
    Contradicted {
        /// Who holds it.
        witness: String,
        /// Entries that it counts.
        held: u64,
        /// Entries of this log.
        entries: u64,
    },
    /// The tiles cannot be read for a comparison.
    #[error("{cause}")]
    Tiles {
        /// What is wrong with them.
        cause: String,
    },
    /// A completion has no opening, or the opening has a completion already.
    #[error("entry {index} completes what is not open; ask the log's owner who wrote it")]
    NotOpen {
        /// Index of the completion.
        index: u64,
    },
}

/// Checks the log in a directory against the key in its `audit.vkey`.
///
/// # Errors
/// The first thing found wrong, as a [`VerifyError`] that names the entry or the tile.
pub fn verify_directory(directory: &Path) -> Result<Verified, VerifyError> {
    verify_each(directory, |_| {})
}

/// As [`verify_directory`], and visits every entry in order. What was visited is proved only when the
/// whole log is found good.
///
/// # Errors
/// The first thing found wrong, as a [`VerifyError`] that names the entry or the tile.
pub fn verify_each(directory: &Path, mut visit: impl FnMut(&Entry)) -> Result<Verified, VerifyError> {
    Ok(verify(directory, &own_key(directory)?, &mut visit)?.0)
}

/// Checks the log in a directory against a key that was obtained elsewhere, which also proves whose
/// log it is.
///
/// # Errors
/// The first thing found wrong, as a [`VerifyError`] that names the entry or the tile.
pub fn verify_directory_with(directory: &Path, key: &VerifierKey) -> Result<Verified, VerifyError> {
    Ok(verify_witnessed(directory, key)?.0)
}

/// As [`verify_directory_with`], with what witnesses have cosigned of the log; `None` when none ever has.
///
/// # Errors
/// The first thing found wrong, as a [`VerifyError`] that names the entry or the tile.
pub fn verify_witnessed(directory: &Path, key: &VerifierKey) -> Result<(Verified, Option<Cosigned>), VerifyError> {
    verify(directory, key, &mut |_| {})
}

/// The key that lies beside a log: whoever wrote the log wrote it.
///
/// # Errors
/// [`VerifyError::Io`] or [`VerifyError::Checkpoint`].
pub fn own_key(directory: &Path) -> Result<VerifierKey, VerifyError> {
    let text = read_text(&directory.join(VERIFIER_FILE))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).parse()?)
}

fn verify(directory: &Path, key: &VerifierKey, visit: Visit<'_>) -> Result<(Verified, Option<Cosigned>), VerifyError> {
    // Before the newest checkpoint, which a cosigned one never runs ahead of.
    let cosigned = witnessed::read(directory, key)?;
    let (journal, checkpoint) = read_together(directory, key)?;
    let (tree, story) = (TileTree::default(), Story::telling(visit));
    let verified = Check { directory, journal, checkpoint, tree, story }.run()?;
    witnessed::check(directory, key, verified.entries, cosigned.as_ref())?;
    Ok((verified, cosigned))
}

/// How often a log that is being written may run away from its reader.
const READ_TIMES: usize = 20;

/// Journal and checkpoint of one moment. They are two files, and a log that is being written publishes or
/// trims between the two reads now and then: what does not fit together is read again.
fn read_together(directory: &Path, key: &VerifierKey) -> Result<(Journal, Checkpoint), VerifyError> {
    let mut read = read_once(directory, key);
    for _ in 1..READ_TIMES {
        if !matches!(read, Err(VerifyError::Truncated { .. } | VerifyError::OldCheckpoint { .. })) {
            break;
        }
        read = read_once(directory, key);
    }
    read
}

fn read_once(directory: &Path, key: &VerifierKey) -> Result<(Journal, Checkpoint), VerifyError> {
    let journal = journal::read(directory)?;
    let checkpoint = key.verify(&read_text(&directory.join(CHECKPOINT_FILE))?)?;
    let published = checkpoint.size;
    match journal {
        None => Err(VerifyError::Truncated { published, held: 0 }),
        Some(journal) if published > journal.end() => Err(VerifyError::Truncated { published, held: journal.end() }),
        Some(journal) if published < journal.first => {
            Err(VerifyError::OldCheckpoint { published, first: journal.first })
        }
        Some(journal) => Ok((journal, checkpoint)),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> VerifyError {
    VerifyError::Io { path: path.to_owned(), cause: cause.to_string() }
}

fn read_text(path: &Path) -> Result<String, VerifyError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

struct Check<'a> {
    directory: &'a Path,
    journal: Journal,
    checkpoint: Checkpoint,
    tree: TileTree,
    story: Story<'a>,
}

impl Check<'_> {
    fn run(mut self) -> Result<Verified, VerifyError> {
        let size = self.checkpoint.size;
        while self.tree.size() < size {
            self.next_bundle()?;
        }
        for (tile, bytes) in self.tree.edge() {
            self.compare(tile, &bytes)?;
        }
        if self.tree.root() != self.checkpoint.root {
            return Err(VerifyError::Root { size });
        }
        let checkpoint_at_ms = self.story.newest_at_ms;
        for index in size..self.journal.end() {
            self.story.read(index, self.journal.entry(index).unwrap_or_default())?;
        }
        Ok(Verified {
            origin: self.checkpoint.origin,
            entries: size,
            root: self.checkpoint.root,
            pending: self.journal.end() - size,
            opened: self.story.opened,
            completed: self.story.completed,
            still_open: self.story.open.len() as u64,
            checkpoint_at_ms,
        })
    }

    /// Reads the next bundle, and compares its entries with the hashes beside it and, as far as
    /// that reaches, with the journal; then the tiles that have become full.
    fn next_bundle(&mut self) -> Result<(), VerifyError> {
        let first = self.tree.size();
        let index = first / TILE_WIDTH;
        let width = (self.checkpoint.size - first).min(TILE_WIDTH) as u16;
        let bundle = TileId { kind: TileKind::Entries, index, width };
        let tile = TileId { kind: TileKind::Hashes(0), index, width };
        let bytes = self.read(bundle)?;
        let entries = split_bundle(&bytes).map_err(|_| wrong(bundle))?;
        let hashes = decode_hashes(&self.read(tile)?).map_err(|_| wrong(tile))?;
        if entries.len() != usize::from(width) {
            return Err(wrong(bundle));
        }
        for (offset, entry) in entries.into_iter().enumerate() {
            let index = first + offset as u64;
            let leaf = self.tree.push(entry).map_err(|_| wrong(bundle))?;
            if hashes.get(offset) != Some(&leaf) {
                return Err(VerifyError::Hash { index, tile: tile.path() });
            }
            if self.journal.entry(index).is_some_and(|kept| kept != entry) {
                return Err(VerifyError::JournalEntry { index });
            }
            self.story.read(index, entry)?;
        }
        for (tile, bytes) in self.tree.take_full() {
            self.compare(tile, &bytes)?;
        }
        Ok(())
    }

    fn read(&self, tile: TileId) -> Result<Vec<u8>, VerifyError> {
        let bytes =
            read_tile(self.directory, tile).map_err(|error| unreadable(&self.directory.join(tile.path()), &error))?;
        bytes.ok_or_else(|| VerifyError::Missing { tile: tile.path() })
    }

    /// Compares a tile on disk, and the narrower ones that older checkpoints needed, with what the
    /// entries lead to. Wider ones belong to a newer checkpoint than the one being checked.
    fn compare(&self, tile: TileId, expected: &[u8]) -> Result<(), VerifyError> {
        if self.read(tile)? != expected {
            return Err(wrong(tile));
        }
        let widths = partial_widths(self.directory, tile.kind, tile.index)
            .map_err(|error| unreadable(&self.directory.join(tile.partials_path()), &error))?;
        for width in widths.into_iter().filter(|width| *width < tile.width) {
            let narrow = TileId { width, ..tile };
            if self.read(narrow)? != narrowed(tile.kind, expected, width).unwrap_or_default() {
                return Err(wrong(narrow));
            }
        }
        Ok(())
    }
}

fn wrong(tile: TileId) -> VerifyError {
    VerifyError::Tile { tile: tile.path() }
}

type Visit<'a> = &'a mut dyn FnMut(&Entry);

/// What the entries say, one after the other.
struct Story<'a> {
    visit: Visit<'a>,
    open: HashSet<EntryId>,
    opened: u64,
    completed: u64,
    newest_at_ms: Option<i64>,
}

impl<'a> Story<'a> {
    fn telling(visit: Visit<'a>) -> Self {
        Self { visit, open: HashSet::new(), opened: 0, completed: 0, newest_at_ms: None }
    }

    fn read(&mut self, index: u64, bytes: &[u8]) -> Result<(), VerifyError> {
        let entry = Entry::from_bytes(bytes).map_err(|cause| VerifyError::Entry { index, cause })?;
        let newest = self.newest_at_ms.unwrap_or(entry.at_ms);
        let behind_ms = newest.saturating_sub(entry.at_ms);
        if behind_ms > TIME_TOLERANCE_MS {
            return Err(VerifyError::TimeWentBack { index, behind_ms });
        }
        self.newest_at_ms = Some(newest.max(entry.at_ms));
        (self.visit)(&entry);
        match entry.phase {
            Phase::Open(_) if !self.open.insert(entry.entry) => Err(VerifyError::OpenedTwice { index }),
            Phase::Complete(_) if !self.open.remove(&entry.entry) => Err(VerifyError::NotOpen { index }),
            Phase::Open(_) => {
                self.opened += 1;
                Ok(())
            }
            Phase::Complete(_) => {
                self.completed += 1;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
