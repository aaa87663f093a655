//! `hsi/calls.csv`: telephone records. Few people call much, most call little, and everybody has a
//! circle they call again and again.

use super::activity::{Activity, Band};
use super::calendar::Rhythm;
use super::csv::{CsvFile, push_number};
use super::deviations::Call;
use super::people::{Person, QUIET};
use super::plan::{Actor, Event, Plan, Schedule, interleave, repeats, write_phone};
use super::random::{Stream, mix, scale};
use super::summary::FileSummary;
use super::{CALLS, Progress, SampleError};

const HEADER: &str = "call_id,started_at,caller,callee,duration_s,cell";

#[rustfmt::skip]
const BANDS: [Band; 5] = [
    Band { people: 450, least: 1, most: 4 },
    Band { people: 250, least: 5, most: 10 },
    Band { people: 130, least: 11, most: 25 },
    Band { people: 60, least: 26, most: 60 },
    Band { people: 12, least: 61, most: 250 },
];
const QUIET_CALLS: u64 = 6;

/// Telephones are busiest in the evening (UTC-6).
const RHYTHM: Rhythm = Rhythm {
    hours: [10, 10, 9, 8, 6, 4, 2, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 8, 8, 8, 8, 9, 9, 10],
    weekdays: [9, 9, 9, 9, 11, 11, 9],
};

/// Kinds of a person's traits that only this file uses.
const TRAIT_CIRCLE: u64 = 20;
const TRAIT_CELL: u64 = 21;

/// Calls outside the circle.
const NEW_CONTACT_PER_MILLE: u32 = 80;
/// Mobile network of the test code 001-01 (ITU-T E.212), with so many sites.
const SITES: u64 = 900;

/// Writes the file.
pub(super) fn write(plan: &Plan<'_>, progress: &mut dyn FnMut(Progress)) -> Result<FileSummary, SampleError> {
    let mut stream = plan.stream("calls");
    let schedule = Schedule {
        activity: Activity::new(plan.options.phones, QUIET, QUIET_CALLS, &BANDS),
        rhythm: &RHYTHM,
        silent: 0..0,
        counts: |subject| subject.counts.calls,
    };
    let (events, scripted) = (plan.events("calls", schedule), &plan.deviations.calls);
    let mut own_stream = plan.stream("deviations calls");
    let (total, malformed) = (events.total() + scripted.len() as u64, plan.options.malformed_lines);
    let mut file = CsvFile::create(plan.directory, CALLS, HEADER, total, malformed, progress)?;
    for (minute, event) in interleave(events, scripted) {
        let repeated = match event {
            Event::Drawn(actor) => {
                write_drawn(&mut file, plan, minute, actor, &mut stream);
                repeats(actor.may_err(), &mut stream)
            }
            Event::Scripted(call) => {
                write_row(&mut file, plan, minute, call, [false, false], &mut own_stream);
                false
            }
        };
        file.end_row(repeated)?;
    }
    file.finish()
}

fn write_drawn(file: &mut CsvFile<'_>, plan: &Plan<'_>, minute: u32, actor: Actor, stream: &mut Stream) {
    let people = &plan.people;
    let caller = match actor {
        Actor::Ordinary(index) => people.subscriber(index),
        Actor::Planted(index) => people.planted(index),
    };
    let callee = people.phone(callee(plan, caller, stream));
    write_row(file, plan, minute, &Call { caller, callee }, [actor.may_err(), true], stream);
}

/// Errors may befall the caller, and the callee.
fn write_row(
    file: &mut CsvFile<'_>,
    plan: &Plan<'_>,
    minute: u32,
    call: &Call,
    may_err: [bool; 2],
    stream: &mut Stream,
) {
    let number = file.done() + 1;
    let line = file.line();
    line.id(b'C', number);
    plan.calendar.write(line.next(), minute);
    write_phone(line, "caller", plan.people.phone(call.caller), may_err[0], stream);
    write_phone(line, "callee", call.callee, may_err[1], stream);
    push_number(line.next(), duration_s(stream), 1);
    write_cell(line.next(), plan, call.caller, stream);
}

/// Mostly somebody of the caller's own circle of 3 to 12, the first of them most often.
fn callee(plan: &Plan<'_>, caller: Person, stream: &mut Stream) -> Person {
    let circle = plan.people.trait_of(caller, TRAIT_CIRCLE);
    let bits = if stream.chance(NEW_CONTACT_PER_MILLE) {
        stream.bits()
    } else {
        let size = 3 + scale(circle, 10);
        let contact = stream.below(size).min(stream.below(size));
        mix(circle, contact)
    };
    let callee = contact(plan, bits);
    if callee == caller {
        return plan.people.stranger(scale(mix(bits, 2), plan.people.strangers()));
    }
    callee
}

/// Somebody: one of a few numbers that everybody calls, a subscriber, or one outside the records.
fn contact(plan: &Plan<'_>, bits: u64) -> Person {
    let people = &plan.people;
    let which = mix(bits, 1);
    match scale(bits, 100) {
        0..20 => people.stranger(scale(which, people.popular())),
        20..80 => people.subscriber(scale(which, plan.options.phones)),
        _ => people.stranger(scale(which, people.strangers())),
    }
}

/// Seconds: many unanswered, most short, few long.
fn duration_s(stream: &mut Stream) -> u64 {
    let longest = match stream.below(100) {
        0..15 => return 0,
        15..70 => 120,
        70..95 => 900,
        _ => 5_400,
    };
    1 + stream.below(longest)
}

/// `MCC-MNC-area-site`: mostly the caller's own site.
fn write_cell(out: &mut Vec<u8>, plan: &Plan<'_>, caller: Person, stream: &mut Stream) {
    let bits = if stream.chance(300) { stream.bits() } else { plan.people.trait_of(caller, TRAIT_CELL) };
    let site = scale(bits, SITES);
    out.extend_from_slice(b"001-01-");
    push_number(out, 4_000 + site / 30, 4);
    out.push(b'-');
    push_number(out, 100 + site % 30, 3);
}
