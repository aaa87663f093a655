//! Moments and durations as a corridor's file writes them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::CorridorError;

/// A date, which is its midnight in UTC, or a time with its zone, in UTC milliseconds since 1970.
pub(crate) fn moment_ms(property: &str, text: &str) -> Result<i64, CorridorError> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|moment| moment.with_timezone(&Utc)).or_else(|_| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| NaiveDateTime::new(day, NaiveTime::MIN).and_utc())
    });
    parsed.map(|moment| moment.timestamp_millis()).map_err(|_| {
        CorridorError::new(
            "time_unreadable",
            format!("`{property}` must be a date (2026-01-31) or a time with its zone (2026-01-31T08:00:00Z)."),
        )
    })
}

/// A duration in milliseconds from a number of units, within bounds given in the same unit.
pub(crate) fn duration_ms(
    property: &str,
    number: f64,
    unit_ms: f64,
    (least, most): (f64, f64),
) -> Result<i64, CorridorError> {
    if !(least..=most).contains(&number) {
        return Err(CorridorError::new(
            "number_out_of_range",
            format!("`{property}` is {number}; it must be from {least} to {most}."),
        ));
    }
    // In range of the bounds above, so nothing is cut but a fraction of a millisecond.
    Ok((number * unit_ms) as i64)
}
