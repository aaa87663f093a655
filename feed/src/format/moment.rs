//! Moments as feeds write them, to milliseconds since 1970.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Numbers from here on are milliseconds since 1970, smaller ones seconds: as seconds it would be the
/// year 5138, as milliseconds it is 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// Days as they are written beside a column with the time of day.
const DAYS: [&str; 5] = ["%Y-%m-%d", "%d-%b-%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d"];

/// RFC 3339, the same without a zone (UTC) or with a space for the `T`, or seconds or milliseconds since
/// 1970.
pub(super) fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return since_1970(number);
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_millis());
    }
    let zoneless = text.strip_suffix(" UTC").or_else(|| text.strip_suffix('Z')).unwrap_or(text);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(zoneless, form).ok())
        .map(|moment| moment.and_utc().timestamp_millis())
}

/// Seconds or milliseconds since 1970, whichever the number can only be.
pub(super) fn since_1970(number: f64) -> Option<i64> {
    let milliseconds = if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number };
    milliseconds_of(milliseconds)
}

/// Milliseconds since 1970.
pub(super) fn milliseconds_of(number: f64) -> Option<i64> {
    // Beyond 2⁵³ neighbouring numbers are more than a millisecond apart.
    (number.abs() < 9e15).then(|| number.round() as i64)
}

/// A day and a time of day that stand in two columns.
pub(super) fn day_and_time(day: &str, time: &str) -> Option<i64> {
    let day = DAYS.iter().find_map(|form| NaiveDate::parse_from_str(day.trim(), form).ok())?;
    let time = time.trim().trim_end_matches('Z');
    let time = ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(time, form).ok())?;
    Some(day.and_time(time).and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_the_usual_spellings() {
        let expected = Some(1_660_169_569_000); // 2022-08-10T22:12:49Z
        for text in [
            "2022-08-10T22:12:49Z",
            "2022-08-10T22:12:49.000Z",
            "2022-08-10T17:12:49-05:00",
            "2022-08-10T22:12:49",
            "2022-08-10 22:12:49",
            "2022-08-10 22:12:49 UTC",
            "08/10/2022 22:12:49",
            "1660169569",
            "1660169569.0",
            "1660169569000",
            " 1660169569 ",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("1660169569.25"), Some(1_660_169_569_250));
        assert_eq!(day_and_time("10-Aug-2022", "22:12:49"), expected);
        assert_eq!(day_and_time("2022-08-10", "22:12:49.5"), Some(1_660_169_569_500));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "yesterday", "2022-13-10T22:12:49Z", "2022-02-30 00:00:00", "nan", "inf", "1e300", "22:12:49"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(day_and_time("10-Foo-2022", "22:12:49"), None);
    }
}
