//! Outside of the corridor: since when, how far, and whether noise explains it.

use serde::{Deserialize, Serialize};

use super::{
    Seen,
    report::{Measured, Open, Reports},
};
use crate::{
    event::{Kind, of_excursion},
    noise::{Evidence, beyond, within},
    point::Fix,
};

/// Between fixes farther apart than this nobody knows when an edge was crossed, in milliseconds.
const CROSSING_GAP_MAX_MS: i64 = 300_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Excursion {
    leaving: Evidence,
    returning: Evidence,
    /// The largest distance outside that two fixes in a row reached.
    away_m: f64,
    outside_until_ms: i64,
    open: Option<Open>,
}

impl Excursion {
    /// Takes a fix in, which follows `before` and lies `away_m` from the nearest edge.
    pub(crate) fn update(&mut self, before: &Seen, fix: &Fix, away_m: f64, speaks_ms: i64, reports: &mut Reports<'_>) {
        let crossed_ms = crossed_ms(before, fix.at_ms, away_m);
        let held_m = before.away_m.min(away_m);
        let Some(mut open) = self.open else {
            let is_first = self.leaving.began_ms().is_none();
            let is_certain = self.leaving.add(beyond(away_m, fix.margin_m), speaks_ms, crossed_ms);
            self.away_m = if is_first { 0.0 } else { self.away_m.max(held_m) };
            if let Some(began_ms) = self.leaving.began_ms().filter(|_| is_certain) {
                (self.outside_until_ms, self.returning) = (fix.at_ms, Evidence::default());
                let mut open = Open::at(began_ms);
                open.goes_on(Kind::Excursion, self.measured(&open), reports);
                self.open = Some(open);
            }
            return;
        };
        self.away_m = self.away_m.max(held_m);
        if away_m > 0.0 {
            self.outside_until_ms = fix.at_ms;
        }
        if self.returning.add(within(away_m, fix.margin_m), speaks_ms, crossed_ms) {
            return self.end(reports);
        }
        open.goes_on(Kind::Excursion, self.measured(&open), reports);
        self.open = Some(open);
    }

    /// Ends the excursion, if there is one: where it returned, or where it was last outside.
    pub(crate) fn end(&mut self, reports: &mut Reports<'_>) {
        let Some(open) = self.open.take() else { return };
        self.outside_until_ms = self.returning.began_ms().unwrap_or(self.outside_until_ms).max(open.began_ms);
        open.ends(Kind::Excursion, self.measured(&open), reports);
        *self = Self::default();
    }

    fn measured(&self, open: &Open) -> Measured {
        let outside_ms = self.outside_until_ms.saturating_sub(open.began_ms);
        let strength = of_excursion(self.away_m, outside_ms);
        Measured { until_ms: self.outside_until_ms, away_m: self.away_m, outside_ms, strength }
    }
}

/// When the edge was crossed between two fixes: where the straight line between their distances is 0.
fn crossed_ms(before: &Seen, at_ms: i64, away_m: f64) -> i64 {
    let gap_ms = at_ms.saturating_sub(before.at_ms);
    let change_m = away_m - before.away_m;
    if gap_ms > CROSSING_GAP_MAX_MS || change_m == 0.0 {
        return at_ms;
    }
    let share = (-before.away_m / change_m).clamp(0.0, 1.0);
    before.at_ms.saturating_add((share * gap_ms as f64) as i64)
}
