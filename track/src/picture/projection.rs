//! From places to pixels.

use crate::{
    corridor::{Corridor, Degrees},
    geometry::{EARTH_RADIUS_M, Place},
};

/// An azimuthal equidistant projection around the middle of a corridor, fitted into the space for the map.
pub(crate) struct Projection {
    middle: Place,
    /// Smallest east and largest north in metres, which become the upper left corner.
    corner_m: (f64, f64),
    pixels_per_m: f64,
    margin: f64,
    size: (f64, f64),
    extent: ((f64, f64), (f64, f64)),
    scales_band: bool,
}

impl Projection {
    /// A map of the whole corridor with its zones.
    pub(crate) fn of(corridor: &Corridor, space: (f64, f64), margin: f64) -> Self {
        let places: Vec<Place> = corridor.line.arcs().iter().flat_map(|arc| [arc.start(), arc.end()]).collect();
        let zones = corridor.zones.iter().map(|zone| (zone.area.centre(), zone.area.reach_m()));
        Self::around(&places, zones, corridor.half_width_m, space, margin)
    }

    /// A map of what is around these places.
    pub(crate) fn around(
        places: &[Place],
        areas: impl Iterator<Item = (Place, f64)>,
        half_width_m: f64,
        space: (f64, f64),
        margin: f64,
    ) -> Self {
        let sum = places.iter().map(|place| place.vector()).reduce(|sum, vector| sum + vector);
        let middle = sum.and_then(Place::from_vector).unwrap_or(Place::NORTH_POLE);
        let circles = places.iter().map(|&place| (place, half_width_m));
        let mut bounds = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY);
        for (place, reach_m) in circles.chain(areas) {
            let (east, north) = flat_m(middle, place);
            bounds = (
                bounds.0.min(east - reach_m),
                bounds.1.max(east + reach_m),
                bounds.2.min(north - reach_m),
                bounds.3.max(north + reach_m),
            );
        }
        let (wide_m, high_m) = (bounds.1 - bounds.0, bounds.3 - bounds.2);
        let room = (space.0 - 2.0 * margin, space.1 - 2.0 * margin);
        let pixels_per_m = (room.0 / wide_m).min(room.1 / high_m);
        // A corridor straight north or east still gets a map to look at, in its middle.
        let size = (
            (wide_m * pixels_per_m + 2.0 * margin).max(0.6 * space.0),
            (high_m * pixels_per_m + 2.0 * margin).max(0.6 * space.1),
        );
        let spare_m =
            ((size.0 - 2.0 * margin) / pixels_per_m - wide_m, (size.1 - 2.0 * margin) / pixels_per_m - high_m);
        let corner_m = (bounds.0 - spare_m.0 / 2.0, bounds.3 + spare_m.1 / 2.0);
        let scales_band = 2.0 * half_width_m * pixels_per_m >= super::SEEN;
        let extent = extent(middle, places);
        Self { middle, corner_m, pixels_per_m, margin, size, extent, scales_band }
    }

    /// Where a place lies on the map.
    pub(crate) fn place(&self, place: Place) -> (f64, f64) {
        let (east, north) = flat_m(self.middle, place);
        (self.margin + self.pixels(east - self.corner_m.0), self.margin + self.pixels(self.corner_m.1 - north))
    }

    pub(crate) fn at(&self, (latitude, longitude): Degrees) -> Option<(f64, f64)> {
        Place::at(latitude, longitude).map(|place| self.place(place))
    }

    pub(crate) fn pixels(&self, metres: f64) -> f64 {
        metres * self.pixels_per_m
    }

    /// Width and height of the map in pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        self.size
    }

    /// South and north, west and east of the line, in degrees; the longitudes run on over the antimeridian.
    pub(crate) fn extent(&self) -> ((f64, f64), (f64, f64)) {
        self.extent
    }

    /// Whether the band is as wide on the map as it is.
    pub(crate) fn scales_band(&self) -> bool {
        self.scales_band
    }
}

/// Metres east and north of the middle, at the true distance and in the true direction from it.
fn flat_m(middle: Place, place: Place) -> (f64, f64) {
    let (east, north) = middle.tangents();
    let (x, y) = (place.vector().dot(east), place.vector().dot(north));
    let sine = x.hypot(y);
    if sine == 0.0 {
        return (0.0, 0.0);
    }
    let distance_m = EARTH_RADIUS_M * sine.atan2(place.vector().dot(middle.vector()));
    (x / sine * distance_m, y / sine * distance_m)
}

fn extent(middle: Place, places: &[Place]) -> ((f64, f64), (f64, f64)) {
    let (_, around) = middle.degrees();
    let mut extent = ((90.0_f64, -90.0_f64), (around, around));
    for place in places {
        let (latitude, longitude) = place.degrees();
        let unrolled = around + (longitude - around + 540.0).rem_euclid(360.0) - 180.0;
        extent.0 = (extent.0.0.min(latitude), extent.0.1.max(latitude));
        extent.1 = (extent.1.0.min(unrolled), extent.1.1.max(unrolled));
    }
    extent
}
