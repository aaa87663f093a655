//! Jumps that no truck makes are left out.
//!
//! A fix that would need more than [`SPEED_MAX_KMH`] since the last good one, noise allowed for, is put aside. Three
//! in a row that fit one another mean that it was the last good one that was wrong: they count, from the
//! first of them on.

use serde::{Deserialize, Serialize};

use crate::point::{Fix, Point};

/// Faster than any truck, in kilometres an hour. The fastest road of the United States allows 137 (85 mph, Texas 130);
/// a third more is for clocks and fixes that are not exact. A feed takes no faster movement: it would be kept, and
/// left out here without a word.
pub const SPEED_MAX_KMH: u16 = 180;
const SPEED_MAX_MPS: f64 = SPEED_MAX_KMH as f64 / 3.6;
/// Fixes that must agree on another place.
const AGREEING: usize = 3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plausible {
    last: Option<Point>,
    aside: Vec<Point>,
}

impl Plausible {
    /// The points that count now, in order; how many of those put aside are given up is counted into
    /// `jumps`.
    pub(crate) fn admit(&mut self, point: Point, jumps: &mut u64) -> Vec<Point> {
        if self.last.is_none_or(|last| reachable(&last, &point)) {
            *jumps += self.aside.len() as u64;
            self.aside.clear();
            self.last = Some(point);
            return vec![point];
        }
        if self.aside.last().is_some_and(|last| !reachable(last, &point)) {
            *jumps += self.aside.len() as u64;
            self.aside.clear();
        }
        self.aside.push(point);
        if self.aside.len() < AGREEING {
            return vec![];
        }
        self.last = Some(point);
        std::mem::take(&mut self.aside)
    }
}

fn reachable(from: &Point, to: &Point) -> bool {
    let (Some(from), Some(to)) = (Fix::of(from), Fix::of(to)) else { return false };
    let seconds = to.since(&from) as f64 / 1_000.0;
    from.place.distance_m(to.place) <= SPEED_MAX_MPS * seconds + from.margin_m + to.margin_m
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: i64, latitude: f64) -> Point {
        Point { at_ms, latitude, longitude: 0.0, speed_mps: None, accuracy_m: None, seal: None }
    }

    #[test]
    fn a_jump_is_left_out_and_counted() {
        let (mut plausible, mut jumps) = (Plausible::default(), 0);
        let mut admitted = vec![];
        for (at_ms, latitude) in [(0, 10.0), (1_000, 10.0002), (2_000, 12.0), (3_000, 10.0006)] {
            admitted.extend(plausible.admit(at(at_ms, latitude), &mut jumps));
        }
        assert_eq!(admitted.iter().map(|point| point.at_ms).collect::<Vec<_>>(), [0, 1_000, 3_000]);
        assert_eq!(jumps, 1);
    }

    #[test]
    fn three_that_agree_on_another_place_are_believed() {
        let (mut plausible, mut jumps) = (Plausible::default(), 0);
        for (at_ms, latitude, count) in [(0, 10.0, 1), (1_000, 12.0, 0), (2_000, 12.0002, 0), (3_000, 12.0004, 3)] {
            assert_eq!(plausible.admit(at(at_ms, latitude), &mut jumps).len(), count);
        }
        assert_eq!(jumps, 0);
        assert_eq!(plausible.admit(at(4_000, 12.0006), &mut jumps).len(), 1);
    }
}
