//! Who is in a data set, how often and how lately: a DataFusion plan folded by subject.
//!
//! Filters become typed expressions; no text of a question ever becomes a query.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, UInt32Type};
use datafusion::{
    dataframe::DataFrame,
    logical_expr::{Expr, col, lit},
};
use futures::StreamExt;
use sallyport_trust::question::{Comparison, Operator, Value, Window};

use super::{
    HoldingsError,
    prepare::{TIME, subject_column},
};
use crate::dataset::{AttributeType, Dataset};

/// What to fold.
pub(crate) struct Scan<'a> {
    /// The identifier whose subjects are folded.
    pub(crate) identifier: &'a str,
    pub(crate) window: Window,
    pub(crate) filter: &'a [Comparison],
    /// Only these subjects, sorted.
    pub(crate) within: Option<&'a [u32]>,
}

/// One subject's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) subject: u32,
    pub(crate) events: u32,
    pub(crate) newest_ms: Option<i64>,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// By subject number.
    pub(crate) subjects: Vec<Held>,
    pub(crate) rows: u64,
    pub(crate) newest_ms: Option<i64>,
}

/// The rows that count, with only the columns that are needed.
pub(crate) fn plan(frame: DataFrame, dataset: &Dataset, scan: &Scan<'_>) -> Result<DataFrame, HoldingsError> {
    let mut wanted = vec![subject_column(scan.identifier)];
    if dataset.time.is_some() {
        wanted.push(TIME.to_owned());
    }
    let condition = condition(dataset, scan)?;
    let columns: Vec<&str> = wanted.iter().map(String::as_str).collect();
    Ok(frame.filter(condition)?.select_columns(&columns)?)
}

/// Rows with a subject, in the window, that pass the filter.
pub(super) fn condition(dataset: &Dataset, scan: &Scan<'_>) -> Result<Expr, HoldingsError> {
    let mut condition = col(subject_column(scan.identifier)).is_not_null();
    for bound in window(dataset, scan.window)? {
        condition = condition.and(bound);
    }
    for comparison in scan.filter {
        condition = condition.and(expression(dataset, comparison)?);
    }
    Ok(condition)
}

fn window(dataset: &Dataset, window: Window) -> Result<Vec<Expr>, HoldingsError> {
    let bounds =
        [window.from_ms.map(|from| col(TIME).gt_eq(lit(from))), window.until_ms.map(|until| col(TIME).lt(lit(until)))];
    let bounds: Vec<Expr> = bounds.into_iter().flatten().collect();
    if !bounds.is_empty() && dataset.time.is_none() {
        return Ok(Vec::new());
    }
    Ok(bounds)
}

fn expression(dataset: &Dataset, comparison: &Comparison) -> Result<Expr, HoldingsError> {
    let attribute = dataset.attribute.iter().find(|attribute| attribute.name == comparison.attribute);
    let attribute = attribute.ok_or_else(|| HoldingsError::UnknownAttribute {
        dataset: dataset.name.clone(),
        attribute: comparison.attribute.clone(),
        declared: dataset.attribute.iter().map(|a| a.name.clone()).collect::<Vec<_>>().join(", "),
    })?;
    let values: Vec<Expr> = comparison
        .values
        .iter()
        .map(|value| literal(&attribute.name, attribute.kind, value))
        .collect::<Result<_, _>>()?;
    let column = col(attribute.name.as_str());
    let Some(first) = values.first().cloned() else {
        return Err(HoldingsError::ValueType { attribute: attribute.name.clone(), kind: attribute.kind.name() });
    };
    Ok(match comparison.operator {
        Operator::Equal => column.eq(first),
        Operator::NotEqual => column.not_eq(first),
        Operator::Less => column.lt(first),
        Operator::AtMost => column.lt_eq(first),
        Operator::Greater => column.gt(first),
        Operator::AtLeast => column.gt_eq(first),
        Operator::OneOf => column.in_list(values, false),
    })
}

fn literal(attribute: &str, kind: AttributeType, value: &Value) -> Result<Expr, HoldingsError> {
    Ok(match (kind, value) {
        (AttributeType::Text, Value::Text(text)) => lit(text.clone()),
        (AttributeType::Integer, Value::Integer(number)) => lit(*number),
        (AttributeType::Decimal, Value::Decimal(number)) => lit(*number),
        (AttributeType::Decimal, Value::Integer(number)) => lit(*number as f64),
        (AttributeType::Boolean, Value::Boolean(flag)) => lit(*flag),
        (AttributeType::Time, Value::TimeMs(moment)) => lit(*moment),
        _ => return Err(HoldingsError::ValueType { attribute: attribute.to_owned(), kind: kind.name() }),
    })
}

/// Runs the plan and folds its rows by subject.
pub(crate) async fn fold(plan: DataFrame, within: Option<&[u32]>, subjects: u64) -> Result<Holding, HoldingsError> {
    let mut fold = Fold::new(within, subjects as usize);
    let mut batches = plan.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let numbers = batch.column(0).as_primitive::<UInt32Type>().values();
        match batch.columns().get(1) {
            None => numbers.iter().for_each(|&subject| fold.count(subject)),
            Some(times) => {
                let times = times.as_primitive::<Int64Type>();
                if times.null_count() == 0 {
                    numbers.iter().zip(times.values()).for_each(|(&subject, &moment)| fold.count_at(subject, moment));
                } else {
                    for (&subject, moment) in numbers.iter().zip(times.iter()) {
                        match moment {
                            Some(moment) => fold.count_at(subject, moment),
                            None => fold.count(subject),
                        }
                    }
                }
            }
        }
    }
    Ok(fold.finish())
}

/// Counts by subject number: an array over all subjects, or over those within, found by bisection.
struct Fold<'a> {
    within: Option<&'a [u32]>,
    events: Vec<u32>,
    newest_ms: Vec<i64>,
    rows: u64,
}

/// No time.
const NEVER: i64 = i64::MIN;

impl<'a> Fold<'a> {
    fn new(within: Option<&'a [u32]>, subjects: usize) -> Self {
        let places = within.map_or(subjects, <[u32]>::len);
        Self { within, events: vec![0; places], newest_ms: vec![NEVER; places], rows: 0 }
    }

    fn place(&self, subject: u32) -> Option<usize> {
        match self.within {
            None => Some(subject as usize),
            Some(within) => within.binary_search(&subject).ok(),
        }
    }

    fn count(&mut self, subject: u32) {
        self.count_at(subject, NEVER);
    }

    fn count_at(&mut self, subject: u32, moment_ms: i64) {
        let Some(place) = self.place(subject) else { return };
        if let (Some(events), Some(newest_ms)) = (self.events.get_mut(place), self.newest_ms.get_mut(place)) {
            *events = events.saturating_add(1);
            *newest_ms = (*newest_ms).max(moment_ms);
            self.rows += 1;
        }
    }

    fn finish(self) -> Holding {
        let newest_ms = self.newest_ms.iter().copied().max().filter(|&moment| moment != NEVER);
        let subjects = self
            .events
            .iter()
            .zip(&self.newest_ms)
            .enumerate()
            .filter(|(_, (events, _))| **events > 0)
            .map(|(place, (&events, &newest_ms))| Held {
                subject: self.within.map_or(place as u32, |within| within[place]),
                events,
                newest_ms: (newest_ms != NEVER).then_some(newest_ms),
            })
            .collect();
        Holding { subjects, rows: self.rows, newest_ms }
    }
}
