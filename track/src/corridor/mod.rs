//! Corridors: the routes that transport in bond must keep to, with all that is lawful on the way.
//!
//! A corridor is a GeoJSON file in `policies/corridors/`; [`parse`](Corridor::parse) refuses with a stable reason
//! whatever is unclear in it. Nothing here knows a truck.

mod error;
mod file;
mod findings;
mod geometry;
mod moment;
mod set;
pub(crate) mod words;

use serde::{Deserialize, Serialize};

pub use error::CorridorError;
pub use file::FILE_BYTES_MAX;
pub use findings::Finding;
pub use set::{CORRIDORS_MAX, Corridors};
pub use words::Fact;

use crate::geometry::{Area, Line, Place};

/// Latitude and longitude in degrees, as a file gives them.
pub type Degrees = (f64, f64);

/// Which corridor is meant, and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorridorId {
    /// The corridor's name.
    pub name: String,
    /// Since when this version is valid, in UTC milliseconds since 1970.
    pub from_ms: i64,
}

/// A designated route with its width and with what is lawful on it.
#[derive(Debug, Clone)]
pub struct Corridor {
    /// Name and version.
    pub id: CorridorId,
    /// What the corridor is for, in words; empty where the file has none.
    pub description: String,
    /// How far from the line a device may be, in metres.
    pub half_width_m: f64,
    /// Until when it is valid, in UTC milliseconds since 1970; without end where there is none.
    pub until_ms: Option<i64>,
    /// Within which time of its departure a device must arrive, in milliseconds.
    pub arrival_within_ms: Option<i64>,
    /// How long a device that should move may be silent, in milliseconds.
    pub darkness_limit_ms: i64,
    /// How long a device may stand off the allowed stops, in milliseconds.
    pub dwell_limit_ms: i64,
    /// What makes leaving the corridor lawful, for a playbook to check.
    pub exceptions: Vec<Exception>,
    /// Where a device may be besides on the route.
    pub zones: Vec<Zone>,
    /// The route; its direction is that of its points.
    pub line: Line,
    /// The route as the file gives it, for drawing.
    pub outline: Vec<Vec<Degrees>>,
}

/// A lawful reason to leave the corridor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The name that playbooks have for it, such as `port-diversion`.
    pub code: String,
    /// What it is, in words.
    pub words: String,
}

/// What a zone is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A place where standing is allowed.
    Stop,
    /// Where a trip begins. Before a device has left it, its time does not run.
    Origin,
    /// Where a trip ends.
    Destination,
}

/// An area in which a device counts as inside the corridor.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its name, in words.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub area: Area,
    /// The rings of its polygon, for drawing; none for a circle.
    pub outline: Vec<Vec<Degrees>>,
    /// How long a device may stand here, in milliseconds; without limit where there is none.
    pub dwell_max_ms: Option<i64>,
    /// Whether a seal may be opened here.
    pub seal_may_open: bool,
}

/// Where a place is, seen from a corridor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Distance from the nearest edge of the corridor or of one of its zones in metres, negative inside.
    pub away_m: f64,
    /// Distance along the line from its beginning, in metres, and the part of the line.
    pub station_m: f64,
    /// The part of the line that is nearest.
    pub part: u32,
    /// The arc that is nearest, a hint for the next search.
    pub arc: usize,
    /// The zone that the place lies in, or nearest to by less than the tolerance asked for.
    pub zone: Option<usize>,
}

impl Corridor {
    /// Whether the corridor is valid at a time.
    pub fn is_valid_at(&self, at_ms: i64) -> bool {
        at_ms >= self.id.from_ms && self.until_ms.is_none_or(|until_ms| at_ms < until_ms)
    }

    /// Where a place is; none where it is surely more than `within_m` outside of everything. `tolerance_m`
    /// is how far outside of a zone a place still counts as in it.
    pub fn locate(&self, place: Place, hint: usize, tolerance_m: f64, within_m: f64) -> Option<Location> {
        let nearest = self.line.nearest(place, hint, self.half_width_m + within_m);
        let mut away_m = nearest.map_or(f64::INFINITY, |nearest| nearest.distance_m - self.half_width_m);
        let mut zone = None;
        let mut zone_away_m = tolerance_m;
        for (index, candidate) in self.zones.iter().enumerate() {
            let limit_m = away_m.min(within_m).max(zone_away_m);
            let Some(from_m) = candidate.area.away_m(place, limit_m) else { continue };
            away_m = away_m.min(from_m);
            if from_m <= zone_away_m {
                (zone, zone_away_m) = (Some(index), from_m);
            }
        }
        if away_m > within_m {
            return None;
        }
        // In a zone far from the line there is a nearest point of the line still.
        let nearest = nearest.or_else(|| self.line.nearest(place, hint, f64::INFINITY))?;
        Some(Location { away_m, station_m: nearest.station_m, part: nearest.part, arc: nearest.arc, zone })
    }

    /// The zones with a role.
    pub fn zones_of(&self, role: Role) -> impl Iterator<Item = &Zone> {
        self.zones.iter().filter(move |zone| zone.role == role)
    }
}
