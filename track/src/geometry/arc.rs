//! The shorter great-circle arc between two places.

use super::place::{EARTH_RADIUS_M, Place, Vector, metres};

/// An arc with two different ends, shorter than half a circle.
#[derive(Debug, Clone, Copy)]
pub struct Arc {
    start: Place,
    end: Place,
    /// Unit normal of the plane of the great circle; whoever walks the arc has it on the left.
    normal: Vector,
}

impl Arc {
    /// The arc from one place to another; none where they are the same or opposite each other.
    pub fn between(start: Place, end: Place) -> Option<Self> {
        // The difference keeps the digits that the product of two nearly equal vectors would lose.
        let normal = start.vector().cross(end.vector() - start.vector()).unit()?;
        (start.chord(end) < 2.0 - 1e-9).then_some(Self { start, end, normal })
    }

    /// Where the arc begins.
    pub fn start(&self) -> Place {
        self.start
    }

    /// Where the arc ends.
    pub fn end(&self) -> Place {
        self.end
    }

    /// Length in metres.
    pub fn length_m(&self) -> f64 {
        self.start.distance_m(self.end)
    }

    /// How far the arc rises above its chord, in earth radii.
    pub(crate) fn rise(&self) -> f64 {
        let half_chord = self.start.chord(self.end) / 2.0;
        1.0 - (1.0 - half_chord * half_chord).max(0.0).sqrt()
    }

    /// Square of the chord from a place to the nearest point of the arc, in earth radii.
    ///
    /// Where the foot of the perpendicular lies on the arc, the angle δ to the circle has sin δ = p·n,
    /// and its chord squared is 2 (1 − cos δ) = 2 sin² δ / (1 + cos δ), which loses no digits.
    pub(crate) fn chord_squared(&self, place: Place) -> f64 {
        let (p, start, end) = (place.vector(), self.start.vector(), self.end.vector());
        let after_start = p.dot(self.normal.cross(start)) >= 0.0;
        let before_end = p.dot(self.normal.cross(end)) <= 0.0;
        if after_start && before_end {
            let sine_squared = p.dot(self.normal).powi(2);
            return 2.0 * sine_squared / (1.0 + (1.0 - sine_squared).max(0.0).sqrt());
        }
        let (to_start, to_end) = (p - start, p - end);
        to_start.dot(to_start).min(to_end.dot(to_end))
    }

    /// Distance from a place to the nearest point of the arc, in metres.
    pub fn distance_m(&self, place: Place) -> f64 {
        metres(self.chord_squared(place).sqrt())
    }

    /// How far along the arc the nearest point lies, in metres from its start.
    pub(crate) fn along_m(&self, place: Place) -> f64 {
        let (p, start) = (place.vector(), self.start.vector());
        let angle = p.dot(self.normal.cross(start)).atan2(p.dot(start));
        let length_m = self.length_m();
        if angle * EARTH_RADIUS_M > length_m || angle < 0.0 {
            return if place.chord(self.end) < place.chord(self.start) { length_m } else { 0.0 };
        }
        angle * EARTH_RADIUS_M
    }

    /// The place at a share of the length, 0 at the start and 1 at the end.
    pub fn point(&self, share: f64) -> Place {
        let angle = self.length_m() / EARTH_RADIUS_M * share;
        let ahead = self.normal.cross(self.start.vector());
        let vector = self.start.vector() * angle.cos() + ahead * angle.sin();
        Place::from_vector(vector).unwrap_or(self.start)
    }

    /// Whether two arcs have a point in common.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let side = |arc: &Self, place: Place| arc.normal.dot(place.vector());
        let parted = |arc: &Self, by: &Self| side(by, arc.start) * side(by, arc.end) > 0.0;
        // The two great circles cross at two opposite points: the arcs must be near the same one.
        let near = (self.start.vector() + self.end.vector()).dot(other.start.vector() + other.end.vector()) > 0.0;
        if !near || parted(self, other) || parted(other, self) {
            return false;
        }
        let one_circle = self.normal.cross(other.normal).norm() < 1e-12;
        !one_circle || [other.start, other.end].iter().any(|&end| self.chord_squared(end) < 1e-18) || {
            [self.start, self.end].iter().any(|&end| other.chord_squared(end) < 1e-18)
        }
    }

    /// Whether the next arc runs back over this one.
    pub(crate) fn turns_back(&self, next: &Self) -> bool {
        self.normal.dot(next.normal) < -1.0 + 1e-14
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> Place {
        Place::at(latitude, longitude).unwrap()
    }

    #[test]
    fn distances_to_the_equator_are_latitudes() {
        let equator = Arc::between(place(0.0, 0.0), place(0.0, 10.0)).unwrap();
        let degree_m = EARTH_RADIUS_M.to_radians();
        assert!((equator.distance_m(place(1.0, 5.0)) - degree_m).abs() < 1e-6);
        assert!((equator.distance_m(place(-2.0, 5.0)) - 2.0 * degree_m).abs() < 1e-6);
        // Beyond the ends the nearest point is an end.
        assert!((equator.distance_m(place(0.0, 11.0)) - degree_m).abs() < 1e-6);
        assert!((equator.distance_m(place(0.0, -1.0)) - degree_m).abs() < 1e-6);
        assert!((equator.along_m(place(3.0, 4.0)) - 4.0 * degree_m).abs() < 1e-6);
        assert_eq!(equator.along_m(place(0.0, -1.0)), 0.0);
        assert!((equator.along_m(place(0.0, 11.0)) - equator.length_m()).abs() < 1e-6);
    }

    #[test]
    fn arcs_over_the_antimeridian_and_the_pole_are_arcs_like_others() {
        let pacific = Arc::between(place(0.0, 179.0), place(0.0, -179.0)).unwrap();
        assert!((pacific.length_m() - 2.0 * EARTH_RADIUS_M.to_radians()).abs() < 1e-6);
        assert!(pacific.distance_m(place(0.0, 180.0)) < 1e-6);
        let polar = Arc::between(place(89.0, 0.0), place(89.0, 180.0)).unwrap();
        assert!(polar.distance_m(place(90.0, 0.0)) < 1e-6);
    }

    #[test]
    fn arcs_of_no_length_or_no_direction_are_none() {
        assert!(Arc::between(place(1.0, 1.0), place(1.0, 1.0)).is_none());
        assert!(Arc::between(place(0.0, 0.0), place(0.0, 180.0)).is_none());
    }

    #[test]
    fn arcs_meet_where_they_cross_or_touch() {
        let across = Arc::between(place(0.0, 0.0), place(2.0, 2.0)).unwrap();
        let other = Arc::between(place(0.0, 2.0), place(2.0, 0.0)).unwrap();
        let apart = Arc::between(place(0.0, 3.0), place(2.0, 4.0)).unwrap();
        let antipodal = Arc::between(place(0.0, -178.0), place(-2.0, 180.0)).unwrap();
        assert!(across.meets(&other) && other.meets(&across));
        assert!(!across.meets(&apart) && !across.meets(&antipodal));
    }
}
