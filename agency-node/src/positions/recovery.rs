//! Opening a store: first run, clean start, or the morning after a crash.
//!
//! Opening never makes a store fit: where journal and table disagree, it refuses.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use prost::Message;

use super::{
    error::StoreError,
    journal::{encode_frame, read_tail, segment_name, segments},
    segment::SegmentFile,
    streams::Streams,
    table::Table,
};

/// A journal ready to be written.
pub(super) struct Recovered {
    pub(super) file: SegmentFile,
    pub(super) streams: Streams,
    pub(super) segment_first: u64,
    pub(super) segment_bytes: u64,
    pub(super) end: u64,
}

impl Recovered {
    /// Streams as far as they are durable: all.
    pub(super) fn streams(&self) -> Streams {
        let mut streams = Streams::default();
        streams.read(&self.streams.to_group());
        streams
    }
}

/// Opens the journal, or starts one, without what a crash left of batches that were never acknowledged.
pub(super) fn recover(journal: &Path) -> Result<Recovered, StoreError> {
    let mut streams = Streams::default();
    let (first, bytes, end) = match read_tail(journal)? {
        Some(tail) if tail.groups.is_empty() => {
            return Err(StoreError::Damaged(format!("segment {} of the journal is empty", tail.first)));
        }
        Some(tail) => {
            if tail.torn_bytes > 0 {
                tracing::warn!(
                    bytes = tail.torn_bytes,
                    "positions had a torn end that belongs to no acknowledged batch; dropped"
                );
            }
            tail.groups.iter().for_each(|group| streams.read(group));
            (tail.first, tail.bytes, tail.end)
        }
        None => (0, encode_frame(0, &streams.to_group().encode_to_vec()), 0),
    };
    let file = SegmentFile::rewrite(journal, first, &bytes).map_err(|error| StoreError::files(journal, &error))?;
    Ok(Recovered { file, streams, segment_first: first, segment_bytes: bytes.len() as u64, end })
}

/// Compares how far the table has settled with what the journal holds.
pub(super) fn fits(table: &Table, journal: &Path, end: u64) -> Result<(), StoreError> {
    let (settled, first) = (table.settled(), segments(journal)?.first().copied().unwrap_or(0));
    if (first..=end).contains(&settled) {
        return Ok(());
    }
    Err(StoreError::Damaged(format!("the table goes to place {settled}, the journal from {first} to {end}")))
}

/// Length of all segments.
pub(super) fn bytes_of(journal: &Path) -> Result<u64, StoreError> {
    let length = |first| {
        let path = journal.join(segment_name(first));
        fs::metadata(&path).map(|file| file.len()).map_err(|error| StoreError::files(&path, &error))
    };
    segments(journal)?.into_iter().map(length).sum()
}

/// Takes the store for this process alone.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| StoreError::files(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(directory.display().to_string())),
        Err(TryLockError::Error(error)) => Err(StoreError::files(&path, &error)),
    }
}
