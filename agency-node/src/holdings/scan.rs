//! Who is in a data set, how often and how lately: a DataFusion plan folded by subject.
//!
//! Filters become typed expressions; no text of a question ever becomes a query.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
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
use crate::dataset::{Attribute, AttributeType, Dataset};

/// What to fold.
pub(crate) struct Scan<'a> {
    /// The identifier whose subjects are folded.
    pub(crate) identifier: &'a str,
    pub(crate) window: Window,
    pub(crate) filter: &'a [Comparison],
    /// Only these subjects, sorted.
    pub(crate) within: Option<&'a [u32]>,
    /// The attribute with each event's own strength. Rows that have none between 0 and 1 do not count.
    pub(crate) strength_of: Option<&'a str>,
}

/// One subject's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) subject: u32,
    pub(crate) events: u32,
    pub(crate) newest_ms: Option<i64>,
    /// The strongest event's strength in thousandths; 0 where events have none of their own.
    pub(crate) strongest: u16,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// By subject number.
    pub(crate) subjects: Vec<Held>,
    pub(crate) rows: u64,
    pub(crate) newest_ms: Option<i64>,
    /// Rows that do not count for want of a strength.
    pub(crate) without_strength: u64,
}

impl Holding {
    /// What the coverage says of rows that do not count for want of a strength.
    pub(crate) fn unmeasured(&self) -> Option<String> {
        let rows = self.without_strength;
        (rows > 0).then(|| format!("{rows} rows have no strength between 0 and 1 and do not count"))
    }
}

/// The rows that may count, with only the columns that are needed.
pub(crate) fn plan(frame: DataFrame, dataset: &Dataset, scan: &Scan<'_>) -> Result<DataFrame, HoldingsError> {
    let mut wanted = vec![subject_column(scan.identifier)];
    if dataset.time.is_some() {
        wanted.push(TIME.to_owned());
    }
    wanted.extend(scan.strength_of.map(|name| strength(dataset, name)).transpose()?);
    let condition = condition(dataset, scan)?;
    let columns: Vec<&str> = wanted.iter().map(String::as_str).collect();
    Ok(frame.filter(condition)?.select_columns(&columns)?)
}

/// Rows with a subject, in the window, that pass the filter.
pub(super) fn condition(dataset: &Dataset, scan: &Scan<'_>) -> Result<Expr, HoldingsError> {
    let condition = col(subject_column(scan.identifier)).is_not_null();
    Ok(narrowed(dataset, scan.window, scan.filter)?.into_iter().fold(condition, Expr::and))
}

/// All that holds of rows in the window that pass the filter.
pub(super) fn narrowed(dataset: &Dataset, within: Window, filter: &[Comparison]) -> Result<Vec<Expr>, HoldingsError> {
    let mut bounds = window(dataset, within)?;
    for comparison in filter {
        bounds.push(expression(dataset, comparison)?);
    }
    Ok(bounds)
}

/// The column with each event's strength.
fn strength(dataset: &Dataset, name: &str) -> Result<String, HoldingsError> {
    let attribute = declared(dataset, name)?;
    match attribute.kind {
        AttributeType::Decimal => Ok(attribute.name.clone()),
        kind => Err(HoldingsError::StrengthType { attribute: attribute.name.clone(), kind: kind.name() }),
    }
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

fn declared<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Attribute, HoldingsError> {
    dataset.attribute.iter().find(|attribute| attribute.name == name).ok_or_else(|| HoldingsError::UnknownAttribute {
        dataset: dataset.name.clone(),
        attribute: name.to_owned(),
        declared: dataset.attribute.iter().map(|a| a.name.clone()).collect::<Vec<_>>().join(", "),
    })
}

fn expression(dataset: &Dataset, comparison: &Comparison) -> Result<Expr, HoldingsError> {
    let attribute = declared(dataset, &comparison.attribute)?;
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

/// Runs the plan of this scan and folds its rows by subject.
pub(crate) async fn fold(
    plan: DataFrame,
    dataset: &Dataset,
    scan: &Scan<'_>,
    subjects: u64,
) -> Result<Holding, HoldingsError> {
    let mut fold = Fold::new(scan, subjects as usize);
    let time_at = dataset.time.as_ref().map(|_| 1);
    let strength_at = scan.strength_of.map(|_| 1 + usize::from(time_at.is_some()));
    let mut batches = plan.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let numbers = batch.column(0).as_primitive::<UInt32Type>().values();
        let times = time_at.map(|at| batch.column(at).as_primitive::<Int64Type>());
        let moment = |row: usize| times.filter(|times| times.is_valid(row)).map_or(NEVER, |times| times.value(row));
        match (strength_at, times) {
            (Some(at), _) => {
                let strengths = batch.column(at).as_primitive::<Float64Type>();
                for (row, &subject) in numbers.iter().enumerate() {
                    let strength = strengths.is_valid(row).then(|| strengths.value(row));
                    fold.count_strong(subject, moment(row), strength);
                }
            }
            (None, None) => numbers.iter().for_each(|&subject| fold.count_at(subject, NEVER)),
            (None, Some(times)) if times.null_count() == 0 => {
                numbers.iter().zip(times.values()).for_each(|(&subject, &moment)| fold.count_at(subject, moment));
            }
            (None, Some(_)) => {
                numbers.iter().enumerate().for_each(|(row, &subject)| fold.count_at(subject, moment(row)));
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
    /// Empty where events have no strength of their own.
    strongest: Vec<u16>,
    rows: u64,
    without_strength: u64,
}

/// No time.
const NEVER: i64 = i64::MIN;

impl<'a> Fold<'a> {
    fn new(scan: &Scan<'a>, subjects: usize) -> Self {
        let places = scan.within.map_or(subjects, <[u32]>::len);
        Self {
            within: scan.within,
            events: vec![0; places],
            newest_ms: vec![NEVER; places],
            strongest: scan.strength_of.map_or_else(Vec::new, |_| vec![0; places]),
            rows: 0,
            without_strength: 0,
        }
    }

    fn place(&self, subject: u32) -> Option<usize> {
        match self.within {
            None => Some(subject as usize),
            Some(within) => within.binary_search(&subject).ok(),
        }
    }

    fn count_at(&mut self, subject: u32, moment_ms: i64) {
        if let Some(place) = self.place(subject) {
            self.count(place, moment_ms);
        }
    }

    fn count_strong(&mut self, subject: u32, moment_ms: i64, strength: Option<f64>) {
        let Some(place) = self.place(subject) else { return };
        let Some(strength) = strength.filter(|strength| (0.0..=1.0).contains(strength)) else {
            self.without_strength += 1;
            return;
        };
        self.count(place, moment_ms);
        if let Some(strongest) = self.strongest.get_mut(place) {
            *strongest = (*strongest).max((strength * 1_000.0).round() as u16);
        }
    }

    fn count(&mut self, place: usize, moment_ms: i64) {
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
                strongest: self.strongest.get(place).copied().unwrap_or_default(),
            })
            .collect();
        Holding { subjects, rows: self.rows, newest_ms, without_strength: self.without_strength }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Float64Array, Int64Array, RecordBatch, UInt32Array},
        datatypes::{DataType, Field, Schema},
    };
    use datafusion::prelude::SessionContext;

    use super::*;

    const EVENTS: &str = r#"
name = "acme.events"
files = ["events.csv"]
sensitivity = "official"
time = { column = "at" }
identifier = [{ name = "truck", column = "truck", type = "device" }]
attribute = [
    { name = "strength", column = "strength", type = "decimal" },
    { name = "lane", column = "lane", type = "integer" },
]
"#;

    /// Rows of subject, moment and strength.
    type Rows<'a> = &'a [(Option<u32>, Option<i64>, Option<f64>)];

    fn frame(rows: Rows<'_>) -> DataFrame {
        let fields = [
            Field::new(subject_column("truck"), DataType::UInt32, true),
            Field::new(TIME, DataType::Int64, true),
            Field::new("strength", DataType::Float64, true),
        ];
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields.to_vec())),
            vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<UInt32Array>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            ],
        );
        SessionContext::new().read_batch(batch.unwrap()).unwrap()
    }

    async fn folded(
        rows: Rows<'_>,
        strength_of: Option<&str>,
        within: Option<&[u32]>,
    ) -> Result<Holding, HoldingsError> {
        let dataset: Dataset = toml::from_str(EVENTS).unwrap();
        let window = Window { from_ms: Some(10), until_ms: None };
        let scan = Scan { identifier: "truck", window, filter: &[], within, strength_of };
        fold(plan(frame(rows), &dataset, &scan)?, &dataset, &scan, 5).await
    }

    fn held(subject: u32, events: u32, newest_ms: i64, strongest: u16) -> Held {
        Held { subject, events, newest_ms: Some(newest_ms), strongest }
    }

    const ROWS: Rows<'static> = &[
        (Some(1), Some(10), Some(0.25)),
        (Some(1), Some(30), Some(0.75)),
        (Some(1), Some(20), Some(0.4)),
        // Before the window, and of nobody.
        (Some(1), Some(9), Some(1.0)),
        (None, Some(11), Some(1.0)),
        // No strengths: missing, out of bounds, no number.
        (Some(1), Some(40), None),
        (Some(2), Some(40), Some(1.001)),
        (Some(2), Some(41), Some(-0.001)),
        (Some(3), Some(40), Some(f64::NAN)),
        (Some(3), Some(15), Some(1.0)),
        (Some(4), Some(16), Some(0.0)),
    ];

    #[tokio::test]
    async fn the_strongest_event_of_each_subject_counts() {
        let found = folded(ROWS, Some("strength"), None).await.unwrap();
        assert_eq!(found.subjects, [held(1, 3, 30, 750), held(3, 1, 15, 1_000), held(4, 1, 16, 0)]);
        assert_eq!((found.rows, found.newest_ms, found.without_strength), (5, Some(30), 4));
        assert_eq!(found.unmeasured().unwrap(), "4 rows have no strength between 0 and 1 and do not count");
        let within = folded(ROWS, Some("strength"), Some(&[2, 3])).await.unwrap();
        assert_eq!((within.subjects, within.without_strength), (vec![held(3, 1, 15, 1_000)], 3));
    }

    #[tokio::test]
    async fn without_strengths_every_event_counts() {
        let found = folded(ROWS, None, None).await.unwrap();
        assert_eq!(found.subjects, [held(1, 4, 40, 0), held(2, 2, 41, 0), held(3, 2, 40, 0), held(4, 1, 16, 0)]);
        assert_eq!((found.rows, found.unmeasured()), (9, None));
    }

    #[tokio::test]
    async fn a_strength_is_a_declared_decimal() {
        let reason = async |name: &str| {
            let refused = folded(ROWS, Some(name), None).await.unwrap_err();
            sallyport_trust::error::Refusal::from(refused).reason
        };
        assert_eq!(reason("lane").await, "strength_type");
        assert_eq!(reason("weight").await, "attribute_unknown");
    }
}
