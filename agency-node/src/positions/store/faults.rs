//! What the store does when the disk fails, is full, or gives back something else.

use std::{
    fs, io,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use super::{
    super::{
        fixtures::{batch, clock, open},
        journal::{segment_name, segments},
    },
    tests::{TINY, append, held, settled},
    *,
};

fn last_segment(directory: &Path) -> PathBuf {
    let journal = directory.join("journal");
    journal.join(segment_name(*segments(&journal).unwrap().last().unwrap()))
}

#[tokio::test]
async fn torn_at_every_byte_the_last_batch_is_whole_or_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, "a", 1).await.unwrap();
    let before = fs::read(last_segment(directory.path())).unwrap().len();
    append(&store, "a", 2).await.unwrap();
    drop(store);
    let path = last_segment(directory.path());
    let bytes = fs::read(&path).unwrap();
    for cut in before..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = open(directory.path());
        let whole = if cut == bytes.len() { 2 } else { 1 };
        assert_eq!(store.acknowledged("gps", "a"), Some(whole), "cut at {cut}");
        append(&store, "a", whole + 1).await.unwrap();
        assert_eq!(held(&store).await.len() as u64, whole + 1);
    }
}

#[tokio::test]
async fn damage_before_the_end_is_never_cut_away() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for sequence in 1..=2 {
        append(&store, "a", sequence).await.unwrap();
    }
    drop(store);
    let path = last_segment(directory.path());
    let bytes = fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    changed[70] ^= 1;
    fs::write(&path, &changed).unwrap();
    let opened = Store::open(directory.path(), Settings::default(), clock());
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
    assert_eq!(fs::read(&path).unwrap(), changed);
}

/// Storage that fails at one step, with what was written before it or without.
struct Faulty {
    file: SegmentFile,
    steps_left: Arc<AtomicU32>,
    fault: fn(&mut SegmentFile, &[u8]) -> io::Error,
}

impl Faulty {
    fn step(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.steps_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(1) => Err((self.fault)(&mut self.file, bytes)),
            _ => Ok(()),
        }
    }
}

impl SegmentStorage for Faulty {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.step(bytes)?;
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step(&[])?;
        self.file.sync()
    }

    fn begin(&mut self, first: u64, bytes: &[u8]) -> io::Result<()> {
        self.step(&[])?;
        self.file.begin(first, bytes)
    }
}

fn nothing_written(_: &mut SegmentFile, _: &[u8]) -> io::Error {
    io::Error::other("the disk failed")
}

fn a_part_written(file: &mut SegmentFile, bytes: &[u8]) -> io::Error {
    file.append(&bytes[..bytes.len() / 2]).unwrap();
    io::ErrorKind::StorageFull.into()
}

fn everything_written(file: &mut SegmentFile, bytes: &[u8]) -> io::Error {
    file.append(bytes).unwrap();
    io::Error::other("the disk failed")
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged_until_the_store_is_opened_again() {
    for fault in [nothing_written, a_part_written, everything_written] {
        for step in 1..=8 {
            let directory = tempfile::tempdir().unwrap();
            let steps_left = Arc::new(AtomicU32::new(step));
            let left = steps_left.clone();
            let faulty = |file| Faulty { file, steps_left: left, fault };
            let store = Store::start(directory.path(), &Settings::default(), clock(), TINY, faulty).unwrap();
            let mut acknowledged = 0;
            for sequence in 1..=3 {
                match append(&store, "a", sequence).await {
                    Ok(()) => acknowledged = sequence,
                    Err(refusal) => assert_eq!(refusal.reason, "positions_unwritable"),
                }
            }
            assert_eq!(steps_left.load(Ordering::SeqCst), 0);
            assert!(acknowledged < 3, "the fault was never met");
            assert!(store.check().is_err());
            let again = append(&store, "a", acknowledged + 1).await.unwrap_err();
            assert_eq!(again.reason, "positions_unwritable");
            drop(store);
            let store = open(directory.path());
            let recovered = store.acknowledged("gps", "a").unwrap_or(0);
            assert!((acknowledged..=acknowledged + 1).contains(&recovered), "{acknowledged} {recovered}");
            for sequence in 1..=4 {
                append(&store, "a", sequence).await.unwrap();
            }
            let expected: Vec<_> = (1..=4).map(|sequence| ("a".to_owned(), sequence)).collect();
            assert_eq!(held(&store).await, expected);
        }
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_written_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, "a", 1).await.unwrap();
    store.settle().await.unwrap();
    // The data file of the next version can be written and its line in the log cannot.
    let next = store.table().join("_delta_log/00000000000000000002.tmp");
    fs::create_dir(&next).unwrap();
    append(&store, "a", 2).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(store.settle().await, Err(StoreError::Files { .. })));
    }
    append(&store, "a", 3).await.unwrap();
    assert_eq!(settled(&store), 3);
    fs::remove_dir(&next).unwrap();
    store.settle().await.unwrap();
    assert_eq!(settled(&store), 9);
    drop(store);
    let store = open(directory.path());
    store.settle().await.unwrap();
    assert_eq!(settled(&store), 9);
}

#[tokio::test]
async fn a_journal_that_was_taken_away_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, "a", 1).await.unwrap();
    store.settle().await.unwrap();
    drop(store);
    fs::remove_dir_all(directory.path().join("journal")).unwrap();
    let opened = Store::open(directory.path(), Settings::default(), clock());
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
}

/// Storage whose first wait for the disk lasts until it is told to end.
struct Slow {
    file: SegmentFile,
    release: mpsc::Receiver<()>,
    syncs: Arc<AtomicU32>,
}

impl SegmentStorage for Slow {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs.fetch_add(1, Ordering::SeqCst) == 0 {
            self.release.recv().map_err(io::Error::other)?;
        }
        self.file.sync()
    }

    fn begin(&mut self, first: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.begin(first, bytes)
    }
}

fn slow(directory: &Path) -> (Store, mpsc::Sender<()>, Arc<AtomicU32>) {
    let (end, release) = mpsc::channel();
    let syncs = Arc::new(AtomicU32::new(0));
    let count = syncs.clone();
    let sizes = Sizes { segment_bytes: u64::MAX, history_bytes: u64::MAX };
    let storage = |file| Slow { file, release, syncs: count };
    (Store::start(directory, &Settings::default(), clock(), sizes, storage).unwrap(), end, syncs)
}

#[tokio::test]
async fn many_streams_share_one_wait_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (store, end, syncs) = slow(directory.path());
    let streams: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    let appends = futures::future::join_all(streams.iter().map(|stream| append(&store, stream, 1)));
    // The first wait ends when all have come; those that came meanwhile share the second.
    let (appended, _) = tokio::join!(appends, async { end.send(()).unwrap() });
    assert!(appended.iter().all(Result::is_ok));
    assert!(syncs.load(Ordering::SeqCst) <= 2);
    assert_eq!(held(&store).await.len(), 50);
}

#[tokio::test]
async fn a_slow_disk_holds_senders_back_in_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (store, end, _) = slow(directory.path());
    let large: Vec<Batch> = (0..40).map(|number| batch("gps", &format!("s{number}"), 1, 10_000)).collect();
    let bytes = large[0].encode().unwrap().len();
    assert!(bytes * large.len() > 2 * QUEUE_LIMIT_BYTES);
    let appends = futures::future::join_all(large.iter().map(|batch| store.inner.append(batch)));
    let full = async {
        assert!(store.inner.queue.available_permits() < bytes, "more could be queued");
        end.send(()).unwrap();
    };
    let (appended, ()) = tokio::join!(appends, full);
    assert!(appended.iter().all(Result::is_ok));
    assert_eq!(store.inner.queue.available_permits(), QUEUE_LIMIT_BYTES);
    assert_eq!(held(&store).await.len(), large.len());
}
