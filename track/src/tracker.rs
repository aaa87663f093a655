//! One device against all corridors, point by point.
//!
//! A point goes `order → plausible → stay → every trip`. The state is small and can be written down and read
//! back at any point; what follows is the same as if it had never been. Nothing here reads a clock:
//! silence and lateness are judged at the times that `tick` is given.

use serde::{Deserialize, Serialize};

use crate::{
    corridor::{Corridor, Corridors},
    event::TrackEvent,
    noise::speaks_ms,
    order::Order,
    plausible::Plausible,
    point::{Fix, Point},
    stay::Stay,
    trip::{Approach, Reports, Trip},
};

/// Everything that is known of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    device: String,
    order: Order,
    plausible: Plausible,
    stay: Option<Stay>,
    latest_ms: Option<i64>,
    approaches: Vec<Approach>,
    trips: Vec<Trip>,
    ignored: Ignored,
}

/// Points that were left out, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Came after a newer one had been measured, or repeated one.
    pub late: u64,
    /// No place on the earth, or an accuracy too coarse to show a side of a corridor.
    pub unusable: u64,
    /// Jumps that no truck makes.
    pub jumps: u64,
}

impl Tracker {
    /// A device of which nothing is known yet.
    pub fn new(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            order: Order::default(),
            plausible: Plausible::default(),
            stay: None,
            latest_ms: None,
            approaches: vec![],
            trips: vec![],
            ignored: Ignored::default(),
        }
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Points that were left out so far.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// Names of the corridors that the device has joined.
    pub fn joined(&self) -> impl Iterator<Item = &str> {
        self.trips.iter().map(|trip| trip.corridor.name.as_str())
    }

    /// Whether it is on no corridor and may not be about to join one: what is known of it matters little then.
    pub fn is_idle(&self) -> bool {
        self.trips.is_empty() && self.approaches.is_empty()
    }

    /// Takes a point in and returns what has become certain by it. Points may come out of order by two seconds, and
    /// by any time within a minute of the clock after a silence of five; a batch that was stored on the way should be
    /// sorted by whoever hands it in.
    pub fn observe(&mut self, corridors: &Corridors, point: Point) -> Vec<TrackEvent> {
        let mut events = Vec::new();
        if Fix::of(&point).is_none() {
            self.ignored.unusable += 1;
        } else if !self.order.take(point) {
            self.ignored.late += 1;
        }
        self.hand_on(corridors, None, &mut events);
        events
    }

    /// Judges silence and lateness at a time, and measures points that need wait no longer. To be called every
    /// second or so for a device that reports, and every minute for one that does not.
    pub fn tick(&mut self, corridors: &Corridors, now_ms: i64) -> Vec<TrackEvent> {
        let mut events = Vec::new();
        self.hand_on(corridors, Some(now_ms), &mut events);
        // Of what waits it was heard, though it is not measured yet.
        let now_ms = self.order.first_ms().map_or(now_ms, |first_ms| first_ms.min(now_ms));
        let (device, stay) = (&self.device, &self.stay);
        self.trips.retain_mut(|trip| {
            let (Some(corridor), Some(stay)) = (valid(corridors, trip, now_ms), stay) else {
                return abandon(device, trip, &mut events);
            };
            let mut reports = Reports { device, corridor: &corridor.id, events: &mut events };
            !trip.tick(corridor, stay, now_ms, &mut reports)
        });
        events
    }

    /// Measures what waits for points that might come before it, as no more will come.
    pub fn finish(&mut self, corridors: &Corridors) -> Vec<TrackEvent> {
        let mut events = Vec::new();
        while let Some(waited) = self.order.next_of_rest() {
            self.judge(corridors, waited, &mut events);
        }
        events
    }

    fn hand_on(&mut self, corridors: &Corridors, now_ms: Option<i64>, events: &mut Vec<TrackEvent>) {
        while let Some(waited) = self.order.next(now_ms) {
            self.judge(corridors, waited, events);
        }
    }

    fn judge(&mut self, corridors: &Corridors, waited: Point, events: &mut Vec<TrackEvent>) {
        for point in self.plausible.admit(waited, &mut self.ignored.jumps) {
            if let Some(fix) = Fix::of(&point) {
                self.measure(corridors, &fix, events);
            }
        }
    }

    fn measure(&mut self, corridors: &Corridors, fix: &Fix, events: &mut Vec<TrackEvent>) {
        let speaks_ms = speaks_ms(fix.at_ms.saturating_sub(self.latest_ms.unwrap_or(fix.at_ms)));
        self.latest_ms = Some(fix.at_ms);
        let mut stay = self.stay.take().unwrap_or_else(|| Stay::beginning(fix));
        let before = stay.clone();
        stay.update(fix);
        let device = &self.device;
        self.trips.retain_mut(|trip| {
            let corridor = valid(corridors, trip, fix.at_ms);
            let located = corridor.and_then(|corridor| {
                corridor.locate(fix.place, trip.arc, fix.margin_m, f64::INFINITY).map(|location| (corridor, location))
            });
            let Some((corridor, location)) = located else { return abandon(device, trip, events) };
            let mut reports = Reports { device, corridor: &corridor.id, events };
            trip.silence(corridor, &before, fix.at_ms, true, &mut reports);
            !trip.observe(corridor, (fix, speaks_ms), &location, &stay, &mut reports)
        });
        self.stay = Some(stay);
        for corridor in corridors.iter().filter(|corridor| corridor.is_valid_at(fix.at_ms)) {
            if !self.trips.iter().any(|trip| trip.corridor == corridor.id) {
                self.approach(corridor, fix);
            }
        }
        self.approaches.retain(|approach| corridors.get(&approach.corridor).is_some());
    }

    fn approach(&mut self, corridor: &Corridor, fix: &Fix) {
        let known = self.approaches.iter().position(|approach| approach.corridor == corridor.id);
        let Some(index) = known else {
            if let Some(location) = corridor.locate(fix.place, 0, 0.0, 0.0) {
                self.approaches.extend(Approach::begin(corridor, fix, &location));
            }
            return;
        };
        let Some(approach) = self.approaches.get_mut(index) else { return };
        // Noise at the edge ends no approach.
        let location = corridor.locate(fix.place, approach.arc, 0.0, fix.margin_m);
        match location.and_then(|location| Some((approach.goes_on(corridor, fix, &location)?, location))) {
            Some((true, location)) => {
                self.trips.push(Trip::beginning(approach, fix, &location));
                self.approaches.swap_remove(index);
            }
            Some((false, _)) => {}
            None => {
                self.approaches.swap_remove(index);
            }
        }
    }
}

/// The corridor of a trip, if it is still there and valid.
fn valid<'a>(corridors: &'a Corridors, trip: &Trip, at_ms: i64) -> Option<&'a Corridor> {
    corridors.get(&trip.corridor).filter(|corridor| corridor.is_valid_at(at_ms))
}

/// Ends a trip whose corridor is gone; false, as it is not kept.
fn abandon(device: &str, trip: &mut Trip, events: &mut Vec<TrackEvent>) -> bool {
    let id = trip.corridor.clone();
    trip.abandon(&mut Reports { device, corridor: &id, events });
    false
}
