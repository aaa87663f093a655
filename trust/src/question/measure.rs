//! How a subject's events in a data set become evidence in [0, 1].

use super::{TEXT_BYTES_MAX, Window};
use crate::error::Refusal;

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: i64 = 86_400_000;

/// A measure. The formulas of those that look at behaviour stand where they are computed, in the
/// node's `behaviour` module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// 1 for every subject that the data set holds.
    Presence,
    /// n / (n + half_at) for n events.
    Frequency {
        /// Events at which the evidence is one half; 1 to 1,000,000.
        half_at: u32,
    },
    /// 2^(−age / half_life) for the age of the newest event.
    Recency {
        /// Hours; 1 to 876,000.
        half_life_hours: u32,
    },
    /// How new a contact is to the subject.
    Novelty {
        /// Days before the window that tell what is usual; 1 to 3,650.
        baseline_days: u32,
    },
    /// How surprising an event is for the subject.
    Rarity {
        /// What of the event is looked at.
        of: Trait,
        /// Days before the window that tell what is usual; 1 to 3,650.
        baseline_days: u32,
    },
    /// How unlikely so many events are for the subject.
    Burst {
        /// Days before the window that tell what is usual; 1 to 3,650.
        baseline_days: u32,
    },
    /// How unlikely so few events are for the subject.
    Silence {
        /// Days before the window that tell what is usual; 1 to 3,650.
        baseline_days: u32,
    },
    /// How even the times between the subject's events are.
    Regularity,
    /// The strongest of the subject's events, by a strength that the data set records of each.
    Strongest {
        /// The decimal attribute with the strength, 0 to 1.
        of: String,
    },
}

/// What of an event can be rare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trait {
    /// Hour of the day, in UTC.
    Hour,
    /// Day of the week, in UTC.
    Weekday,
    /// A declared attribute, such as a port or a lane.
    Attribute(String),
}

impl Measure {
    /// As questions name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Frequency { .. } => "frequency",
            Self::Recency { .. } => "recency",
            Self::Novelty { .. } => "novelty",
            Self::Rarity { .. } => "rarity",
            Self::Burst { .. } => "burst",
            Self::Silence { .. } => "silence",
            Self::Regularity => "regularity",
            Self::Strongest { .. } => "strongest",
        }
    }

    /// Days before the window that the measure looks at, if it looks at behaviour over time.
    pub fn baseline_days(&self) -> Option<u32> {
        match self {
            Self::Novelty { baseline_days }
            | Self::Rarity { baseline_days, .. }
            | Self::Burst { baseline_days }
            | Self::Silence { baseline_days } => Some(*baseline_days),
            _ => None,
        }
    }

    /// The attribute with each event's own strength, if evidence comes from one.
    pub fn strength_of(&self) -> Option<&str> {
        match self {
            Self::Strongest { of } => Some(of),
            _ => None,
        }
    }

    /// True when evidence comes from a subject's history and not from a count of events.
    pub fn is_behaviour(&self) -> bool {
        self.baseline_days().is_some() || *self == Self::Regularity
    }

    /// True when single events can stand in relation.
    pub fn is_of_events(&self) -> bool {
        !matches!(self, Self::Burst { .. } | Self::Silence { .. } | Self::Regularity | Self::Strongest { .. })
    }

    /// Evidence in thousandths, 0 to 1,000, of so many events; for measures of behaviour and where events
    /// have a strength of their own it is the strongest event's, which is `strongest`.
    ///
    /// - presence: 1 for every subject that is held
    /// - frequency: n / (n + half_at), the saturating form of Michaelis and Menten (Biochem. Z. 49, 1913)
    /// - recency: 2^(−age / half_life) for the newest event, exponential decay; an event after `as_of_ms`
    ///   has age 0, and without any time the evidence is 0
    pub fn strength(&self, events: u64, newest_ms: Option<i64>, as_of_ms: i64, strongest: u16) -> u16 {
        let share = match self {
            Self::Presence => 1.0,
            Self::Frequency { half_at } => return saturating(events.saturating_mul(1_000), *half_at),
            Self::Recency { half_life_hours } => newest_ms.map_or(0.0, |newest_ms| {
                let age_hours = as_of_ms.saturating_sub(newest_ms).max(0) as f64 / HOUR_MS;
                (-age_hours / f64::from((*half_life_hours).max(1))).exp2()
            }),
            _ => return strongest.min(1_000),
        };
        (share * 1_000.0).round().clamp(0.0, 1_000.0) as u16
    }

    pub(super) fn validate(&self, window: Window) -> Result<(), Refusal> {
        match self {
            Self::Frequency { half_at } if !(1..=1_000_000).contains(half_at) => {
                return Err(Refusal::bad_input("half_at_out_of_range", "`half_at` must be 1 to 1,000,000 events."));
            }
            Self::Recency { half_life_hours } if !(1..=876_000).contains(half_life_hours) => {
                return Err(Refusal::bad_input("half_life_out_of_range", "`half_life_hours` must be 1 to 876,000."));
            }
            Self::Rarity { of: Trait::Attribute(name), .. } if name.is_empty() || name.len() > TEXT_BYTES_MAX => {
                return Err(Refusal::bad_input("rarity_of", "Name an attribute: `rarity_of = \"port\"`."));
            }
            Self::Strongest { of } if of.is_empty() || of.len() > TEXT_BYTES_MAX => {
                return Err(Refusal::bad_input("strength_of", "Name an attribute: `strength_of = \"strength\"`."));
            }
            _ => {}
        }
        let Some(days) = self.baseline_days() else { return Ok(()) };
        if !(1..=3_650).contains(&days) {
            return Err(Refusal::bad_input("baseline_out_of_range", "`baseline_days` must be 1 to 3,650."));
        }
        if window.from_ms.is_none() {
            return Err(Refusal::bad_input(
                "baseline_needs_window",
                "Behaviour is measured against the days before the window: give the window or the indicator a `from`.",
            ));
        }
        Ok(())
    }
}

/// First moment of the baseline, in milliseconds since 1970.
pub fn baseline_from_ms(window_from_ms: i64, baseline_days: u32) -> i64 {
    window_from_ms.saturating_sub(i64::from(baseline_days) * DAY_MS)
}

/// `n / (n + half_at)` in thousandths, for n in thousandths.
pub fn saturating(thousandths: u64, half_at: u32) -> u16 {
    let n = thousandths as f64 / 1_000.0;
    (n / (n + f64::from(half_at.max(1))) * 1_000.0).round().clamp(0.0, 1_000.0) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frequency(events: u64, half_at: u32) -> u16 {
        Measure::Frequency { half_at }.strength(events, None, 0, 0)
    }

    fn recency(half_life_hours: u32, newest_ms: Option<i64>, as_of_ms: i64) -> u16 {
        Measure::Recency { half_life_hours }.strength(1, newest_ms, as_of_ms, 0)
    }

    #[test]
    fn known_values() {
        assert_eq!(Measure::Presence.strength(1, None, 0, 0), 1_000);
        assert_eq!((frequency(10, 10), frequency(30, 10)), (500, 750));
        assert_eq!(recency(24, Some(0), DAY_MS), 500);
        assert_eq!(recency(24, Some(0), 2 * DAY_MS), 250);
        assert_eq!(recency(24, Some(DAY_MS), 0), 1_000);
        assert_eq!(recency(24, None, DAY_MS), 0);
        assert_eq!(saturating(2_500, 5), 333);
        let strongest = Measure::Strongest { of: "strength".to_owned() };
        assert_eq!((strongest.strength(9, None, 0, 420), strongest.strength(1, None, 0, 2_000)), (420, 1_000));
    }

    proptest! {
        #[test]
        fn more_or_newer_is_never_less(
            events in 0u64..u64::MAX / 2_000, half_at in 1u32..=1_000_000, hours in 1u32..=876_000, age: i64,
            newer in 0i64..i64::MAX / 2,
        ) {
            prop_assert!(frequency(events, half_at) <= frequency(events + 1, half_at));
            prop_assert!(recency(hours, Some(age), 0) <= recency(hours, Some(age.saturating_add(newer)), 0));
            prop_assert!(frequency(events, half_at) <= 1_000);
        }
    }
}
