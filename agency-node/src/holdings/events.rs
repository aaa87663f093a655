//! Single events of a data set, by number: who, with whom, when, and what of it may be rare.
//!
//! For measures of behaviour and for relations, which look at more than a count. Columns of numbers
//! only; they leave this crate as sealed rows or not at all.

use std::collections::HashMap;

use arrow::{
    array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch},
    datatypes::{DataType, Int64Type, UInt32Type},
};
use datafusion::{
    dataframe::DataFrame,
    logical_expr::{col, lit},
};
use futures::StreamExt;
use sallyport_trust::question::Trait;

use super::{
    HoldingsError,
    prepare::{TIME, subject_column},
    scan::{self, Scan},
};
use crate::dataset::Dataset;

/// Events of one scan, at most.
pub(crate) const EVENTS_MAX: usize = 50_000_000;
/// No subject: the event's contact is unknown.
pub(crate) const NOBODY: u32 = u32::MAX;
/// No time.
pub(crate) const NEVER: i64 = i64::MIN;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// What to read.
pub(crate) struct EventScan<'a> {
    pub(crate) scan: Scan<'a>,
    /// The identifier of the other side; its subjects are numbered by their own type.
    pub(crate) contact: Option<&'a str>,
    /// Each event counts for its contact as well.
    pub(crate) both_ways: bool,
    /// What may be rare about an event.
    pub(crate) of: Option<&'a Trait>,
}

/// Events in columns of equal length.
#[derive(Debug, Default, Clone)]
pub(crate) struct Events {
    pub(crate) subjects: Vec<u32>,
    /// [`NOBODY`] where it is not known; empty when it was not asked.
    pub(crate) contacts: Vec<u32>,
    /// Milliseconds since 1970, or [`NEVER`].
    pub(crate) moments_ms: Vec<i64>,
    /// The rare thing's value as a small number; empty when it was not asked.
    pub(crate) values: Vec<u32>,
}

impl Events {
    pub(crate) fn len(&self) -> usize {
        self.subjects.len()
    }

    pub(crate) fn contact(&self, event: usize) -> u32 {
        self.contacts.get(event).copied().unwrap_or(NOBODY)
    }

    /// Adds the events from `from` on once more, as their contacts have them.
    fn mirror(&mut self, from: usize) {
        for event in from..self.len() {
            let (subject, contact) = (self.subjects[event], self.contact(event));
            if contact == NOBODY {
                continue;
            }
            self.subjects.push(contact);
            self.contacts.push(subject);
            self.moments_ms.push(self.moments_ms[event]);
            self.values.extend(self.values.get(event).copied());
        }
    }

    /// Of the events from `from` on, leaves those of these subjects.
    fn keep_only(&mut self, from: usize, within: &[u32]) {
        let mut kept = from;
        for event in from..self.len() {
            if within.binary_search(&self.subjects[event]).is_ok() {
                keep(&mut self.subjects, event, kept);
                keep(&mut self.contacts, event, kept);
                keep(&mut self.moments_ms, event, kept);
                keep(&mut self.values, event, kept);
                kept += 1;
            }
        }
        self.subjects.truncate(kept);
        self.contacts.truncate(kept);
        self.moments_ms.truncate(kept);
        self.values.truncate(kept);
    }
}

/// Moves a value to its new place; a column that was not asked is empty.
fn keep<T: Copy>(column: &mut [T], event: usize, kept: usize) {
    if event < column.len() {
        column[kept] = column[event];
    }
}

/// A whole column, or `missing` where there is no value.
fn append<T: ArrowPrimitiveType>(
    column: &mut Vec<T::Native>,
    values: Option<&PrimitiveArray<T>>,
    rows: usize,
    missing: T::Native,
) {
    match values {
        Some(values) if values.null_count() == 0 => column.extend_from_slice(values.values()),
        Some(values) => column.extend(values.iter().map(|value| value.unwrap_or(missing))),
        None => column.resize(column.len() + rows, missing),
    }
}

fn hour(moment_ms: i64) -> u32 {
    (moment_ms.rem_euclid(DAY_MS) / HOUR_MS) as u32
}

/// 1 January 1970 was a Thursday; the names of the days do not matter.
fn weekday(moment_ms: i64) -> u32 {
    moment_ms.div_euclid(DAY_MS).rem_euclid(7) as u32
}

/// The rows that count, with the columns that are needed.
pub(super) fn plan(frame: DataFrame, dataset: &Dataset, wanted: &EventScan<'_>) -> Result<DataFrame, HoldingsError> {
    let mut columns = vec![subject_column(wanted.scan.identifier)];
    columns.extend(wanted.contact.map(subject_column));
    columns.extend(dataset.time.iter().map(|_| TIME.to_owned()));
    if let Some(Trait::Attribute(name)) = wanted.of {
        dataset.attribute.iter().find(|attribute| attribute.name == *name).ok_or_else(|| {
            HoldingsError::UnknownAttribute {
                dataset: dataset.name.clone(),
                attribute: name.clone(),
                declared: dataset.attribute.iter().map(|a| a.name.clone()).collect::<Vec<_>>().join(", "),
            }
        })?;
        columns.push(name.clone());
    }
    let mut condition = scan::condition(dataset, &wanted.scan)?;
    if let Some(within) = wanted.scan.within.filter(|within| within.len() <= 1_000 && !wanted.both_ways) {
        condition = condition.and(col(columns[0].as_str()).in_list(within.iter().map(|&n| lit(n)).collect(), false));
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    Ok(frame.filter(condition)?.select_columns(&columns)?)
}

/// Runs the plan.
pub(super) async fn collect(
    plan: DataFrame,
    dataset: &Dataset,
    wanted: &EventScan<'_>,
) -> Result<Events, HoldingsError> {
    let mut reader = Reader { dataset, wanted, events: Events::default(), interned: HashMap::new() };
    let mut batches = plan.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        reader.take(&batch?)?;
        if reader.events.len() > EVENTS_MAX {
            return Err(HoldingsError::TooMany);
        }
    }
    Ok(reader.events)
}

struct Reader<'a> {
    dataset: &'a Dataset,
    wanted: &'a EventScan<'a>,
    events: Events,
    interned: HashMap<String, u32>,
}

impl Reader<'_> {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), HoldingsError> {
        let subjects = batch.column(0).as_primitive::<UInt32Type>().values();
        let contacts = self.wanted.contact.map(|_| batch.column(1).as_primitive::<UInt32Type>());
        let time_at = 1 + usize::from(contacts.is_some());
        let times = self.dataset.time.as_ref().map(|_| batch.column(time_at).as_primitive::<Int64Type>());
        let value_at = time_at + usize::from(times.is_some());
        let values = match self.wanted.of {
            Some(Trait::Attribute(_)) => Some(self.intern(batch.column(value_at))?),
            _ => None,
        };
        let from = self.events.len();
        self.events.subjects.extend_from_slice(subjects);
        append(&mut self.events.moments_ms, times, batch.num_rows(), NEVER);
        if self.wanted.contact.is_some() {
            append(&mut self.events.contacts, contacts, batch.num_rows(), NOBODY);
        }
        let moments_ms = &self.events.moments_ms[from..];
        match (self.wanted.of, values) {
            (Some(Trait::Hour), _) => self.events.values.extend(moments_ms.iter().map(|&moment_ms| hour(moment_ms))),
            (Some(Trait::Weekday), _) => self.events.values.extend(moments_ms.iter().map(|&moment| weekday(moment))),
            (_, Some(values)) => self.events.values.extend(values),
            _ => {}
        }
        if self.wanted.both_ways {
            self.events.mirror(from);
        }
        if let Some(within) = self.wanted.scan.within {
            self.events.keep_only(from, within);
        }
        Ok(())
    }

    fn intern(&mut self, column: &dyn Array) -> Result<Vec<u32>, HoldingsError> {
        let texts =
            arrow::compute::cast(column, &DataType::Utf8).map_err(|error| HoldingsError::Engine(error.to_string()))?;
        let texts = texts.as_string::<i32>();
        let values = texts.iter().map(|text| {
            let text = text.unwrap_or_default();
            match self.interned.get(text) {
                Some(&number) => number,
                None => {
                    let number = self.interned.len() as u32;
                    self.interned.insert(text.to_owned(), number);
                    number
                }
            }
        });
        Ok(values.collect())
    }
}
