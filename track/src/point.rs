//! What a device reports, and what is kept of it.

use serde::{Deserialize, Serialize};

use crate::{geometry::Place, noise};

/// One report of a device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When, in UTC milliseconds since 1970.
    pub at_ms: i64,
    /// Degrees of WGS 84.
    pub latitude: f64,
    /// Degrees of WGS 84.
    pub longitude: f64,
    /// Speed over ground in metres per second. It decides only whether a device that falls silent within a stop
    /// was driving past it.
    pub speed_mps: Option<f32>,
    /// Radius in metres within which the true place lies with 68 % probability, as the device claims.
    pub accuracy_m: Option<f32>,
    /// State of the electronic seal, where the device reports it.
    pub seal: Option<Seal>,
}

/// State of an electronic seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// Closed as it was put on.
    Intact,
    /// Opened by whoever has its key.
    Opened,
    /// Broken or cut.
    Broken,
}

/// A report that can be measured with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fix {
    pub(crate) at_ms: i64,
    pub(crate) place: Place,
    /// Distance that noise reaches in no direction, but once in some ten thousand fixes.
    pub(crate) margin_m: f64,
    pub(crate) speed_mps: Option<f32>,
    pub(crate) seal: Option<Seal>,
}

impl Fix {
    /// None for a report without a usable place.
    pub(crate) fn of(point: &Point) -> Option<Self> {
        let place = Place::at(point.latitude, point.longitude)?;
        let margin_m = noise::margin_m(point.accuracy_m)?;
        Some(Self { at_ms: point.at_ms, place, margin_m, speed_mps: point.speed_mps, seal: point.seal })
    }

    /// Milliseconds from an earlier fix to this one.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        self.at_ms.saturating_sub(earlier.at_ms)
    }
}
