//! Whether a device stands, found without a map.
//!
//! A stay is the time within 200 m of the place where it began (Li, Zheng et al., *Mining user similarity based on
//! location history*, ACM GIS 2008, whose radius this is). It is left when fixes beyond 200 m and noise make
//! it certain, so a wild fix ends no stay that has lasted two minutes.

use serde::{Deserialize, Serialize};

use crate::{
    geometry::Place,
    noise::{Evidence, speaks_ms},
    point::Fix,
};

const RADIUS_M: f64 = 200.0;
/// After this time a stay is left by evidence only, in milliseconds.
const SETTLED_MS: i64 = 120_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stay {
    latitude: f64,
    longitude: f64,
    /// First fix here.
    pub(crate) since_ms: i64,
    /// Latest fix here.
    pub(crate) until_ms: i64,
    /// Whether the latest of all fixes was here.
    pub(crate) is_here: bool,
    leaving: Evidence,
    latest_ms: i64,
}

impl Stay {
    pub(crate) fn beginning(fix: &Fix) -> Self {
        let (latitude, longitude) = fix.place.degrees();
        let leaving = Evidence::default();
        let (since_ms, until_ms, latest_ms) = (fix.at_ms, fix.at_ms, fix.at_ms);
        Self { latitude, longitude, since_ms, until_ms, is_here: true, leaving, latest_ms }
    }

    /// How long it has lasted, in milliseconds.
    pub(crate) fn lasted_ms(&self) -> i64 {
        self.until_ms.saturating_sub(self.since_ms)
    }

    /// Takes a fix in: it is still here, or it leaves and a new stay begins. True where one that had lasted
    /// is left.
    pub(crate) fn update(&mut self, fix: &Fix) {
        let speaks_ms = speaks_ms(fix.at_ms.saturating_sub(self.latest_ms));
        self.latest_ms = fix.at_ms;
        let centre = Place::at(self.latitude, self.longitude);
        let distance_m = centre.map_or(f64::INFINITY, |centre| centre.distance_m(fix.place));
        self.is_here = distance_m <= RADIUS_M + fix.margin_m;
        if self.is_here {
            self.until_ms = fix.at_ms;
            self.leaving.add(-1.0, speaks_ms, fix.at_ms);
        } else if self.lasted_ms() < SETTLED_MS || self.leaving.add(1.0, speaks_ms, fix.at_ms) {
            *self = Self::beginning(fix);
        }
    }
}
