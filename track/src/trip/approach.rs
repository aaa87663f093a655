//! Before a trip: a device joins a corridor once it has been inside for ten minutes and is either in an
//! origin zone or has gone five kilometres along the line in its direction. Whoever drives it the
//! other way, crosses it or arrived at its destination does not join.

use serde::{Deserialize, Serialize};

use crate::{
    corridor::{Corridor, CorridorId, Location, Role},
    point::Fix,
};

const INSIDE_MS: i64 = 600_000;
const FORWARD_M: f64 = 5_000.0;
/// After a silence longer than this nobody knows that the device was inside all the while.
const GAP_MAX_MS: i64 = 1_800_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Approach {
    pub(crate) corridor: CorridorId,
    pub(crate) since_ms: i64,
    latest_ms: i64,
    part: u32,
    /// The least distance along the line since then: whoever turns round begins anew there.
    lowest_m: f64,
    pub(crate) arc: usize,
}

impl Approach {
    /// A first fix inside, which begins an approach unless it lies at the destination.
    pub(crate) fn begin(corridor: &Corridor, fix: &Fix, location: &Location) -> Option<Self> {
        (role(corridor, location) != Some(Role::Destination)).then(|| Self {
            corridor: corridor.id.clone(),
            since_ms: fix.at_ms,
            latest_ms: fix.at_ms,
            part: location.part,
            lowest_m: location.station_m,
            arc: location.arc,
        })
    }

    /// Takes in a fix that is not surely outside: true where the device joins, none where the approach is over.
    pub(crate) fn goes_on(&mut self, corridor: &Corridor, fix: &Fix, location: &Location) -> Option<bool> {
        let role = role(corridor, location);
        if role == Some(Role::Destination) || fix.at_ms.saturating_sub(self.latest_ms) > GAP_MAX_MS {
            return None;
        }
        if location.part != self.part {
            (self.part, self.lowest_m) = (location.part, location.station_m);
        }
        self.lowest_m = self.lowest_m.min(location.station_m);
        (self.latest_ms, self.arc) = (fix.at_ms, location.arc);
        let is_long_enough = fix.at_ms.saturating_sub(self.since_ms) >= INSIDE_MS;
        let is_on_its_way = role == Some(Role::Origin) || location.station_m - self.lowest_m >= FORWARD_M;
        Some(is_long_enough && is_on_its_way)
    }
}

fn role(corridor: &Corridor, location: &Location) -> Option<Role> {
    location.zone.and_then(|index| corridor.zones.get(index)).map(|zone| zone.role)
}
