mod crash;
mod faults;

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Waker};

use super::super::fixtures::*;
use super::super::verify_directory;
use super::*;
use crate::audit::journal;

/// Runs a future up to its first wait.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A log that can write to its journal only while nobody holds the lock.
fn gated(directory: &Path) -> (AuditLog, Arc<Mutex<()>>) {
    let recovered = recover(directory, ORIGIN).unwrap();
    let gate = Arc::new(Mutex::new(()));
    let step = {
        let gate = Arc::clone(&gate);
        move |name: &str, _| {
            if name == "append" {
                drop(gate.lock().unwrap());
            }
            Ok(())
        }
    };
    let watched = |storage| Watched { storage, step };
    let tiles = TileFiles::new(directory);
    (AuditLog::start(recovered, watched, tiles, |signer| signer, clock(), Pace::default()).unwrap(), gate)
}

fn outcomes(directory: &Path, size: u64) -> Vec<Option<Outcome>> {
    let outcome = |entry: Entry| match entry.phase {
        Phase::Open(_) => None,
        Phase::Complete(completion) => Some(completion.outcome),
    };
    entries(directory, size).into_iter().map(outcome).collect()
}

#[tokio::test]
async fn an_action_is_two_entries_under_a_signed_checkpoint() {
    let directory = scratch();
    let log = open(directory.path());
    let entry = log.begin(opening(1)).await.unwrap();
    let (id, index) = (entry.id(), entry.index());
    let receipt = entry.complete(answered()).await.unwrap();
    assert_eq!((index, receipt), (0, Place { opening: 0, completion: 1 }));
    log.flush().await.unwrap();
    let written = entries(directory.path(), 2);
    assert!(written.iter().all(|entry| entry.entry == id));
    assert_eq!(written[0].phase, Phase::Open(opening(1)));
    assert_eq!(written[1].phase, Phase::Complete(answered()));
    let verified = verify_directory(directory.path()).unwrap();
    assert_eq!((verified.origin.as_str(), verified.entries, verified.pending), (ORIGIN, 2, 0));
    assert_eq!((verified.opened, verified.completed, verified.still_open), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_actions_at_once_are_all_durable() {
    let directory = scratch();
    let log = open(directory.path());
    record_together(&log, 1000).await;
    drop(log);
    let verified = verify_directory(directory.path()).unwrap();
    assert_eq!((verified.entries, verified.pending), (2000, 0));
    assert_eq!((verified.opened, verified.completed, verified.still_open), (1000, 1000, 0));
}

#[tokio::test]
async fn dropped_work_is_recorded_as_abandoned() {
    let directory = scratch();
    let log = open(directory.path());
    drop(log.begin(opening(1)).await.unwrap());
    // The last handle may be the entry itself.
    let entry = log.begin(opening(2)).await.unwrap();
    drop(log);
    drop(entry);
    let expected = [None, Some(Outcome::Abandoned), None, Some(Outcome::Abandoned)];
    assert_eq!(outcomes(directory.path(), 4), expected);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_open_entry() {
    let directory = scratch();
    let (log, gate) = gated(directory.path());
    {
        let _shut = gate.lock().unwrap();
        let mut begin = pin!(log.begin(opening(1)));
        assert!(poll_once(begin.as_mut()).is_pending());
    }
    let entry = log.begin(opening(2)).await.unwrap();
    {
        let _shut = gate.lock().unwrap();
        let mut complete = pin!(entry.complete(Completion::new(Outcome::Failed)));
        assert!(poll_once(complete.as_mut()).is_pending());
    }
    drop(log);
    let verified = verify_directory(directory.path()).unwrap();
    assert_eq!((verified.opened, verified.completed, verified.still_open), (2, 2, 0));
    let outcomes = outcomes(directory.path(), 4);
    assert_eq!(outcomes.iter().filter(|o| **o == Some(Outcome::Abandoned)).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == Some(Outcome::Failed)).count(), 1);
}

#[tokio::test]
async fn what_breaks_a_limit_is_refused_and_the_log_goes_on() {
    let directory = scratch();
    let log = open(directory.path());
    let long = Opening { reason: Some("x".repeat(5000)), ..opening(1) };
    assert!(matches!(log.begin(long).await, Err(AuditError::Entry(_))));
    let entry = log.begin(opening(2)).await.unwrap();
    let long = Completion { detail: Some("x".repeat(5000)), ..answered() };
    assert!(matches!(entry.complete(long).await, Err(AuditError::Entry(_))));
    record(&log, 1).await;
    drop(log);
    let expected = [None, Some(Outcome::Abandoned), None, Some(Outcome::Answered)];
    assert_eq!(outcomes(directory.path(), 4), expected);
}

#[tokio::test]
async fn a_log_has_one_writer_and_one_name() {
    let directory = scratch();
    let log = open(directory.path());
    let second = || AuditLog::open(directory.path(), ORIGIN, clock());
    assert!(matches!(second(), Err(AuditError::Locked { .. })));
    record(&log, 1).await;
    let clone = log.clone();
    drop(log);
    assert!(matches!(second(), Err(AuditError::Locked { .. })));
    drop(clone);
    record(&second().unwrap(), 1).await;
    assert_eq!(verify_directory(directory.path()).unwrap().entries, 4);
    let other = AuditLog::open(directory.path(), "sallyport.test/agency/cbp", clock());
    assert!(matches!(other, Err(AuditError::OtherLog { .. })));
    let spaces = AuditLog::open(scratch().path(), "two words", clock());
    assert!(matches!(spaces, Err(AuditError::Checkpoint(_))));
}

#[test]
fn an_unusable_directory_is_named() {
    let directory = scratch();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = AuditLog::open(&file.join("audit"), ORIGIN, clock()).unwrap_err();
    assert!(matches!(error, AuditError::Directory { .. }));
    let text = error.to_string();
    assert!(text.contains("file/audit") && text.contains("make it writable"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_signing_key_is_guarded() {
    use std::os::unix::fs::PermissionsExt;
    let directory = scratch();
    drop(open(directory.path()));
    let key = directory.path().join("audit.key");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    let refused = || AuditLog::open(directory.path(), ORIGIN, clock()).unwrap_err();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    mode(0o640);
    assert!(refused().to_string().contains("can be read by others"));
    mode(0o600);
    let (_, another) = crate::audit::checkpoint::Signer::generate(ORIGIN).unwrap();
    let own = std::fs::read(&key).unwrap();
    std::fs::write(&key, another).unwrap();
    assert!(matches!(refused(), AuditError::OtherLog { .. }));
    for at in 0..own.len() {
        let mut changed = own.clone();
        changed[at] ^= 1;
        std::fs::write(&key, changed).unwrap();
        assert!(matches!(refused(), AuditError::OtherLog { .. } | AuditError::Checkpoint(_)), "byte {at}");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(refused().to_string().contains("is missing"));
    std::fs::write(&key, own).unwrap();
    mode(0o600);
    drop(open(directory.path()));
}

#[tokio::test]
async fn a_clock_set_back_is_refused_also_after_a_restart() {
    let directory = scratch();
    let clock = clock();
    let log = AuditLog::open(directory.path(), ORIGIN, clock.clone()).unwrap();
    record(&log, 1).await;
    clock.advance_ms(-30_000);
    record(&log, 1).await;
    clock.advance_ms(-1);
    let behind = Err(AuditError::ClockBehind { behind_ms: 30_001 });
    assert_eq!(log.begin(opening(1)).await.map(|entry| entry.index()), behind);
    drop(log);
    let log = AuditLog::open(directory.path(), ORIGIN, clock.clone()).unwrap();
    assert_eq!(log.begin(opening(1)).await.map(|entry| entry.index()), behind);
    clock.advance_ms(1);
    record(&log, 1).await;
    drop(log);
    assert_eq!(verify_directory(directory.path()).unwrap().entries, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_wait_together_share_one_sync() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let syncs = Arc::new(AtomicUsize::new(0));
    let (reached, gate) = sync_channel(0);
    let (release, released) = sync_channel::<()>(0);
    let count = Arc::clone(&syncs);
    let step = move |name: &str, when| {
        if (name, when) == ("sync", When::Before) && count.fetch_add(1, Ordering::SeqCst) == 0 {
            reached.send(()).unwrap();
            released.recv().unwrap();
        }
        Ok(())
    };
    let tiles = TileFiles::new(directory.path());
    let watched = |storage| Watched { storage, step };
    let log = AuditLog::start(recovered, watched, tiles, |signer| signer, clock(), Pace::default()).unwrap();
    let first = tokio::spawn({
        let log = log.clone();
        async move { log.begin(opening(0)).await.unwrap().complete(answered()).await.unwrap() }
    });
    gate.recv().unwrap();
    // The disk is busy with the first entry; a hundred callers queue up behind it.
    let mut waiting: Vec<_> = (1..=100).map(|number| Box::pin(log.begin(opening(number)))).collect();
    assert!(waiting.iter_mut().all(|begin| poll_once(begin.as_mut()).is_pending()));
    assert_eq!(syncs.load(Ordering::SeqCst), 1);
    release.send(()).unwrap();
    let mut entries = Vec::new();
    for begin in waiting {
        entries.push(begin.await.unwrap());
    }
    assert!(entries.iter().map(OpenEntry::index).eq(1..=100));
    first.await.unwrap();
    // One for the first opening, one for the hundred, and one more for the first completion if it
    // came too late to go with them.
    let syncs = syncs.load(Ordering::SeqCst);
    assert!((2..=3).contains(&syncs), "{syncs} syncs for 102 entries");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let directory = scratch();
    let (log, gate) = gated(directory.path());
    let large = |number| Opening { reason: Some("\n".repeat(4096)), ..opening(number) };
    let mut waiting: Vec<_> = (0..1000).map(|number| Box::pin(log.begin(large(number)))).collect();
    {
        let _shut = gate.lock().unwrap();
        assert!(waiting.iter_mut().all(|begin| poll_once(begin.as_mut()).is_pending()));
        // A thousand entries of 8 KiB do not fit: the queue is full and the rest have no share of it.
        assert!(log.inner.queue.available_permits() < 9 * 1024);
    }
    for begin in waiting {
        drop(begin.await.unwrap());
    }
    drop(log);
    let verified = verify_directory(directory.path()).unwrap();
    assert_eq!((verified.opened, verified.completed), (1000, 1000));
}

#[tokio::test]
async fn a_checkpoint_follows_without_being_asked_for() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let (signed, checkpoints) = sync_channel(16);
    let step = move |name: &str, when| {
        if (name, when) == ("checkpoint", When::After) {
            signed.send(()).unwrap();
        }
        Ok(())
    };
    let tiles = Watched { storage: TileFiles::new(directory.path()), step };
    let log = AuditLog::start(recovered, |journal| journal, tiles, |signer| signer, clock(), Pace::default()).unwrap();
    checkpoints.recv().unwrap();
    record(&log, 1).await;
    checkpoints.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(verify_directory(directory.path()).unwrap().entries > 0);
}

#[tokio::test]
async fn the_journal_does_not_grow_for_ever() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let tiles = TileFiles::new(directory.path());
    let pace = Pace { segment_limit_bytes: 10_000, ..Pace::default() };
    let log = AuditLog::start(recovered, |journal| journal, tiles, |signer| signer, clock(), pace).unwrap();
    for round in 1..=5 {
        record_together(&log, 300).await;
        log.flush().await.unwrap();
        let journal = journal::read(directory.path()).unwrap().unwrap();
        assert_eq!(journal.end(), round * 600);
        assert!(journal.first + 2 * 600 > journal.end(), "{} of {}", journal.first, journal.end());
    }
    assert_eq!(verify_directory(directory.path()).unwrap().entries, 3000);
    drop(log);
    // A log whose journal begins in the middle opens and goes on.
    record(&open(directory.path()), 1).await;
    assert_eq!(verify_directory(directory.path()).unwrap().entries, 3002);
    // Partial tiles are kept only where the tile is not full yet.
    let partial = |file: &std::path::PathBuf| file.to_string_lossy().contains("entries/000.p/");
    assert!(!files(directory.path()).iter().any(partial));
}
