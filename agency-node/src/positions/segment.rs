//! The only code of the store that writes the journal, behind a narrow contract so that tests can let any
//! single step fail.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::journal::segment_name;
use crate::disk;

/// Appends to the journal.
pub(super) trait SegmentStorage: Send + 'static {
    /// Writes bytes at the end; they are durable only after [`SegmentStorage::sync`].
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Starts a segment that begins with these bytes; both are durable on return.
    fn begin(&mut self, first: u64, bytes: &[u8]) -> io::Result<()>;
}

/// The journal's last segment, open for appending.
#[derive(Debug)]
pub(super) struct SegmentFile {
    directory: PathBuf,
    file: File,
}

impl SegmentFile {
    /// Writes a segment anew, with these bytes, and opens it. After a failed write the system may show bytes
    /// that never reached the disk: what was read is not relied on before it is written again.
    pub(super) fn rewrite(directory: &Path, first: u64, bytes: &[u8]) -> io::Result<Self> {
        let path = directory.join(segment_name(first));
        disk::replace(&path, bytes)?;
        Ok(Self { directory: directory.to_owned(), file: disk::open_to_append(&path)? })
    }
}

impl SegmentStorage for SegmentFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn begin(&mut self, first: u64, bytes: &[u8]) -> io::Result<()> {
        *self = Self::rewrite(&self.directory, first, bytes)?;
        Ok(())
    }
}
