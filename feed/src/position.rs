//! Where a device was, when, and what it told of itself.
//!
//! A position names a device as its partner does, never a person, a load or a bond.

use serde::{Deserialize, Serialize};

/// The longest name of a device, in bytes.
pub const DEVICE_MAX: usize = 64;

/// One position of one device.
///
/// What a format reads is a position that nobody has judged yet; one that was accepted keeps the ranges
/// given here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The device as the partner names it: letters, digits, `-`, `_`, `.` and `:`; 1 to 64 bytes.
    pub device: String,
    /// UTC, in milliseconds since 1970.
    pub at_ms: i64,
    /// Degrees, WGS 84, −90 to 90.
    pub latitude: f64,
    /// Degrees, WGS 84, −180 to 180.
    pub longitude: f64,
    /// Metres per second over ground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mps: Option<f32>,
    /// Degrees clockwise from true north, 0 to below 360.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading_deg: Option<f32>,
    /// Radius in metres within which the device believes to be, not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<f32>,
    /// The electronic seal, where the device reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// What an electronic seal says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// Closed since it was applied.
    Intact,
    /// Opened as it is meant to be opened.
    Opened,
    /// Forced, cut or gone.
    Broken,
}

impl Seal {
    /// The word used in files and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Seal::Intact => "intact",
            Seal::Opened => "opened",
            Seal::Broken => "broken",
        }
    }

    /// Reads the word, in any case of letters.
    pub fn from_word(word: &str) -> Option<Self> {
        [Seal::Intact, Seal::Opened, Seal::Broken].into_iter().find(|seal| seal.as_str().eq_ignore_ascii_case(word))
    }
}

/// Whether a device may be named like this.
pub fn is_device(name: &str) -> bool {
    (1..=DEVICE_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_plain_and_short() {
        assert!(is_device("ACME-0042.a:1_b"));
        assert!(is_device(&"x".repeat(64)));
        for bad in ["", " ", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert!(!is_device(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_position_keeps_its_fields_in_json() {
        let text = r#"{"device":"T1","at_ms":1700000000123,"latitude":27.5,"longitude":-99.5,"seal":"broken"}"#;
        let position: Position = serde_json::from_str(text).unwrap();
        assert_eq!(position.seal, Some(Seal::Broken));
        assert_eq!(serde_json::to_string(&position).unwrap(), text);
    }
}
