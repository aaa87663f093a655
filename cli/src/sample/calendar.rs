//! Time in the sample: minutes since the first midnight (UTC) of the period, how busy each hour is, and
//! how minutes are written.
//!
//! Reads no clock: the period is an option.

use std::ops::Range;

use chrono::{Datelike, Days, NaiveDate};

use super::random::Stream;

const MINUTES_PER_HOUR: u64 = 60;
const HOURS_PER_DAY: u32 = 24;
/// Minutes in a day.
pub(super) const MINUTES_PER_DAY: u32 = 1_440;

/// How activity is spread over the hours of a day (UTC) and the days of a week (from Monday), in
/// relative weights.
pub(super) struct Rhythm {
    pub(super) hours: [u32; 24],
    pub(super) weekdays: [u32; 7],
}

/// The period of the sample.
pub(super) struct Calendar {
    start: NaiveDate,
    days: u32,
    /// `YYYY-MM-DD` of each day, written once: formatting a date anew in each row would take longer
    /// than the rest of the row.
    written: Vec<[u8; 10]>,
}

impl Calendar {
    /// The period of `days` days from `start`; years must have four digits.
    pub(super) fn new(start: NaiveDate, days: u32) -> Self {
        let written = (0..days).map(|day| written(date(start, day))).collect();
        Self { start, days, written }
    }

    /// First day of the period.
    pub(super) fn start(&self) -> NaiveDate {
        self.start
    }

    /// Writes a minute of the period as RFC 3339 in UTC, seconds always `00`.
    pub(super) fn write(&self, out: &mut Vec<u8>, minute: u32) {
        let day = (minute / MINUTES_PER_DAY) as usize;
        if let Some(date) = self.written.get(day) {
            out.extend_from_slice(date);
        }
        let (hour, minute) = (minute % MINUTES_PER_DAY / 60, minute % 60);
        out.extend_from_slice(b"T00:00:00Z");
        let at = out.len() - 9;
        out[at] += (hour / 10) as u8;
        out[at + 1] += (hour % 10) as u8;
        out[at + 3] += (minute / 10) as u8;
        out[at + 4] += (minute % 10) as u8;
    }
}

fn date(start: NaiveDate, day: u32) -> NaiveDate {
    start.checked_add_days(Days::new(u64::from(day))).unwrap_or(start)
}

fn written(date: NaiveDate) -> [u8; 10] {
    let mut text = *b"0000-00-00";
    let fields = [(0..4, date.year().unsigned_abs()), (5..7, date.month()), (8..10, date.day())];
    for (place, mut value) in fields {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    text
}

/// A rhythm laid over a calendar: turns a share of all activity into the minute it happens in.
pub(super) struct Clock {
    /// Weight before each hour, in weight-minutes; one more than there are hours.
    before: Vec<u64>,
}

impl Clock {
    /// Lays `rhythm` over `calendar`; nothing happens in the days `silent`.
    pub(super) fn new(calendar: &Calendar, rhythm: &Rhythm, silent: &Range<u32>) -> Self {
        let first = calendar.start.weekday().num_days_from_monday();
        let mut before = Vec::with_capacity((calendar.days * HOURS_PER_DAY) as usize + 1);
        let mut total = 0u64;
        before.push(total);
        for day in 0..calendar.days {
            let weekday = rhythm.weekdays[((first + day) % 7) as usize];
            for hour in rhythm.hours {
                let weight = if silent.contains(&day) { 0 } else { weekday * hour };
                total += u64::from(weight) * MINUTES_PER_HOUR;
                before.push(total);
            }
        }
        Self { before }
    }

    fn total(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// The minute at `position` of the total weight, looking from hour `from` on. Returns the hour too,
    /// so that a caller who goes forward only never searches twice.
    fn minute(&self, position: u64, from: usize) -> (u32, usize) {
        let mut hour = from;
        while hour + 2 < self.before.len() && self.before[hour + 1] <= position {
            hour += 1;
        }
        let weight = (self.before[hour + 1] - self.before[hour]) / MINUTES_PER_HOUR;
        let minute = (position - self.before[hour]) / weight.max(1);
        let minute = minute.min(MINUTES_PER_HOUR - 1);
        (hour as u32 * 60 + minute as u32, hour)
    }

    /// A random minute by this rhythm.
    pub(super) fn sample(&self, stream: &mut Stream) -> u32 {
        let position = stream.below(self.total());
        let hour = self.before.partition_point(|before| *before <= position);
        self.minute(position, hour.saturating_sub(1)).0
    }
}

/// Who an event belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// The n-th of the ordinary events in order of time.
    Background(u64),
    /// A planted subject, by its place in the list (0 is the first rank).
    Planted(usize),
}

/// The events of one file in order of time: a known number of ordinary ones spread by the rhythm, and
/// those of planted subjects between them. Holds the planted ones only; ordinary ones are made on the way.
pub(super) struct Timeline {
    clock: Clock,
    stream: Stream,
    background: u64,
    made: u64,
    hour: usize,
    waiting: Option<(u32, u64)>,
    /// Ordered by time, latest first: the next one is at the end.
    planted: Vec<(u32, usize)>,
}

impl Timeline {
    /// `background` ordinary events, and for each planted subject as many as `planted` says.
    pub(super) fn new(clock: Clock, background: u64, planted: &[u32], mut stream: Stream) -> Self {
        let mut events = Vec::new();
        for (subject, count) in planted.iter().enumerate() {
            events.extend((0..*count).map(|_| (clock.sample(&mut stream), subject)));
        }
        events.sort_unstable_by(|a, b| b.cmp(a));
        Self { clock, stream, background, made: 0, hour: 0, waiting: None, planted: events }
    }

    /// How many events there are in all.
    pub(super) fn total(&self) -> u64 {
        self.background + self.planted.len() as u64
    }

    /// Ordinary event n happens at a random point of the n-th of `background` equal shares of the
    /// weight: in order by construction, and in every hour as many as the rhythm says.
    fn next_background(&mut self) -> Option<(u32, u64)> {
        if self.made == self.background {
            return None;
        }
        let within = (u128::from(self.made) << 32) | u128::from(self.stream.bits() >> 32);
        let position = (within * u128::from(self.clock.total()) / u128::from(self.background)) >> 32;
        let (minute, hour) = self.clock.minute(position as u64, self.hour);
        self.hour = hour;
        self.made += 1;
        Some((minute, self.made - 1))
    }
}

impl Iterator for Timeline {
    type Item = (u32, Who);

    fn next(&mut self) -> Option<Self::Item> {
        if self.waiting.is_none() {
            self.waiting = self.next_background();
        }
        if let Some(&(minute, subject)) = self.planted.last()
            && self.waiting.is_none_or(|(other, _)| minute <= other)
        {
            self.planted.pop();
            return Some((minute, Who::Planted(subject)));
        }
        let (minute, row) = self.waiting.take()?;
        Some((minute, Who::Background(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICE: Rhythm = Rhythm {
        hours: [0, 0, 0, 0, 0, 0, 1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 2, 1, 0, 0, 0, 0, 0, 0],
        weekdays: [5, 5, 5, 5, 5, 0, 0],
    };

    fn calendar(days: u32) -> Calendar {
        Calendar::new(NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(), days)
    }

    #[test]
    fn writes_the_minute_as_chrono_does() {
        let calendar = calendar(400);
        for minute in (0..400 * MINUTES_PER_DAY).step_by(977) {
            let mut out = Vec::new();
            calendar.write(&mut out, minute);
            let expected =
                calendar.start().and_hms_opt(0, 0, 0).unwrap() + chrono::TimeDelta::minutes(i64::from(minute));
            let expected = expected.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn timeline_is_in_order_complete_and_silent_where_told() {
        let calendar = calendar(60);
        let clock = Clock::new(&calendar, &OFFICE, &(20..27));
        let timeline = Timeline::new(clock, 5_000, &[40, 7], Stream::new(1, "timeline"));
        assert_eq!(timeline.total(), 5_047);
        let events: Vec<(u32, Who)> = timeline.collect();
        assert_eq!(events.len(), 5_047);
        assert!(events.is_sorted_by_key(|(minute, _)| *minute));
        for (minute, _) in &events {
            let (day, hour) = (minute / MINUTES_PER_DAY, minute % MINUTES_PER_DAY / 60);
            assert!(!(20..27).contains(&day), "day {day}");
            assert!(OFFICE.hours[hour as usize] > 0, "hour {hour}");
            let weekday = (3 + day) % 7; // 2026-01-01 is a Thursday
            assert!(weekday < 5, "day {day}");
        }
        let of = |who| events.iter().filter(|(_, other)| *other == who).count();
        assert_eq!((of(Who::Planted(0)), of(Who::Planted(1))), (40, 7));
        let rows = events.iter().filter_map(|(_, who)| match who {
            Who::Background(row) => Some(*row),
            Who::Planted(_) => None,
        });
        assert!(rows.eq(0..5_000));
    }
}
