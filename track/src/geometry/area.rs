//! A circle or a polygon on the sphere.

use super::{
    arc::Arc,
    place::{EARTH_RADIUS_M, Place, metres},
};

/// An area: everything within a distance of a place or of a polygon.
#[derive(Debug, Clone)]
pub struct Area {
    /// Border of the polygon and of its holes; none for a circle.
    border: Vec<Arc>,
    centre: Place,
    /// Everything of the area lies within this distance of the centre.
    reach_m: f64,
    /// How far the area goes beyond the place or the polygon.
    radius_m: f64,
}

impl Area {
    /// A circle.
    pub fn circle(centre: Place, radius_m: f64) -> Self {
        Self { border: vec![], centre, reach_m: radius_m, radius_m }
    }

    /// A polygon with its holes, widened by a radius. Each ring is closed: its last place is its first.
    /// None without a ring.
    pub fn polygon(rings: &[Vec<Place>], radius_m: f64) -> Option<Self> {
        let arcs = |ring: &Vec<Place>| -> Vec<Arc> {
            ring.windows(2).filter_map(|pair| Arc::between(pair[0], pair[1])).collect()
        };
        let border: Vec<Arc> = rings.iter().flat_map(arcs).collect();
        let sum = border.iter().map(|arc| arc.start().vector()).reduce(|sum, vector| sum + vector)?;
        let centre = Place::from_vector(sum)?;
        let farthest_m = border.iter().map(|arc| centre.distance_m(arc.start())).fold(0.0, f64::max);
        let rise_m = border.iter().map(Arc::rise).fold(0.0, f64::max) * EARTH_RADIUS_M;
        Some(Self { border, centre, reach_m: farthest_m + rise_m + radius_m, radius_m })
    }

    /// The middle of the area, near enough for a label.
    pub fn centre(&self) -> Place {
        self.centre
    }

    /// Everything of the area lies within this distance of its centre, in metres.
    pub fn reach_m(&self) -> f64 {
        self.reach_m
    }

    /// Distance from a place to the area's edge in metres, negative inside; none where it is surely more
    /// than `within_m`.
    pub fn away_m(&self, place: Place, within_m: f64) -> Option<f64> {
        let to_centre_m = self.centre.distance_m(place);
        if to_centre_m - self.reach_m > within_m {
            return None;
        }
        if self.border.is_empty() {
            return Some(to_centre_m - self.radius_m);
        }
        let squared = self.border.iter().map(|arc| arc.chord_squared(place)).fold(f64::INFINITY, f64::min);
        let to_border_m = metres(squared.sqrt());
        Some(if self.encloses(place) { -to_border_m } else { to_border_m } - self.radius_m)
    }

    /// Whether a place lies within the polygon, by the even-odd rule in the gnomonic projection from that
    /// place, in which great circles are straight.
    fn encloses(&self, place: Place) -> bool {
        let (east, north) = place.tangents();
        let project = |corner: Place| {
            let depth = corner.vector().dot(place.vector());
            (depth > 0.0).then(|| (corner.vector().dot(east) / depth, corner.vector().dot(north) / depth))
        };
        let mut inside = false;
        for arc in &self.border {
            // A corner a quarter of the earth away: the place is in no area of the size allowed.
            let (Some(start), Some(end)) = (project(arc.start()), project(arc.end())) else { return false };
            if (start.1 > 0.0) != (end.1 > 0.0) {
                let crossing = start.0 - start.1 * (end.0 - start.0) / (end.1 - start.1);
                inside ^= crossing > 0.0;
            }
        }
        inside
    }
}

/// Whether the border of a polygon meets itself anywhere but where one arc follows the other.
pub(crate) fn crosses_itself(rings: &[Vec<Place>]) -> bool {
    let mut border: Vec<(usize, usize, usize, Arc)> = Vec::new();
    for (ring, places) in rings.iter().enumerate() {
        let arcs: Vec<Arc> = places.windows(2).filter_map(|pair| Arc::between(pair[0], pair[1])).collect();
        let count = arcs.len();
        border.extend(arcs.into_iter().enumerate().map(|(index, arc)| (ring, index, count, arc)));
    }
    border.iter().enumerate().any(|(number, (ring, index, count, arc))| {
        border.iter().skip(number + 1).any(|(other_ring, other_index, _, other)| {
            if ring == other_ring && *other_index == index + 1 {
                arc.turns_back(other)
            } else if ring == other_ring && *index == 0 && other_index + 1 == *count {
                other.turns_back(arc)
            } else {
                arc.meets(other)
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(corners: &[(f64, f64)]) -> Vec<Place> {
        corners.iter().map(|&(latitude, longitude)| Place::at(latitude, longitude).unwrap()).collect()
    }

    fn square(side: f64) -> Vec<Place> {
        ring(&[(0.0, 0.0), (0.0, side), (side, side), (side, 0.0), (0.0, 0.0)])
    }

    #[test]
    fn inside_is_negative_and_a_hole_is_outside() {
        let hole = ring(&[(0.4, 0.4), (0.4, 0.6), (0.6, 0.6), (0.6, 0.4), (0.4, 0.4)]);
        let area = Area::polygon(&[square(1.0), hole], 0.0).unwrap();
        let away = |latitude, longitude| area.away_m(Place::at(latitude, longitude).unwrap(), 1e9).unwrap();
        assert!(away(0.2, 0.2) < 0.0);
        assert!(away(0.5, 0.5) > 0.0);
        assert!(away(-0.1, 0.5) > 0.0);
        assert!((away(-0.1, 0.5) - 0.1 * EARTH_RADIUS_M.to_radians()).abs() < 1.0);
    }

    #[test]
    fn what_is_surely_too_far_costs_nothing() {
        let circle = Area::circle(Place::at(10.0, 10.0).unwrap(), 1_000.0);
        assert_eq!(circle.away_m(Place::at(11.0, 10.0).unwrap(), 100.0), None);
        assert_eq!(circle.away_m(Place::at(10.0, 10.0).unwrap(), 0.0), Some(-1_000.0));
    }

    #[test]
    fn a_bow_tie_a_spike_and_a_touching_hole_cross_themselves() {
        assert!(!crosses_itself(&[square(1.0)]));
        assert!(crosses_itself(&[ring(&[(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])]));
        assert!(crosses_itself(&[ring(&[(0.0, 0.0), (0.0, 2.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)])]));
        assert!(crosses_itself(&[square(1.0), square(0.5)]));
    }

    proptest! {
        #[test]
        fn a_polygon_of_many_corners_is_nearly_its_circle(
            latitude in -70.0_f64..70.0, longitude in -180.0_f64..180.0,
            north in -0.2_f64..0.2, east in -0.2_f64..0.2,
        ) {
            let centre = Place::at(latitude, longitude).unwrap();
            let (east_of, north_of) = centre.tangents();
            let corner = |number: u32| {
                let (sine, cosine) = (f64::from(number % 360)).to_radians().sin_cos();
                let step = (east_of * cosine + north_of * sine) * 0.001_f64.tan();
                Place::from_vector(centre.vector() + step).unwrap()
            };
            let polygon = Area::polygon(&[(0..=360).map(corner).collect()], 0.0).unwrap();
            let circle = Area::circle(centre, 0.001 * EARTH_RADIUS_M);
            let place = Place::at(latitude + north, (longitude + east).clamp(-180.0, 180.0)).unwrap();
            let (by_polygon, by_circle) = (polygon.away_m(place, 1e9).unwrap(), circle.away_m(place, 1e9).unwrap());
            prop_assert!((by_polygon - by_circle).abs() < 1.0, "{by_polygon} {by_circle}");
        }
    }
}
