//! Intervals of time that two parties can compare for equality: the dyadic ones, `[i·2^l, (i+1)·2^l)`
//! in minutes.
//!
//! One party *covers* its window with as few of them as possible, the other names all that *contain*
//! its minute. A minute lies in exactly one interval of a cover if it lies in the window, and in none
//! otherwise: so the two meet exactly once when the event is in the window, and never when it is not.
//! (The decomposition behind segment trees: Bentley, "Solutions to Klee's rectangle problems", 1977.)

/// Longest window, in minutes: 90 days either way, and the minute itself.
pub const WINDOW_MINUTES_MAX: u32 = 2 * 90 * 24 * 60 + 1;

/// Where the other event may lie, seen from the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// At the same minute or up to Δ later.
    After,
    /// At the same minute or up to Δ earlier.
    Before,
    /// Up to Δ to either side.
    Around,
}

/// A dyadic interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Its length is 2 to this power, in minutes.
    pub level: u8,
    /// It begins at this many of its lengths after 1970.
    pub index: u32,
}

/// What both parties of a relation in time must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    order: Order,
    minutes: u32,
}

impl Reach {
    /// Up to `minutes` in the given direction; cut to 90 days.
    pub fn new(order: Order, minutes: u32) -> Self {
        Self { order, minutes: minutes.min(WINDOW_MINUTES_MAX / 2) }
    }

    /// The longest interval that a cover can need.
    pub fn level_max(&self) -> u8 {
        let length = match self.order {
            Order::Around => 2 * self.minutes + 1,
            Order::After | Order::Before => self.minutes + 1,
        };
        length.ilog2() as u8
    }

    /// First and last minute, both included, at which the other event may lie.
    fn window(&self, minute: u32) -> (u32, u32) {
        let (earlier, later) = match self.order {
            Order::After => (0, self.minutes),
            Order::Before => (self.minutes, 0),
            Order::Around => (self.minutes, self.minutes),
        };
        (minute.saturating_sub(earlier), minute.saturating_add(later))
    }

    /// The fewest intervals that make up the window of an event at `minute`; at most two a level.
    pub fn cover(&self, minute: u32, mut each: impl FnMut(Interval)) {
        let (first, last) = self.window(minute);
        // Half-open, in 64 bits: the window may end with the last minute there is.
        let (mut from, until) = (u64::from(first), u64::from(last) + 1);
        while from < until {
            let aligned = if from == 0 { u32::from(self.level_max()) } else { from.trailing_zeros() };
            let fitting = (until - from).ilog2();
            let level = aligned.min(fitting).min(u32::from(self.level_max()));
            each(Interval { level: level as u8, index: (from >> level) as u32 });
            from += 1 << level;
        }
    }

    /// Every interval that contains `minute`, one a level.
    pub fn containing(&self, minute: u32) -> impl Iterator<Item = Interval> + use<> {
        (0..=self.level_max()).map(move |level| Interval { level, index: minute >> level })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covered(reach: Reach, minute: u32) -> Vec<Interval> {
        let mut intervals = Vec::new();
        reach.cover(minute, |interval| intervals.push(interval));
        intervals
    }

    proptest! {
        #[test]
        fn two_events_meet_exactly_once_when_they_are_within_reach_and_never_otherwise(
            order in prop_oneof![Just(Order::After), Just(Order::Before), Just(Order::Around)],
            minutes in prop_oneof![1u32..200, 1u32..=129_600],
            first in 0u32..40_000_000,
            offset in -200_000i64..200_000,
        ) {
            let second = u32::try_from((i64::from(first) + offset).max(0)).expect("in range");
            let distance = i64::from(second) - i64::from(first);
            let within = match order {
                Order::After => (0..=i64::from(minutes)).contains(&distance),
                Order::Before => (-i64::from(minutes)..=0).contains(&distance),
                Order::Around => distance.abs() <= i64::from(minutes),
            };
            let reach = Reach::new(order, minutes);
            let cover = covered(reach, first);
            let meetings = reach.containing(second).filter(|interval| cover.contains(interval)).count();
            prop_assert_eq!(meetings, usize::from(within));
            prop_assert!(cover.len() <= 2 * (usize::from(reach.level_max()) + 1));
        }
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        for order in [Order::After, Order::Before, Order::Around] {
            let reach = Reach::new(order, 129_600);
            for minute in [0, 1, u32::MAX - 1, u32::MAX] {
                let cover = covered(reach, minute);
                assert!(reach.containing(minute).any(|interval| cover.contains(&interval)));
            }
        }
    }
}
