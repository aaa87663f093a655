//! The thread that makes batches durable.
//!
//! It takes whatever is queued, writes it to the journal as one frame, waits for the disk once, and then
//! answers all of them: many streams share one `fdatasync`. It never answers before, and after the first
//! failure it never answers yes again.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender},
    },
};

use prost::Message;
use sallyport_trust::clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{
    error::StoreError,
    journal::encode_frame,
    keeper::Job,
    segment::SegmentStorage,
    streams::{Admission, StreamName, Streams},
};

/// A group ends when it holds this many bytes.
const GROUP_LIMIT_BYTES: usize = 1024 * 1024;

/// One batch to write.
pub(super) struct Append {
    pub(super) name: StreamName,
    pub(super) sequence: u64,
    pub(super) received_ms: i64,
    /// Points of the batch, accepted and refused.
    pub(super) points: u64,
    /// The batch as a group of its own.
    pub(super) bytes: Vec<u8>,
    /// The batch's share of the queue.
    pub(super) permit: OwnedSemaphorePermit,
    /// Told when the batch is durable.
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// What the writer tells everybody else.
pub(super) struct Shared {
    /// The first failure of a write.
    pub(super) failure: OnceLock<StoreError>,
    /// Streams as far as they are durable.
    pub(super) durable_streams: Mutex<Streams>,
    /// Place after the last durable batch.
    pub(super) durable: watch::Sender<u64>,
    /// Length of all segments.
    pub(super) journal_bytes: AtomicU64,
}

impl Shared {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }
}

pub(super) struct Writer<S> {
    pub(super) storage: S,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) keeper: Sender<Job>,
    /// Streams with everything that was admitted.
    pub(super) streams: Streams,
    /// Place of the next batch.
    pub(super) next: u64,
    /// Place of the first batch of the last segment.
    pub(super) segment_first: u64,
    /// Length of the last segment.
    pub(super) segment_bytes: u64,
    /// A segment that holds this many bytes is followed by a new one.
    pub(super) segment_limit_bytes: u64,
    /// The journal takes nothing while it holds this many bytes.
    pub(super) journal_limit_bytes: u64,
}

impl<S: SegmentStorage> Writer<S> {
    pub(super) fn run(mut self, appends: &Receiver<Append>) {
        while let Ok(append) = appends.recv() {
            self.commit(gather(append, appends));
        }
    }

    fn commit(&mut self, group: Vec<Append>) {
        let (mut taken, mut repeated) = (Vec::new(), Vec::new());
        for append in group {
            match self.admit(&append) {
                Ok(Admission::Next) => {
                    self.streams.advance(append.name.clone(), append.sequence, append.points, append.received_ms);
                    taken.push(append);
                }
                Ok(Admission::Repeated) => repeated.push(append),
                Err(error) => answer(append, Err(error)),
            }
        }
        if !taken.is_empty() {
            match self.write(&taken) {
                Ok(()) => self.publish(&taken),
                Err(error) => self.fail(&error),
            }
        }
        // A repetition may be of a batch in this very group, so it waits for it.
        for append in taken.into_iter().chain(repeated) {
            answer(append, self.shared.check());
        }
    }

    fn admit(&self, append: &Append) -> Result<Admission, StoreError> {
        self.shared.check()?;
        let admission = self.streams.admit(&append.name, append.sequence)?;
        let held = self.shared.journal_bytes.load(Ordering::Relaxed);
        if admission == Admission::Next && held >= self.journal_limit_bytes {
            return Err(StoreError::Full);
        }
        Ok(admission)
    }

    fn write(&mut self, taken: &[Append]) -> io::Result<()> {
        if self.segment_bytes >= self.segment_limit_bytes && self.next > self.segment_first {
            self.begin_segment()?;
        }
        let payload: Vec<u8> = taken.iter().flat_map(|append| append.bytes.iter().copied()).collect();
        let frame = encode_frame(self.next, &payload);
        self.storage.append(&frame)?;
        self.storage.sync()?;
        self.count(frame.len());
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let mut durable = self.shared.durable_streams.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        // A stream of this group is not idle, as it was moved on when the group was admitted.
        self.streams.forget_idle(now_ms);
        durable.forget_idle(now_ms);
        let head = encode_frame(self.next, &durable.to_group().encode_to_vec());
        drop(durable);
        self.storage.begin(self.next, &head)?;
        (self.segment_first, self.segment_bytes) = (self.next, 0);
        self.count(head.len());
        // Without its keeper a journal fills up, and then refuses.
        let _ = self.keeper.send(Job::Wake);
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        self.segment_bytes += bytes as u64;
        self.shared.journal_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn publish(&mut self, taken: &[Append]) {
        self.next += taken.len() as u64;
        let mut durable = self.shared.durable_streams.lock().unwrap_or_else(PoisonError::into_inner);
        for append in taken {
            durable.advance(append.name.clone(), append.sequence, append.points, append.received_ms);
        }
        drop(durable);
        self.shared.durable.send_replace(self.next);
    }

    fn fail(&self, error: &io::Error) {
        tracing::error!(%error, "positions cannot be written; nothing is taken until the node starts again");
        // The first failure is the one that is told.
        let _ = self.shared.failure.set(StoreError::Unwritable(error.to_string()));
    }
}

fn answer(append: Append, answer: Result<(), StoreError>) {
    drop(append.permit);
    // The caller may have gone; its batch stands all the same.
    let _ = append.reply.send(answer);
}

/// Everything that is queued, up to the limit of a group.
fn gather(first: Append, appends: &Receiver<Append>) -> Vec<Append> {
    let mut bytes = first.bytes.len();
    let mut group = vec![first];
    while bytes < GROUP_LIMIT_BYTES {
        let Ok(append) = appends.try_recv() else { break };
        bytes += append.bytes.len();
        group.push(append);
    }
    group
}
