//! The table, read back from its files.

use std::fs;

use arrow::{
    array::AsArray,
    datatypes::{Float64Type, TimestampMicrosecondType},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::positions::fixtures::{MIDNIGHT_MS, position};

const DAY_MS: i64 = 86_400_000;

fn open(directory: &Path) -> Table {
    Table::open(directory, &Settings::default(), MIDNIGHT_MS).unwrap()
}

fn rows(numbers: std::ops::Range<i64>) -> Vec<Row> {
    let row = |number| Row { feed: "gps".to_owned(), received_ms: MIDNIGHT_MS, position: position(number) };
    numbers.rev().map(row).collect()
}

/// Device, time and latitude of every row, file by file.
fn held(table: &Table) -> Vec<Vec<(String, i64, f64)>> {
    let read = |path: &str| {
        let file = fs::File::open(table.directory.join(path)).unwrap();
        let mut rows = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let devices = batch.column_by_name("device").unwrap().as_string::<i32>().clone();
            let times = batch.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
            let latitudes = batch.column_by_name("latitude").unwrap().as_primitive::<Float64Type>().clone();
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| (devices.value(row).to_owned(), times.value(row) / 1000, latitudes.value(row))),
            );
        }
        rows
    };
    table.snapshot.files.keys().map(|path| read(path)).collect()
}

fn all(table: &Table) -> Vec<(String, i64)> {
    let mut all: Vec<_> = held(table).into_iter().flatten().map(|(device, at_ms, _)| (device, at_ms)).collect();
    all.sort();
    all
}

fn expected(numbers: std::ops::Range<i64>) -> Vec<(String, i64)> {
    let mut all: Vec<_> = numbers.map(position).map(|position| (position.device, position.at_ms)).collect();
    all.sort();
    all
}

#[test]
fn rows_lie_in_the_partition_of_their_day_sorted_by_device_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = open(directory.path());
    // The last second of a day and the first of the next.
    table.append(&rows(-50..50), 3, MIDNIGHT_MS).unwrap();
    let files: Vec<&String> = table.snapshot.files.keys().collect();
    assert!(files[0].starts_with("day=2026-11-23/") && files[1].starts_with("day=2026-11-24/"), "{files:?}");
    let held = held(&table);
    for (file, from, to) in [(&held[0], -50, 0), (&held[1], 0, 50)] {
        assert!(file.is_sorted_by(|a, b| (&a.0, a.1) < (&b.0, b.1)));
        assert_eq!(file.len(), 50);
        assert!(file.iter().all(|(_, at_ms, _)| (from..to).contains(&((at_ms - MIDNIGHT_MS) / 1000))));
        let known = |(device, at_ms, latitude): &(String, i64, f64)| {
            let position = position((at_ms - MIDNIGHT_MS) / 1000);
            position.device == *device && position.latitude == *latitude
        };
        assert!(file.iter().all(known));
    }
    let stats: serde_json::Value = {
        let file = table.snapshot.files.values().next().unwrap();
        serde_json::from_str(file.stats.as_ref().unwrap()).unwrap()
    };
    assert_eq!(stats["numRecords"], 50);
    assert_eq!(stats["minValues"]["at"], "2026-11-23T23:59:10.000Z");
    assert_eq!(stats["maxValues"]["at"], "2026-11-23T23:59:59.000Z");
    assert_eq!((&stats["minValues"]["device"], &stats["nullCount"]["device"]), (&json!("truck-0"), &json!(0)));
}

#[test]
fn the_state_is_read_again_from_versions_and_from_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = open(directory.path());
    for place in 1..=45 {
        table.append(&rows(place * 10..place * 10 + 10), place as u64, MIDNIGHT_MS).unwrap();
        if place % 15 == 0 {
            assert!(table.compact(MIDNIGHT_MS).unwrap());
        }
    }
    assert_eq!(log::read(directory.path()).unwrap(), table.snapshot);
    // Without the versions that the checkpoint stands for.
    let log = directory.path().join(log::LOG_DIRECTORY);
    let jsons = || {
        fs::read_dir(&log)
            .unwrap()
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "json"))
    };
    let before = jsons().count();
    log::forget(directory.path(), i64::MAX).unwrap();
    assert!(jsons().count() < before - 30);
    let mut again = open(directory.path());
    assert_eq!(again.snapshot.settled(), 45);
    let files = |table: &Table| table.snapshot.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(files(&again), files(&table));
    assert_eq!(again.snapshot.removed.keys().collect::<Vec<_>>(), table.snapshot.removed.keys().collect::<Vec<_>>());
    assert_eq!(again.snapshot.metadata, table.snapshot.metadata);
    again.append(&rows(460..470), 46, MIDNIGHT_MS).unwrap();
    assert_eq!(all(&again), expected(10..470));
}

#[test]
fn small_files_become_one_with_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = open(directory.path());
    for place in 0..7 {
        table.append(&rows(place * 10..place * 10 + 10), place as u64 + 1, MIDNIGHT_MS).unwrap();
    }
    assert!(!table.compact(MIDNIGHT_MS).unwrap());
    table.append(&rows(70..80), 8, MIDNIGHT_MS).unwrap();
    assert!(table.compact(MIDNIGHT_MS).unwrap());
    assert!(!table.compact(MIDNIGHT_MS).unwrap());
    let held = held(&table);
    assert_eq!(held.len(), 1);
    assert!(held[0].is_sorted_by(|a, b| (&a.0, a.1) < (&b.0, b.1)));
    assert_eq!(all(&table), expected(0..80));
}

#[test]
fn old_days_go_whole_and_files_after_a_safe_while() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = open(directory.path());
    table.append(&rows(-10..10), 1, MIDNIGHT_MS).unwrap();
    let files = || fs::read_dir(directory.path()).unwrap().count();
    // The orphan of a crash between a file and its version.
    rows::write(directory.path(), rows(0..1)[0].day(), &rows(0..1).iter().collect::<Vec<_>>(), MIDNIGHT_MS).unwrap();
    let days = |days: i64| MIDNIGHT_MS + days * DAY_MS;
    table.drop_old_days(days(89)).unwrap();
    assert_eq!(all(&table), expected(-10..10));
    table.drop_old_days(days(90)).unwrap();
    assert_eq!(all(&table), expected(0..10));
    table.vacuum(days(90)).unwrap();
    assert_eq!(files(), 3, "both days and the log");
    table.vacuum(days(98)).unwrap();
    assert_eq!(files(), 2);
    assert_eq!(fs::read_dir(directory.path().join("day=2026-11-24")).unwrap().count(), 1, "without the orphan");
    assert_eq!(all(&open(directory.path())), expected(0..10));
}

#[test]
fn a_version_that_somebody_else_wrote_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = open(directory.path());
    let mut other = open(directory.path());
    other.append(&rows(0..10), 0, MIDNIGHT_MS).unwrap();
    assert_eq!(table.append(&rows(10..20), 1, MIDNIGHT_MS), Err(StoreError::Overtaken));
    assert_eq!(all(&table), []);
    table.catch_up().unwrap();
    table.append(&rows(10..20), 1, MIDNIGHT_MS).unwrap();
    assert_eq!(all(&open(directory.path())), expected(0..20));
}

#[test]
fn a_table_that_asks_for_more_than_is_known_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path());
    let upgrade = "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7}}\n";
    fs::write(directory.path().join("_delta_log/00000000000000000001.json"), upgrade).unwrap();
    let opened = Table::open(directory.path(), &Settings::default(), MIDNIGHT_MS);
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
}

#[test]
fn a_random_id_is_a_uuid() {
    let id = random_id();
    assert_eq!(id.len(), 36);
    assert_eq!(&id[14..15], "4");
    assert!("89ab".contains(&id[19..20]), "{id}");
    assert_ne!(id, random_id());
}
