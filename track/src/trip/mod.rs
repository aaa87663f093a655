//! A device on its way along a corridor that it has joined: every measure of it, until it arrives.

mod approach;
mod excursion;
mod report;

use serde::{Deserialize, Serialize};

pub(crate) use approach::Approach;
use excursion::Excursion;
pub(crate) use report::Reports;
use report::{Measured, Open};

use crate::{
    corridor::{Corridor, CorridorId, Location, Role, Zone},
    event::{Kind, against_limit, of_seal},
    noise::Evidence,
    point::{Fix, Seal},
    stay::Stay,
};

/// In-bond merchandise must arrive within 30 days (19 CFR 18.1); after them a trip is over, arrived or not.
const TRIP_MAX_MS: i64 = 30 * 86_400_000;

/// A truck this fast, in metres per second, is not parking.
const DRIVES_MPS: f32 = 5.0;

/// The latest fix, as the corridor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    at_ms: i64,
    away_m: f64,
    zone: Option<usize>,
    drives: bool,
}

impl Seen {
    fn of(fix: &Fix, location: &Location) -> Self {
        let drives = fix.speed_mps.is_some_and(|speed_mps| speed_mps >= DRIVES_MPS);
        Self { at_ms: fix.at_ms, away_m: location.away_m, zone: location.zone, drives }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trip {
    pub(crate) corridor: CorridorId,
    /// Latest fix in an origin zone, or the first inside where it joined on the way.
    departed_ms: i64,
    pub(crate) arc: usize,
    seen: Seen,
    excursion: Excursion,
    arriving: Evidence,
    stay_since_ms: i64,
    stay_zone: Option<usize>,
    dwell: Option<Open>,
    dark: Option<Open>,
    overdue: Option<Open>,
    seal: Option<(Open, Seal)>,
}

impl Trip {
    /// A trip that begins with the fix by which the device joined.
    pub(crate) fn beginning(approach: &Approach, fix: &Fix, location: &Location) -> Self {
        Self {
            corridor: approach.corridor.clone(),
            departed_ms: approach.since_ms,
            arc: location.arc,
            seen: Seen::of(fix, location),
            excursion: Excursion::default(),
            arriving: Evidence::default(),
            stay_since_ms: fix.at_ms,
            stay_zone: location.zone,
            dwell: None,
            dark: None,
            overdue: None,
            seal: None,
        }
    }

    /// Takes in a fix, after [`silence`](Self::silence) up to it; true once the trip is over.
    pub(crate) fn observe(
        &mut self,
        corridor: &Corridor,
        (fix, speaks_ms): (&Fix, i64),
        location: &Location,
        stay: &Stay,
        reports: &mut Reports<'_>,
    ) -> bool {
        self.excursion.update(&self.seen, fix, location.away_m, speaks_ms, reports);
        self.dwell(corridor, location, stay, reports);
        self.seal(corridor, fix, location, reports);
        self.seen = Seen::of(fix, location);
        self.arc = location.arc;
        if self.is_in(corridor, Role::Origin) {
            self.departed_ms = fix.at_ms;
            if let Some(open) = self.overdue.take() {
                self.end_overdue(open, fix.at_ms, reports);
            }
        }
        self.overdue(corridor, fix.at_ms, reports);
        self.arrival(corridor, fix, speaks_ms, reports) || self.is_too_old(fix.at_ms, reports)
    }

    /// The clock moves on; true once the trip is over.
    pub(crate) fn tick(&mut self, corridor: &Corridor, stay: &Stay, now_ms: i64, reports: &mut Reports<'_>) -> bool {
        self.silence(corridor, stay, now_ms, false, reports);
        self.overdue(corridor, now_ms, reports);
        self.is_too_old(now_ms, reports)
    }

    /// The device was silent until a time: until its next fix, if it is `heard`, or until now.
    pub(crate) fn silence(
        &mut self,
        corridor: &Corridor,
        stay: &Stay,
        until_ms: i64,
        heard: bool,
        reports: &mut Reports<'_>,
    ) {
        let began_ms = self.dark.map(|open| open.began_ms).or_else(|| self.should_move_since_ms(corridor, stay));
        let Some(began_ms) = began_ms else { return };
        let lasted_ms = until_ms.saturating_sub(began_ms);
        if lasted_ms < corridor.darkness_limit_ms {
            if let Some(open) = self.dark.take_if(|_| heard) {
                open.was_not(Kind::Dark, reports);
            }
            return;
        }
        let strength = against_limit(lasted_ms, corridor.darkness_limit_ms);
        let measured = Measured { until_ms, away_m: self.seen.away_m, outside_ms: 0, strength };
        let mut open = self.dark.take().unwrap_or_else(|| Open::at(began_ms));
        if heard {
            return open.ends(Kind::Dark, measured, reports);
        }
        open.goes_on(Kind::Dark, measured, reports);
        self.dark = Some(open);
    }

    /// Since when a silent device should have been heard: since its last fix, or since it had to leave the zone
    /// that it was last seen in. In a zone where it may stand without limit it may also be silent.
    fn should_move_since_ms(&self, corridor: &Corridor, stay: &Stay) -> Option<i64> {
        let drives_past = |zone: &&Zone| zone.role == Role::Stop && self.seen.drives;
        match self.zone(corridor).filter(|zone| !drives_past(zone)) {
            None => Some(self.seen.at_ms),
            Some(zone) => {
                zone.dwell_max_ms.map(|dwell_max_ms| stay.since_ms.saturating_add(dwell_max_ms).max(self.seen.at_ms))
            }
        }
    }

    fn dwell(&mut self, corridor: &Corridor, location: &Location, stay: &Stay, reports: &mut Reports<'_>) {
        if stay.since_ms != self.stay_since_ms {
            self.end_dwell(reports);
            (self.stay_since_ms, self.stay_zone) = (stay.since_ms, None);
        }
        if !stay.is_here {
            return;
        }
        self.stay_zone = self.stay_zone.or(location.zone);
        let zone = self.stay_zone.and_then(|index| corridor.zones.get(index));
        let Some(limit_ms) = zone.map_or(Some(corridor.dwell_limit_ms), |zone| zone.dwell_max_ms) else { return };
        if stay.lasted_ms() < limit_ms {
            return;
        }
        let strength = against_limit(stay.lasted_ms(), limit_ms);
        let mut open = self.dwell.unwrap_or_else(|| Open::at(stay.since_ms));
        let measured = Measured { until_ms: stay.until_ms, away_m: location.away_m, outside_ms: 0, strength };
        open.goes_on(Kind::Dwell, measured, reports);
        self.dwell = Some(open);
    }

    fn seal(&mut self, corridor: &Corridor, fix: &Fix, location: &Location, reports: &mut Reports<'_>) {
        let Some(seal) = fix.seal else { return };
        let zone = location.zone.and_then(|index| corridor.zones.get(index));
        let is_lawful = seal == Seal::Intact || zone.is_some_and(|zone| zone.seal_may_open);
        let measured =
            |seal| Measured { until_ms: fix.at_ms, away_m: location.away_m, outside_ms: 0, strength: of_seal(seal) };
        match self.seal.take() {
            Some((open, worst)) if seal == Seal::Intact => open.ends(Kind::Seal, measured(worst), reports),
            None if is_lawful => {}
            known => {
                let (mut open, before) = known.unwrap_or((Open::at(fix.at_ms), seal));
                let worst = if before == Seal::Broken { before } else { seal };
                open.goes_on(Kind::Seal, measured(worst), reports);
                self.seal = Some((open, worst));
            }
        }
    }

    fn overdue(&mut self, corridor: &Corridor, now_ms: i64, reports: &mut Reports<'_>) {
        let Some(within_ms) = corridor.arrival_within_ms else { return };
        let due_ms = self.departed_ms.saturating_add(within_ms);
        // What has not left its origin is not on its way.
        if now_ms < due_ms || self.is_in(corridor, Role::Origin) {
            return;
        }
        let mut open = self.overdue.unwrap_or_else(|| Open::at(due_ms));
        open.goes_on(Kind::Overdue, self.overdue_measured(&open, now_ms), reports);
        self.overdue = Some(open);
    }

    fn overdue_measured(&self, open: &Open, until_ms: i64) -> Measured {
        let limit_ms = open.began_ms.saturating_sub(self.departed_ms);
        let strength = against_limit(until_ms.saturating_sub(self.departed_ms), limit_ms);
        Measured { until_ms, away_m: self.seen.away_m, outside_ms: 0, strength }
    }

    fn end_overdue(&self, open: Open, at_ms: i64, reports: &mut Reports<'_>) {
        if at_ms < open.began_ms {
            return open.was_not(Kind::Overdue, reports);
        }
        open.ends(Kind::Overdue, self.overdue_measured(&open, at_ms), reports);
    }

    fn arrival(&mut self, corridor: &Corridor, fix: &Fix, speaks_ms: i64, reports: &mut Reports<'_>) -> bool {
        let proof = if self.is_in(corridor, Role::Destination) { 1.0 } else { -1.0 };
        if !self.arriving.add(proof, speaks_ms, fix.at_ms) {
            return false;
        }
        let at_ms = self.arriving.began_ms().unwrap_or(fix.at_ms);
        Open::at(at_ms).ends(Kind::Arrived, Measured { until_ms: at_ms, ..Measured::default() }, reports);
        self.close(at_ms, reports);
        true
    }

    fn is_too_old(&mut self, now_ms: i64, reports: &mut Reports<'_>) -> bool {
        let is_over = now_ms.saturating_sub(self.departed_ms) > TRIP_MAX_MS;
        if is_over {
            self.close(now_ms, reports);
        }
        is_over
    }

    /// Ends everything that goes on, as the trip is over.
    fn close(&mut self, at_ms: i64, reports: &mut Reports<'_>) {
        self.excursion.end(reports);
        self.end_dwell(reports);
        if let Some(open) = self.dark.take() {
            open.stops(Kind::Dark, reports);
        }
        if let Some((open, _)) = self.seal.take() {
            open.stops(Kind::Seal, reports);
        }
        if let Some(open) = self.overdue.take() {
            self.end_overdue(open, at_ms, reports);
        }
    }

    /// When the corridor itself is no longer there or valid.
    pub(crate) fn abandon(&mut self, reports: &mut Reports<'_>) {
        self.close(self.seen.at_ms, reports);
    }

    fn end_dwell(&mut self, reports: &mut Reports<'_>) {
        if let Some(open) = self.dwell.take() {
            open.stops(Kind::Dwell, reports);
        }
    }

    fn zone<'a>(&self, corridor: &'a Corridor) -> Option<&'a Zone> {
        self.seen.zone.and_then(|index| corridor.zones.get(index))
    }

    fn is_in(&self, corridor: &Corridor, role: Role) -> bool {
        self.zone(corridor).is_some_and(|zone| zone.role == role)
    }
}
