//! Why the audit log refuses: each message says what the operator does next.

use std::path::{Path, PathBuf};

use super::checkpoint::CheckpointError;
use super::entry::EntryError;
use super::journal::JournalError;
use super::merkle::MerkleError;
use super::tiles::TileError;

/// Why a log cannot be opened, or an entry cannot be recorded.
///
/// Whatever the reason, nothing was recorded and the work must not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The directory or a file in it cannot be used.
    #[error(
        "the audit log cannot use {path} ({cause}); make it writable for this process or name \
         another audit directory"
    )]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Another process has the log open.
    #[error("another process is writing the audit log in {path}; stop it or name another directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The signing key is gone, unreadable, or open to others.
    #[error("the audit key {path} {problem}")]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// The checkpoint or the verifier key was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The directory holds the log of another origin or key.
    #[error("the audit directory belongs to {found}, not to {expected}; name the directory of this process")]
    OtherLog {
        /// The verifier key in the directory.
        found: String,
        /// The verifier key of this process.
        expected: String,
    },
    /// Entries or files that must be there are not.
    #[error("the audit log is damaged: {problem}; restore the directory from a backup and verify it")]
    Damaged {
        /// What is missing or wrong.
        problem: String,
    },
    /// The published checkpoint counts more entries than the files hold.
    #[error(
        "the audit log is truncated: its checkpoint counts {published} entries and its files hold \
         {held}; restore the directory from a backup"
    )]
    Truncated {
        /// Entries counted by the checkpoint.
        published: u64,
        /// Entries found.
        held: u64,
    },
    /// The files lead to another root than the published one.
    #[error(
        "the audit log was changed: its files do not lead to the root of its checkpoint at {size} \
         entries; run `sallyport audit verify` to find the place"
    )]
    Disagrees {
        /// Entries counted by the checkpoint.
        size: u64,
    },
    /// The entry itself cannot be recorded.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The clock stands before the newest entry.
    #[error("the clock of this machine is {behind_ms} ms behind the newest audit entry; set the clock")]
    ClockBehind {
        /// How far, in milliseconds.
        behind_ms: i64,
    },
    /// A witness holds a checkpoint, signed by this log, that this log does not lead to.
    #[error(
        "the audit log contradicts what it signed before: {witness} holds its checkpoint of {held} entries, \
         which these {own} entries do not lead to. This is an older or a changed copy: put back the newest one \
         and restart this process"
    )]
    Contradicted {
        /// Name of the witness.
        witness: String,
        /// Entries counted by the checkpoint that the witness holds.
        held: u64,
        /// Entries under the newest checkpoint here.
        own: u64,
    },
    /// A witness knows this party's log under another key.
    #[error(
        "{witness} knows this party's audit log under another key: the log was replaced. Put back the audit \
         directory with its key; if it is lost, the operators of all witnesses must forget the old log first"
    )]
    Replaced {
        /// Name of the witness.
        witness: String,
    },
    /// No quorum of witnesses has cosigned for longer than the grace period.
    #[error(
        "the audit log's witnesses have not cosigned for more than {grace_s} s, so no work begins; connect this \
         process with them and it goes on by itself"
    )]
    WitnessesAway {
        /// The grace period, in seconds.
        grace_s: i64,
    },
    /// The log could not be written and refuses everything until it is opened again.
    #[error(
        "the audit log cannot be written ({cause}), so no work is done; free or repair the disk \
         and restart this process"
    )]
    Unwritable {
        /// What failed first.
        cause: String,
    },
}

impl AuditError {
    pub(super) fn unwritable(cause: &dyn std::fmt::Display) -> Self {
        Self::Unwritable { cause: cause.to_string() }
    }

    pub(super) fn io(path: &Path, cause: &std::io::Error) -> Self {
        Self::Directory { path: path.to_owned(), cause: cause.to_string() }
    }
}

impl From<JournalError> for AuditError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io { path, cause } => Self::Directory { path, cause },
            other => Self::Damaged { problem: other.to_string() },
        }
    }
}

impl From<MerkleError> for AuditError {
    fn from(error: MerkleError) -> Self {
        Self::Damaged { problem: error.to_string() }
    }
}

impl From<TileError> for AuditError {
    fn from(error: TileError) -> Self {
        Self::Damaged { problem: error.to_string() }
    }
}
