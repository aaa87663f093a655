//! Questions of counts: how many events there were by place and period. They are about no subjects, so nothing
//! about one opens, and the least number of data sets is 1.

use sallyport_shift::{PERIODS_MAX, Period};

use super::{Indicator, Measure, Question, Window, validate_text};
use crate::error::Refusal;

/// The subject of questions of counts, which have none.
pub const COUNTS: &str = "counts";

/// By what events are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// An attribute that the owner lets be counted by.
    pub place: String,
    /// How time is cut.
    pub period: Period,
}

impl Tally {
    /// The first days of the periods of a window.
    ///
    /// # Errors
    /// `counts_window` when it is open, begins or ends within a period, or has too many of them.
    pub fn begins(&self, window: Window) -> Result<Vec<i32>, Refusal> {
        let bounds = window.from_ms.zip(window.until_ms);
        bounds.and_then(|(from_ms, until_ms)| self.period.between_ms(from_ms, until_ms)).ok_or_else(|| {
            Refusal::bad_input(
                "counts_window",
                format!(
                    "Counts are of 1 to {PERIODS_MAX} whole periods in UTC: a day begins at midnight, a week on Monday, \
                     a month on its first."
                ),
            )
        })
    }
}

impl Question {
    /// True when it asks how many events there were.
    pub fn is_of_counts(&self) -> bool {
        self.subject == COUNTS
    }

    pub(super) fn validate_counts(&self) -> Result<(), Refusal> {
        let tallies: Vec<&Tally> = self.indicators.iter().filter_map(|indicator| indicator.tally.as_ref()).collect();
        let all = if self.is_of_counts() { self.indicators.len() } else { 0 };
        if tallies.len() != all {
            return Err(Refusal::bad_input(
                "counts_mixed",
                "A question of counts counts in all of its data sets, and no other question counts in any.",
            ));
        }
        let Some(first) = tallies.first() else { return Ok(()) };
        if self.dataset_count() as usize != self.indicators.len() {
            return Err(Refusal::bad_input("counts_dataset_twice", "Count in each data set once; join the filters."));
        }
        if self.rank_contacts || tallies.iter().any(|tally| tally.period != first.period) {
            return Err(Refusal::bad_input("counts_mixed", "All data sets are counted by the same periods."));
        }
        let windows = self.indicators.iter().map(|indicator| self.window.and(indicator.window));
        windows.into_iter().try_for_each(|window| first.begins(window).map(drop))
    }
}

impl Indicator {
    pub(super) fn validate_tally(&self) -> Result<(), Refusal> {
        let Some(tally) = &self.tally else { return Ok(()) };
        validate_text("place", &tally.place, true)?;
        let bare = self.identifier.is_empty()
            && self.contact.is_empty()
            && self.name.is_empty()
            && self.relation.is_none()
            && !self.both_ways
            && !self.required
            && self.measure == Measure::Presence;
        if bare {
            return Ok(());
        }
        Err(Refusal::bad_input(
            "counts_of_nobody",
            "Counts are of events, not of anybody: say data set, place, filter and nothing else.",
        ))
    }
}

/// Nothing about a subject opens, so nothing is to be agreed on; and nobody can be looked up.
pub(super) fn validate_threshold(minimum_datasets: u32, looks_up: bool) -> Result<(), Refusal> {
    if looks_up {
        return Err(Refusal::bad_input("counts_look_up", "Counts are of all events; nobody is looked up in them."));
    }
    if minimum_datasets != 1 {
        return Err(Refusal::bad_input("counts_minimum_datasets", "The least number of data sets of counts is 1."));
    }
    Ok(())
}
