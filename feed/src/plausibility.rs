//! Whether a position can be: by itself, by the clock, and after where its device was.
//!
//! Rules, in this order; the first that speaks decides.
//!
//! 1. `out_of_range`: a number that is not finite, a latitude beyond 90 or a longitude beyond 180 degrees,
//!    a speed, heading or accuracy that is none.
//! 2. `null_island`: both coordinates within [`NULL_ISLAND_DEG`] of zero.
//! 3. `swapped`: latitude and longitude stand in each other's place. That is certain when the latitude is
//!    beyond 90 degrees and the pair is valid the other way round (this goes before rule 1). Otherwise it is
//!    decided by what is known: the feed's region, where it holds the exchanged pair and not the pair as it
//!    came, or the device itself, which could have come to the exchanged place and not to this one.
//! 4. `in_future`, `too_old`: by more than the feed's bounds.
//! 5. `impossible_jump`: the device would have gone faster than [`Bounds::speed_max_mps`] from where it
//!    last was. Distances within [`JUMP_FREE_M`] and both accuracies are noise, not movement.
//!
//! A device that is refused for a jump may be right, and the place it was last accepted at wrong, or its
//! name may be in use again in another truck. [`BELIEVED_AFTER`] jumps in a row that could follow from each
//! other are therefore believed: the last of them is accepted, and those after it are measured from there.

use std::collections::HashMap;

use crate::{position::Position, reason::Reason};

/// Degrees around (0, 0) that are no place: about 110 m.
pub const NULL_ISLAND_DEG: f64 = 0.001;

/// Metres that a device may seem to move in no time at all.
pub const JUMP_FREE_M: f64 = 500.0;

/// Refused jumps in a row, consistent with each other, after which a device is believed.
pub const BELIEVED_AFTER: u8 = 5;

/// Devices whose last place is remembered, at most; beyond it those unheard for longest are forgotten,
/// and begin anew like devices never heard of.
pub const DEVICES_MAX: usize = 100_000;

/// Mean radius of the Earth in metres (IUGG R₁).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// What a feed's positions must keep to.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// How far ahead of the present a position may be, in milliseconds.
    pub clock_skew_ms: i64,
    /// How far behind the present, in milliseconds.
    pub age_max_ms: i64,
    /// The fastest that a device can go, in metres per second.
    pub speed_max_mps: f64,
    /// Where the feed's devices are, when they never leave it.
    pub region: Option<Region>,
}

/// A box in degrees; where `west` is greater than `east` it goes over the antimeridian.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Smallest latitude.
    pub south: f64,
    /// Longitude where it begins, going east.
    pub west: f64,
    /// Greatest latitude.
    pub north: f64,
    /// Longitude where it ends.
    pub east: f64,
}

impl Region {
    fn holds(&self, latitude: f64, longitude: f64) -> bool {
        let across = if self.west <= self.east {
            (self.west..=self.east).contains(&longitude)
        } else {
            longitude >= self.west || longitude <= self.east
        };
        across && (self.south..=self.north).contains(&latitude)
    }
}

/// Judges the positions of one feed.
#[derive(Debug)]
pub struct Plausibility {
    bounds: Bounds,
    /// Two generations, so that the unheard are forgotten without looking for them.
    recent: HashMap<String, Heard>,
    older: HashMap<String, Heard>,
}

/// What is known of a device.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Fix,
    /// The last refused jump, and how many consistent ones ended in it.
    doubted: Option<(Fix, u8)>,
}

#[derive(Debug, Clone, Copy)]
struct Fix {
    at_ms: i64,
    latitude: f64,
    longitude: f64,
    accuracy_m: f64,
}

impl Plausibility {
    /// For a feed of which nothing was heard yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, recent: HashMap::new(), older: HashMap::new() }
    }

    /// Judges a position at the moment `now_ms`; what is accepted is remembered for its device.
    ///
    /// # Errors
    /// The first reason, in the order of this module's rules.
    pub fn check(&mut self, position: &Position, now_ms: i64) -> Result<(), Reason> {
        in_range(position)?;
        let (latitude, longitude) = (position.latitude, position.longitude);
        if latitude.abs() < NULL_ISLAND_DEG && longitude.abs() < NULL_ISLAND_DEG {
            return Err(Reason::NullIsland);
        }
        if let Some(region) = &self.bounds.region
            && !region.holds(latitude, longitude)
            && region.holds(longitude, latitude)
        {
            return Err(Reason::Swapped);
        }
        if position.at_ms > now_ms.saturating_add(self.bounds.clock_skew_ms) {
            return Err(Reason::InFuture);
        }
        if position.at_ms < now_ms.saturating_sub(self.bounds.age_max_ms) {
            return Err(Reason::TooOld);
        }
        self.follows(position)
    }

    /// When a device was where it was last accepted, as far as is known.
    pub fn newest_ms(&self, device: &str) -> Option<i64> {
        self.heard(device).map(|heard| heard.at.at_ms)
    }

    /// Rules 3 and 5 as far as they need the device's past.
    fn follows(&mut self, position: &Position) -> Result<(), Reason> {
        let fix = Fix::of(position);
        let Some(mut heard) = self.heard(&position.device) else {
            self.remember(&position.device, Heard { at: fix, doubted: None });
            return Ok(());
        };
        let fastest = self.bounds.speed_max_mps;
        if heard.at.reaches(&fix, fastest) {
            // What comes late is accepted and does not turn the device back.
            let at = if fix.at_ms >= heard.at.at_ms { fix } else { heard.at };
            self.remember(&position.device, Heard { at, doubted: None });
            return Ok(());
        }
        let exchanged = Fix { latitude: fix.longitude, longitude: fix.latitude, ..fix };
        if exchanged.latitude.abs() <= 90.0 && heard.at.reaches(&exchanged, fastest) {
            return Err(Reason::Swapped);
        }
        let jumps = match heard.doubted {
            Some((last, jumps)) if last.reaches(&fix, fastest) => jumps + 1,
            _ => 1,
        };
        let believed = jumps >= BELIEVED_AFTER;
        heard =
            if believed { Heard { at: fix, doubted: None } } else { Heard { doubted: Some((fix, jumps)), ..heard } };
        self.remember(&position.device, heard);
        if believed { Ok(()) } else { Err(Reason::ImpossibleJump) }
    }

    fn heard(&self, device: &str) -> Option<Heard> {
        self.recent.get(device).or_else(|| self.older.get(device)).copied()
    }

    fn remember(&mut self, device: &str, heard: Heard) {
        if let Some(known) = self.recent.get_mut(device) {
            *known = heard;
            return;
        }
        if self.recent.len() >= DEVICES_MAX / 2 {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(device.to_owned(), heard);
    }
}

fn in_range(position: &Position) -> Result<(), Reason> {
    let (latitude, longitude) = (position.latitude, position.longitude);
    let valid = |latitude: f64, longitude: f64| latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    // A comparison with what is not a number is false, so NaN fits neither way round.
    if !valid(latitude, longitude) {
        return Err(if valid(longitude, latitude) { Reason::Swapped } else { Reason::OutOfRange });
    }
    let fits = |value: Option<f32>, end: f32| value.is_none_or(|value| (0.0..end).contains(&value));
    let plausible =
        fits(position.speed_mps, f32::MAX) && fits(position.heading_deg, 360.0) && fits(position.accuracy_m, f32::MAX);
    if plausible { Ok(()) } else { Err(Reason::OutOfRange) }
}

impl Fix {
    fn of(position: &Position) -> Self {
        Self {
            at_ms: position.at_ms,
            latitude: position.latitude,
            longitude: position.longitude,
            accuracy_m: f64::from(position.accuracy_m.unwrap_or(0.0)).min(JUMP_FREE_M),
        }
    }

    /// Whether one can come from here to `other`, or from there to here, at `speed_mps`.
    fn reaches(&self, other: &Fix, speed_mps: f64) -> bool {
        let seconds = (self.at_ms.abs_diff(other.at_ms)) as f64 / 1000.0;
        self.distance_m(other) <= JUMP_FREE_M + self.accuracy_m + other.accuracy_m + speed_mps * seconds
    }

    /// Great-circle distance by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984).
    fn distance_m(&self, other: &Fix) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let across = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let up = ((to - from) / 2.0).sin();
        let haversine = up * up + from.cos() * to.cos() * across * across;
        2.0 * EARTH_RADIUS_M * haversine.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests;
