//! Processes killed at any moment, and logs that somebody changed while they were closed.

use std::fs;

use super::*;
use crate::audit::journal::{encode_frame, segment_name};
use crate::audit::tiles::append_entry;
use crate::audit::{VerifyError, verify_directory_with};

fn never_publishing(directory: &Path) -> AuditLog {
    let recovered = recover(directory, ORIGIN).unwrap();
    let tiles = TileFiles::new(directory);
    let pace = Pace { publish_interval: Duration::from_secs(3600), ..Pace::default() };
    AuditLog::start(recovered, |journal| journal, tiles, |signer| signer, clock(), pace).unwrap()
}

fn journal_file(directory: &Path, first: u64) -> std::path::PathBuf {
    directory.join("journal").join(segment_name(first))
}

fn refused(directory: &Path) -> AuditError {
    AuditLog::open(directory, ORIGIN, clock()).unwrap_err()
}

#[tokio::test]
async fn killed_before_publishing_nothing_acknowledged_is_lost() {
    let directory = scratch();
    let log = never_publishing(directory.path());
    record(&log, 10).await;
    let open_entry = log.begin(opening(11)).await.unwrap();
    let killed = copy(directory.path());
    drop(open_entry);
    let before = verify_directory(killed.path()).unwrap();
    assert_eq!((before.entries, before.pending, before.still_open), (0, 21, 1));
    drop(open(killed.path()));
    let after = verify_directory(killed.path()).unwrap();
    assert_eq!((after.entries, after.pending, after.still_open), (21, 0, 1));
    assert_eq!((after.opened, after.completed), (11, 10));
}

#[tokio::test]
async fn killed_at_every_byte_of_an_append_only_the_torn_batch_is_lost() {
    let directory = scratch();
    let log = never_publishing(directory.path());
    record(&log, 1).await;
    let path = journal_file(directory.path(), 0);
    let acknowledged = fs::metadata(&path).unwrap().len() as usize;
    let entry = log.begin(opening(2)).await.unwrap();
    let whole = fs::metadata(&path).unwrap().len() as usize;
    let killed = copy(directory.path());
    drop(entry);
    let bytes = fs::read(journal_file(killed.path(), 0)).unwrap();
    for cut in acknowledged..=whole {
        let torn = copy(killed.path());
        fs::write(journal_file(torn.path(), 0), &bytes[..cut]).unwrap();
        let expected = if cut == whole { 3 } else { 2 };
        assert_eq!(verify_directory(torn.path()).unwrap().pending, expected, "cut at {cut}");
        let log = open(torn.path());
        record(&log, 1).await;
        drop(log);
        assert_eq!(verify_directory(torn.path()).unwrap().entries, expected + 2, "cut at {cut}");
    }
}

/// Every byte of the journal's end is tried in [`crate::audit::journal`]; here some of them with all that
/// follows: a batch of 64 KiB is torn, the log opens, goes on, and verifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_torn_anywhere_is_lost_as_a_whole_and_nothing_before_it() {
    let directory = scratch();
    let log = never_publishing(directory.path());
    record(&log, 1).await;
    let killed = copy(directory.path());
    drop(log);
    let acknowledged = fs::read(journal_file(killed.path(), 0)).unwrap();
    let (mut payload, mut entries) = (Vec::new(), 0);
    while payload.len() < 64 * 1024 {
        let entry = Entry::new(clock().now_ms(), EntryId::random().unwrap(), Phase::Open(opening(entries)));
        append_entry(&mut payload, &entry.to_bytes().unwrap()).unwrap();
        entries += 1;
    }
    let whole = [acknowledged.clone(), encode_frame(2, &payload)].concat();
    for cut in (acknowledged.len()..whole.len()).step_by(1009).chain([whole.len() - 1, whole.len()]) {
        let torn = copy(killed.path());
        fs::write(journal_file(torn.path(), 0), &whole[..cut]).unwrap();
        let log = open(torn.path());
        record(&log, 1).await;
        drop(log);
        let kept = if cut == whole.len() { 2 + entries as u64 } else { 2 };
        assert_eq!(verify_directory(torn.path()).unwrap().entries, kept + 2, "cut at {cut}");
    }
}

#[tokio::test]
async fn what_a_checkpoint_promised_cannot_be_cut_off() {
    let directory = scratch();
    let log = open(directory.path());
    record(&log, 3).await;
    drop(log);
    let path = journal_file(directory.path(), 0);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(matches!(refused(directory.path()), AuditError::Truncated { published: 6, held: 0..6 }));
        let found = verify_directory(directory.path()).unwrap_err();
        assert!(matches!(found, VerifyError::Truncated { published: 6, held: 0..6 }));
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(refused(directory.path()), AuditError::Damaged { .. }));
    assert!(matches!(verify_directory(directory.path()), Err(VerifyError::Truncated { .. })));
    fs::write(&path, &bytes).unwrap();
    fs::remove_file(directory.path().join("checkpoint")).unwrap();
    assert!(matches!(refused(directory.path()), AuditError::Damaged { .. }));
}

#[tokio::test]
async fn a_rewritten_journal_disagrees_with_the_checkpoint() {
    let directory = scratch();
    let log = open(directory.path());
    record(&log, 2).await;
    drop(log);
    let path = journal_file(directory.path(), 0);
    let mut entries = journal::read(directory.path()).unwrap().unwrap().entries;
    entries.swap(0, 2);
    let mut payload = Vec::new();
    entries.iter().for_each(|entry| append_entry(&mut payload, entry).unwrap());
    fs::write(&path, encode_frame(0, &payload)).unwrap();
    assert_eq!(refused(directory.path()), AuditError::Disagrees { size: 4 });
    let found = verify_directory(directory.path());
    assert_eq!(found, Err(VerifyError::JournalEntry { index: 0 }));
}

#[tokio::test]
async fn damage_in_the_middle_of_the_journal_is_not_taken_for_a_torn_end() {
    let directory = scratch();
    let log = never_publishing(directory.path());
    record(&log, 3).await;
    let killed = copy(directory.path());
    let path = journal_file(killed.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(killed.path()), AuditError::Damaged { .. }));
    assert!(matches!(verify_directory(killed.path()), Err(VerifyError::Journal(_))));
}

#[tokio::test]
async fn an_older_checkpoint_is_noticed_where_the_journal_has_moved_on() {
    let directory = scratch();
    let log = open(directory.path());
    record(&log, 1).await;
    log.flush().await.unwrap();
    let older = fs::read(directory.path().join("checkpoint")).unwrap();
    drop(log);
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let tiles = TileFiles::new(directory.path());
    let pace = Pace { segment_limit_bytes: 1000, ..Pace::default() };
    let log = AuditLog::start(recovered, |journal| journal, tiles, |signer| signer, clock(), pace).unwrap();
    record_together(&log, 600).await;
    drop(log);
    fs::write(directory.path().join("checkpoint"), older).unwrap();
    assert!(matches!(refused(directory.path()), AuditError::Damaged { .. }));
    let found = verify_directory(directory.path());
    assert!(matches!(found, Err(VerifyError::OldCheckpoint { published: 2, .. })));
}

#[tokio::test]
async fn tiles_spoiled_by_a_power_failure_are_derived_again() {
    let directory = scratch();
    let log = open(directory.path());
    for _ in 0..3 {
        record_together(&log, 100).await;
        log.flush().await.unwrap();
    }
    drop(log);
    let whole = verify_directory(directory.path()).unwrap();
    let tiles: Vec<_> = files(directory.path()).into_iter().filter(|file| file.starts_with("tile")).collect();
    assert!(tiles.len() >= 5);
    for tile in &tiles {
        fs::write(directory.path().join(tile), []).unwrap();
    }
    fs::write(directory.path().join("staged"), "half").unwrap();
    assert!(verify_directory(directory.path()).is_err());
    drop(open(directory.path()));
    assert_eq!(verify_directory(directory.path()).unwrap(), whole);
    assert!(tiles.iter().all(|tile| fs::metadata(directory.path().join(tile)).unwrap().len() > 0));
}

#[tokio::test]
async fn a_missing_tile_under_a_trimmed_journal_is_named() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let tiles = TileFiles::new(directory.path());
    let pace = Pace { segment_limit_bytes: 1000, ..Pace::default() };
    let log = AuditLog::start(recovered, |journal| journal, tiles, |signer| signer, clock(), pace).unwrap();
    let key = log.verifier_key().clone();
    record_together(&log, 600).await;
    drop(log);
    assert!(verify_directory_with(directory.path(), &key).is_ok());
    let tile = directory.path().join("tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert_eq!(refused(directory.path()), AuditError::Disagrees { size: 1200 });
    fs::remove_file(tile).unwrap();
    assert!(refused(directory.path()).to_string().contains("tile/0/000 is missing"));
}
