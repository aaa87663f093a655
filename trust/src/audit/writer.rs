//! The thread that makes entries durable.
//!
//! It takes whatever is queued, writes it to the journal as one frame, waits for the disk once, and
//! then answers all of them: many callers share one `fdatasync`. It never answers before, and after
//! the first failure it never answers yes again.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::disk::JournalStorage;
use super::entry::EntryId;
use super::error::AuditError;
use super::journal::encode_frame;
use super::publisher::{Durable, Health, Update};
use super::tiles::{TileError, append_entry};

/// A batch ends when it holds this many bytes.
const BATCH_LIMIT_BYTES: usize = 1024 * 1024;

/// Callers stamp their entries themselves and may overtake each other by this much. Half of what
/// verification tolerates, because the newest time is known after a restart only this exactly.
const OVERTAKING_LIMIT_MS: i64 = 30_000;

/// Which half of an action an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Opening,
    Completion,
}

/// One entry to write.
pub(super) struct Append {
    pub(super) id: EntryId,
    pub(super) half: Half,
    pub(super) at_ms: i64,
    pub(super) bytes: Vec<u8>,
    /// The entry's share of the queue.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Told the entry's index once it is durable; nobody waits for an abandoned entry.
    pub(super) reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
}

impl Append {
    fn answer(&mut self, answer: Result<u64, AuditError>) {
        if let Some(reply) = self.reply.take() {
            // The caller may have gone; its entry stands all the same.
            let _ = reply.send(answer);
        }
    }
}

/// What callers ask of the writer.
pub(super) enum Job {
    Append(Append),
    /// Passed on to the publisher, after everything that came before.
    Publish(Update),
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Tile(#[from] TileError),
}

pub(super) struct Writer<S> {
    pub(super) storage: S,
    pub(super) health: Health,
    pub(super) updates: Sender<Update>,
    /// Index of the next entry.
    pub(super) next: u64,
    /// Length of the journal's last segment.
    pub(super) segment_bytes: u64,
    /// A segment that holds this many bytes is followed by a new one.
    pub(super) segment_limit_bytes: u64,
    pub(super) newest_at_ms: Option<i64>,
    /// Entries of this process that have no completion yet.
    pub(super) open: HashSet<EntryId>,
}

impl<S: JournalStorage> Writer<S> {
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let (batch, update) = gather(job, jobs);
            self.commit(batch);
            if let Some(update) = update {
                self.tell_publisher(update);
            }
        }
    }

    fn commit(&mut self, batch: Vec<Append>) {
        let mut batch: Vec<Append> = batch.into_iter().filter_map(|append| self.admit(append)).collect();
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.write(&batch) {
            self.health.poison(&error);
        }
        let written = self.health.check();
        for (append, index) in batch.iter_mut().zip(self.next..) {
            append.answer(written.clone().map(|()| index));
        }
        if written.is_ok() {
            self.next += batch.len() as u64;
            let durable = |append: Append| Durable { bytes: append.bytes, permit: append.permit };
            self.tell_publisher(Update::Entries(batch.into_iter().map(durable).collect()));
        }
    }

    /// Refuses an entry for which the log has no place, and tells its caller.
    fn admit(&mut self, mut append: Append) -> Option<Append> {
        let behind_ms = self.newest_at_ms.map_or(0, |newest| newest.saturating_sub(append.at_ms));
        let admitted = self.health.check().and_then(|()| {
            if behind_ms > OVERTAKING_LIMIT_MS {
                return Err(AuditError::ClockBehind { behind_ms });
            }
            Ok(())
        });
        if let Err(error) = admitted {
            append.answer(Err(error));
            return None;
        }
        let fits = match append.half {
            Half::Opening => self.open.insert(append.id),
            // The opening of an abandoned entry may have been refused: then there is nothing to
            // complete, and nobody waits.
            Half::Completion => self.open.remove(&append.id),
        };
        self.newest_at_ms = self.newest_at_ms.max(fits.then_some(append.at_ms));
        fits.then_some(append)
    }

    fn write(&mut self, batch: &[Append]) -> Result<(), WriteError> {
        let mut payload = Vec::new();
        for append in batch {
            append_entry(&mut payload, &append.bytes)?;
        }
        if self.segment_bytes >= self.segment_limit_bytes {
            self.storage.begin_segment(self.next)?;
            self.segment_bytes = 0;
        }
        let frame = encode_frame(self.next, &payload);
        self.storage.append(&frame)?;
        self.storage.sync()?;
        self.segment_bytes += frame.len() as u64;
        Ok(())
    }

    fn tell_publisher(&mut self, update: Update) {
        if self.updates.send(update).is_err() {
            self.health.poison(&"the publishing thread has stopped");
        }
    }
}

/// Everything that is queued, up to something for the publisher or the limit of a batch.
fn gather(first: Job, jobs: &Receiver<Job>) -> (Vec<Append>, Option<Update>) {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut job = Some(first);
    loop {
        match job {
            Some(Job::Append(append)) => {
                bytes += append.bytes.len();
                batch.push(append);
            }
            Some(Job::Publish(update)) => return (batch, Some(update)),
            None => return (batch, None),
        }
        job = if bytes < BATCH_LIMIT_BYTES { jobs.try_recv().ok() } else { None };
    }
}
