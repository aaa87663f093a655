//! Acme's trucks on the road from Laredo, for the demonstration: where each of them is at every minute.
//!
//! They follow the corridor's own line, and three of them leave it: one under bond, one under bond whose diversion
//! was approved, and one that is not under bond. Nobody but the demonstration knows which. Does no I/O and reads no
//! clock.

use std::fmt::Write as _;

use sallyport_track::{
    Corridor,
    geometry::{Arc, Line, Place},
};

use crate::lead::at;

/// How long the trucks are watched, in minutes.
pub(super) const MINUTES: u32 = 210;
/// The truck that leaves its corridor under bond: the one that somebody must act on.
pub(super) const SUSPECT: &str = "ACME-104";
/// Leaves it as well, with an approved diversion.
pub(super) const DIVERTED: &str = "ACME-102";
/// Leaves it and is not under bond.
const NOT_IN_BOND: &str = "ACME-107";
const FIRST_NUMBER: u32 = 101;
const TRUCKS: u32 = 16;
/// Between two departures.
const APART_MINUTES: u32 = 6;
const METRES_A_MINUTE: f64 = 1_500.0;
/// Where the three turn off, along the corridor, near Pearsall.
const TURNS_AT_M: f64 = 165_000.0;
/// Uvalde, west of it: latitude and longitude.
const TOWN: (f64, f64) = (29.21, -99.79);

/// Every trip.
pub(super) struct Trips<'a> {
    line: &'a Line,
    detour: Arc,
    begin_ms: i64,
}

impl<'a> Trips<'a> {
    /// Trips that end at `now_ms`; none along a corridor that is shorter than they are.
    pub(super) fn new(corridor: &'a Corridor, now_ms: i64) -> Option<Self> {
        let line = &corridor.line;
        let detour = Arc::between(line.at(TURNS_AT_M)?, Place::at(TOWN.0, TOWN.1)?)?;
        line.at(f64::from(MINUTES) * METRES_A_MINUTE)?;
        Some(Self { line, detour, begin_ms: now_ms - i64::from(MINUTES) * 60_000 })
    }

    /// When a minute was, in milliseconds since 1970.
    pub(super) fn at_ms(&self, minute: u32) -> i64 {
        self.begin_ms + i64::from(minute) * 60_000
    }

    /// CBP's record of the trucks under bond.
    pub(super) fn movements(&self) -> String {
        let mut text = String::from("bond,truck,seal,origin,destination,departed,deadline,diverted\n");
        for (index, truck) in trucks().enumerate().filter(|(_, truck)| truck != NOT_IN_BOND) {
            let departed_ms = self.at_ms(index as u32 * APART_MINUTES);
            let (departed, deadline) = (at(departed_ms), at(departed_ms + 96 * 3_600_000));
            let _ = writeln!(
                text,
                "7{:08},{truck},S{:06},2304,3801,{departed},{deadline},false",
                40_112_000 + index,
                500_210 + index * 7
            );
        }
        text
    }

    /// Positions of all trucks that are under way, one a minute, as the carrier's system writes them.
    pub(super) fn positions(&self, minutes: std::ops::Range<u32>) -> String {
        let mut text = String::from("device,time,latitude,longitude\n");
        for minute in minutes {
            for truck in trucks() {
                let Some((latitude, longitude)) = self.place(&truck, minute).map(Place::degrees) else { continue };
                let _ = writeln!(text, "{truck},{},{latitude:.5},{longitude:.5}", at(self.at_ms(minute)));
            }
        }
        text
    }

    /// Where a truck is; none before it has departed.
    pub(super) fn place(&self, truck: &str, minute: u32) -> Option<Place> {
        let index = trucks().position(|name| name == truck)? as u32;
        let driven_m = f64::from(minute.checked_sub(index * APART_MINUTES)?) * METRES_A_MINUTE;
        let leaves = [SUSPECT, DIVERTED, NOT_IN_BOND].contains(&truck);
        if !leaves || driven_m <= TURNS_AT_M {
            return self.line.at(driven_m);
        }
        Some(self.detour.point(((driven_m - TURNS_AT_M) / self.detour.length_m()).min(1.0)))
    }
}

fn trucks() -> impl Iterator<Item = String> {
    (FIRST_NUMBER..FIRST_NUMBER + TRUCKS).map(|number| format!("ACME-{number}"))
}
