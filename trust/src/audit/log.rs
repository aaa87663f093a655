//! The handle of an open log: no entry, no action.
//!
//! [`AuditLog::begin`] returns when the opening is durable; only then may the work begin.
//! [`OpenEntry::complete`] returns when the completion is durable; only then may the answer leave.
//! When either returns an error, nothing was promised and the caller refuses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::checkpoint::{SignCheckpoint, SignedCheckpoint, Signer, VerifierKey};
use super::disk::{JournalFile, JournalStorage, TileFiles, TileStorage, replace_private};
use super::entry::{Completion, Entry, EntryId, Opening, Outcome, Phase};
use super::error::AuditError;
use super::proofs::Proofs;
use super::publisher::{Announced, Health, Publisher, Update};
use super::recovery::{CONTRADICTION_FILE, KEYS_FILE, Recovered, recover};
use super::standing::{Grace, Standing};
use super::writer::{Append, Half, Job, Writer};
use crate::clock::Clock;

/// Entries waiting for the disk hold at most this many bytes; then callers wait their turn.
const QUEUE_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// The longest time from an entry to a checkpoint that covers it, in milliseconds.
pub const PUBLISH_INTERVAL_MS: u64 = 200;

/// Length at which a segment of the journal is followed by a new one.
const SEGMENT_LIMIT_BYTES: u64 = 1024 * 1024;

/// The pace of a log.
#[derive(Debug, Clone, Copy)]
struct Pace {
    publish_interval: Duration,
    segment_limit_bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        let publish_interval = Duration::from_millis(PUBLISH_INTERVAL_MS);
        Self { publish_interval, segment_limit_bytes: SEGMENT_LIMIT_BYTES }
    }
}

/// An open audit log. Cheap to clone; all clones write the same log.
///
/// The last handle that is dropped, open entries included, waits until everything queued is
/// written, publishes a checkpoint and releases the directory. Call [`AuditLog::flush`] before to
/// learn whether that works.
#[derive(Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while the log is being closed.
    jobs: Option<Sender<Job>>,
    queue: Arc<Semaphore>,
    clock: Clock,
    health: Health,
    standing: Standing,
    announced: Arc<Announced>,
    verifier: VerifierKey,
    directory: PathBuf,
    /// Time of the first entry at the start.
    first_at_ms: Option<i64>,
    threads: Vec<JoinHandle<()>>,
    /// Released, as the last field, when the threads have ended.
    _lock: std::fs::File,
}

/// Where an action stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the opening.
    pub opening: u64,
    /// Index of the completion.
    pub completion: u64,
}

impl AuditLog {
    /// Opens the log in a directory, or starts one: with a fresh Ed25519 key in `audit.key` and its
    /// public half in `audit.vkey`. Blocks while it reads and writes files; recovers what a crash
    /// left.
    ///
    /// `origin` names the log in its checkpoints, such as `sallyport.example/agency/hsi`; it has to
    /// stay the same for the life of the log.
    ///
    /// # Errors
    /// [`AuditError`], when the directory cannot be used, is in use, belongs to another log, or
    /// does not hold what its checkpoint promises. The process must not start without a log.
    pub fn open(directory: &Path, origin: &str, clock: Clock) -> Result<Self, AuditError> {
        let recovered = recover(directory, origin)?;
        let tiles = TileFiles::new(directory);
        Self::start(recovered, |journal| journal, tiles, |signer| signer, clock, Pace::default())
    }

    /// Publishes the recovered tree and starts the two threads.
    fn start<J: JournalStorage, K: SignCheckpoint>(
        recovered: Recovered,
        journal: impl FnOnce(JournalFile) -> J,
        tiles: impl TileStorage,
        signer: impl FnOnce(Signer) -> K,
        clock: Clock,
        pace: Pace,
    ) -> Result<Self, AuditError> {
        let health = Health::default();
        let verifier = recovered.signer.verifier().clone();
        let next = recovered.tree.size();
        let announced = Arc::new(Announced {
            published: watch::Sender::new(SignedCheckpoint { size: 0, note: String::new() }),
            cosigned: watch::Sender::new(recovered.cosigned),
        });
        let mut publisher = Publisher {
            tree: recovered.tree,
            signer: signer(recovered.signer),
            storage: tiles,
            health: health.clone(),
            interval: pace.publish_interval,
            published: None,
            edge: Default::default(),
            announced: Arc::clone(&announced),
        };
        publisher.publish()?;
        let (jobs, queued) = mpsc::channel();
        let (updates, updated) = mpsc::channel();
        let writer = Writer {
            storage: journal(recovered.journal),
            health: health.clone(),
            updates,
            next,
            segment_bytes: recovered.segment_bytes,
            segment_limit_bytes: pace.segment_limit_bytes,
            newest_at_ms: recovered.newest_at_ms,
            open: Default::default(),
        };
        let threads = vec![
            spawn("audit-writer", move || writer.run(&queued))?,
            spawn("audit-publisher", move || publisher.run(&updated))?,
        ];
        let queue = Arc::new(Semaphore::new(QUEUE_LIMIT_BYTES));
        let jobs = Some(jobs);
        let inner = Inner {
            jobs,
            queue,
            clock,
            health,
            standing: Standing::default(),
            announced,
            verifier,
            directory: recovered.directory,
            first_at_ms: recovered.first_at_ms,
            threads,
            _lock: recovered.lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Records that work is about to begin; durable on return. Waits while the queue is full, and where
    /// witnesses are required, until they have been asked for the first time.
    ///
    /// # Errors
    /// [`AuditError::Entry`] when the opening breaks a limit, [`AuditError::ClockBehind`],
    /// [`AuditError::WitnessesAway`], or what the log refuses everything with: the work must not be
    /// done.
    pub async fn begin(&self, opening: Opening) -> Result<OpenEntry, AuditError> {
        self.inner.standing.admit(|| self.inner.clock.now_ms()).await?;
        let id = EntryId::random()?;
        let (append, answer) = self.inner.stamped(id, Phase::Open(opening)).await?;
        // From here on the opening may become durable: should the caller go away meanwhile, the
        // guard completes it as abandoned.
        let mut guard = OpenEntry { log: Arc::clone(&self.inner), id, index: 0, completed: true };
        self.inner.send(Job::Append(append))?;
        guard.completed = false;
        match answer_of(answer).await {
            Ok(index) => {
                guard.index = index;
                Ok(guard)
            }
            Err(error) => {
                guard.completed = true;
                Err(error)
            }
        }
    }

    /// Publishes a checkpoint of everything acknowledged so far.
    ///
    /// # Errors
    /// [`AuditError::Unwritable`].
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        self.inner.send(Job::Publish(Update::Flush(reply)))?;
        answer_of(answer).await
    }

    /// Whether the log still accepts entries; for a readiness check.
    ///
    /// # Errors
    /// [`AuditError::Unwritable`] with what failed first.
    pub fn check(&self) -> Result<(), AuditError> {
        self.inner.health.check()
    }

    /// Requires witnesses from now on: no work begins before [`AuditLog::witnesses_asked`], and none
    /// when the newest [`AuditLog::witnessed`] lies more than `grace_ms` back.
    pub fn require_witnesses(&self, grace_ms: i64) {
        let since_ms = self.inner.first_at_ms.unwrap_or_else(|| self.inner.clock.now_ms());
        self.inner.standing.require(Grace { since_ms, grace_ms });
    }

    /// The witnesses were asked for the first time since the start, whatever they said.
    pub fn witnesses_asked(&self) {
        self.inner.standing.asked();
    }

    /// Enough witnesses had cosigned at this moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn witnessed(&self, at_ms: i64) {
        self.inner.standing.cosigned(at_ms);
    }

    /// Keeps a checkpoint of this log with the signatures of enough witnesses under its own.
    ///
    /// # Errors
    /// [`AuditError::Checkpoint`] when it is not this log's, or what the log refuses everything with.
    pub async fn keep_cosigned(&self, note: String) -> Result<(), AuditError> {
        let size = self.inner.verifier.verify(&note)?.size;
        let (reply, answer) = oneshot::channel();
        self.inner.send(Job::Publish(Update::Cosigned(SignedCheckpoint { size, note }, reply)))?;
        answer_of(answer).await
    }

    /// Lays the statements of keys beside the log that a copy of it is checked with elsewhere.
    ///
    /// # Errors
    /// The system's, when the file cannot be replaced.
    pub fn keep_keys(&self, statements: &[u8]) -> std::io::Result<()> {
        replace_private(&self.inner.directory.join(KEYS_FILE), statements)
    }

    /// Refuses everything from now on, for a witness holds `note`: a checkpoint that this log signed and
    /// does not lead to. The proof is kept, so that a restart refuses as well.
    pub fn contradicted(&self, witness: &str, held: u64, note: &str) {
        let own = self.inner.announced.published.borrow().size;
        self.inner.health.refuse(AuditError::Contradicted { witness: witness.to_owned(), held, own });
        let path = self.inner.directory.join(CONTRADICTION_FILE);
        if let Err(error) = replace_private(&path, format!("{witness}\n{note}").as_bytes()) {
            tracing::error!(%error, "the proof against the audit log could not be kept");
        }
    }

    /// Refuses everything from now on, for a witness knows this party's log under another key.
    pub fn replaced(&self, witness: &str) {
        self.inner.health.refuse(AuditError::Replaced { witness: witness.to_owned() });
    }

    /// The newest checkpoint as it is published, under the log's own signature alone.
    pub fn published(&self) -> watch::Receiver<SignedCheckpoint> {
        self.inner.announced.published.subscribe()
    }

    /// The newest checkpoint that enough witnesses have cosigned, with their signatures.
    pub fn cosigned(&self) -> watch::Receiver<Option<SignedCheckpoint>> {
        self.inner.announced.cosigned.subscribe()
    }

    /// Proofs about the first `size` entries, which a published checkpoint must have counted.
    pub fn proofs(&self, size: u64) -> Proofs<'_> {
        Proofs::new(&self.inner.directory, size)
    }

    /// The public key that verifies this log's checkpoints.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.inner.verifier
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditLog({})", self.inner.verifier.name())
    }
}

type Answer<T> = oneshot::Receiver<Result<T, AuditError>>;

impl Inner {
    /// An entry with its share of the queue and the time at which it got it.
    async fn stamped(&self, id: EntryId, phase: Phase) -> Result<(Append, Answer<u64>), AuditError> {
        let half = match phase {
            Phase::Open(_) => Half::Opening,
            Phase::Complete(_) => Half::Completion,
        };
        let mut entry = Entry::new(self.clock.now_ms(), id, phase);
        let mut bytes = entry.to_bytes()?;
        let permit = Some(self.room_for(bytes.len()).await?);
        let at_ms = self.clock.now_ms();
        if at_ms != entry.at_ms {
            entry.at_ms = at_ms;
            bytes = entry.to_bytes()?;
        }
        let (reply, answer) = oneshot::channel();
        let reply = Some(reply);
        Ok((Append { id, half, at_ms, bytes, permit, reply }, answer))
    }

    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AuditError> {
        let room = Arc::clone(&self.queue).acquire_many_owned(bytes as u32).await;
        room.map_err(|_| stopped())
    }

    fn send(&self, job: Job) -> Result<(), AuditError> {
        self.health.check()?;
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).map_err(|_| stopped())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more, and then the publisher.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the audit log ended by a panic");
            }
        }
    }
}

fn stopped() -> AuditError {
    AuditError::Unwritable { cause: "the writing thread has stopped".to_owned() }
}

async fn answer_of<T>(answer: Answer<T>) -> Result<T, AuditError> {
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AuditError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| AuditError::Unwritable { cause: error.to_string() })
}

/// An action that is recorded as begun. Complete it before its answer leaves.
///
/// Dropped without completion it is recorded as [`Outcome::Abandoned`], later and if the log can
/// still be written.
#[must_use = "complete the entry, or it is recorded as abandoned"]
pub struct OpenEntry {
    log: Arc<Inner>,
    id: EntryId,
    index: u64,
    /// Nothing is left to record when this is dropped.
    completed: bool,
}

impl OpenEntry {
    /// The random name shared by the opening and its completion.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Index of the opening in the log.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Records how the work ended; durable on return. Waits while the queue is full.
    ///
    /// # Errors
    /// [`AuditError::Entry`] when the completion breaks a limit (it is then recorded as
    /// abandoned), [`AuditError::ClockBehind`], or [`AuditError::Unwritable`]: the answer must not
    /// leave.
    pub async fn complete(mut self, completion: Completion) -> Result<Place, AuditError> {
        let phase = Phase::Complete(completion);
        let (append, answer) = self.log.stamped(self.id, phase).await?;
        self.log.send(Job::Append(append))?;
        self.completed = true;
        let completion = answer_of(answer).await?;
        Ok(Place { opening: self.index, completion })
    }
}

impl std::fmt::Debug for OpenEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenEntry({} at {})", self.id, self.index)
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        let at_ms = self.log.clock.now_ms();
        let phase = Phase::Complete(Completion::new(Outcome::Abandoned));
        if let Ok(bytes) = Entry::new(at_ms, self.id, phase).to_bytes() {
            let (id, half) = (self.id, Half::Completion);
            // Without a share of the queue, for dropping cannot wait: there are at most as many of
            // these as there were openings, and each of those had its share.
            let append = Append { id, half, at_ms, bytes, permit: None, reply: None };
            let _ = self.log.send(Job::Append(append));
        }
    }
}

#[cfg(test)]
mod tests;
