//! Cells of the H3 grid (<https://h3geo.org>), which say where something was.
//!
//! Two things are at the same place when one's cell is the other's or next to it: always within 400 metres,
//! and never beyond some two kilometres.

use h3o::{CellIndex, LatLng, Resolution};

use super::{Canonical, Unusable};

/// Hexagons with edges of 0.5 km.
const RESOLUTION: Resolution = Resolution::Eight;
/// Hexagons with edges of 10 km: what lies in different ones is at different places.
const AREA_RESOLUTION: Resolution = Resolution::Five;

/// A cell.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell(CellIndex);

impl Cell {
    /// Where the degrees point to; nothing when they are out of range, or both zero, as trackers write them
    /// that do not know where they are.
    pub(crate) fn at(latitude: f64, longitude: f64) -> Option<Self> {
        let in_range = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        let known = in_range && (latitude, longitude) != (0.0, 0.0);
        let place = known.then(|| LatLng::new(latitude, longitude).ok()).flatten()?;
        Some(Self(place.to_cell(RESOLUTION)))
    }

    /// The cell that an identifier of this type stands for.
    pub(crate) fn of(identifier: &Canonical) -> Option<Self> {
        identifier.as_str().parse().ok().map(Self)
    }

    /// Its canonical spelling.
    pub(crate) fn spelling(self) -> String {
        self.0.to_string()
    }

    /// The cell itself and those next to it: seven, or six where it is one of the twelve pentagons.
    pub(crate) fn with_neighbours(self) -> Vec<Self> {
        self.0.grid_disk::<Vec<_>>(1).into_iter().map(Self).collect()
    }

    /// The wide cell that it belongs to, by the cell in its middle.
    pub(crate) fn area(self) -> Self {
        let middle = self.0.parent(AREA_RESOLUTION).and_then(|area| area.center_child(RESOLUTION));
        Self(middle.unwrap_or(self.0))
    }
}

/// Fifteen hexadecimal digits, as [`Cell::spelling`] gives them.
pub(super) fn canonicalise(raw: &str) -> Result<Canonical, Unusable> {
    let cell: CellIndex = raw.parse().map_err(|_| Unusable::BadCharacters)?;
    let is_canonical = cell.resolution() == RESOLUTION && cell.to_string() == raw;
    if is_canonical { Ok(Canonical(raw.into())) } else { Err(Unusable::BadCharacters) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_those_of_the_published_grid() {
        // The examples of the H3 documentation.
        let cell = Cell::at(37.769_377, -122.388_903).unwrap();
        assert_eq!(cell.spelling(), "88283082e7fffff");
        let area = Cell::at(37.361_559_3, -122.055_323_8).unwrap().area();
        assert_eq!(area.0.parent(AREA_RESOLUTION).map(u64::from), Some(0x0852_8347_3fff_ffff));
        assert!(area.area() == area && area.0.resolution() == RESOLUTION);
        assert!(Cell::of(&canonicalise(&cell.spelling()).unwrap()).unwrap() == cell);
        for wrong in ["", "88283082e7ffff", "88283082E7fffff", "+88283082e7fffff", "85283473fffffff", "x", "８"] {
            assert!(canonicalise(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn neighbours_are_seven_and_mutual() {
        for (latitude, longitude) in [(27.5, -99.5), (90.0, 0.0), (-33.9, 180.0), (0.1, -0.1)] {
            let cell = Cell::at(latitude, longitude).unwrap();
            let around = cell.with_neighbours();
            assert_eq!(around.iter().filter(|other| **other == cell).count(), 1);
            assert_eq!(around.len(), 7);
            assert!(around.iter().all(|other| other.with_neighbours().contains(&cell)));
        }
    }

    #[test]
    fn what_is_no_place_has_no_cell() {
        for (latitude, longitude) in
            [(0.0, 0.0), (0.0, -0.0), (90.1, 0.0), (0.0, 180.1), (f64::NAN, 1.0), (1.0, f64::INFINITY)]
        {
            assert!(Cell::at(latitude, longitude).is_none());
        }
    }
}
