//! Days, weeks and months in UTC, each named by the day on which it begins.

use chrono::{Datelike, NaiveDate};

/// Periods of one comparison, at most.
pub const PERIODS_MAX: usize = 200;

/// 1970-01-01 in days of the common era, as the calendar counts them.
const EPOCH_DAY: i32 = 719_163;
const DAY_MS: i64 = 86_400_000;

/// How time is cut. Days are counted from 1970-01-01, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday on, as in ISO 8601.
    Week,
    /// A month of the calendar.
    Month,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.name() == name)
    }

    /// The first day of the period that holds this day; nothing outside of the calendar.
    pub fn begin(self, day: i32) -> Option<i32> {
        match self {
            Self::Day => Some(day),
            // 1970-01-01 was a Thursday, three days after a Monday.
            Self::Week => day.checked_sub(day.checked_add(3)?.rem_euclid(7)),
            Self::Month => Some(day - i32::try_from(date(day)?.day0()).ok()?),
        }
    }

    /// The first day of the period that holds this moment.
    pub fn begin_at(self, moment_ms: i64) -> Option<i32> {
        self.begin(i32::try_from(moment_ms.div_euclid(DAY_MS)).ok()?)
    }

    /// The first day of the period after the one that begins here.
    pub fn next(self, begin: i32) -> Option<i32> {
        self.begin(begin.checked_add(match self {
            Self::Day => 1,
            Self::Week => 7,
            // The 32nd day from the first of a month lies in the next one.
            Self::Month => 31,
        })?)
    }

    /// The first day of the period that lies so many periods before the one that begins here.
    pub fn before(self, begin: i32, periods: u32) -> Option<i32> {
        (0..periods).try_fold(begin, |begin, _| self.begin(begin.checked_sub(1)?))
    }

    /// The first days of all periods from one bound to another; nothing when one of the two is no bound, when
    /// there are none, or when there are more than [`PERIODS_MAX`].
    pub fn between(self, from: i32, until: i32) -> Option<Vec<i32>> {
        let mut begins = Vec::new();
        let mut begin = self.begin(from).filter(|begin| *begin == from && from < until)?;
        while begin < until {
            if begins.len() == PERIODS_MAX {
                return None;
            }
            begins.push(begin);
            begin = self.next(begin)?;
        }
        (begin == until).then_some(begins)
    }

    /// As [`Period::between`], of moments in milliseconds since 1970.
    pub fn between_ms(self, from_ms: i64, until_ms: i64) -> Option<Vec<i32>> {
        let day = |moment_ms: i64| i32::try_from(moment_ms / DAY_MS).ok().filter(|_| moment_ms % DAY_MS == 0);
        self.between(day(from_ms)?, day(until_ms)?)
    }
}

/// The day as people write it.
pub fn date(day: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(day.checked_add(EPOCH_DAY)?)
}

/// The midnight with which the day begins, in milliseconds since 1970.
pub fn midnight_ms(day: i32) -> i64 {
    i64::from(day) * DAY_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> i32 {
        text.parse::<NaiveDate>().unwrap().num_days_from_ce() - EPOCH_DAY
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        assert_eq!(Period::Week.begin(day("2022-02-06")), Some(day("2022-01-31")));
        assert_eq!(Period::Week.begin(day("2022-01-31")), Some(day("2022-01-31")));
        assert_eq!(Period::Month.begin(day("2024-02-29")), Some(day("2024-02-01")));
        assert_eq!(Period::Month.next(day("2024-01-01")), Some(day("2024-02-01")));
        assert_eq!(Period::Month.next(day("2023-12-01")), Some(day("2024-01-01")));
        assert_eq!(Period::Month.before(day("2022-02-01"), 12), Some(day("2021-02-01")));
        assert_eq!(Period::Day.begin_at(-1), Some(-1));
    }

    #[test]
    fn only_whole_periods_lie_between_two_bounds() {
        let months = Period::Month.between(day("2021-11-01"), day("2022-03-01")).unwrap();
        assert_eq!(months, ["2021-11-01", "2021-12-01", "2022-01-01", "2022-02-01"].map(day));
        assert_eq!(Period::Month.between(day("2021-11-02"), day("2022-03-01")), None);
        assert_eq!(Period::Month.between(day("2021-11-01"), day("2022-03-02")), None);
        assert_eq!(Period::Day.between(5, 5), None);
        assert_eq!(Period::Day.between(0, PERIODS_MAX as i32).map(|days| days.len()), Some(PERIODS_MAX));
        assert_eq!(Period::Day.between(0, PERIODS_MAX as i32 + 1), None);
        assert_eq!(Period::Day.between_ms(1, DAY_MS), None);
    }

    proptest! {
        /// Nothing panics at the ends of the calendar, and a period holds the day it was found by.
        #[test]
        fn a_day_lies_in_its_period(day in any::<i32>(), back in 0u32..30) {
            for period in Period::ALL {
                let Some(begin) = period.begin(day) else { continue };
                prop_assert!(begin <= day && period.begin(begin) == Some(begin));
                let Some(next) = period.next(begin) else { continue };
                prop_assert!(day < next && period.before(next, 1) == Some(begin));
                if let Some(first) = period.before(begin, back) {
                    let between = period.between(first, begin);
                    prop_assert_eq!(between.map_or(0, |periods| periods.len()), back as usize);
                }
            }
        }
    }
}
