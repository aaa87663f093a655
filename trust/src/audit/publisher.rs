//! The thread that cuts durable entries into tiles and signs checkpoints.
//!
//! It is handed only entries that are durable in the journal, so a checkpoint never promises what a
//! crash can take away. Full tiles are synced before the checkpoint that needs them; partial tiles
//! are not, because they can be derived from the journal, which is trimmed only as far as full
//! tiles reach. The journal, not this thread, decides how long a caller waits.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::checkpoint::{CheckpointError, SignCheckpoint, SignedCheckpoint};
use super::disk::TileStorage;
use super::error::AuditError;
use super::recovery::{CHECKPOINT_FILE, COSIGNED_FILE};
use super::tiles::{TILE_WIDTH, TileError, TileId, TileTree};

/// Full tiles waiting in memory beyond this many bytes are published at once.
const WAITING_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// What failed first, if anything has; shared by all parts of an open log.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<OnceLock<AuditError>>);

impl Health {
    /// Refuses everything from now on, because something could not be written.
    pub(super) fn poison(&self, cause: &dyn std::fmt::Display) {
        self.refuse(AuditError::unwritable(cause));
    }

    /// Refuses everything from now on.
    pub(super) fn refuse(&self, error: AuditError) {
        tracing::error!(%error, "the audit log refuses all work");
        // Only the first cause is of use; later ones follow from it.
        let _ = self.0.set(error);
    }

    /// # Errors
    /// What was refused first.
    pub(super) fn check(&self) -> Result<(), AuditError> {
        self.0.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

/// A durable entry with its share of the queue, which is free again once the tree has it.
pub(super) struct Durable {
    pub(super) bytes: Vec<u8>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What the writer tells the publisher.
pub(super) enum Update {
    Entries(Vec<Durable>),
    Flush(Reply),
    /// A checkpoint of this log with signatures of witnesses under it.
    Cosigned(SignedCheckpoint, Reply),
}

/// Told when it is done.
pub(super) type Reply = oneshot::Sender<Result<(), AuditError>>;

#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Sign(#[from] CheckpointError),
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// What others are told of.
pub(super) struct Announced {
    /// The newest checkpoint, under the log's own signature alone.
    pub(super) published: watch::Sender<SignedCheckpoint>,
    /// The newest checkpoint that enough witnesses have cosigned, with their signatures.
    pub(super) cosigned: watch::Sender<Option<SignedCheckpoint>>,
}

pub(super) struct Publisher<S, K> {
    pub(super) tree: TileTree,
    pub(super) signer: K,
    pub(super) storage: S,
    pub(super) health: Health,
    /// The longest time from an entry to its checkpoint.
    pub(super) interval: Duration,
    /// Size of the newest checkpoint written by this process.
    pub(super) published: Option<u64>,
    /// Its partial tiles.
    pub(super) edge: BTreeSet<TileId>,
    pub(super) announced: Arc<Announced>,
}

impl<S: TileStorage, K: SignCheckpoint> Publisher<S, K> {
    pub(super) fn run(mut self, updates: &Receiver<Update>) {
        let mut due: Option<Instant> = None;
        loop {
            let received = match due {
                None => updates.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => updates.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match received {
                Ok(Update::Entries(entries)) => {
                    self.take(entries);
                    due.get_or_insert_with(|| Instant::now() + self.interval);
                }
                Ok(Update::Flush(reply)) => {
                    // Whoever asked may have gone; the flush is done all the same.
                    let _ = reply.send(self.publish());
                    due = None;
                }
                Ok(Update::Cosigned(checkpoint, reply)) => {
                    let _ = reply.send(self.keep_cosigned(checkpoint));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let late = due.is_some_and(|at| at <= Instant::now());
            if late || self.tree.waiting_bytes() > WAITING_LIMIT_BYTES {
                due = None;
                // A failure is kept in the health of the log and met by the next caller.
                let _ = self.publish();
            }
        }
        let _ = self.publish();
    }

    fn take(&mut self, entries: Vec<Durable>) {
        for Durable { bytes, permit } in entries {
            if let Err(error) = self.tree.push(&bytes) {
                self.health.poison(&error);
            }
            drop(permit);
        }
    }

    /// Writes the tiles and the checkpoint of the tree as it stands.
    ///
    /// # Errors
    /// [`AuditError::Unwritable`]; the log is then poisoned.
    pub(super) fn publish(&mut self) -> Result<(), AuditError> {
        self.health.check()?;
        if self.published != Some(self.tree.size())
            && let Err(error) = self.write()
        {
            self.health.poison(&error);
        }
        self.health.check()
    }

    fn write(&mut self) -> Result<(), PublishError> {
        let full = self.tree.take_full();
        for (tile, bytes) in &full {
            self.storage.put_synced(&tile.path(), bytes)?;
        }
        self.storage.sync_names()?;
        let edge = self.tree.edge();
        for (tile, bytes) in edge.iter().filter(|(tile, _)| !self.edge.contains(tile)) {
            self.storage.put(&tile.path(), bytes)?;
        }
        let (size, root) = (self.tree.size(), self.tree.root());
        let signed = SignedCheckpoint { size, note: self.signer.sign(size, root)? };
        // After a restart the same checkpoint may have been cosigned before.
        let cosigned = self.announced.cosigned.borrow().clone().filter(|cosigned| cosigned.continues(&signed));
        let note = cosigned.map_or_else(|| signed.note.clone(), |cosigned| cosigned.note);
        self.storage.put_synced(CHECKPOINT_FILE, note.as_bytes())?;
        self.storage.sync_names()?;
        self.published = Some(size);
        self.announced.published.send_replace(signed);
        self.edge = edge.into_iter().map(|(tile, _)| tile).collect();
        self.tidy(&full, size - size % TILE_WIDTH);
        Ok(())
    }

    /// Keeps the signatures of witnesses: beside the checkpoint, and under it while it is the newest.
    ///
    /// # Errors
    /// What the log refuses with; when they cannot be written the log is poisoned.
    fn keep_cosigned(&mut self, cosigned: SignedCheckpoint) -> Result<(), AuditError> {
        self.health.check()?;
        if let Err(error) = self.write_cosigned(&cosigned) {
            self.health.poison(&error);
        }
        self.health.check()?;
        self.announced.cosigned.send_replace(Some(cosigned));
        Ok(())
    }

    fn write_cosigned(&mut self, cosigned: &SignedCheckpoint) -> std::io::Result<()> {
        self.storage.put_synced(COSIGNED_FILE, cosigned.note.as_bytes())?;
        if self.published == Some(cosigned.size) {
            self.storage.put_synced(CHECKPOINT_FILE, cosigned.note.as_bytes())?;
        }
        self.storage.sync_names()
    }

    /// Removes what full tiles have made superfluous. Nothing depends on its success: what is
    /// left over now goes the next time or at the next start.
    fn tidy(&mut self, full: &[(TileId, Vec<u8>)], sealed: u64) {
        let mut result = Ok(());
        for (tile, _) in full {
            result = result.and(self.storage.remove_partials(&tile.partials_path()));
        }
        if let Err(error) = result.and(self.storage.trim_journal(sealed)) {
            tracing::warn!(%error, "superfluous files of the audit log could not be removed");
        }
    }
}
