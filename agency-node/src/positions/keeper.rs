//! The thread that settles the journal into the table, and keeps both in bounds.
//!
//! It fails without harm: whatever it could not do is done in the next round, from what the table says of
//! itself, while the journal keeps taking batches as long as it has room.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use sallyport_trust::clock::Clock;
use tokio::sync::oneshot;

use super::{
    cursor::Cursor,
    error::StoreError,
    journal::{segment_name, segments},
    quarantine::{self, Quarantine, Quarantined},
    table::{Contents, Row, Table},
    writer::Shared,
};

/// Rows that settle with one version, which together lie in memory.
const VERSION_ROWS: usize = 250_000;
/// Days are dropped and files vacuumed so often.
const CLEANING_MS: i64 = 3_600_000;

/// What is asked of the keeper.
pub(super) enum Job {
    /// A segment is full.
    Wake,
    /// Somebody waits until everything durable has settled.
    Settle(oneshot::Sender<Result<(), StoreError>>),
}

pub(super) struct Keeper {
    pub(super) journal: PathBuf,
    pub(super) table: Table,
    pub(super) quarantine: Quarantine,
    pub(super) shared: Arc<Shared>,
    /// The newest version, for readers.
    pub(super) newest: Arc<Mutex<Arc<Contents>>>,
    pub(super) clock: Clock,
    /// Longest time from an acknowledgement to the table.
    pub(super) pace: Duration,
    /// Bytes of settled segments that are kept.
    pub(super) history_bytes: u64,
    /// When old days were last dropped; at first, never.
    pub(super) cleaned_ms: i64,
}

impl Keeper {
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let reply = match jobs.recv_timeout(self.pace) {
                Ok(Job::Settle(reply)) => Some(reply),
                Ok(Job::Wake) | Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let round = self.round();
            if let Err(error) = &round {
                tracing::error!(%error, "positions wait in the journal and are settled later");
            }
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(round);
            }
        }
    }

    fn round(&mut self) -> Result<(), StoreError> {
        self.table.catch_up()?;
        let settled = self.settle();
        self.show();
        settled?;
        self.trim_journal()?;
        while self.table.compact(self.clock.now_ms())? {
            self.show();
        }
        let now_ms = self.clock.now_ms();
        if now_ms.saturating_sub(self.cleaned_ms) >= CLEANING_MS {
            self.table.drop_old_days(now_ms)?;
            self.table.vacuum(now_ms)?;
            self.cleaned_ms = now_ms;
            self.show();
        }
        Ok(())
    }

    /// Moves everything that was durable at the beginning into the table.
    fn settle(&mut self) -> Result<(), StoreError> {
        let end = *self.shared.durable.borrow();
        while self.table.settled() < end {
            let from = self.table.settled();
            let mut cursor = Cursor::new(&self.journal, from);
            let (mut rows, mut refused) = (Vec::new(), BTreeMap::<String, Vec<Quarantined>>::new());
            while cursor.place() < end && rows.len() < VERSION_ROWS {
                for placed in cursor.read(end)? {
                    if !placed.batch.refused.is_empty() {
                        refused.entry(placed.batch.feed.clone()).or_default().extend(quarantine::of(&placed));
                    }
                    let batch = placed.batch;
                    rows.extend(batch.positions.into_iter().map(|position| Row {
                        feed: batch.feed.clone(),
                        received_ms: batch.received_ms,
                        position,
                    }));
                }
            }
            for (feed, points) in refused {
                self.quarantine.keep(&feed, from, &points)?;
            }
            self.table.append(&rows, cursor.place(), self.clock.now_ms())?;
        }
        Ok(())
    }

    /// Deletes settled segments beyond what is kept for followers.
    fn trim_journal(&self) -> Result<(), StoreError> {
        let segments = segments(&self.journal)?;
        for (first, next) in segments.iter().zip(segments.iter().skip(1)) {
            let path = self.journal.join(segment_name(*first));
            let at = |error| StoreError::files(&path, &error);
            let bytes = fs::metadata(&path).map_err(at)?.len();
            let held = self.shared.journal_bytes.load(Ordering::Relaxed);
            if *next > self.table.settled() || held.saturating_sub(bytes) < self.history_bytes {
                break;
            }
            fs::remove_file(&path).map_err(at)?;
            self.shared.journal_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn show(&self) {
        let newest = Arc::new(self.table.contents());
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }
}
