//! What is not wrong with a corridor and yet most likely not meant.

use super::{Corridor, Degrees, Role};
use crate::geometry::{Line, Place};

/// Parts of a line whose beginnings are looked at: who has more did not draw them by hand.
const PARTS_CHECKED: usize = 100;

/// Something that the author of a corridor should look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Stable kind in `snake_case`.
    pub kind: &'static str,
    /// What was found and what to do, for a person.
    pub sentence: String,
}

impl Corridor {
    /// What its author should look at; none of it keeps the corridor from being used.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |kind, sentence: String| findings.push(Finding { kind, sentence });
        if self.zones_of(Role::Origin).next().is_none() {
            find("no_origin", "There is no origin: a device joins only by moving along the line.".to_owned());
        }
        if self.zones_of(Role::Destination).next().is_none() {
            find("no_destination", "There is no destination: nothing ever arrives.".to_owned());
        }
        if self.arrival_within_ms.is_none() {
            find("no_arrival_time", "There is no `arrival_within_h`: nothing is ever overdue.".to_owned());
        }
        if self.exceptions.is_empty() {
            find("no_exceptions", "There are no lawful exceptions: every departure will need an actor.".to_owned());
        }
        for zone in &self.zones {
            let from_line_m = self.line.nearest(zone.area.centre(), 0, f64::INFINITY).map(|near| near.distance_m);
            let gap_m = from_line_m.unwrap_or(0.0) - self.half_width_m - zone.area.reach_m();
            if gap_m > 0.0 {
                let sentence = format!(
                    "{} lies {:.1} km outside the corridor: whoever drives there leaves the corridor on the way.",
                    zone.name,
                    gap_m / 1_000.0
                );
                find("zone_apart", sentence);
            }
        }
        for gap_m in self.gaps_m() {
            find("gap", format!("A part of the line begins {:.1} km away from those before it.", gap_m / 1_000.0));
        }
        findings
    }

    /// How far parts begin from all parts before them, where that is more than the corridor is wide. A part may
    /// go on from another's end, or branch off from its middle.
    fn gaps_m(&self) -> Vec<f64> {
        let place = |&(latitude, longitude): &Degrees| Place::at(latitude, longitude);
        let parts: Vec<Vec<Place>> = self.outline.iter().map(|part| part.iter().filter_map(place).collect()).collect();
        let gap_m = |index: usize| {
            let start = *parts.get(index)?.first()?;
            Some(Line::new(parts.get(..index)?)?.nearest(start, 0, f64::INFINITY)?.distance_m)
        };
        let is_gap = |gap_m: &f64| *gap_m > 2.0 * self.half_width_m;
        (1..parts.len().min(PARTS_CHECKED)).filter_map(gap_m).filter(is_gap).collect()
    }
}
