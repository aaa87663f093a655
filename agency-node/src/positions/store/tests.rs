//! What the store promises, with the disk that it promises it on.

use std::{fs, sync::atomic::Ordering};

use sallyport_feed::Reason;
use sallyport_trust::error::Kind;

use super::super::fixtures::{batch, clock, open, position};
use super::super::journal::{segment_name, segments};
use super::*;

/// Each group begins a segment.
pub(super) const TINY: Sizes = Sizes { segment_bytes: 1, history_bytes: u64::MAX };

pub(super) async fn append(store: &Store, stream: &str, sequence: u64) -> Result<(), Refusal> {
    let batch = batch("gps", stream, sequence, 3);
    store.append("gps", stream, sequence, batch.positions, batch.refused).await
}

/// Stream and number of everything durable, in order.
pub(super) async fn held(store: &Store) -> Vec<(String, u64)> {
    let mut held = Vec::new();
    let mut subscription = store.subscribe(0);
    while (held.len() as u64) < *store.inner.shared.durable.borrow() {
        let placed = subscription.next().await.unwrap().unwrap();
        assert_eq!(placed.place, held.len() as u64);
        held.push((placed.batch.stream, placed.batch.sequence));
    }
    held
}

#[tokio::test]
async fn streams_go_on_after_a_restart_and_repeat_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for sequence in 1..=3 {
        append(&store, "a", sequence).await.unwrap();
    }
    append(&store, "b", 1).await.unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.acknowledged("gps", "a"), Some(3));
    assert_eq!(store.acknowledged("gps", "b"), Some(1));
    assert_eq!(store.acknowledged("other", "a"), None);
    append(&store, "a", 2).await.unwrap();
    append(&store, "a", 4).await.unwrap();
    // Batches are of three points; one that is sent again counts once.
    assert_eq!(store.reached("gps", "a"), Some(Reached { sequence: 4, points: Some(12) }));
    let gap = append(&store, "a", 6).await.unwrap_err();
    assert_eq!((gap.kind, gap.reason.as_str()), (Kind::Conflict, "sequence_gap"));
    let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("a", 4)].map(|(s, n)| (s.to_owned(), n));
    assert_eq!(held(&store).await, expected);
}

#[tokio::test]
async fn a_batch_sent_twice_at_once_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let twice = (0..20).map(|_| append(&store, "a", 1));
    for outcome in futures::future::join_all(twice).await {
        outcome.unwrap();
    }
    assert_eq!(held(&store).await, [("a".to_owned(), 1)]);
}

#[tokio::test]
async fn a_feed_takes_one_file_after_the_other_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, "first", 1).await.unwrap();
    let files: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    for outcome in futures::future::join_all(files.iter().map(|file| append(&store, file, 1))).await {
        outcome.unwrap();
    }
    assert_eq!((store.acknowledged("gps", "first"), store.acknowledged("gps", &files[9_999])), (None, Some(1)));
    drop(store);
    let store = open(directory.path());
    append(&store, &files[0], 2).await.unwrap();
    // What was forgotten begins again, and is kept again.
    append(&store, "first", 1).await.unwrap();
    store.settle().await.unwrap();
    assert_eq!(settled(&store), 3 * 10_003);
}

#[tokio::test]
async fn a_store_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let other = Store::open(directory.path(), Settings::default(), clock());
    assert!(matches!(other, Err(StoreError::Locked(_))));
    drop(store);
    open(directory.path());
}

#[tokio::test]
async fn a_full_journal_refuses_and_still_knows_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, "a", 1).await.unwrap();
    let limit = Settings::default().journal_limit_bytes();
    store.inner.shared.journal_bytes.fetch_add(limit, Ordering::SeqCst);
    assert_eq!(append(&store, "a", 2).await.unwrap_err().reason, "positions_full");
    append(&store, "a", 1).await.unwrap();
    store.inner.shared.journal_bytes.fetch_sub(limit, Ordering::SeqCst);
    append(&store, "a", 2).await.unwrap();
}

#[tokio::test]
async fn a_follower_goes_on_from_a_remembered_place_over_segments_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Store::start(directory.path(), &Settings::default(), clock(), TINY, |file| file).unwrap();
    let store = start();
    for sequence in 1..=5 {
        append(&store, "a", sequence).await.unwrap();
    }
    let mut follower = store.subscribe(3);
    let placed = follower.next().await.unwrap().unwrap();
    assert_eq!((placed.place, placed.batch.sequence), (3, 4));
    drop(store);
    let placed = follower.next().await.unwrap().unwrap();
    assert_eq!((placed.place, placed.batch.sequence), (4, 5));
    assert_eq!(follower.next().await.unwrap(), None);
    let store = start();
    let mut follower = store.subscribe(5);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), follower.next()).await.is_err());
    let (placed, appended) = tokio::join!(follower.next(), append(&store, "a", 6));
    appended.unwrap();
    assert_eq!(placed.unwrap().unwrap().place, 5);
    // What has left the journal is told; the table keeps it.
    let journal = directory.path().join("journal");
    fs::remove_file(journal.join(segment_name(0))).unwrap();
    let gone = store.subscribe(0).next().await.unwrap_err();
    assert_eq!(gone, StoreError::PlaceGone { first: segments(&journal).unwrap()[0] });
}

#[tokio::test]
async fn refused_points_are_found_by_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let refused = |count: u32| (0..count).map(|i| RefusedPoint::new(i, Reason::Swapped, &position(1))).collect();
    store.append("gps", "a", 1, vec![position(1)], refused(3)).await.unwrap();
    store.append("other", "a", 1, Vec::new(), refused(2)).await.unwrap();
    store.append("gps", "a", 2, Vec::new(), refused(4)).await.unwrap();
    drop(store);
    let store = open(directory.path());
    let all = store.quarantine("gps", 0, 100).await.unwrap();
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|a, b| a.number < b.number));
    let (mut after, mut paged) = (0, Vec::new());
    while let Some(page) = Some(store.quarantine("gps", after, 2).await.unwrap()).filter(|page| !page.is_empty()) {
        after = page.last().unwrap().number;
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

/// Numbers of the positions in the table, each as often as it is there.
pub(super) fn settled(store: &Store) -> u64 {
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
    let rows = |path| {
        let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        file.metadata().file_metadata().num_rows() as u64
    };
    store.files().into_iter().map(rows).sum()
}

#[tokio::test]
async fn what_has_settled_leaves_the_journal_and_streams_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = || Sizes { segment_bytes: 1, history_bytes: 0 };
    let start = || Store::start(directory.path(), &Settings::default(), clock(), sizes(), |file| file).unwrap();
    let store = start();
    let refused = || vec![RefusedPoint::new(0, Reason::Swapped, &position(1))];
    for sequence in 1..=6 {
        store.append("gps", "a", sequence, vec![position(sequence as i64)], refused()).await.unwrap();
    }
    store.settle().await.unwrap();
    let journal = directory.path().join("journal");
    let left = segments(&journal).unwrap();
    assert_eq!(left.len(), 1, "only the segment that is being written");
    assert_eq!(store.inner.shared.journal_bytes.load(Ordering::SeqCst), bytes_of(&journal).unwrap());
    assert_eq!(store.subscribe(0).next().await, Err(StoreError::PlaceGone { first: left[0] }));
    drop(store);
    let store = start();
    assert_eq!(store.acknowledged("gps", "a"), Some(6));
    store.append("gps", "a", 6, vec![position(6)], refused()).await.unwrap();
    store.append("gps", "a", 7, vec![position(7)], refused()).await.unwrap();
    // The first six are in a file, the last one in the journal.
    let quarantined = store.quarantine("gps", 0, 100).await.unwrap();
    assert_eq!(quarantined.iter().map(|point| point.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let page = store.quarantine("gps", quarantined[2].number, 3).await.unwrap();
    assert_eq!(page, quarantined[3..6]);
    assert_eq!(store.quarantine("..", 0, 1).await.unwrap_err().reason, "stream_name");
    store.settle().await.unwrap();
    assert_eq!(store.quarantine("gps", 0, 100).await.unwrap(), quarantined);
    assert_eq!(settled(&store), 7);
}
