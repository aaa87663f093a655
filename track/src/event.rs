//! What a track shows, with its strength as evidence.
//!
//! Strengths lie in [0, 1] and grow with what is measured. Where a limit exists, what has lasted t against
//! a limit L gives `t / (t + L)`: one half exactly at the limit, as the frequency measure gives at `half_at`. An
//! excursion needs both distance and time, so it gives the geometric mean `√(a / (a + 2 km) · t / (t + 15 min))`:
//! a parallel road for hours is weak, and so is a minute far away.

use serde::{Deserialize, Serialize};

use crate::{corridor::CorridorId, point::Seal};

/// Distance outside at which an excursion's distance gives one half, in metres.
const EXCURSION_HALF_AT_M: f64 = 2_000.0;
/// Time outside at which an excursion's time gives one half, in milliseconds.
const EXCURSION_HALF_AT_MS: f64 = 900_000.0;
/// A seal that was opened may have been opened lawfully and not closed.
const SEAL_OPENED: f64 = 0.75;

/// The kind of a track event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Outside of the corridor and of all its zones.
    Excursion,
    /// Standing off the allowed stops, or at one for longer than it allows.
    Dwell,
    /// Silent while it should move.
    Dark,
    /// Not arrived in time.
    Overdue,
    /// A seal open or broken where it may not be.
    Seal,
    /// Arrived at the destination. It is no evidence of anything: its strength is 0.
    Arrived,
}

impl Kind {
    /// Its name, as it stands in data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Excursion => "excursion",
            Self::Dwell => "dwell",
            Self::Dark => "dark",
            Self::Overdue => "overdue",
            Self::Seal => "seal",
            Self::Arrived => "arrived",
        }
    }
}

/// Something that a device did on its way along a corridor. It is reported when it is certain, again when its
/// strength has grown by a twentieth or more, and when it has ended; device, corridor, kind and `began_ms` stay the
/// same. One that turns out not to have been, since points that were stored on the way come in late, ends
/// where it began with strength 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackEvent {
    /// The device, as its partner names it.
    pub device: String,
    /// The corridor's name and version.
    pub corridor: CorridorId,
    /// What it did.
    pub kind: Kind,
    /// When it began, in UTC milliseconds since 1970.
    pub began_ms: i64,
    /// When it ended; none while it goes on.
    pub ended_ms: Option<i64>,
    /// The largest distance outside the corridor that two fixes in a row reached, in metres; for other
    /// kinds than excursions the distance outside at the last fix.
    pub away_m: f64,
    /// How long it was outside of the corridor in an excursion, in seconds; 0 for other kinds.
    pub outside_s: f64,
    /// How long the event has lasted, in seconds.
    pub lasted_s: f64,
    /// Strength as evidence, from 0 to 1.
    pub strength: f64,
}

impl TrackEvent {
    /// Whether it turned out not to have been.
    pub fn is_withdrawn(&self) -> bool {
        self.ended_ms == Some(self.began_ms) && self.strength == 0.0 && self.kind != Kind::Arrived
    }
}

/// `t / (t + L)`.
pub(crate) fn against_limit(lasted_ms: i64, limit_ms: i64) -> f64 {
    saturating(lasted_ms as f64, limit_ms as f64)
}

/// `√(a / (a + 2 km) · t / (t + 15 min))`.
pub(crate) fn of_excursion(away_m: f64, outside_ms: i64) -> f64 {
    (saturating(away_m, EXCURSION_HALF_AT_M) * saturating(outside_ms as f64, EXCURSION_HALF_AT_MS)).sqrt()
}

/// 1 for a broken seal, 0.75 for an opened one.
pub(crate) fn of_seal(seal: Seal) -> f64 {
    match seal {
        Seal::Intact => 0.0,
        Seal::Opened => SEAL_OPENED,
        Seal::Broken => 1.0,
    }
}

fn saturating(value: f64, half_at: f64) -> f64 {
    if value > 0.0 { value / (value + half_at) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_are_one_half_where_they_say_so_and_never_leave_their_range() {
        assert_eq!(against_limit(1_800_000, 1_800_000), 0.5);
        assert_eq!(of_excursion(2_000.0, 900_000), 0.5);
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            for strength in [against_limit(value, 60_000), of_excursion(value as f64, value)] {
                assert!((0.0..=1.0).contains(&strength), "{value} {strength}");
            }
        }
    }
}
