//! Deleting files that belong to no version that may still be read.

use std::{
    fs::{self, DirEntry},
    io,
    path::Path,
    time::UNIX_EPOCH,
};

use super::{actions::Snapshot, rows::DAY};
use crate::positions::error::StoreError;

/// Deletes data files that were removed, or written and never committed, before a moment.
pub(super) fn delete_unused(table: &Path, snapshot: &Snapshot, before_ms: i64) -> Result<(), StoreError> {
    let delete = || -> io::Result<()> {
        for day in fs::read_dir(table)? {
            let day = day?;
            let name = day.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!("{DAY}=")) && day.file_type()?.is_dir() {
                delete_in_day(&day, &name, snapshot, before_ms)?;
            }
        }
        Ok(())
    };
    delete().map_err(|error| StoreError::files(table, &error))
}

fn delete_in_day(day: &DirEntry, name: &str, snapshot: &Snapshot, before_ms: i64) -> io::Result<()> {
    let mut left = 0;
    for file in fs::read_dir(day.path())? {
        let file = file?;
        let path = format!("{name}/{}", file.file_name().to_string_lossy());
        let removed = snapshot.removed.get(&path).map(|removed| removed.deletion_timestamp.unwrap_or(0));
        let unused_since_ms = match removed {
            Some(at_ms) => at_ms,
            None => modified_ms(&file)?,
        };
        if !snapshot.files.contains_key(&path) && unused_since_ms < before_ms {
            fs::remove_file(file.path())?;
        } else {
            left += 1;
        }
    }
    if left == 0 { fs::remove_dir(day.path()) } else { Ok(()) }
}

/// When a file was last written, in milliseconds since 1970.
pub(super) fn modified_ms(file: &DirEntry) -> io::Result<i64> {
    let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
