//! Points in order of time although they arrive out of it, by waiting for a bounded while.
//!
//! A point is handed on once a point two seconds newer has come, or the clock says that two seconds have
//! passed. After a silence of more than five minutes it waits for a minute of the clock: a device that was out of
//! reach often tells first where it is, and then where it has been, in whatever order. One that comes after a
//! newer one was handed on is left out: it would rewrite what has been reported. Two of the same time are one; the
//! first counts.

use serde::{Deserialize, Serialize};

use crate::point::Point;

/// How long a point waits for an earlier one, in milliseconds. A departure must be known within seconds.
pub const WAIT_MS: i64 = 2_000;
/// A device that was not heard of for longer than this may have kept points while it was out of reach.
const SILENCE_MS: i64 = 300_000;
/// How long it has to tell them, in milliseconds of the clock.
const HELD_MS: i64 = 60_000;
/// Points that wait at once; beyond it the earliest is handed on.
const WAITING_MAX: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// In order of time.
    waiting: Vec<Point>,
    handed_on_ms: Option<i64>,
    /// All wait, as the first came after a silence.
    #[serde(default)]
    held: Option<Held>,
    /// Up to here everything has waited long enough: what was kept in a long absence has silences of its own.
    #[serde(default)]
    waited_until_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    /// Since when, by the clock; none until it is known.
    since_ms: Option<i64>,
}

impl Order {
    /// Takes a point in; false where it comes too late or repeats another.
    pub(crate) fn take(&mut self, point: Point) -> bool {
        if self.handed_on_ms.is_some_and(|handed_on_ms| point.at_ms <= handed_on_ms) {
            return false;
        }
        match self.waiting.binary_search_by_key(&point.at_ms, |waiting| waiting.at_ms) {
            Ok(_) => false,
            Err(index) => {
                self.waiting.insert(index, point);
                true
            }
        }
    }

    /// The next point in order of time that need not wait, at a time of the clock if one is known.
    pub(crate) fn next(&mut self, now_ms: Option<i64>) -> Option<Point> {
        let (first_ms, newest_ms) = (self.first_ms()?, self.waiting.last()?.at_ms);
        let need_not_wait = match self.is_held(first_ms, now_ms) {
            Some(is_held) => !is_held,
            None => now_ms.map_or(newest_ms, |now_ms| now_ms.max(newest_ms)).saturating_sub(first_ms) >= WAIT_MS,
        };
        (need_not_wait || self.waiting.len() > WAITING_MAX).then(|| self.hand_on())
    }

    /// When the first of those was that wait.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        self.waiting.first().map(|point| point.at_ms)
    }

    /// The next of those that wait, as nothing more will come.
    pub(crate) fn next_of_rest(&mut self) -> Option<Point> {
        self.held = None;
        (!self.waiting.is_empty()).then(|| self.hand_on())
    }

    fn hand_on(&mut self) -> Point {
        let point = self.waiting.remove(0);
        self.handed_on_ms = Some(point.at_ms);
        point
    }

    /// Whether all wait after a silence; none where there was no silence.
    fn is_held(&mut self, first_ms: i64, now_ms: Option<i64>) -> Option<bool> {
        let was_silent =
            self.handed_on_ms.is_some_and(|handed_on_ms| first_ms.saturating_sub(handed_on_ms) > SILENCE_MS);
        let has_waited = self.waited_until_ms.is_some_and(|until_ms| first_ms <= until_ms);
        if self.held.is_none() && was_silent && !has_waited {
            self.held = Some(Held::default());
        }
        let held = self.held.as_mut()?;
        let Some(now_ms) = now_ms else { return Some(true) };
        // A clock that was set back begins anew.
        let since_ms = held.since_ms.unwrap_or(now_ms).min(now_ms);
        held.since_ms = Some(since_ms);
        let is_held = now_ms.saturating_sub(since_ms) < HELD_MS;
        if !is_held {
            self.held = None;
            self.waited_until_ms = self.waiting.last().map(|point| point.at_ms);
        }
        Some(is_held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: i64) -> Point {
        Point { at_ms, latitude: 0.0, longitude: 0.0, speed_mps: None, accuracy_m: None, seal: None }
    }

    fn drain(order: &mut Order, now_ms: Option<i64>) -> Vec<i64> {
        std::iter::from_fn(|| order.next(now_ms)).map(|point| point.at_ms).collect()
    }

    #[test]
    fn what_comes_within_the_wait_comes_in_order() {
        let mut order = Order::default();
        for at_ms in [3_000, 1_500, 2_000, 4_000] {
            assert!(order.take(at(at_ms)));
        }
        assert_eq!(drain(&mut order, None), [1_500, 2_000]);
        assert!(!order.take(at(1_900)) && !order.take(at(2_000)) && !order.take(at(4_000)));
        assert_eq!(drain(&mut order, Some(5_500)), [3_000]);
        assert_eq!(drain(&mut order, Some(6_000)), [4_000]);
    }

    #[test]
    fn after_a_silence_there_is_a_minute_for_what_was_kept_meanwhile() {
        let mut order = Order::default();
        let (minute, silence) = (60_000, SILENCE_MS);
        order.take(at(0));
        assert_eq!(drain(&mut order, Some(2_000)), [0]);
        // Silent for as long as is usual: no more than two seconds.
        order.take(at(silence));
        assert_eq!(drain(&mut order, Some(silence + 2_000)), [silence]);
        // Where it is, a little later as well, and then where it has been.
        let live = 10 * silence;
        for at_ms in [live, live + 5_000, 3 * silence, 2 * silence, live + 10_000, live - 1_000] {
            assert!(order.take(at(at_ms)));
            assert_eq!(drain(&mut order, None), Vec::<i64>::new());
        }
        let begun = live + 20_000;
        assert_eq!(drain(&mut order, Some(begun)), Vec::<i64>::new());
        assert_eq!(drain(&mut order, Some(begun + minute - 1)), Vec::<i64>::new());
        // What was kept has silences of its own, which are waited for once.
        let expected = [2 * silence, 3 * silence, live - 1_000, live, live + 5_000, live + 10_000];
        assert_eq!(drain(&mut order, Some(begun + minute)), expected);
        assert!(!order.take(at(4 * silence)), "it comes too late");
        // And then it is as before.
        order.take(at(live + 30_000));
        assert_eq!(drain(&mut order, Some(live + 32_000)), [live + 30_000]);
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let mut order = Order::default();
        order.take(at(0));
        drain(&mut order, Some(2_000));
        for at_ms in [2 * SILENCE_MS, 4 * SILENCE_MS] {
            order.take(at(at_ms));
        }
        assert_eq!(order.next(None), None);
        let rest: Vec<i64> = std::iter::from_fn(|| order.next_of_rest()).map(|point| point.at_ms).collect();
        assert_eq!(rest, [2 * SILENCE_MS, 4 * SILENCE_MS]);
    }

    #[test]
    fn no_more_wait_than_is_allowed() {
        let mut order = Order::default();
        for at_ms in 0..=i64::try_from(WAITING_MAX).unwrap() {
            order.take(at(at_ms));
        }
        assert_eq!(drain(&mut order, None), [0]);
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let mut order = Order::default();
        assert!(order.take(at(i64::MAX)) && order.take(at(i64::MIN)));
        assert_eq!(drain(&mut order, Some(i64::MIN)), [i64::MIN]);
        assert_eq!(drain(&mut order, Some(i64::MAX)), [i64::MAX]);
    }
}
