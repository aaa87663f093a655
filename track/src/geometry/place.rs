//! A place on the earth as a unit vector, and the little vector algebra that the rest needs.

use std::ops::{Add, Mul, Sub};

/// The earth's mean radius R₁ = (2a + b) / 3 of WGS 84, in metres.
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A vector of three dimensions, in earth radii.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vector {
    x: f64,
    y: f64,
    z: f64,
}

impl Vector {
    pub(crate) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn cross(self, other: Self) -> Self {
        Self {
            x: self.y * other.z - self.z * other.y,
            y: self.z * other.x - self.x * other.z,
            z: self.x * other.y - self.y * other.x,
        }
    }

    pub(crate) fn norm(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// The vector of length 1 in the same direction; none for a vector without direction.
    pub(crate) fn unit(self) -> Option<Self> {
        let norm = self.norm();
        (norm > 0.0).then(|| self * (1.0 / norm))
    }
}

impl Add for Vector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y, z: self.z + other.z }
    }
}

impl Sub for Vector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y, z: self.z - other.z }
    }
}

impl Mul<f64> for Vector {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { x: self.x * factor, y: self.y * factor, z: self.z * factor }
    }
}

/// A place on the earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place(Vector);

impl Place {
    /// Where all meridians meet in the north.
    pub(crate) const NORTH_POLE: Self = Self(Vector { x: 0.0, y: 0.0, z: 1.0 });

    /// The place at a latitude and longitude in degrees; none unless both are finite and in range.
    pub fn at(latitude: f64, longitude: f64) -> Option<Self> {
        // A comparison with NaN is false, so NaN is out of range too.
        if !((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude)) {
            return None;
        }
        let (sin_latitude, cos_latitude) = latitude.to_radians().sin_cos();
        let (sin_longitude, cos_longitude) = longitude.to_radians().sin_cos();
        Some(Self(Vector { x: cos_latitude * cos_longitude, y: cos_latitude * sin_longitude, z: sin_latitude }))
    }

    pub(crate) fn from_vector(vector: Vector) -> Option<Self> {
        vector.unit().map(Self)
    }

    pub(crate) fn vector(self) -> Vector {
        self.0
    }

    /// Latitude and longitude in degrees.
    pub fn degrees(self) -> (f64, f64) {
        let Vector { x, y, z } = self.0;
        (z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees())
    }

    /// Length of the straight line through the earth to another place, in earth radii.
    pub(crate) fn chord(self, other: Self) -> f64 {
        (self.0 - other.0).norm()
    }

    /// Distance along the great circle, in metres.
    pub fn distance_m(self, other: Self) -> f64 {
        metres(self.chord(other))
    }

    /// Two unit vectors along the surface, at right angles to each other: east and north, or any other
    /// two at a pole.
    pub(crate) fn tangents(self) -> (Vector, Vector) {
        let east = Self::NORTH_POLE.0.cross(self.0).unit().unwrap_or(Vector { x: 0.0, y: 1.0, z: 0.0 });
        (east, self.0.cross(east))
    }
}

/// The great-circle distance in metres that belongs to a chord in earth radii.
pub(crate) fn metres(chord: f64) -> f64 {
    2.0 * EARTH_RADIUS_M * (chord / 2.0).min(1.0).asin()
}

/// The chord in earth radii that belongs to a great-circle distance in metres.
pub(crate) fn chord(metres: f64) -> f64 {
    2.0 * (metres / (2.0 * EARTH_RADIUS_M)).clamp(0.0, std::f64::consts::FRAC_PI_2).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_earth_is_no_place() {
        for (latitude, longitude) in
            [(90.1, 0.0), (-91.0, 0.0), (0.0, 180.1), (f64::NAN, 0.0), (0.0, f64::NAN), (f64::INFINITY, 0.0)]
        {
            assert_eq!(Place::at(latitude, longitude), None);
        }
    }

    #[test]
    fn degrees_survive_the_way_there_and_back() {
        for (latitude, longitude) in [(27.5, -99.5), (42.3, -83.07), (-33.9, 151.2), (0.0, 180.0), (89.9, 10.0)] {
            let (there, back) = Place::at(latitude, longitude).unwrap().degrees();
            assert!((there - latitude).abs() < 1e-12 && (back - longitude).abs() < 1e-12);
        }
    }

    #[test]
    fn a_quarter_of_a_meridian_is_a_quarter_of_the_circle() {
        let quarter = Place::at(0.0, 0.0).unwrap().distance_m(Place::at(90.0, 0.0).unwrap());
        assert!((quarter - EARTH_RADIUS_M * std::f64::consts::FRAC_PI_2).abs() < 1e-6);
        assert!((metres(chord(1_234.5)) - 1_234.5).abs() < 1e-9);
    }
}
