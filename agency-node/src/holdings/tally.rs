//! How many events a data set has, by place and period: a DataFusion plan, folded by cell.

use std::collections::HashMap;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    dataframe::DataFrame,
    functions_aggregate::expr_fn::{count, max, min},
    logical_expr::{Expr, col, lit},
};
use futures::StreamExt;
use sallyport_join::tally::{CELLS_MAX, COUNT_MAX, Cell, PLACE_BYTES_MAX};
use sallyport_trust::question::{Comparison, Tally, Window};

use super::{HoldingsError, events::EVENTS_MAX, prepare::TIME, scan};
use crate::dataset::{Counts, Dataset};

/// Places of one answer, at most.
pub(crate) const PLACES_MAX: usize = 2_000;

/// Columns of the plan, in their order.
const PLACE: &str = "counted_place";
const LEAST: &str = "counted_least";
const MOST: &str = "counted_most";
const ROWS: &str = "counted_rows";

/// What to count.
pub(crate) struct Counting<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) window: Window,
    pub(crate) filter: &'a [Comparison],
}

/// What was counted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counted {
    /// Cells with at least one event.
    pub(crate) cells: Vec<(Cell, u64)>,
    /// Rows that were counted.
    pub(crate) rows: u64,
    pub(crate) newest_ms: Option<i64>,
    /// Rows without a usable place or number.
    pub(crate) unusable: u64,
    /// Rows that say again what another one says.
    pub(crate) repeated: u64,
    /// Rows that contradict each other.
    pub(crate) contradicting: u64,
}

/// What the owner declares, if it lets events be counted by this place.
pub(super) fn declared<'a>(dataset: &'a Dataset, wanted: &Counting<'_>) -> Result<&'a Counts, HoldingsError> {
    let of = dataset.counts.as_ref().and_then(|counts| counts.of.as_ref());
    if wanted.filter.iter().any(|comparison| Some(&comparison.attribute) == of) {
        return Err(uncountable(
            "counts_filter",
            "what a row counts cannot be filtered by: it would tell small counts; filter by other attributes",
        ));
    }
    let by = &wanted.tally.place;
    dataset.counts.as_ref().filter(|counts| counts.by.contains(by)).ok_or_else(|| {
        let others = dataset.counts.as_ref().map_or_else(
            || "by nothing".to_owned(),
            |counts| format!("by {}", counts.by.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        );
        HoldingsError::Uncountable {
            reason: "counts_undeclared",
            problem: format!(
                "`{}` lets its events be counted {others} and not by `{by}`; its owner can allow it with `by` in \
                 [dataset.counts]",
                dataset.name
            ),
        }
    })
}

/// Place, time, least and greatest number and how many rows; of rows that say what they are about, one for each
/// thing that they are about.
pub(super) fn plan(
    frame: DataFrame,
    dataset: &Dataset,
    counts: &Counts,
    wanted: &Counting<'_>,
) -> Result<DataFrame, HoldingsError> {
    let bounds = scan::narrowed(dataset, wanted.window, wanted.filter)?;
    let frame = bounds.into_iter().try_fold(frame, DataFrame::filter)?;
    let number = || counts.of.as_ref().map_or_else(|| lit(1i64), |of| col(of.as_str()));
    let place = || col(wanted.tally.place.as_str()).alias(PLACE);
    if counts.once.is_empty() {
        let columns = [place(), col(TIME), number().alias(LEAST), number().alias(MOST), lit(1i64).alias(ROWS)];
        return Ok(frame.select(columns.to_vec())?);
    }
    let mut about: Vec<&str> = counts.once.iter().map(String::as_str).collect();
    about.extend([wanted.tally.place.as_str(), TIME]);
    about.sort_unstable();
    about.dedup();
    let about: Vec<Expr> = about.into_iter().map(col).collect();
    let told = vec![min(number()).alias(LEAST), max(number()).alias(MOST), count(lit(1i64)).alias(ROWS)];
    Ok(frame.aggregate(about, told)?.select(vec![place(), col(TIME), col(LEAST), col(MOST), col(ROWS)])?)
}

/// Runs the plan.
pub(super) async fn collect(plan: DataFrame, wanted: &Counting<'_>) -> Result<Counted, HoldingsError> {
    let mut fold = Fold { wanted, places: HashMap::new(), cells: HashMap::new(), counted: Counted::default() };
    let mut batches = plan.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        fold.take(&batch?)?;
        if fold.counted.rows > EVENTS_MAX as u64 {
            return Err(HoldingsError::TooMany);
        }
    }
    fold.finish()
}

struct Fold<'a> {
    wanted: &'a Counting<'a>,
    /// Their numbers.
    places: HashMap<String, u32>,
    /// By number of the place and begin of the period.
    cells: HashMap<(u32, i32), u64>,
    counted: Counted,
}

impl Fold<'_> {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), HoldingsError> {
        let engine = |error: arrow::error::ArrowError| HoldingsError::Engine(error.to_string());
        let places = arrow::compute::cast(batch.column(0), &DataType::Utf8).map_err(engine)?;
        let places = places.as_string::<i32>();
        let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let (times, least, most, rows) = (number(1), number(2), number(3), number(4));
        for row in 0..batch.num_rows() {
            let said = rows.value(row).unsigned_abs();
            let numbers = (least.is_valid(row) && most.is_valid(row)).then(|| (least.value(row), most.value(row)));
            let place = places.is_valid(row).then(|| places.value(row).trim());
            let usable = |place: &&str| !place.is_empty() && place.len() <= PLACE_BYTES_MAX && is_printable(place);
            match (place.filter(usable), numbers) {
                (Some(_), Some((least, most))) if least != most => self.counted.contradicting += said,
                (Some(place), Some((events, _))) if times.is_valid(row) && is_number(events) => {
                    self.counted.repeated += said - 1;
                    self.count(place, times.value(row), events.unsigned_abs())?;
                }
                _ => self.counted.unusable += said,
            }
        }
        Ok(())
    }

    fn count(&mut self, place: &str, moment_ms: i64, events: u64) -> Result<(), HoldingsError> {
        let number = match self.places.get(place) {
            Some(&number) => number,
            None => {
                let number = self.places.len() as u32;
                self.places.insert(place.to_owned(), number);
                number
            }
        };
        let Some(begin) = self.wanted.tally.period.begin_at(moment_ms) else { return Ok(()) };
        let sum = self.cells.entry((number, begin)).or_default();
        *sum = sum.saturating_add(events);
        self.counted.rows += 1;
        self.counted.newest_ms = self.counted.newest_ms.max(Some(moment_ms));
        if *sum > COUNT_MAX {
            return Err(uncountable("counts_too_large", "a count is too large to be added up; narrow the filter"));
        }
        if self.places.len() > PLACES_MAX || self.cells.len() > CELLS_MAX {
            return Err(uncountable(
                "too_many_cells",
                "the data set has more than 2,000 places, or more than 100,000 places in periods; ask about longer \
                 periods or a shorter time, or narrow the filter",
            ));
        }
        Ok(())
    }

    fn finish(self) -> Result<Counted, HoldingsError> {
        let mut names: Vec<(String, u32)> = self.places.into_iter().collect();
        names.sort_unstable_by_key(|(_, number)| *number);
        let cells = self.cells.into_iter().filter(|(_, count)| *count > 0).filter_map(|((number, begin), count)| {
            let (place, _) = names.get(number as usize)?;
            Some((Cell { place: place.clone(), begin }, count))
        });
        let mut cells: Vec<(Cell, u64)> = cells.collect();
        cells.sort_unstable();
        Ok(Counted { cells, ..self.counted })
    }
}

fn is_printable(place: &str) -> bool {
    !place.chars().any(char::is_control)
}

fn is_number(events: i64) -> bool {
    u64::try_from(events).is_ok_and(|events| events <= COUNT_MAX)
}

fn uncountable(reason: &'static str, problem: &str) -> HoldingsError {
    HoldingsError::Uncountable { reason, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
