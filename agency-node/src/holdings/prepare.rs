//! Makes a data set ready to be asked: subjects by number, typed columns, Parquet, and an account of
//! what could not be used.
//!
//! Written aside and renamed when whole; a source that has not changed is not read again.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use arrow::{
    array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt32Array},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    HoldingsError, Subjects,
    place::{CELL, Places},
    records::{Builder, RECORD, Row},
    source,
};
use crate::{
    dataset::{AttributeType, Dataset, Identifier},
    identifier::{Context, Country, IdentifierType, canonicalise},
    positions,
};

/// What a prepared data set holds and what its source did not give.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) fingerprint: String,
    pub(crate) rows: u64,
    /// Lines that could not be read at all.
    pub(crate) unreadable: u64,
    /// Rows whose identifier cannot be made canonical, by identifier.
    pub(crate) unusable: BTreeMap<String, u64>,
    /// Different subjects, by identifier.
    pub(crate) subjects: BTreeMap<String, u64>,
    /// Different combinations of identifiers and persons.
    pub(crate) records: u64,
    pub(crate) bad_times: u64,
    pub(crate) bad_attributes: u64,
    pub(crate) oldest_ms: Option<i64>,
    pub(crate) newest_ms: Option<i64>,
}

impl Manifest {
    /// Says in the log what there is.
    pub(super) fn tell(&self, dataset: &str) {
        tracing::info!(
            dataset,
            rows = self.rows,
            unreadable = self.unreadable,
            bad_times = self.bad_times,
            bad_attributes = self.bad_attributes,
            bad_places = self.without_place(),
            "prepared"
        );
    }

    /// Rows whose place is missing or none.
    pub(crate) fn without_place(&self) -> u64 {
        self.unusable.get(CELL).copied().unwrap_or_default()
    }

    /// Rows that say nothing about this identifier's subjects: unreadable ones and unusable identifiers.
    pub(crate) fn lost(&self, identifier: &str) -> u64 {
        self.unreadable + self.unusable.get(identifier).copied().unwrap_or_default()
    }
}

/// Column of the event time.
pub(crate) const TIME: &str = "time";
/// Column of the outcome label.
pub(crate) const LABEL: &str = "label";
/// Column of the table of positions that names the feed.
const FEED: &str = "feed";
const FORMAT: &str = "prepared v3";
/// What the manifest calls rows without a usable person, and records without a usable birth date.
const PERSON: &str = "person";
const BIRTH_DATE: &str = "birth_date";

/// Column of a subject's number.
pub(crate) fn subject_column(identifier: &str) -> String {
    format!("subject_{identifier}")
}

/// Where a data set is prepared from a source with this fingerprint.
pub(crate) fn folder(state: &Path, dataset: &Dataset, fingerprint: &str) -> PathBuf {
    state.join("prepared").join(&dataset.name).join(fingerprint)
}

/// The prepared data set, made anew only when its source or description has changed. Records keep the
/// numbers that they have in `records`.
pub(crate) fn prepare(
    state: &Path,
    dataset: &Dataset,
    subjects: &mut BTreeMap<IdentifierType, Subjects>,
    records: &mut Builder,
) -> Result<Manifest, HoldingsError> {
    let files = files(state, dataset)?;
    let fingerprint = fingerprint(dataset, &files).map_err(HoldingsError::state)?;
    let folder = folder(state, dataset, &fingerprint);
    // What changes while the node runs is read at each start, so that its records' numbers are known.
    if let Some(manifest) = read_manifest(&folder).filter(|_| !dataset.live) {
        return Ok(manifest);
    }
    let aside = folder.with_extension("new");
    let _ = fs::remove_dir_all(&aside);
    fs::create_dir_all(&aside).map_err(HoldingsError::state)?;
    let mut preparing = Preparing::new(dataset, subjects, records, &aside)?;
    let only = dataset.feed.as_deref().map(|feed| (FEED, feed));
    for file in &files {
        let unreadable = source::read(file, &preparing.columns.clone(), only, |columns| preparing.take(columns))?;
        preparing.manifest.unreadable += unreadable;
    }
    let manifest = Manifest { fingerprint, ..preparing.finish(&aside)? };
    publish(&aside, &folder, &manifest).map_err(HoldingsError::state)?;
    Ok(manifest)
}

/// Where the rows are: a feed's in the table of positions, as far as they have settled.
fn files(state: &Path, dataset: &Dataset) -> Result<Vec<PathBuf>, HoldingsError> {
    match dataset.feed {
        Some(_) => {
            positions::files(&positions::directory(state)).map_err(|error| HoldingsError::Engine(error.to_string()))
        }
        None => Ok(dataset.files.clone()),
    }
}

fn publish(aside: &Path, folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut file = File::create(aside.join("manifest.json"))?;
    serde_json::to_writer(&mut file, manifest)?;
    file.sync_all()?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(aside, folder)?;
    File::open(folder.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes what was prepared of a data set from other sources than these.
pub(super) fn sweep(state: &Path, dataset: &Dataset, kept: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(state.join("prepared").join(&dataset.name))? {
        let path = entry?.path();
        if kept.iter().any(|kept| path.ends_with(kept)) {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

fn read_manifest(folder: &Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).ok()?).ok()
}

/// Tells a data set's source and description from any other state of them.
pub(super) fn state_of(state: &Path, dataset: &Dataset) -> Result<String, HoldingsError> {
    fingerprint(dataset, &files(state, dataset)?).map_err(HoldingsError::state)
}

fn fingerprint(dataset: &Dataset, files: &[PathBuf]) -> io::Result<String> {
    let mut digest = Sha256::new_with_prefix(FORMAT);
    digest.update(serde_json::to_vec(dataset)?);
    for file in files {
        let about = fs::metadata(file)?;
        let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        digest.update(about.len().to_be_bytes());
        digest.update(changed.as_nanos().to_be_bytes());
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Preparing<'a> {
    dataset: &'a Dataset,
    subjects: &'a mut BTreeMap<IdentifierType, Subjects>,
    columns: Vec<String>,
    memo: Vec<HashMap<(String, String), Option<u32>>>,
    seen: Vec<Vec<bool>>,
    records: &'a mut Builder,
    places: Places,
    /// Which identifiers are the row's own subject's.
    of_subject: Vec<bool>,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    manifest: Manifest,
}

impl<'a> Preparing<'a> {
    fn new(
        dataset: &'a Dataset,
        subjects: &'a mut BTreeMap<IdentifierType, Subjects>,
        records: &'a mut Builder,
        folder: &Path,
    ) -> Result<Self, HoldingsError> {
        let schema = schema(dataset);
        let properties = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build();
        let file = File::create(folder.join("part-0.parquet")).map_err(HoldingsError::state)?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| HoldingsError::Engine(error.to_string()))?;
        Ok(Self {
            columns: columns(dataset),
            memo: dataset.identifier.iter().map(|_| HashMap::new()).collect(),
            seen: dataset.identifier.iter().map(|_| Vec::new()).collect(),
            records,
            places: Places::default(),
            of_subject: dataset.of_subject(),
            dataset,
            subjects,
            schema,
            writer,
            manifest: Manifest::default(),
        })
    }

    fn take(&mut self, columns: &[StringArray]) -> Result<(), HoldingsError> {
        let rows = columns.first().map_or(0, arrow::array::Array::len);
        self.manifest.rows += rows as u64;
        let column = |name: &String| -> Option<&StringArray> {
            self.columns.iter().position(|column| column == name).and_then(|place| columns.get(place))
        };
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let dataset = self.dataset;
        let texts: Vec<_> = dataset
            .identifier
            .iter()
            .map(|identifier| (column(&identifier.column), identifier.state_column.as_ref().and_then(column)))
            .collect();
        let time = dataset.time.as_ref().and_then(|time| Some((time, column(&time.column)?)));
        let attributes: Vec<_> = dataset.attribute.iter().map(|attribute| column(&attribute.column)).collect();
        let label = dataset.label.as_ref().and_then(|label| column(&label.column)).cloned();
        let place = dataset.place.as_ref().and_then(|at| column(&at.latitude).zip(column(&at.longitude)));
        let described = dataset.person.iter().flat_map(|person| person.columns());
        let described: Vec<Option<&StringArray>> = described.map(|name| name.and_then(column)).collect();
        let numbers: Vec<UInt32Array> = texts
            .into_iter()
            .enumerate()
            .map(|(place, (values, states))| self.numbers(place, rows, values, states))
            .collect();
        let records = self.record_numbers(rows, &numbers, &described);
        arrays.extend(numbers.into_iter().map(|numbers| Arc::new(numbers) as ArrayRef));
        arrays.push(Arc::new(records));
        if let Some((place, table)) = place.zip(self.subjects.get_mut(&IdentifierType::Cell)) {
            arrays.push(Arc::new(self.places.numbers(place, table)));
        }
        if let Some((time, values)) = time {
            let moments = values.iter().map(|value| {
                let moment = value.and_then(|value| parse_time(value, time.format.as_deref()));
                self.manifest.bad_times += u64::from(moment.is_none());
                self.manifest.oldest_ms = self.manifest.oldest_ms.min(moment).or(self.manifest.oldest_ms).or(moment);
                self.manifest.newest_ms = self.manifest.newest_ms.max(moment);
                moment
            });
            arrays.push(Arc::new(moments.collect::<Int64Array>()));
        }
        for (attribute, values) in dataset.attribute.iter().zip(attributes) {
            let values = values.ok_or_else(|| HoldingsError::Engine("a column vanished".to_owned()))?;
            let (array, bad) = typed(attribute.kind, values);
            self.manifest.bad_attributes += bad;
            arrays.push(array);
        }
        if let Some(label) = label {
            arrays.push(Arc::new(label));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|error| HoldingsError::Engine(error.to_string()))?;
        self.writer.write(&batch).map_err(|error| HoldingsError::Engine(error.to_string()))
    }

    fn numbers(
        &mut self,
        place: usize,
        rows: usize,
        values: Option<&StringArray>,
        states: Option<&StringArray>,
    ) -> UInt32Array {
        use arrow::array::Array;
        let identifier = &self.dataset.identifier[place];
        let (memo, seen) = (&mut self.memo[place], &mut self.seen[place]);
        let table = self.subjects.get_mut(&identifier.kind);
        let Some((values, table)) = values.zip(table) else { return UInt32Array::new_null(rows) };
        let mut unusable = 0;
        let numbers: UInt32Array = (0..rows)
            .map(|row| {
                let raw = if values.is_null(row) { "" } else { values.value(row) };
                let state = states.filter(|states| !states.is_null(row)).map_or("", |states| states.value(row));
                let key = (raw.to_owned(), state.to_owned());
                let number = *memo.entry(key).or_insert_with(|| number_of(identifier, table, raw, state));
                match number {
                    Some(number) => {
                        if seen.len() <= number as usize {
                            seen.resize(number as usize + 1, false);
                        }
                        seen[number as usize] = true;
                    }
                    None => unusable += 1,
                }
                number
            })
            .collect();
        *self.manifest.unusable.entry(identifier.name.clone()).or_default() += unusable;
        numbers
    }

    fn record_numbers(
        &mut self,
        rows: usize,
        numbers: &[UInt32Array],
        described: &[Option<&StringArray>],
    ) -> UInt32Array {
        use arrow::array::Array;
        let dataset = self.dataset;
        let (mut identifiers, mut person) = (Vec::new(), Vec::new());
        (0..rows)
            .map(|row| {
                identifiers.clear();
                let own = dataset.identifier.iter().zip(numbers).zip(&self.of_subject).filter(|(_, own)| **own);
                identifiers.extend(own.map(|((identifier, numbers), _)| {
                    (identifier.kind, numbers.is_valid(row).then(|| numbers.value(row)))
                }));
                person.clear();
                let text = |column: &&StringArray| column.is_valid(row);
                person.extend(described.iter().map(|column| column.filter(text).map(|column| column.value(row))));
                let row = Row { identifiers: &identifiers, person: &person };
                let table = self.subjects.get_mut(&IdentifierType::PersonKey);
                self.records.number(&row, dataset.person.as_ref(), table)
            })
            .collect()
    }

    fn finish(mut self, folder: &Path) -> Result<Manifest, HoldingsError> {
        for (identifier, seen) in self.dataset.identifier.iter().zip(&self.seen) {
            let different = seen.iter().filter(|seen| **seen).count() as u64;
            self.manifest.subjects.insert(identifier.name.clone(), different);
        }
        self.manifest.records = self.records.count();
        if self.dataset.person.is_some() {
            self.manifest.unusable.insert(PERSON.to_owned(), self.records.unusable_persons);
            self.manifest.unusable.insert(BIRTH_DATE.to_owned(), self.records.unusable_births);
        }
        if self.dataset.place.is_some() {
            self.manifest.unusable.insert(CELL.to_owned(), self.places.unusable);
            self.manifest.subjects.insert(CELL.to_owned(), self.places.different());
        }
        self.records.keep(folder)?;
        for table in self.subjects.values_mut() {
            table.keep().map_err(HoldingsError::state)?;
        }
        let file = self.writer.into_inner().map_err(|error| HoldingsError::Engine(error.to_string()))?;
        file.sync_all().map_err(HoldingsError::state)?;
        Ok(self.manifest)
    }
}

fn number_of(identifier: &Identifier, table: &mut Subjects, raw: &str, state: &str) -> Option<u32> {
    let country = identifier.country.as_deref().and_then(|code| code.parse::<Country>().ok());
    let context = Context { default_country: country, issuing_state: (!state.is_empty()).then_some(state) };
    canonicalise(identifier.kind, raw, &context).ok().map(|canonical| table.add(canonical))
}

fn columns(dataset: &Dataset) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let identifiers = dataset.identifier.iter().flat_map(|i| [Some(&i.column), i.state_column.as_ref()]);
    let others = dataset.attribute.iter().map(|attribute| Some(&attribute.column));
    let time = dataset.time.as_ref().map(|time| &time.column);
    let label = dataset.label.as_ref().map(|label| &label.column);
    let described = dataset.person.iter().flat_map(|person| person.columns());
    let place = dataset.place.iter().flat_map(|place| [Some(&place.latitude), Some(&place.longitude)]);
    for column in identifiers.chain(described).chain(place).chain(others).chain([time, label]).flatten() {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}

fn schema(dataset: &Dataset) -> SchemaRef {
    let mut fields: Vec<Field> = dataset
        .identifier
        .iter()
        .map(|identifier| Field::new(subject_column(&identifier.name), DataType::UInt32, true))
        .collect();
    fields.push(Field::new(subject_column(RECORD), DataType::UInt32, true));
    fields.extend(dataset.place.iter().map(|_| Field::new(subject_column(CELL), DataType::UInt32, true)));
    fields.extend(dataset.time.iter().map(|_| Field::new(TIME, DataType::Int64, true)));
    fields.extend(dataset.attribute.iter().map(|attribute| {
        let kind = match attribute.kind {
            AttributeType::Text => DataType::Utf8,
            AttributeType::Integer | AttributeType::Time => DataType::Int64,
            AttributeType::Decimal => DataType::Float64,
            AttributeType::Boolean => DataType::Boolean,
        };
        Field::new(&attribute.name, kind, true)
    }));
    fields.extend(dataset.label.iter().map(|_| Field::new(LABEL, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// The values in their type; a value that does not fit is null and counted.
fn typed(kind: AttributeType, values: &StringArray) -> (ArrayRef, u64) {
    use arrow::array::Array;
    let array: ArrayRef = match kind {
        AttributeType::Text => Arc::new(values.clone()),
        AttributeType::Integer => Arc::new(values.iter().map(|v| v?.parse::<i64>().ok()).collect::<Int64Array>()),
        AttributeType::Time => Arc::new(values.iter().map(|v| parse_time(v?, None)).collect::<Int64Array>()),
        AttributeType::Decimal => {
            let numbers = values.iter().map(|v| v?.parse::<f64>().ok().filter(|number| number.is_finite()));
            Arc::new(numbers.collect::<Float64Array>())
        }
        AttributeType::Boolean => Arc::new(values.iter().map(|v| parse_boolean(v?)).collect::<BooleanArray>()),
    };
    let bad = (array.null_count() - values.null_count()) as u64;
    (array, bad)
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Some(true),
        "false" | "0" | "no" | "n" => Some(false),
        _ => None,
    }
}

fn parse_time(text: &str, format: Option<&str>) -> Option<i64> {
    let midnight = |day: NaiveDate| NaiveDateTime::new(day, NaiveTime::MIN).and_utc();
    let moment: DateTime<Utc> = match format {
        Some(format) => NaiveDateTime::parse_from_str(text, format)
            .map(|moment| moment.and_utc())
            .or_else(|_| NaiveDate::parse_from_str(text, format).map(midnight))
            // A month without a day is its first.
            .or_else(|_| NaiveDate::parse_from_str(&format!("{text} 1"), &format!("{format} %d")).map(midnight))
            .ok()?,
        None => DateTime::parse_from_rfc3339(text)
            .map(|moment| moment.with_timezone(&Utc))
            .or_else(|_| text.parse::<NaiveDateTime>().map(|moment| moment.and_utc()))
            .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(midnight))
            .ok()?,
    };
    Some(moment.timestamp_millis())
}

#[cfg(test)]
mod tests;
