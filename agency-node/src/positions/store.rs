//! The handle of an open store.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::AtomicU64,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use sallyport_feed::{Position, RefusedPoint};
use sallyport_trust::{clock::Clock, error::Refusal};
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    Settings,
    batch::{Batch, Reached, is_name},
    cursor::Cursor,
    error::StoreError,
    keeper::{Job, Keeper},
    quarantine::{Quarantine, Quarantined, Wanted},
    recovery::{bytes_of, fits, lock, recover},
    segment::{SegmentFile, SegmentStorage},
    subscription::Subscription,
    table::{self, Contents, Table},
    writer::{Append, Shared, Writer},
};
use crate::disk;

const JOURNAL: &str = "journal";
const TABLE: &str = "table";
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

/// Where a node keeps positions, below its state directory.
pub fn directory(state: &Path) -> PathBuf {
    state.join("positions")
}

/// The Parquet files of the newest version of a store's table, whether or not the store is open; see
/// [`Store::files`].
///
/// # Errors
/// When the table's log cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    Ok(table::read(&directory.join(TABLE))?.files)
}

/// Lengths in the journal.
pub(super) struct Sizes {
    /// At which a segment is followed by a new one.
    segment_bytes: u64,
    /// That are kept after they were settled.
    history_bytes: u64,
}

struct Inner {
    /// `None` only while the store is being closed.
    appends: Option<Sender<Append>>,
    queue: Arc<Semaphore>,
    clock: Clock,
    shared: Arc<Shared>,
    keeper: Option<Sender<Job>>,
    newest: Arc<Mutex<Arc<Contents>>>,
    quarantine: Quarantine,
    directory: PathBuf,
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
        let sizes = Sizes { segment_bytes: SEGMENT_LIMIT_BYTES, history_bytes: settings.history_bytes() };
        Self::start(directory, &settings, clock, sizes, |file| file)
    }

    pub(super) fn start<S: SegmentStorage>(
        directory: &Path,
        settings: &Settings,
        clock: Clock,
        sizes: Sizes,
        storage: impl FnOnce(SegmentFile) -> S,
    ) -> Result<Self, StoreError> {
        settings.check()?;
        let journal = directory.join(JOURNAL);
        disk::create_directory(&journal).map_err(|error| StoreError::files(&journal, &error))?;
        let lock = lock(directory)?;
        let recovered = recover(&journal)?;
        let table = Table::open(&directory.join(TABLE), settings, clock.now_ms())?;
        fits(&table, &journal, recovered.end)?;
        let newest = Arc::new(Mutex::new(Arc::new(table.contents())));
        let quarantine =
            Quarantine { directory: directory.join("quarantine"), limit_bytes: settings.quarantine_bytes() };
        let shared = Arc::new(Shared {
            failure: OnceLock::new(),
            durable_streams: Mutex::new(recovered.streams()),
            durable: watch::Sender::new(recovered.end),
            journal_bytes: AtomicU64::new(bytes_of(&journal)?),
        });
        let (jobs, asked) = mpsc::channel();
        let writer = Writer {
            storage: storage(recovered.file),
            shared: shared.clone(),
            clock: clock.clone(),
            keeper: jobs.clone(),
            streams: recovered.streams,
            next: recovered.end,
            segment_first: recovered.segment_first,
            segment_bytes: recovered.segment_bytes,
            segment_limit_bytes: sizes.segment_bytes,
            journal_limit_bytes: settings.journal_limit_bytes(),
        };
        let keeper = Keeper {
            journal,
            table,
            quarantine: quarantine.clone(),
            shared: shared.clone(),
            newest: newest.clone(),
            clock: clock.clone(),
            pace: settings.pace(),
            history_bytes: sizes.history_bytes,
            cleaned_ms: i64::MIN,
        };
        let (appends, appended) = mpsc::channel();
        let threads = vec![
            spawn("positions-writer", move || writer.run(&appended))?,
            spawn("positions-keeper", move || keeper.run(&asked))?,
        ];
        let inner = Inner {
            appends: Some(appends),
            queue: Arc::new(Semaphore::new(QUEUE_LIMIT_BYTES)),
            clock,
            shared,
            keeper: Some(jobs),
            newest,
            quarantine,
            directory: directory.to_owned(),
            threads,
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps a batch; it is durable on return, and waits its turn while the disk is slow. A batch whose number
    /// was taken before is not kept again.
    ///
    /// # Errors
    /// `sequence_gap`, `stream_name`, `position_out_of_range` or `batch_too_large` when the batch cannot be taken
    /// as it is, `positions_full` or `positions_unwritable` when the store cannot take any. Nothing is promised
    /// then.
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
        self.reached(feed, stream).map(|reached| reached.sequence)
    }

    /// How far a stream is durable, with its points.
    pub fn reached(&self, feed: &str, stream: &str) -> Option<Reached> {
        let streams = self.inner.shared.durable_streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.reached(&(feed.to_owned(), stream.to_owned()))
    }

    /// Durable batches in their order, from a place on; a follower remembers the place after the last batch it
    /// has done with.
    pub fn subscribe(&self, from: u64) -> Subscription {
        Subscription::new(&self.inner.journal(), from, self.inner.shared.durable.subscribe())
    }

    /// Refused points of a feed with numbers above `after`, oldest first, `limit` at most.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn quarantine(&self, feed: &str, after: u64, limit: usize) -> Result<Vec<Quarantined>, Refusal> {
        if !is_name(feed) {
            return Err(StoreError::Name.into());
        }
        let wanted = Wanted { feed: feed.to_owned(), after, limit };
        let (files, end) = (self.inner.quarantine.clone(), *self.inner.shared.durable.borrow());
        let journal = Cursor::new(&self.inner.journal(), self.inner.newest().settled);
        let reading = tokio::task::spawn_blocking(move || files.read(journal, end, &wanted));
        let read = reading.await.map_err(|error| Refusal::internal("positions_failed", &error))?;
        Ok(read?)
    }

    /// The table's directory, for programs that read Delta Lake tables.
    pub fn table(&self) -> PathBuf {
        self.inner.directory.join(TABLE)
    }

    /// The Parquet files of the table's newest version. They stay for [`Settings::safe_hours`] after they have
    /// left the table.
    pub fn files(&self) -> Vec<PathBuf> {
        self.inner.newest().files.clone()
    }

    /// Waits until everything acknowledged so far is in the table.
    ///
    /// # Errors
    /// When the table cannot be written; nothing is lost then, and the store tries again by itself.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let stopped = || StoreError::Unwritable("the thread of the table has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let keeper = self.inner.keeper.as_ref().ok_or_else(stopped)?;
        keeper.send(Job::Settle(reply)).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
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
    fn journal(&self) -> PathBuf {
        self.directory.join(JOURNAL)
    }

    fn newest(&self) -> Arc<Contents> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        self.shared.check()?;
        let bytes = batch.encode()?;
        let stopped = || StoreError::Unwritable("the writing thread has stopped".to_owned());
        let room = self.queue.clone().acquire_many_owned(bytes.len() as u32).await;
        let permit = room.map_err(|_| stopped())?;
        let (reply, answer) = oneshot::channel();
        let name = (batch.feed.clone(), batch.stream.clone());
        let points = (batch.positions.len() + batch.refused.len()) as u64;
        let (sequence, received_ms) = (batch.sequence, batch.received_ms);
        let append = Append { name, sequence, received_ms, points, bytes, permit, reply };
        let appends = self.appends.as_ref().ok_or_else(stopped)?;
        appends.send(append).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more, and then the keeper.
        self.appends = None;
        self.keeper = None;
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

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| StoreError::Unwritable(error.to_string()))
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
