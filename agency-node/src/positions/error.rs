//! Why the store refuses: each message says what to do next.

use std::{io, path::Path};

use sallyport_trust::error::{Kind, Refusal};

/// Why a store cannot be opened, or a batch is not taken. Whatever the reason, nothing was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be used.
    #[error("the positions in {path} cannot be used ({cause}); check space and permissions")]
    Files {
        /// The file or directory.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// Another process has the store open.
    #[error("another process is using the positions in {0}; stop it or name another directory")]
    Locked(String),
    /// Files do not hold what was acknowledged.
    #[error("the positions are damaged: {0}; restore the directory from a backup")]
    Damaged(String),
    /// A write failed; nothing is taken until the store is opened again.
    #[error("positions cannot be written ({0}); free or repair the disk and start the node again")]
    Unwritable(String),
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(&'static str),
    /// A batch does not follow the last one of its stream.
    #[error("the next batch of this stream is {expected}, and {sequence} came; go on with {expected}")]
    Gap {
        /// The number that would have been taken.
        expected: u64,
        /// The number that came.
        sequence: u64,
    },
    /// A batch holds too much.
    #[error("the batch is too large; send at most 10,000 points in a batch")]
    TooLarge,
    /// A feed or a stream has no name that can be kept.
    #[error(
        "feeds and streams are named by 1 to 64 letters, digits and `-`, `_`, `.`, `:`, not `.` at first; choose such a name"
    )]
    Name,
    /// A position was not judged before it came here.
    #[error("a position is out of range; leave it out or correct it")]
    Position,
    /// More waits for the table than may wait.
    #[error("the node has not yet settled what came before; send the batch again in a few seconds")]
    Full,
    /// Another program wrote the next version of the table; what was to be done is done again on that.
    #[error("another program has written to the table of positions; nothing is lost, the work is done again")]
    Overtaken,
    /// The place that a follower remembers is no longer in the journal.
    #[error("batches before {first} have left the journal; read the table up to there and go on from {first}")]
    PlaceGone {
        /// The first place that can be read.
        first: u64,
    },
}

impl StoreError {
    pub(super) fn files(path: &Path, cause: &io::Error) -> Self {
        Self::Files { path: path.display().to_string(), cause: cause.to_string() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let (kind, reason) = match &error {
            StoreError::Gap { .. } => (Kind::Conflict, "sequence_gap"),
            StoreError::TooLarge => (Kind::BadInput, "batch_too_large"),
            StoreError::Name => (Kind::BadInput, "stream_name"),
            StoreError::Position => (Kind::BadInput, "position_out_of_range"),
            StoreError::Full => (Kind::Unavailable, "positions_full"),
            StoreError::PlaceGone { .. } => (Kind::NotFound, "place_gone"),
            StoreError::Unwritable(cause) => {
                tracing::error!(cause, "positions cannot be written");
                let message = "The node cannot keep positions until its operator has seen to it. Try again later.";
                return Refusal::new(Kind::Unavailable, "positions_unwritable", message);
            }
            _ => return Refusal::internal("positions_failed", &error),
        };
        Refusal::new(kind, reason, error.to_string())
    }
}
