//! Why a point is refused. The words are stable: partners, scripts and the store rely on them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::position::{DEVICE_MAX, Position};

/// The reason for which one point is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The record is not of its format, or lacks device, time or place.
    Unreadable,
    /// The record is longer than the limit and was skipped unread.
    LineTooLong,
    /// Latitude, longitude, speed, heading or accuracy is outside what it can be.
    OutOfRange,
    /// Latitude and longitude stand in each other's place.
    Swapped,
    /// Zero north, zero east: where devices are that do not know where they are.
    NullIsland,
    /// Later than the present by more than clocks may differ.
    InFuture,
    /// Older than the feed keeps.
    TooOld,
    /// The device cannot have come here from where it was.
    ImpossibleJump,
    /// The partner may not send for this device.
    UnknownDevice,
}

impl Reason {
    /// All reasons, in the order in which a summary shows them.
    pub const ALL: [Reason; 9] = [
        Reason::Unreadable,
        Reason::LineTooLong,
        Reason::OutOfRange,
        Reason::Swapped,
        Reason::NullIsland,
        Reason::InFuture,
        Reason::TooOld,
        Reason::ImpossibleJump,
        Reason::UnknownDevice,
    ];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unreadable => "unreadable",
            Reason::LineTooLong => "line_too_long",
            Reason::OutOfRange => "out_of_range",
            Reason::Swapped => "swapped",
            Reason::NullIsland => "null_island",
            Reason::InFuture => "in_future",
            Reason::TooOld => "too_old",
            Reason::ImpossibleJump => "impossible_jump",
            Reason::UnknownDevice => "unknown_device",
        }
    }

    /// The reason behind a stable word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A point that was refused, as it came: what the quarantine keeps, so that a partner can find its fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedPoint {
    /// Place of the point in its batch, from 0.
    pub index: u32,
    /// Why.
    pub reason: Reason,
    /// The device as named by the sender, cut to 64 bytes; may be no name at all.
    pub device: String,
    /// Milliseconds since 1970 as given.
    pub at_ms: i64,
    /// Latitude as given; a number that is not finite is `None`.
    pub latitude: Option<f64>,
    /// Longitude as given; a number that is not finite is `None`.
    pub longitude: Option<f64>,
}

impl RefusedPoint {
    /// What is kept of `position`, which stood at `index` of its batch.
    pub fn new(index: u32, reason: Reason, position: &Position) -> Self {
        let finite = |number: f64| number.is_finite().then_some(number);
        let end = position.device.floor_char_boundary(DEVICE_MAX);
        Self {
            index,
            reason,
            device: position.device.get(..end).unwrap_or_default().to_owned(),
            at_ms: position.at_ms,
            latitude: finite(position.latitude),
            longitude: finite(position.longitude),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_serde_and_lead_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
        }
    }

    #[test]
    fn a_refused_point_is_bounded_and_can_be_written_down() {
        let position = Position {
            device: "ä".repeat(1000),
            at_ms: i64::MAX,
            latitude: f64::NAN,
            longitude: f64::INFINITY,
            speed_mps: None,
            heading_deg: None,
            accuracy_m: None,
            seal: None,
        };
        let refused = RefusedPoint::new(3, Reason::OutOfRange, &position);
        assert_eq!(refused.device, "ä".repeat(32));
        let written = serde_json::to_string(&refused).unwrap();
        assert_eq!(serde_json::from_str::<RefusedPoint>(&written).unwrap(), refused);
    }
}
