//! Crossers with a steady pattern of calls who deviate from it after crossing: whom do they call?
//!
//! A few numbers are planted, each called by another count of *deviators*: within a day after crossing,
//! in the last third of the period and never before it. Around them are others who are as steady, and
//! whom a good answer must not be taken in by:
//!
//! | who | crosses | calls besides the own circle |
//! |---|---|---|
//! | deviators | yes | one or two of the planted numbers, within a day after crossing |
//! | wanderers | yes | strangers at random, within a day after crossing |
//! | untimely ones | yes | numbers of their own, before crossing or more than a day after it |
//! | bystanders | never | look-alikes of the planted numbers |
//!
//! All of them call the hotlines that everybody calls, those who cross mostly soon after it, and in the
//! whole period. Nothing here is repeated or unreadable: the counts are exact. Nobody here is active
//! enough to stand among the planted subjects of [`super::planted`].

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use super::calendar::MINUTES_PER_DAY;
use super::numbering::Phone;
use super::partial::PartialFile;
use super::people::{People, Person};
use super::random::Stream;
use super::{SampleError, SampleOptions, TRUTH_DEVIATIONS};

/// Fewest deviators: with fewer the planted numbers' counts would not differ.
pub(crate) const MIN_DEVIATORS: u32 = 20;
/// Most deviators.
pub(crate) const MAX_DEVIATORS: u32 = 1_000;

/// Deviators of 100 who call each planted number; more than 100 together, so that everyone calls one.
const CALLERS_PERCENT: [u64; 5] = [60, 48, 38, 30, 22];
const NUMBERS: u64 = CALLERS_PERCENT.len() as u64;

/// Everyone who crosses does so once in each of so many equal parts of the period.
const CROSSINGS: u32 = 12;
/// The parts before the window, in which the pattern can be seen.
const BASELINE: u32 = 8;
/// Shortest part, in days: crossings of one person lie more than two days apart.
const PART_DAYS_MIN: u32 = 7;

const USUAL_CALL_PER_MILLE: u32 = 300;
const HOTLINES: u64 = 3;
const HOTLINE_PER_MILLE: u32 = 600;
/// Longest time between a crossing and a call that follows it, in minutes.
const SOON: u64 = 1_200;

/// A call whose every part is decided.
pub(super) struct Call {
    pub(super) caller: Person,
    pub(super) callee: Phone,
}

/// A planted number, as `truth/deviations.csv` has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PlantedNumber {
    /// Place in the order that an answer must give, from 1.
    pub rank: u32,
    /// Phone in E.164.
    pub phone: String,
    /// Different crossers who called it within a day after crossing, outside their pattern.
    pub crossers: u32,
}

/// The scripted events, in order of time, and the truth about them.
#[derive(Default)]
pub(super) struct Deviations {
    pub(super) crossings: Vec<(u32, Person)>,
    pub(super) calls: Vec<(u32, Call)>,
    pub(super) numbers: Vec<PlantedNumber>,
}

/// People that the deviations take, numbers that are called among them.
pub(super) const fn people(deviators: u32) -> u64 {
    if deviators == 0 { 0 } else { deviators as u64 + 3 * others(deviators) + 2 * NUMBERS }
}

/// Wanderers; and as many untimely ones, and bystanders.
const fn others(deviators: u32) -> u64 {
    deviators as u64 / 2
}

impl Deviations {
    /// Those of a sample; none when its period is too short to see a pattern and a deviation from it.
    pub(super) fn new(options: &SampleOptions, people: &People) -> Self {
        if options.deviators == 0 || options.days / CROSSINGS < PART_DAYS_MIN {
            return Self::default();
        }
        let stream = Stream::new(options.seed, "deviations");
        let mut script = Script { days: options.days, people, stream, made: Self::default() };
        script.run(options.deviators);
        let mut made = script.made;
        made.crossings.sort_by_key(|(minute, _)| *minute);
        made.calls.sort_by_key(|(minute, _)| *minute);
        made
    }

    /// Writes `truth/deviations.csv`.
    pub(super) fn write(&self, directory: &Path) -> Result<(), SampleError> {
        let mut text = String::from("rank,phone,crossers\n");
        for PlantedNumber { rank, phone, crossers } in &self.numbers {
            text += &format!("{rank},{phone},{crossers}\n");
        }
        let mut file = PartialFile::create(directory, TRUTH_DEVIATIONS)?;
        file.write_all(text.as_bytes()).map_err(|source| file.error(source))?;
        file.commit()
    }
}

struct Script<'a> {
    days: u32,
    people: &'a People,
    stream: Stream,
    made: Deviations,
}

impl Script<'_> {
    fn run(&mut self, deviators: u32) {
        let people = self.people;
        let (deviators, others) = (u64::from(deviators), others(deviators));
        let mut taken = (0..).map(|index| people.of_deviations(index));
        let mut take = |count: u64| -> Vec<Person> { taken.by_ref().take(count as usize).collect() };
        let (deviating, wandering, untimely, standing_by) = (take(deviators), take(others), take(others), take(others));
        let phones = |people_called: Vec<Person>| people_called.into_iter().map(|person| people.phone(person));
        let planted: Vec<Phone> = phones(take(NUMBERS)).collect();
        let elsewhere: Vec<Phone> = phones(take(NUMBERS)).collect();

        let crossed: Vec<Vec<u32>> = deviating.iter().map(|&person| self.steady_crosser(person)).collect();
        self.deviate(&deviating, &crossed, &planted);
        wandering.into_iter().for_each(|person| self.wander(person));
        untimely.into_iter().for_each(|person| self.call_untimely(person, &elsewhere));
        standing_by.into_iter().for_each(|person| self.stand_by(person, &planted));
    }

    /// Each number's callers are the next so many deviators, round and round.
    fn deviate(&mut self, deviating: &[Person], crossed: &[Vec<u32>], planted: &[Phone]) {
        let mut next = (0..deviating.len()).cycle();
        for ((&callee, percent), rank) in planted.iter().zip(CALLERS_PERCENT).zip(1..) {
            let crossers = deviating.len() as u64 * percent / 100;
            for at in next.by_ref().take(crossers as usize) {
                for _ in 0..1 + self.stream.below(2) {
                    let crossing = self.one_in_window(&crossed[at]);
                    let minute = self.soon_after(crossing);
                    self.call(minute, deviating[at], callee);
                }
            }
            self.made.numbers.push(PlantedNumber { rank, phone: callee.e164(), crossers: crossers as u32 });
        }
    }

    fn wander(&mut self, person: Person) {
        let crossings = self.steady_crosser(person);
        for &crossing in &crossings[BASELINE as usize..] {
            for _ in 0..1 + self.stream.below(2) {
                let callee = self.people.stranger(self.stream.below(self.people.strangers()));
                let minute = self.soon_after(crossing);
                self.call(minute, person, self.people.phone(callee));
            }
        }
    }

    /// One or two numbers, each before a crossing and after the day that follows another.
    fn call_untimely(&mut self, person: Person, numbers: &[Phone]) {
        let crossings = self.steady_crosser(person);
        let first = self.stream.below(NUMBERS);
        for place in first..=first + self.stream.below(2) {
            let callee = numbers[(place % NUMBERS) as usize];
            let before = self.one_in_window(&crossings) - 1 - self.stream.below(SOON) as u32;
            self.call(before, person, callee);
            let late = self.one_in_window(&crossings) + MINUTES_PER_DAY + 1 + self.stream.below(600) as u32;
            self.call(late, person, callee);
        }
    }

    fn stand_by(&mut self, person: Person, planted: &[Phone]) {
        self.usual_calls(person);
        for _ in 0..CROSSINGS {
            let minute = self.stream.below(u64::from(self.days * MINUTES_PER_DAY)) as u32;
            self.call_hotline(minute, person);
        }
        let from = self.part_days() * BASELINE * MINUTES_PER_DAY;
        for callee in planted {
            let minute = from + self.stream.below(u64::from(self.days * MINUTES_PER_DAY - from)) as u32;
            self.call(minute, person, callee.look_alike());
        }
    }

    /// The pattern of somebody who crosses; when they cross.
    fn steady_crosser(&mut self, person: Person) -> Vec<u32> {
        self.usual_calls(person);
        let crossings: Vec<u32> = (0..CROSSINGS).map(|part| self.crossing_in(part)).collect();
        for &crossing in &crossings {
            self.made.crossings.push((crossing, person));
            if self.stream.chance(HOTLINE_PER_MILLE) {
                let minute = self.soon_after(crossing);
                self.call_hotline(minute, person);
            }
        }
        crossings
    }

    /// In the daytime (UTC-6), on any day of the part but its first and last, so that what comes before
    /// and after it lies in the period and near no other crossing.
    fn crossing_in(&mut self, part: u32) -> u32 {
        let day = part * self.part_days() + 1 + self.stream.below(u64::from(self.part_days()) - 2) as u32;
        day * MINUTES_PER_DAY + 12 * 60 + self.stream.below(12 * 60) as u32
    }

    /// At about the same time on some days, to three to five people, the first of them most often.
    fn usual_calls(&mut self, person: Person) {
        let size = 3 + self.stream.below(3);
        let circle: Vec<Person> =
            (0..size).map(|_| self.people.stranger(self.stream.below(self.people.strangers()))).collect();
        let hour = 14 + self.stream.below(9) as u32;
        for day in (0..self.days).filter(|_| self.stream.chance(USUAL_CALL_PER_MILLE)).collect::<Vec<_>>() {
            let contact = circle[self.stream.below(size).min(self.stream.below(size)) as usize];
            let minute = day * MINUTES_PER_DAY + hour * 60 + self.stream.below(60) as u32;
            self.call(minute, person, self.people.phone(contact));
        }
    }

    fn call_hotline(&mut self, minute: u32, person: Person) {
        let hotline = self.people.stranger(self.stream.below(HOTLINES.min(self.people.popular())));
        self.call(minute, person, self.people.phone(hotline));
    }

    fn call(&mut self, minute: u32, caller: Person, callee: Phone) {
        self.made.calls.push((minute, Call { caller, callee }));
    }

    fn soon_after(&mut self, crossing: u32) -> u32 {
        crossing + self.stream.below(SOON) as u32
    }

    fn one_in_window(&mut self, crossings: &[u32]) -> u32 {
        let window = &crossings[BASELINE as usize..];
        window[self.stream.below(window.len() as u64) as usize]
    }

    fn part_days(&self) -> u32 {
        self.days / CROSSINGS
    }
}
