//! Whether a device stands, found without a map.
//!
//! A stay is the time within 200 m of the place where it began (Li, Zheng et al., *Mining user similarity based on
//! location history*, ACM GIS 2008, whose radius this is). It is left when fixes beyond 200 m and noise make
//! it certain, so a wild fix ends no stay that has lasted two minutes. Before that the radius is half as large:
//! a place that was only driven past cannot become the middle of a stay at the rim of its circle.

use serde::{Deserialize, Serialize};

use crate::{
    geometry::Place,
    noise::{Evidence, speaks_ms},
    point::Fix,
};

const RADIUS_M: f64 = 200.0;
const SETTLING_RADIUS_M: f64 = 100.0;
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

    /// Takes a fix in: the stay goes on, or it is left and another begins.
    pub(crate) fn update(&mut self, fix: &Fix) {
        let speaks_ms = speaks_ms(fix.at_ms.saturating_sub(self.latest_ms));
        self.latest_ms = fix.at_ms;
        let centre = Place::at(self.latitude, self.longitude);
        let distance_m = centre.map_or(f64::INFINITY, |centre| centre.distance_m(fix.place));
        let is_settled = self.lasted_ms() >= SETTLED_MS;
        let radius_m = if is_settled { RADIUS_M } else { SETTLING_RADIUS_M };
        self.is_here = distance_m <= radius_m + fix.margin_m;
        if self.is_here {
            self.until_ms = fix.at_ms;
            self.leaving.add(-1.0, speaks_ms, fix.at_ms);
        } else if !is_settled || self.leaving.add(1.0, speaks_ms, fix.at_ms) {
            *self = Self::beginning(fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Point, geometry::EARTH_RADIUS_M};

    fn fix(second: i64, north_m: f64) -> Fix {
        let latitude = (north_m / EARTH_RADIUS_M).to_degrees();
        let accuracy_m = Some(10.0);
        let point = Point { at_ms: second * 1_000, latitude, longitude: 0.0, speed_mps: None, accuracy_m, seal: None };
        Fix::of(&point).unwrap()
    }

    #[test]
    fn a_wild_fix_ends_no_stay_and_leaving_does() {
        let mut stay = Stay::beginning(&fix(0, 0.0));
        for second in (60..=600).step_by(60) {
            stay.update(&fix(second, if second == 300 { 5_000.0 } else { 20.0 }));
            assert_eq!(stay.since_ms, 0);
        }
        assert_eq!(stay.lasted_ms(), 600_000);
        stay.update(&fix(660, 1_000.0));
        assert!(!stay.is_here && stay.since_ms == 0);
        stay.update(&fix(720, 2_000.0));
        assert_eq!(stay.since_ms, 720_000);
    }

    #[test]
    fn a_truck_that_drives_stays_nowhere() {
        let mut stay = Stay::beginning(&fix(0, 0.0));
        for second in 1..600 {
            stay.update(&fix(second, second as f64 * 5.0));
            assert!(stay.lasted_ms() < 60_000);
        }
    }
}
