//! What the writers of all files share: the options, the people, the calendar, the planted subjects.

use std::iter::Peekable;
use std::path::Path;
use std::slice;

use super::SampleOptions;
use super::activity::Activity;
use super::calendar::{Calendar, Clock, Rhythm, Timeline, Who};
use super::csv::Line;
use super::deviations::Deviations;
use super::numbering::Phone;
use super::people::People;
use super::planted::{self, PlantedSubject};
use super::random::{Shuffle, Stream};
use super::summary::ERROR_RATES;

/// One sample in the making.
pub(super) struct Plan<'a> {
    pub(super) options: &'a SampleOptions,
    pub(super) directory: &'a Path,
    pub(super) people: People,
    pub(super) calendar: Calendar,
    pub(super) planted: Vec<PlantedSubject>,
    pub(super) deviations: Deviations,
}

impl<'a> Plan<'a> {
    /// The plan for `options`, which must be valid.
    pub(super) fn new(options: &'a SampleOptions, directory: &'a Path) -> Self {
        let people = People::new(options);
        Self {
            options,
            directory,
            planted: planted::subjects(options, &people),
            deviations: Deviations::new(options, &people),
            people,
            calendar: Calendar::new(options.start, options.days),
        }
    }

    /// The stream of random choices called `name`.
    pub(super) fn stream(&self, name: &str) -> Stream {
        Stream::new(self.options.seed, name)
    }

    /// The events of a file in order of time: those of `activity` in random order, and `counts` of each
    /// planted subject. The streams used begin with `name`.
    pub(super) fn events(&self, name: &str, schedule: Schedule<'_>) -> Events {
        let counts: Vec<u32> = self.planted.iter().map(schedule.counts).collect();
        let clock = Clock::new(&self.calendar, schedule.rhythm, &schedule.silent);
        let total = schedule.activity.total();
        let times = self.stream(&format!("{name} times"));
        Events {
            timeline: Timeline::new(clock, total, &counts, times),
            order: Shuffle::new(total, &mut self.stream(&format!("{name} order"))),
            activity: schedule.activity,
        }
    }
}

/// How a file's events come about.
pub(super) struct Schedule<'a> {
    /// How often ordinary people are active.
    pub(super) activity: Activity,
    /// When.
    pub(super) rhythm: &'a Rhythm,
    /// Days on which nothing was recorded, counted from the first.
    pub(super) silent: std::ops::Range<u32>,
    /// How often a planted subject is active.
    pub(super) counts: fn(&PlantedSubject) -> u32,
}

/// Whose event it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// Somebody on the file's list of ordinary people.
    Ordinary(u64),
    /// A planted subject.
    Planted(u64),
}

impl Actor {
    /// Whether errors may befall this row: not where they would change what is planted.
    pub(super) fn may_err(self) -> bool {
        matches!(self, Self::Ordinary(_))
    }
}

/// The events of one file in order of time, each with its minute and its actor.
pub(super) struct Events {
    timeline: Timeline,
    order: Shuffle,
    activity: Activity,
}

impl Events {
    /// How many there are.
    pub(super) fn total(&self) -> u64 {
        self.timeline.total()
    }
}

impl Iterator for Events {
    type Item = (u32, Actor);

    fn next(&mut self) -> Option<Self::Item> {
        let (minute, who) = self.timeline.next()?;
        let actor = match who {
            Who::Background(row) => Actor::Ordinary(self.activity.person(self.order.apply(row))),
            Who::Planted(subject) => Actor::Planted(subject as u64),
        };
        Some((minute, actor))
    }
}

/// An event of a file that has scripted ones as well.
pub(super) enum Event<'a, S> {
    /// One of [`Events`].
    Drawn(Actor),
    /// One whose every part was decided beforehand.
    Scripted(&'a S),
}

/// `events` and `scripted` ones, both in order of time, as one series. Neither changes the other.
pub(super) fn interleave<S>(events: Events, scripted: &[(u32, S)]) -> Interleaved<'_, S> {
    Interleaved { events: events.peekable(), scripted: scripted.iter().peekable() }
}

/// See [`interleave`].
pub(super) struct Interleaved<'a, S> {
    events: Peekable<Events>,
    scripted: Peekable<slice::Iter<'a, (u32, S)>>,
}

impl<'a, S> Iterator for Interleaved<'a, S> {
    type Item = (u32, Event<'a, S>);

    fn next(&mut self) -> Option<Self::Item> {
        let drawn = self.events.peek().map(|(minute, _)| *minute);
        match self.scripted.next_if(|(minute, _)| drawn.is_none_or(|drawn| *minute <= drawn)) {
            Some((minute, event)) => Some((*minute, Event::Scripted(event))),
            None => self.events.next().map(|(minute, actor)| (minute, Event::Drawn(actor))),
        }
    }
}

/// Writes a phone into the next field of `line`, in any form; at the usual rate one that cannot be read,
/// if errors are allowed.
pub(super) fn write_phone(line: &mut Line, column: &'static str, phone: Phone, may_err: bool, stream: &mut Stream) {
    if may_err && stream.chance(ERROR_RATES.unusable_phone) {
        phone.write_unusable(line.next(), stream);
        line.unusable(column);
    } else {
        phone.write(line.next(), stream);
    }
}

/// Whether this row comes twice.
pub(super) fn repeats(may_err: bool, stream: &mut Stream) -> bool {
    may_err && stream.chance(ERROR_RATES.duplicate_row)
}
