//! Which news of an event is worth a report.

use serde::{Deserialize, Serialize};

use crate::{
    corridor::CorridorId,
    event::{Kind, TrackEvent},
};

/// Growth of strength that is worth another report.
const MATERIAL: f64 = 0.05;

/// An event that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) began_ms: i64,
    reported: Option<f64>,
    latest: Measured,
}

/// What an event measures at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) until_ms: i64,
    pub(crate) away_m: f64,
    pub(crate) outside_ms: i64,
    pub(crate) strength: f64,
}

/// Where the events of one device on one corridor go.
pub(crate) struct Reports<'a> {
    pub(crate) device: &'a str,
    pub(crate) corridor: &'a CorridorId,
    pub(crate) events: &'a mut Vec<TrackEvent>,
}

impl Open {
    pub(crate) fn at(began_ms: i64) -> Self {
        Self { began_ms, reported: None, latest: Measured::default() }
    }

    /// Reports an event that goes on, unless it is much as it was reported before.
    pub(crate) fn goes_on(&mut self, kind: Kind, measured: Measured, reports: &mut Reports<'_>) {
        self.latest = measured;
        if self.reported.is_none_or(|reported| measured.strength >= reported + MATERIAL) {
            self.reported = Some(measured.strength);
            reports.push(kind, self.began_ms, None, measured);
        }
    }

    /// Reports the end, which is `measured.until_ms`.
    pub(crate) fn ends(self, kind: Kind, measured: Measured, reports: &mut Reports<'_>) {
        reports.push(kind, self.began_ms, Some(measured.until_ms), measured);
    }

    /// Reports the end, which is where it was measured last.
    pub(crate) fn stops(self, kind: Kind, reports: &mut Reports<'_>) {
        self.ends(kind, self.latest, reports);
    }

    /// Takes back what turned out not to have been.
    pub(crate) fn was_not(self, kind: Kind, reports: &mut Reports<'_>) {
        self.ends(kind, Measured { until_ms: self.began_ms, ..Measured::default() }, reports);
    }
}

impl Reports<'_> {
    fn push(&mut self, kind: Kind, began_ms: i64, ended_ms: Option<i64>, measured: Measured) {
        self.events.push(TrackEvent {
            device: self.device.to_owned(),
            corridor: self.corridor.clone(),
            kind,
            began_ms,
            ended_ms,
            away_m: measured.away_m.max(0.0),
            outside_s: seconds(measured.outside_ms),
            lasted_s: seconds(measured.until_ms.saturating_sub(began_ms)),
            strength: measured.strength,
        });
    }
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds.max(0) as f64 / 1_000.0
}
