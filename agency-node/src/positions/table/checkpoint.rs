//! A checkpoint: the state of the table as a Parquet file of actions.

use std::{fs::File, io, path::Path, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Fields, Schema},
    json::{LineDelimitedWriter, ReaderBuilder},
};
use parquet::arrow::{ArrowWriter, ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{
    actions::{Action, Snapshot},
    rows::writer_properties,
};
use crate::positions::error::StoreError;

/// Actions that are turned into columns at once.
const CHUNK: usize = 1_000;

/// The bytes of a checkpoint.
pub(super) fn encode(actions: &[Action]) -> io::Result<Vec<u8>> {
    let schema = Arc::new(schema());
    let mut decoder = ReaderBuilder::new(schema.clone()).build_decoder().map_err(io::Error::other)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(writer_properties()))?;
    for chunk in actions.chunks(CHUNK) {
        decoder.serialize(chunk).map_err(io::Error::other)?;
        while let Some(batch) = decoder.flush().map_err(io::Error::other)? {
            writer.write(&batch)?;
        }
    }
    Ok(writer.into_inner()?)
}

/// Reads the checkpoint of a version.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path, version: u64) -> Result<Snapshot, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("the checkpoint of version {version} cannot be read ({error})"))
    };
    let file = File::open(path).map_err(|error| StoreError::files(path, &error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let known = schema();
    let names = known.fields().iter().map(|field| field.name().as_str());
    // Other programs may add columns that say the same in another way.
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let mut snapshot = Snapshot { next_version: version + 1, ..Snapshot::default() };
    for batch in builder.with_projection(mask).build().map_err(|error| damaged(&error))? {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&batch.map_err(|error| damaged(&error))?).map_err(|error| damaged(&error))?;
        for line in writer.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            snapshot.apply(serde_json::from_slice(line).map_err(|error| damaged(&error))?);
        }
    }
    Ok(snapshot)
}

/// The columns of a checkpoint, as the protocol names them.
fn schema() -> Schema {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let long = |name| Field::new(name, DataType::Int64, true);
    let short = |name| Field::new(name, DataType::Int32, true);
    let flag = |name| Field::new(name, DataType::Boolean, true);
    let record = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    let map = |name| {
        let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
        Field::new(name, DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false), true)
    };
    let list = |name| Field::new(name, DataType::List(Arc::new(text("element"))), true);
    Schema::new(vec![
        record("protocol", vec![short("minReaderVersion"), short("minWriterVersion")]),
        record(
            "metaData",
            vec![
                text("id"),
                record("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                list("partitionColumns"),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        record("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        record(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
            ],
        ),
        record(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
            ],
        ),
    ])
}
