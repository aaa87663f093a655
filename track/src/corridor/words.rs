//! A corridor in words, for whoever writes or reads one.

use chrono::DateTime;

use super::{Corridor, Role, Zone};

/// One thing to know about a corridor: what it is about, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fact {
    /// A word or two.
    pub about: &'static str,
    /// A phrase.
    pub says: String,
}

impl Corridor {
    /// What the corridor is, line by line.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut fact = |about, says| facts.push(Fact { about, says });
        fact("valid", self.validity());
        let points: usize = self.outline.iter().map(Vec::len).sum();
        let parts = if self.outline.len() == 1 { String::new() } else { format!(" in {} parts", self.outline.len()) };
        fact("route", format!("{} over {points} points{parts}", distance(self.line.length_m())));
        fact("width", format!("{} to each side", distance(self.half_width_m)));
        fact("origin", self.names(Role::Origin));
        fact("destination", self.names(Role::Destination));
        fact(
            "arrival",
            match self.arrival_within_ms {
                Some(within_ms) => format!("within {} of leaving the origin", duration(within_ms)),
                None => "at any time".to_owned(),
            },
        );
        fact("standing", format!("at most {} off the stops", duration(self.dwell_limit_ms)));
        fact("silence", format!("at most {} while it should move", duration(self.darkness_limit_ms)));
        for stop in self.zones_of(Role::Stop) {
            fact("stop", stop_words(stop));
        }
        for exception in &self.exceptions {
            fact("exception", format!("{}: {}", exception.code, exception.words));
        }
        facts
    }

    /// From when to when the corridor is valid, in words.
    pub fn validity(&self) -> String {
        match self.until_ms {
            Some(until_ms) => format!("from {} until {}", moment(self.id.from_ms), moment(until_ms)),
            None => format!("from {} on", moment(self.id.from_ms)),
        }
    }

    fn names(&self, role: Role) -> String {
        let names: Vec<String> = self.zones_of(role).map(extent).collect();
        if names.is_empty() { "none".to_owned() } else { names.join("; ") }
    }
}

fn extent(zone: &Zone) -> String {
    let kind = if zone.outline.is_empty() { "within" } else { "a polygon that reaches" };
    format!("{}, {kind} {}", zone.name, distance(zone.area.reach_m()))
}

fn stop_words(stop: &Zone) -> String {
    let standing = stop.dwell_max_ms.map_or("without limit".to_owned(), |max_ms| format!("up to {}", duration(max_ms)));
    let seal = if stop.seal_may_open { "; the seal may be opened" } else { "" };
    format!("{}, {standing}{seal}", extent(stop))
}

/// A distance in the unit that suits it.
pub(crate) fn distance(metres: f64) -> String {
    match metres {
        metres if metres >= 9_950.0 => format!("{:.0} km", metres / 1_000.0),
        metres if metres >= 1_000.0 => format!("{} km", format!("{:.1}", metres / 1_000.0).trim_end_matches(".0")),
        metres => format!("{metres:.0} m"),
    }
}

/// A duration in the unit that suits it.
fn duration(milliseconds: i64) -> String {
    let minutes = milliseconds / 60_000;
    if minutes >= 60 && minutes % 60 == 0 { format!("{} h", minutes / 60) } else { format!("{minutes} min") }
}

fn moment(at_ms: i64) -> String {
    let text = DateTime::from_timestamp_millis(at_ms).map_or_else(String::new, |moment| moment.to_rfc3339());
    text.replace("T00:00:00+00:00", "").replace("+00:00", "Z")
}
