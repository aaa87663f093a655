//! The log of a Delta table: one file of actions for each version, and checkpoints that stand for all before.
//!
//! A version is written aside, synced, and linked to its name, which fails where somebody else was first: two
//! writers never write one version, and no version is seen in part.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    actions::{Action, PROTOCOL, Snapshot},
    checkpoint,
};
use crate::{disk, positions::error::StoreError};

pub(super) const LOG_DIRECTORY: &str = "_delta_log";
const LAST_CHECKPOINT: &str = "_last_checkpoint";
/// A version that is being written.
const ASIDE: &str = "tmp";

#[derive(Debug, Serialize, Deserialize)]
struct LastCheckpoint {
    version: u64,
    size: u64,
}

fn version_path(table: &Path, version: u64) -> PathBuf {
    table.join(LOG_DIRECTORY).join(format!("{version:020}.json"))
}

fn checkpoint_path(table: &Path, version: u64) -> PathBuf {
    table.join(LOG_DIRECTORY).join(format!("{version:020}.checkpoint.parquet"))
}

/// Reads the newest version; a table that has none begins.
///
/// # Errors
/// When the log cannot be read, or asks for more than this program knows.
pub(super) fn read(table: &Path) -> Result<Snapshot, StoreError> {
    let mut snapshot = match last_checkpoint(table)? {
        Some(version) => checkpoint::read(&checkpoint_path(table, version), version)?,
        None => Snapshot::default(),
    };
    catch_up(table, &mut snapshot)?;
    Ok(snapshot)
}

/// Reads the versions that others have written since.
pub(super) fn catch_up(table: &Path, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    while let Some(text) = read_if_there(&version_path(table, snapshot.next_version))? {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let action = serde_json::from_str(line).map_err(|error| {
                StoreError::Damaged(format!("version {} of the table cannot be read ({error})", snapshot.next_version))
            })?;
            snapshot.apply(action);
        }
        snapshot.next_version += 1;
    }
    let known = |found: super::actions::Protocol| {
        found.min_reader_version <= PROTOCOL.min_reader_version
            && found.min_writer_version <= PROTOCOL.min_writer_version
    };
    if snapshot.protocol.is_some_and(|found| !known(found)) {
        return Err(StoreError::Damaged("another program gave the table a protocol that is unknown here".to_owned()));
    }
    Ok(())
}

fn last_checkpoint(table: &Path) -> Result<Option<u64>, StoreError> {
    let path = table.join(LOG_DIRECTORY).join(LAST_CHECKPOINT);
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let last: LastCheckpoint = serde_json::from_str(&text)
        .map_err(|error| StoreError::Damaged(format!("{LAST_CHECKPOINT} of the table cannot be read ({error})")))?;
    Ok(Some(last.version))
}

fn read_if_there(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::files(path, &error)),
    }
}

/// Writes a version; durable on return. False when somebody else has written it.
pub(super) fn write(table: &Path, version: u64, actions: &[Action]) -> Result<bool, StoreError> {
    let path = version_path(table, version);
    let write = || -> io::Result<bool> {
        let mut text = String::new();
        for action in actions {
            text.push_str(&serde_json::to_string(action)?);
            text.push('\n');
        }
        let aside = path.with_extension(ASIDE);
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&aside, &path);
        disk::remove(&aside)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        }
    };
    write().map_err(|error| StoreError::files(&path, &error))
}

/// Writes a checkpoint of a version, so that nobody has to read those before it.
pub(super) fn write_checkpoint(table: &Path, snapshot: &Snapshot, removed_after_ms: i64) -> Result<(), StoreError> {
    let Some(version) = snapshot.next_version.checked_sub(1) else { return Ok(()) };
    let actions = snapshot.to_actions(removed_after_ms);
    let path = checkpoint_path(table, version);
    let write = || -> io::Result<()> {
        disk::replace(&path, &checkpoint::encode(&actions)?)?;
        let last = LastCheckpoint { version, size: actions.len() as u64 };
        disk::replace(&table.join(LOG_DIRECTORY).join(LAST_CHECKPOINT), &serde_json::to_vec(&last)?)
    };
    write().map_err(|error| StoreError::files(&path, &error))
}

/// Deletes versions and checkpoints before the last checkpoint that were written before a moment.
pub(super) fn forget(table: &Path, before_ms: i64) -> Result<(), StoreError> {
    let Some(last) = last_checkpoint(table)? else { return Ok(()) };
    let log = table.join(LOG_DIRECTORY);
    let forget = || -> io::Result<()> {
        for file in fs::read_dir(&log)? {
            let file = file?;
            let name = file.file_name();
            let version = name.to_str().and_then(|name| name.split_once('.')?.0.parse::<u64>().ok());
            if version.is_some_and(|version| version < last) && super::vacuum::modified_ms(&file)? < before_ms {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    };
    forget().map_err(|error| StoreError::files(&log, &error))
}
