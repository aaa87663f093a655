//! A file that appears under its name only when it is whole.
//!
//! Written beside its place as `NAME.partial`, synced and renamed at the end. An error removes it; a
//! killed run leaves at most the partial file, which the next run replaces.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::SampleError;

/// A file being written.
pub(super) struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    bytes: u64,
    committed: bool,
}

impl PartialFile {
    /// Starts the file `name` (may hold folders, made as needed) under `directory`.
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self, SampleError> {
        let path = directory.join(name);
        let partial = directory.join(format!("{name}.partial"));
        let opened = match path.parent() {
            Some(folder) => fs::create_dir_all(folder),
            None => Ok(()),
        };
        match opened.and_then(|()| File::create(&partial)) {
            Ok(file) => Ok(Self { path, partial, file, bytes: 0, committed: false }),
            Err(source) => Err(SampleError::Write { path, source }),
        }
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The error for a failed write to this file.
    pub(super) fn error(&self, source: io::Error) -> SampleError {
        SampleError::Write { path: self.path.clone(), source }
    }

    /// Where the file will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn commit(mut self) -> Result<(), SampleError> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, &self.path))
            .map_err(|source| self.error(source))?;
        self.committed = true;
        Ok(())
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing more can be done here: a partial file left behind carries no final name.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_once_whole_and_an_abandoned_one_keeps_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/b.csv");

        let mut file = PartialFile::create(directory.path(), "a/b.csv").unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!place.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");

        let mut file = PartialFile::create(directory.path(), "a/b.csv").unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(fs::read_dir(directory.path().join("a")).unwrap().count(), 1);
    }
}
