//! The rows of the table and the Parquet files that hold them.
//!
//! | column | Delta type | |
//! |---|---|---|
//! | `day` | date | UTC date of `at`; the partition |
//! | `feed` | string | as the node's configuration names it |
//! | `device` | string | as the partner names it |
//! | `at` | timestamp | UTC, to the millisecond |
//! | `latitude`, `longitude` | double | degrees, WGS 84 |
//! | `speed_mps` | float | metres per second over ground, where told |
//! | `heading_deg` | float | clockwise from true north, where told |
//! | `accuracy_m` | float | radius, where told |
//! | `seal` | string | `intact`, `opened` or `broken`, where told |
//! | `received_at` | timestamp | when the node received it |
//!
//! The rows of a file are sorted by feed, device and time.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
};
use chrono::{DateTime, NaiveDate};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::WriterProperties,
};
use sallyport_feed::{Position, Seal};
use serde_json::json;

use super::actions::Add;
use crate::disk;

/// The column by which the table is partitioned.
pub(super) const DAY: &str = "day";
const TIMES: [&str; 2] = ["at", "received_at"];
/// Rows of one file are sorted by these.
const SORTED_BY: usize = 3;

/// A position as it goes into the table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::positions) struct Row {
    pub(in crate::positions) feed: String,
    pub(in crate::positions) received_ms: i64,
    pub(in crate::positions) position: Position,
}

impl Row {
    /// The UTC date of its position.
    pub(super) fn day(&self) -> NaiveDate {
        DateTime::from_timestamp_millis(self.position.at_ms).unwrap_or_default().date_naive()
    }
}

/// Column, type, whether every row has it.
const COLUMNS: [(&str, &str, bool); 10] = [
    ("feed", "string", true),
    ("device", "string", true),
    ("at", "timestamp", true),
    ("latitude", "double", true),
    ("longitude", "double", true),
    ("speed_mps", "float", false),
    ("heading_deg", "float", false),
    ("accuracy_m", "float", false),
    ("seal", "string", false),
    ("received_at", "timestamp", true),
];

/// The table's schema as the protocol writes it.
pub(super) fn delta_schema() -> String {
    let field = |name: &str, kind: &str, required: bool| json!({"name": name, "type": kind, "nullable": !required, "metadata": {}});
    let columns = COLUMNS.iter().map(|(name, kind, required)| field(name, kind, *required));
    let fields: Vec<_> = columns.chain([field(DAY, "date", true)]).collect();
    json!({"type": "struct", "fields": fields}).to_string()
}

/// The schema of a file, which does not repeat the partition.
fn file_schema() -> SchemaRef {
    let field = |(name, kind, required): &(&str, &str, bool)| {
        let kind = match *kind {
            "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "double" => DataType::Float64,
            "float" => DataType::Float32,
            _ => DataType::Utf8,
        };
        Field::new(*name, kind, !required)
    };
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

fn to_batch(rows: &[&Row]) -> io::Result<RecordBatch> {
    fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
        Arc::new(StringArray::from_iter(values))
    }
    let moments = |of: fn(&Row) -> i64| -> ArrayRef {
        let micros = rows.iter().map(|row| of(row) * 1000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    let degrees = |of: fn(&Position) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| of(&row.position))))
    };
    let told = |of: fn(&Position) -> Option<f32>| -> ArrayRef {
        Arc::new(Float32Array::from_iter(rows.iter().map(|row| of(&row.position))))
    };
    let columns = vec![
        texts(rows.iter().map(|row| Some(row.feed.as_str()))),
        texts(rows.iter().map(|row| Some(row.position.device.as_str()))),
        moments(|row| row.position.at_ms),
        degrees(|position| position.latitude),
        degrees(|position| position.longitude),
        told(|position| position.speed_mps),
        told(|position| position.heading_deg),
        told(|position| position.accuracy_m),
        texts(rows.iter().map(|row| row.position.seal.map(Seal::as_str))),
        moments(|row| row.received_ms),
    ];
    RecordBatch::try_new(file_schema(), columns).map_err(io::Error::other)
}

/// Writes the rows of one day as a new file; durable on return.
pub(super) fn write(table: &Path, day: NaiveDate, rows: &[&Row], now_ms: i64) -> io::Result<Add> {
    write_batch(table, &day.to_string(), &to_batch(rows)?, now_ms)
}

/// Writes the rows of several files of one day as one new file; durable on return.
pub(super) fn rewrite(table: &Path, day: &str, files: &[&Add], now_ms: i64) -> io::Result<Add> {
    let mut batches = Vec::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(table.join(&file.path))?)?.build()?;
        for batch in reader {
            batches.push(batch.map_err(io::Error::other)?);
        }
    }
    let batch = concat_batches(&file_schema(), &batches).map_err(io::Error::other)?;
    write_batch(table, day, &batch, now_ms)
}

fn write_batch(table: &Path, day: &str, batch: &RecordBatch, now_ms: i64) -> io::Result<Add> {
    let sorted = sorted(batch)?;
    let directory = table.join(format!("{DAY}={day}"));
    if !directory.is_dir() {
        disk::create_directory(&directory)?;
        disk::sync_directory_of(&directory)?;
    }
    let path = format!("{DAY}={day}/part-{:032x}.zstd.parquet", rand::random::<u128>());
    let target = table.join(&path);
    let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&target)?;
    let mut writer = ArrowWriter::try_new(file, sorted.schema(), Some(writer_properties()))?;
    writer.write(&sorted)?;
    let file = writer.into_inner()?;
    file.sync_all()?;
    disk::sync_directory_of(&target)?;
    Ok(Add {
        path,
        partition_values: BTreeMap::from([(DAY.to_owned(), Some(day.to_owned()))]),
        size: file.metadata()?.len() as i64,
        modification_time: now_ms,
        data_change: true,
        stats: Some(stats(&sorted)),
    })
}

fn sorted(batch: &RecordBatch) -> io::Result<RecordBatch> {
    let by: Vec<SortColumn> = batch.columns()[..SORTED_BY]
        .iter()
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect();
    let order = lexsort_to_indices(&by, None).map_err(io::Error::other)?;
    take_record_batch(batch, &order).map_err(io::Error::other)
}

/// Times are almost in order and compress best as differences.
pub(super) fn writer_properties() -> WriterProperties {
    let compression = Compression::ZSTD(ZstdLevel::default());
    TIMES
        .iter()
        .fold(WriterProperties::builder().set_compression(compression), |properties, time| {
            properties
                .set_column_dictionary_enabled((*time).into(), false)
                .set_column_encoding((*time).into(), Encoding::DELTA_BINARY_PACKED)
        })
        .build()
}

/// Smallest and largest values, by which readers leave files out.
fn stats(batch: &RecordBatch) -> String {
    let mut stats = json!({"numRecords": batch.num_rows(), "minValues": {}, "maxValues": {}, "nullCount": {}});
    for (column, field) in batch.columns().iter().zip(batch.schema().fields()).take(SORTED_BY) {
        let ends = match field.data_type() {
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                texts.iter().flatten().min().zip(texts.iter().flatten().max()).map(|(a, b)| (json!(a), json!(b)))
            }
            _ => {
                let micros = column.as_primitive::<TimestampMicrosecondType>();
                let ends = arrow::compute::min(micros).zip(arrow::compute::max(micros));
                ends.and_then(|(a, b)| Some((moment(a)?, moment(b)?)))
            }
        };
        if let Some((least, most)) = ends {
            stats["minValues"][field.name()] = least;
            stats["maxValues"][field.name()] = most;
        }
        stats["nullCount"][field.name()] = json!(column.null_count());
    }
    stats.to_string()
}

fn moment(micros: i64) -> Option<serde_json::Value> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    Some(json!(moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)))
}
