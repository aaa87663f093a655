//! How a subject's events become evidence in [0, 1]. Pure: the moment to measure at is handed in.

use sallyport_trust::question::Measure;

const HOUR_MS: f64 = 3_600_000.0;

/// Evidence in thousandths, 0 to 1,000, rounded to the nearest.
///
/// - presence: 1 for every subject that is held
/// - frequency: n / (n + half_at), the saturating form of Michaelis and Menten (Biochem. Z. 49, 1913)
/// - recency: 2^(−age / half_life) for the newest event, exponential decay; an event after `as_of_ms`
///   has age 0, and without any time the evidence is 0
pub(crate) fn strength(measure: Measure, events: u32, newest_ms: Option<i64>, as_of_ms: i64) -> u16 {
    let share = match measure {
        Measure::Presence => 1.0,
        Measure::Frequency { half_at } => f64::from(events) / (f64::from(events) + f64::from(half_at.max(1))),
        Measure::Recency { half_life_hours } => newest_ms.map_or(0.0, |newest_ms| {
            let age_hours = as_of_ms.saturating_sub(newest_ms).max(0) as f64 / HOUR_MS;
            (-age_hours / f64::from(half_life_hours.max(1))).exp2()
        }),
    };
    (share * 1_000.0).round().clamp(0.0, 1_000.0) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(strength(Measure::Presence, 1, None, 0), 1_000);
        assert_eq!(strength(Measure::Frequency { half_at: 10 }, 10, None, 0), 500);
        assert_eq!(strength(Measure::Frequency { half_at: 10 }, 30, None, 0), 750);
        let day_ms = 86_400_000;
        assert_eq!(strength(Measure::Recency { half_life_hours: 24 }, 1, Some(0), day_ms), 500);
        assert_eq!(strength(Measure::Recency { half_life_hours: 24 }, 1, Some(0), 2 * day_ms), 250);
        assert_eq!(strength(Measure::Recency { half_life_hours: 24 }, 1, Some(day_ms), 0), 1_000);
        assert_eq!(strength(Measure::Recency { half_life_hours: 24 }, 1, None, day_ms), 0);
    }

    proptest! {
        #[test]
        fn more_or_newer_is_never_less(
            events in 0u32..u32::MAX, half_at in 1u32..=1_000_000, hours in 1u32..=876_000, age: i64, newer in 0i64..i64::MAX / 2,
        ) {
            let frequency = Measure::Frequency { half_at };
            prop_assert!(strength(frequency, events, None, 0) <= strength(frequency, events + 1, None, 0));
            let recency = Measure::Recency { half_life_hours: hours };
            prop_assert!(strength(recency, 1, Some(age), 0) <= strength(recency, 1, Some(age.saturating_add(newer)), 0));
            prop_assert!(strength(frequency, events, None, 0) <= 1_000);
        }
    }
}
