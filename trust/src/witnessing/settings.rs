//! How many witnesses a log needs, how often they are asked, and how long it goes on without them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=60_000;
const GRACE_S: std::ops::RangeInclusive<u64> = 1..=30 * 24 * 3_600;
/// Cosignatures are renewed this often while nothing happens, so that the grace period does not run
/// out on a quiet log whose witnesses are there.
const RENEWAL_MAX: Duration = Duration::from_secs(300);

/// The witnesses of a process's own log; every field may be left out of the TOML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WitnessSettings {
    /// Witnesses that must cosign, 1 to as many as there are.
    pub quorum: usize,
    /// How long work goes on without their cosignatures, 1 to 2,592,000 s.
    pub grace_s: u64,
    /// The shortest time between two requests for cosignatures, 50 to 60,000 ms.
    pub interval_ms: u64,
}

impl Default for WitnessSettings {
    fn default() -> Self {
        Self { quorum: 1, grace_s: 4 * 3_600, interval_ms: 2_000 }
    }
}

/// Why the settings are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// More or fewer cosignatures than there can be.
    #[error("`quorum` must be 1 to {witnesses}, the number of other parties")]
    Quorum {
        /// How many other parties there are.
        witnesses: usize,
    },
    /// The grace period is out of range.
    #[error("`grace_s` must be {} to {}", GRACE_S.start(), GRACE_S.end())]
    Grace,
    /// The interval is out of range.
    #[error("`interval_ms` must be {} to {}", INTERVAL_MS.start(), INTERVAL_MS.end())]
    Interval,
}

impl WitnessSettings {
    /// Checks the settings of a party with so many others around it.
    ///
    /// # Errors
    /// [`WitnessError`] naming the key.
    pub fn validate(&self, witnesses: usize) -> Result<(), WitnessError> {
        // A gateway without nodes cannot be cosigned, and has nothing to do.
        let witnesses = witnesses.max(1);
        if !(1..=witnesses).contains(&self.quorum) {
            return Err(WitnessError::Quorum { witnesses });
        }
        if !GRACE_S.contains(&self.grace_s) {
            return Err(WitnessError::Grace);
        }
        if !INTERVAL_MS.contains(&self.interval_ms) {
            return Err(WitnessError::Interval);
        }
        Ok(())
    }

    pub(super) fn grace_ms(&self) -> i64 {
        i64::try_from(self.grace_s).unwrap_or(i64::MAX).saturating_mul(1_000)
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// How old a cosignature of the newest checkpoint may become.
    pub(super) fn renewal(&self) -> Duration {
        (Duration::from_secs(self.grace_s) / 4).min(RENEWAL_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_taken_and_each_bound_is_named() {
        let settings = WitnessSettings::default();
        assert_eq!(settings.grace_s, 14_400);
        assert_eq!((settings.validate(0), settings.validate(3)), (Ok(()), Ok(())));
        for quorum in [0, 4] {
            let error = WitnessSettings { quorum, ..settings.clone() }.validate(3).unwrap_err();
            assert!(error.to_string().contains("`quorum` must be 1 to 3"), "{error}");
        }
        for grace_s in [0, u64::MAX] {
            assert_eq!(WitnessSettings { grace_s, ..settings.clone() }.validate(3), Err(WitnessError::Grace));
        }
        for interval_ms in [49, 60_001] {
            assert_eq!(WitnessSettings { interval_ms, ..settings.clone() }.validate(3), Err(WitnessError::Interval));
        }
    }
}
