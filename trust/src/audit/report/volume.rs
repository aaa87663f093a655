//! Unusual volumes: how much one person did on one day, beside that person's own earlier days.
//!
//! For a day with `x` actions, let `m` be the median of the actions on the person's earlier active days
//! (days with at least one action) within [`HISTORY_DAYS`] days before it, and `MAD` the median of
//! their absolute deviations from `m`. The *modified z-score* is
//!
//! ```text
//! z = 0.6745 · (x − m) / max(MAD, 1)
//! ```
//!
//! and the day is unusual when `z > 3.5` (Iglewicz and Hoaglin, *How to Detect and Handle Outliers*,
//! 1993). The median and the MAD are hardly moved by earlier outliers; 0.6745 makes `z` comparable with
//! a standard score when volumes are normal. A MAD below 1 counts as 1: somebody who does the same
//! every day is not unusual for doing one more. A person with fewer than [`HISTORY_DAYS_MIN`] earlier
//! active days is not judged. Days are days of UTC.

use std::collections::BTreeMap;

use super::DAY_MS;

/// Days before a day that it is compared with.
pub const HISTORY_DAYS: i64 = 90;
/// Earlier active days that a judgement needs.
pub const HISTORY_DAYS_MIN: usize = 7;
/// A day with a greater modified z-score is unusual.
pub const UNUSUAL_Z: f64 = 3.5;

/// Persons and actions whose days are counted, at most.
const SERIES_MAX: usize = 10_000;
/// Unusual days that a report lists, at most.
const LISTED_MAX: usize = 1_000;

/// A day on which someone did far more than before.
#[derive(Debug, Clone, PartialEq)]
pub struct UnusualVolume {
    /// SPIFFE ID of the person.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// Days since 1970-01-01.
    pub day: i64,
    /// Actions on that day.
    pub count: u64,
    /// Median of the earlier active days.
    pub median: f64,
    /// Median absolute deviation of the earlier active days.
    pub mad: f64,
    /// Modified z-score.
    pub z: f64,
}

/// Actions by person, action and day.
#[derive(Debug, Default)]
pub(super) struct Volumes(BTreeMap<(String, String), BTreeMap<i64, u64>>);

impl Volumes {
    /// Counts one action; false when there is no room for another person.
    pub(super) fn add(&mut self, actor: &str, action: &str, at_ms: i64) -> bool {
        let key = (actor.to_owned(), action.to_owned());
        if self.0.len() >= SERIES_MAX && !self.0.contains_key(&key) {
            return false;
        }
        *self.0.entry(key).or_default().entry(at_ms.div_euclid(DAY_MS)).or_default() += 1;
        true
    }

    /// The unusual days from a day on, and how many days could not be judged.
    pub(super) fn judge(self, from_day: i64) -> (Vec<UnusualVolume>, u64) {
        let (mut unusual, mut unjudged) = (Vec::new(), 0);
        for ((actor, action), days) in self.0 {
            for (&day, &count) in days.range(from_day..) {
                let earlier: Vec<f64> = days.range(day - HISTORY_DAYS..day).map(|(_, &count)| count as f64).collect();
                if earlier.len() < HISTORY_DAYS_MIN {
                    unjudged += 1;
                    continue;
                }
                let (median, mad, z) = modified_z(count as f64, earlier);
                if z > UNUSUAL_Z {
                    let (actor, action) = (actor.clone(), action.clone());
                    unusual.push(UnusualVolume { actor, action, day, count, median, mad, z });
                }
            }
        }
        unusual.sort_by(|a, b| b.z.total_cmp(&a.z));
        unusual.truncate(LISTED_MAX);
        (unusual, unjudged)
    }
}

/// Median, MAD and modified z-score of a value beside earlier ones, of which there is at least one.
fn modified_z(value: f64, mut earlier: Vec<f64>) -> (f64, f64, f64) {
    let median = median(&mut earlier);
    let mut deviations: Vec<f64> = earlier.iter().map(|each| (each - median).abs()).collect();
    let mad = self::median(&mut deviations);
    (median, mad, 0.6745 * (value - median) / mad.max(1.0))
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => 0.0,
        _ if values.len() % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person with these many actions on days 100, 101, …
    fn volumes(counts: &[u64]) -> Volumes {
        let mut volumes = Volumes::default();
        for (day, count) in (100_i64..).zip(counts) {
            (0..*count).for_each(|n| assert!(volumes.add("ana", "ask", day * DAY_MS + n as i64)));
        }
        volumes
    }

    #[test]
    fn the_score_by_hand() {
        // Sorted 2 3 3 4 4 5 9: median 4, deviations 0 0 1 1 1 2 5: MAD 1.
        let earlier = [4, 2, 3, 5, 4, 9, 3];
        let (_, unjudged) = volumes(&[&earlier[..], &[9]].concat()).judge(107);
        assert_eq!(unjudged, 0);
        // 0.6745 · (9 − 4) = 3.37, 0.6745 · (10 − 4) = 4.05.
        assert!(volumes(&[&earlier[..], &[9]].concat()).judge(107).0.is_empty());
        let (unusual, _) = volumes(&[&earlier[..], &[10]].concat()).judge(107);
        let [found] = &unusual[..] else { panic!("{unusual:?}") };
        assert_eq!((found.day, found.count, found.median, found.mad), (107, 10, 4.0, 1.0));
        assert!((found.z - 4.047).abs() < 1e-9, "{}", found.z);
        // An even number of days, and a MAD of 2: 1 2 3 5 6 7 7 7, median 5.5, deviations 0.5 0.5 1.5 1.5 1.5 2.5 3.5 4.5.
        assert_eq!(modified_z(20.0, vec![7.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 7.0]), (5.5, 1.5, 0.6745 * 14.5 / 1.5));
    }

    #[test]
    fn the_same_every_day_and_a_few_more_is_not_unusual() {
        let steady = [3; 10];
        assert!(volumes(&[&steady[..], &[8]].concat()).judge(110).0.is_empty());
        assert_eq!(volumes(&[&steady[..], &[9]].concat()).judge(110).0.len(), 1);
    }

    #[test]
    fn few_or_long_past_days_are_no_history() {
        assert_eq!(volumes(&[1, 1, 1, 1, 1, 1, 500]).judge(106), (Vec::new(), 1));
        // Days without anything are not active, and what is more than 90 days ago does not count.
        let mut late = volumes(&[1; 10]);
        (0..500).for_each(|_| assert!(late.add("ana", "ask", (100 + 95) * DAY_MS)));
        assert_eq!(late.judge(110), (Vec::new(), 1));
    }

    #[test]
    fn persons_and_actions_are_judged_apart() {
        let mut volumes = volumes(&[2; 8]);
        (0..50).for_each(|_| assert!(volumes.add("ben", "ask", 108 * DAY_MS)));
        (0..50).for_each(|_| assert!(volumes.add("ana", "contribute", 108 * DAY_MS)));
        assert_eq!(volumes.judge(108), (Vec::new(), 2));
    }
}
