//! What positions promise, against a process that is killed and against another program that reads the table.
//!
//! The other program is the Python package `deltalake`. It is installed into a virtual environment under the
//! target directory; where there is no Python or no package registry, the test says so and compares nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sallyport_feed::{Position, Reason, RefusedPoint};
use sallyport_node::positions::{Settings, Store};
use sallyport_trust::clock::Clock;

const PACKAGE: &str = "deltalake==1.6.6";
/// 2026-11-24T00:00:00Z.
const MIDNIGHT_MS: i64 = 1_795_478_400_000;
const FEED: &str = "acme";
const STREAMS: usize = 5;
const POINTS: u64 = 5;
const KILLS: u64 = 50;
/// Where a child keeps its positions; without it this process is no child.
const CHILD: &str = "SALLYPORT_TEST_POSITIONS";

fn open(directory: &Path) -> Store {
    let settings = Settings { settle_seconds: 1, ..Settings::default() };
    Store::open(directory, settings, Clock::system()).unwrap()
}

fn stream(number: usize) -> String {
    format!("truck-{number}")
}

/// The positions of a batch, which are those of no other: a device for each stream, a second for each batch.
fn positions(stream: &str, sequence: u64) -> Vec<Position> {
    let at_ms = |point| MIDNIGHT_MS + (sequence * 1000 + point) as i64;
    let position = |point| Position {
        device: stream.to_owned(),
        at_ms: at_ms(point),
        latitude: 27.5,
        longitude: -99.5,
        speed_mps: None,
        heading_deg: None,
        accuracy_m: None,
        seal: None,
    };
    (0..POINTS).map(position).collect()
}

fn refused(sequence: u64) -> Vec<RefusedPoint> {
    vec![RefusedPoint::new(0, Reason::Swapped, &positions("lost", sequence)[0])]
}

/// Sends batches of a stream and hands out the number of each that was acknowledged. The first one repeats
/// the last of an earlier life, as a sender does that has lost the acknowledgement.
async fn send(store: &Store, stream: &str, batches: u64, acknowledged: impl Fn(u64)) {
    let last = store.acknowledged(FEED, stream).unwrap_or(0);
    for sequence in last.max(1)..=last + batches {
        store.append(FEED, stream, sequence, positions(stream, sequence), refused(sequence)).await.unwrap();
        acknowledged(sequence);
    }
}

/// By itself a short run; as a child one that goes on until it is killed, and tells what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_is_told() {
    let Some(directory) = std::env::var_os(CHILD) else {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        send(&store, "a", 3, |_| ()).await;
        assert_eq!(store.acknowledged(FEED, "a"), Some(3));
        return;
    };
    let store = open(Path::new(&directory));
    let sending = (0..STREAMS).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let stream = stream(number);
            loop {
                // One line is one write to the pipe, so that a kill leaves it whole or out.
                send(&store, &stream, 4, |sequence| {
                    io::stderr().write_all(format!("{stream} {sequence}\n").as_bytes()).unwrap();
                })
                .await;
                store.settle().await.unwrap();
            }
        })
    });
    futures::future::join_all(sending).await;
}

/// Lets a child run for a while after its first word, kills it, and adds what it told to what is known to be
/// acknowledged. The instant is not one of the child's own steps.
fn run_and_kill(directory: &Path, after: Duration, acknowledged: &mut BTreeMap<String, u64>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["everything_acknowledged_is_told", "--exact", "--nocapture"]).env(CHILD, directory);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = told.next();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in first.into_iter().chain(told) {
            let words = line.split_once(' ').and_then(|(stream, number)| Some((stream, number.parse::<u64>().ok()?)));
            let (stream, sequence) = words.unwrap_or_else(|| panic!("the child failed: {line}"));
            let known = acknowledged.entry(stream.to_owned()).or_insert(0);
            *known = sequence.max(*known);
        }
    });
}

/// How often each position is in the table, by stream and batch.
fn in_table(store: &Store) -> BTreeMap<(String, i64), usize> {
    use datafusion::arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut found = BTreeMap::new();
    for path in store.files() {
        let file = std::fs::File::open(path).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let devices = batch.column_by_name("device").unwrap().as_string::<i32>();
            let times = batch.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                *found.entry((devices.value(row).to_owned(), times.value(row) / 1000)).or_insert(0) += 1;
            }
        }
    }
    found
}

#[tokio::test]
async fn killed_at_any_instant_nothing_acknowledged_is_lost_or_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        // From at once to a fifth of a second, in an order that looks like none.
        run_and_kill(directory.path(), Duration::from_millis(kill * 37 % 101 * 2), &mut acknowledged);
    }
    assert_eq!(acknowledged.len(), STREAMS);
    let store = open(directory.path());
    store.settle().await.unwrap();
    let mut expected = BTreeMap::new();
    let mut batches = 0;
    for (stream, told) in &acknowledged {
        let kept = store.acknowledged(FEED, stream).unwrap();
        assert!(kept >= *told, "{stream}: {told} acknowledged, {kept} kept");
        assert!(*told >= KILLS, "{stream} came no further than {told}");
        batches += kept;
        let positions = (1..=kept).flat_map(|sequence| positions(stream, sequence));
        expected.extend(positions.map(|position| ((position.device, position.at_ms), 1)));
    }
    assert!(in_table(&store) == expected, "the table does not hold each position once");
    let quarantined = store.quarantine(FEED, 0, usize::MAX).await.unwrap();
    assert_eq!(quarantined.len() as u64, batches);
}

#[tokio::test]
async fn another_program_reads_and_compacts_the_table() {
    let Some(python) = python_with_deltalake() else {
        // A variable of its own: data that lie there say nothing of a way to PyPI.
        let required = std::env::var_os("SALLYPORT_PYTHON_REQUIRED");
        assert!(required.is_none(), "no Python with {PACKAGE} could be had to compare with");
        // Not through the test's own output, which is kept back when it passes.
        let _ = writeln!(io::stderr(), "skipped: no Python with {PACKAGE} could be had to compare with");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let ask = |script: &str| {
        let out = Command::new(&python).args(["-c", script]).arg(store.table()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    // Enough for checkpoints and compaction; the second half is sent twice.
    for sequence in 1..=60 {
        send(&store, "truck-1", 1, |_| ()).await;
        store.append(FEED, "truck-1", sequence, positions("truck-1", sequence), Vec::new()).await.unwrap();
        store.settle().await.unwrap();
    }
    assert_eq!(ask(COUNT), format!("300 300 1 {MIDNIGHT_MS} 2026-11-24 acme\n"));
    // What another program does to the table is taken in, and the store goes on.
    assert_eq!(ask(COMPACT), "1\n");
    send(&store, "truck-2", 1, |_| ()).await;
    store.settle().await.unwrap();
    assert_eq!(ask(COUNT), format!("305 305 2 {MIDNIGHT_MS} 2026-11-24 acme\n"));
    assert_eq!(in_table(&store).len(), 305);
}

/// Rows, different rows, devices, the day of the first position in milliseconds, all days, all feeds.
const COUNT: &str = r#"
import sys
from deltalake import DeltaTable, QueryBuilder
table = DeltaTable(sys.argv[1])
rows = QueryBuilder().register("p", table).execute("""
    SELECT count(*), count(DISTINCT arrow_cast(at, 'Int64') || device), count(DISTINCT device),
           arrow_cast(min(date_trunc('day', at)), 'Int64') / 1000, min(day), min(feed) FROM p
    WHERE day = DATE '2026-11-24' AND device >= 'truck-' AND at < TIMESTAMP '2026-11-25T00:00:00Z'
""").read_all()
print(*[rows.column(at)[0].as_py() for at in range(rows.num_columns)])
"#;

/// Compacts the table and tells of how many files it is then.
const COMPACT: &str = r#"
import sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
table.optimize.compact()
print(len(table.file_uris()))
"#;

/// A Python that can import deltalake; none when there is no way to one here.
fn python_with_deltalake() -> Option<PathBuf> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deltalake-oracle");
    let python = environment.join("bin/python");
    let works = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works(&python, &["-c", "import deltalake"]) {
        let made = works(Path::new("python3"), &["-m", "venv", environment.to_str()?]);
        let install = ["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1", PACKAGE];
        if !made || !works(&python, &install) {
            return None;
        }
    }
    Some(python)
}
