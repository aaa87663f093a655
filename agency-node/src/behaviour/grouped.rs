//! Events in order of their subjects, each subject's baseline before its window: a counting sort, as
//! measures need no finer order and comparing would cost more than all else.

use std::ops::Range;

use crate::holdings::{Events, NEVER};

/// Without a time, in the baseline, in the window.
const KINDS: usize = 3;

pub(super) struct Grouped {
    pub(super) events: Events,
    /// Where each subject's events of each kind begin.
    starts: Vec<u32>,
}

impl Grouped {
    pub(super) fn new(events: Events, window_from_ms: i64) -> Self {
        let subjects = super::most(events.subjects.iter());
        let group = |event: usize| {
            let moment_ms = events.moments_ms[event];
            let kind = usize::from(moment_ms != NEVER) + usize::from(moment_ms != NEVER && moment_ms >= window_from_ms);
            events.subjects[event] as usize * KINDS + kind
        };
        let mut starts = vec![0u32; subjects * KINDS + 1];
        for event in 0..events.len() {
            starts[group(event) + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let places: Vec<u32> = (0..events.len())
            .map(|event| {
                let place = &mut next[group(event)];
                *place += 1;
                *place - 1
            })
            .collect();
        let events = Events {
            subjects: scattered(&events.subjects, &places),
            contacts: scattered(&events.contacts, &places),
            moments_ms: scattered(&events.moments_ms, &places),
            values: scattered(&events.values, &places),
        };
        Self { events, starts }
    }

    pub(super) fn subjects(&self) -> u32 {
        (self.starts.len() / KINDS) as u32
    }

    /// A subject's events before the window.
    pub(super) fn baseline(&self, subject: u32) -> Range<usize> {
        self.of(subject, 1)
    }

    /// A subject's events in the window.
    pub(super) fn window(&self, subject: u32) -> Range<usize> {
        self.of(subject, 2)
    }

    fn of(&self, subject: u32, kind: usize) -> Range<usize> {
        let place = subject as usize * KINDS + kind;
        self.starts[place] as usize..self.starts[place + 1] as usize
    }

    /// A copy of a column in which each subject's baseline is sorted.
    pub(super) fn baseline_sorted(&self, column: &[u32]) -> Vec<u32> {
        let mut sorted = column.to_vec();
        (0..self.subjects()).for_each(|subject| sorted[self.baseline(subject)].sort_unstable());
        sorted
    }
}

/// A column whose every value goes to its place; nothing for a column that was not asked.
fn scattered<T: Copy + Default>(column: &[T], places: &[u32]) -> Vec<T> {
    let mut out = vec![T::default(); column.len()];
    for (&value, &place) in column.iter().zip(places) {
        out[place as usize] = value;
    }
    out
}
