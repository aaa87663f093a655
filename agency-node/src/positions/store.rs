//! The handle of an open store.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::AtomicU64,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use prost::Message;
use sallyport_feed::{Position, RefusedPoint};
use sallyport_trust::{clock::Clock, error::Refusal};
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    Settings,
    batch::Batch,
    error::StoreError,
    journal::{encode_frame, read_tail, segment_name, segments},
    quarantine::{self, Quarantined},
    segment::{SegmentFile, SegmentStorage},
    streams::Streams,
    subscription::Subscription,
    writer::{Append, Shared, Writer},
};
use crate::disk;

/// Batches waiting for the disk hold at most this many bytes; then senders wait their turn.
const QUEUE_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// Length at which a segment of the journal is followed by a new one.
const SEGMENT_LIMIT_BYTES: u64 = 8 * 1024 * 1024;

/// The positions of a node. Cheap to clone; all clones are the same store.
///
/// The last handle that is dropped waits until everything queued is written and releases the directory.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while the store is being closed.
    appends: Option<Sender<Append>>,
    queue: Arc<Semaphore>,
    clock: Clock,
    shared: Arc<Shared>,
    journal: PathBuf,
    threads: Vec<JoinHandle<()>>,
    /// Released, as the last field, when the threads have ended.
    _lock: File,
}

impl Store {
    /// Opens the store in a directory, or starts one. Blocks while it reads files; drops what a crash left of
    /// batches that were never acknowledged.
    ///
    /// # Errors
    /// When the directory cannot be used, is in use, or does not hold what was acknowledged.
    pub fn open(directory: &Path, settings: Settings, clock: Clock) -> Result<Self, StoreError> {
        Self::start(directory, &settings, clock, SEGMENT_LIMIT_BYTES, |file| file)
    }

    pub(super) fn start<S: SegmentStorage>(
        directory: &Path,
        settings: &Settings,
        clock: Clock,
        segment_limit_bytes: u64,
        storage: impl FnOnce(SegmentFile) -> S,
    ) -> Result<Self, StoreError> {
        settings.check()?;
        let journal = directory.join("journal");
        disk::create_directory(&journal).map_err(|error| StoreError::files(&journal, &error))?;
        let lock = lock(directory)?;
        let recovered = recover(&journal)?;
        let shared = Arc::new(Shared {
            failure: OnceLock::new(),
            durable_streams: Mutex::new(recovered.streams()),
            durable: watch::Sender::new(recovered.end),
            journal_bytes: AtomicU64::new(bytes_of(&journal)?),
        });
        let writer = Writer {
            storage: storage(recovered.file),
            shared: shared.clone(),
            clock: clock.clone(),
            streams: recovered.streams,
            next: recovered.end,
            segment_bytes: recovered.segment_bytes,
            segment_limit_bytes,
            journal_limit_bytes: settings.journal_limit_bytes(),
        };
        let (appends, appended) = mpsc::channel();
        let threads = vec![spawn("positions-writer", move || writer.run(&appended))?];
        let queue = Arc::new(Semaphore::new(QUEUE_LIMIT_BYTES));
        let inner = Inner { appends: Some(appends), queue, clock, shared, journal, threads, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps a batch; it is durable on return, and waits its turn while the disk is slow. A batch whose number
    /// was taken before is not kept again.
    ///
    /// # Errors
    /// `sequence_gap`, `too_many_streams`, `stream_name`, `position_out_of_range` or `batch_too_large` when the
    /// batch cannot be taken as it is, `positions_full` or `positions_unwritable` when the store cannot take
    /// any. Nothing is promised then.
    pub async fn append(
        &self,
        feed: &str,
        stream: &str,
        sequence: u64,
        positions: Vec<Position>,
        refused: Vec<RefusedPoint>,
    ) -> Result<(), Refusal> {
        let received_ms = self.inner.clock.now_ms();
        let (feed, stream) = (feed.to_owned(), stream.to_owned());
        Ok(self.inner.append(&Batch { feed, stream, sequence, received_ms, positions, refused }).await?)
    }

    /// The last number of a stream that is durable; a sender goes on with the next.
    pub fn acknowledged(&self, feed: &str, stream: &str) -> Option<u64> {
        let streams = self.inner.shared.durable_streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.last(&(feed.to_owned(), stream.to_owned()))
    }

    /// Durable batches in their order, from a place on; a follower remembers the place after the last batch it
    /// has done with.
    pub fn subscribe(&self, from: u64) -> Subscription {
        Subscription::new(&self.inner.journal, from, self.inner.shared.durable.subscribe())
    }

    /// Refused points of a feed with numbers above `after`, oldest first, `limit` at most.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn quarantine(&self, feed: &str, after: u64, limit: usize) -> Result<Vec<Quarantined>, Refusal> {
        let (journal, feed) = (self.inner.journal.clone(), feed.to_owned());
        let end = *self.inner.shared.durable.borrow();
        let reading = tokio::task::spawn_blocking(move || quarantine::read(&journal, end, &feed, after, limit));
        let read = reading.await.map_err(|error| Refusal::internal("positions_failed", &error))?;
        Ok(read?)
    }

    /// Whether the store takes batches; for a readiness check.
    ///
    /// # Errors
    /// What failed first.
    pub fn check(&self) -> Result<(), StoreError> {
        self.inner.shared.check()
    }
}

impl Inner {
    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        self.shared.check()?;
        let bytes = batch.encode()?;
        let stopped = || StoreError::Unwritable("the writing thread has stopped".to_owned());
        let room = self.queue.clone().acquire_many_owned(bytes.len() as u32).await;
        let permit = room.map_err(|_| stopped())?;
        let (reply, answer) = oneshot::channel();
        let name = (batch.feed.clone(), batch.stream.clone());
        let append = Append { name, sequence: batch.sequence, received_ms: batch.received_ms, bytes, permit, reply };
        let appends = self.appends.as_ref().ok_or_else(stopped)?;
        appends.send(append).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more.
        self.appends = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the position store ended by a panic");
            }
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({} batches)", *self.inner.shared.durable.borrow())
    }
}

/// A journal ready to be written.
struct Recovered {
    file: SegmentFile,
    streams: Streams,
    segment_bytes: u64,
    end: u64,
}

impl Recovered {
    fn streams(&self) -> Streams {
        let mut streams = Streams::default();
        streams.read(&self.streams.to_group());
        streams
    }
}

fn recover(journal: &Path) -> Result<Recovered, StoreError> {
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
    Ok(Recovered { file, streams, segment_bytes: bytes.len() as u64, end })
}

/// Length of all segments.
fn bytes_of(journal: &Path) -> Result<u64, StoreError> {
    let length = |first| {
        let path = journal.join(segment_name(first));
        fs::metadata(&path).map(|file| file.len()).map_err(|error| StoreError::files(&path, &error))
    };
    segments(journal)?.into_iter().map(length).sum()
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| StoreError::files(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(directory.display().to_string())),
        Err(TryLockError::Error(error)) => Err(StoreError::files(&path, &error)),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| StoreError::Unwritable(error.to_string()))
}

#[cfg(test)]
mod tests;
