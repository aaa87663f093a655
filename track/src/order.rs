//! Points in order of time although they arrive out of it, by waiting for a bounded while.
//!
//! A point is handed on once a point two seconds newer has come, or the clock says that two seconds have
//! passed. One that comes after a newer one was handed on is left out: it would rewrite what has been
//! reported. Two of the same time are one; the first counts.

use serde::{Deserialize, Serialize};

use crate::point::Point;

/// How long a point waits for an earlier one, in milliseconds. A departure must be known within seconds.
pub(crate) const WAIT_MS: i64 = 2_000;
/// Points that wait at once; beyond it the earliest is handed on.
const WAITING_MAX: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// In order of time.
    waiting: Vec<Point>,
    handed_on_ms: Option<i64>,
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
        let newest_ms = self.waiting.last()?.at_ms;
        let until_ms = now_ms.map_or(newest_ms, |now_ms| now_ms.max(newest_ms));
        let first = self.waiting.first()?;
        if until_ms.saturating_sub(first.at_ms) < WAIT_MS && self.waiting.len() <= WAITING_MAX {
            return None;
        }
        let point = self.waiting.remove(0);
        self.handed_on_ms = Some(point.at_ms);
        Some(point)
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
        assert_eq!(drain(&mut order, Some(i64::MAX)), Vec::<i64>::new());
    }
}
