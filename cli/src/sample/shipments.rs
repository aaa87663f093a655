//! `acme/shipments.csv`: what an industry partner's trucks carried. One week is missing (the feed was
//! down), and some rows are reported days after they were booked.

use super::activity::{Activity, Band};
use super::calendar::{MINUTES_PER_DAY, Rhythm};
use super::csv::{CsvFile, push_number};
use super::people::{QUIET, write_plate};
use super::plan::{Actor, Plan, Schedule, repeats, write_phone};
use super::random::{Stream, weighted};
use super::summary::{ERROR_RATES, FileSummary};
use super::{Progress, SHIPMENTS, SampleError};

const HEADER: &str =
    "shipment_id,booked_at,driver_phone,truck_plate,truck_state,usdot,container,origin,destination,in_bond";

#[rustfmt::skip]
const BANDS: [Band; 4] = [
    Band { people: 380, least: 1, most: 3 },
    Band { people: 290, least: 4, most: 8 },
    Band { people: 180, least: 9, most: 20 },
    Band { people: 52, least: 21, most: 60 },
];
const QUIET_SHIPMENTS: u64 = 4;

/// Booked in working hours (UTC-6), little at weekends.
const RHYTHM: Rhythm = Rhythm {
    hours: [3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 8, 10, 11, 11, 10, 9, 10, 10, 9, 8, 6, 4],
    weekdays: [10, 10, 10, 10, 9, 4, 2],
};

/// Where trucks come from and go to, by UN/LOCODE.
const ORIGINS: [(&str, u32); 10] = [
    ("MXMTY", 24), // Monterrey
    ("MXNLD", 18), // Nuevo Laredo
    ("MXCJS", 16), // Ciudad Juárez
    ("MXTIJ", 14), // Tijuana
    ("MXREY", 8),  // Reynosa
    ("MXNOG", 6),  // Nogales, Sonora
    ("MXSLW", 5),  // Saltillo
    ("CATOR", 5),  // Toronto
    ("CAWND", 3),  // Windsor
    ("CAMTR", 1),  // Montréal
];
const DESTINATIONS: [(&str, u32); 10] = [
    ("USDET", 16), // Detroit
    ("USCHI", 14), // Chicago
    ("USDAL", 14), // Dallas
    ("USHOU", 12), // Houston
    ("USLAX", 12), // Los Angeles
    ("USSAT", 9),  // San Antonio
    ("USPHX", 8),  // Phoenix
    ("USATL", 6),  // Atlanta
    ("USMEM", 5),  // Memphis
    ("USBUF", 4),  // Buffalo
];

/// Owner codes invented for the sample, with the category U (freight container, ISO 6346).
const OWNERS: [&[u8; 4]; 3] = [b"QZAU", b"QZBU", b"QZCU"];

const TRUCKS_PER_CARRIER: u64 = 10;
/// USDOT numbers in use have reached the four millions; the sample's lie far beyond.
const FIRST_USDOT: u64 = 8_000_001;
/// Carrier of the planted subjects: after all others, `MAX_PEOPLE / TRUCKS_PER_CARRIER` at most.
const PLANTED_USDOT: u64 = 9_500_001;

const NO_CONTAINER_PER_MILLE: u32 = 150;
const IN_BOND_PER_MILLE: u32 = 180;
const LATE_DAYS: u64 = 9;

/// Writes the file.
pub(super) fn write(plan: &Plan<'_>, progress: &mut dyn FnMut(Progress)) -> Result<FileSummary, SampleError> {
    let mut stream = plan.stream("shipments");
    let schedule = Schedule {
        activity: Activity::new(plan.options.trucks, QUIET, QUIET_SHIPMENTS, &BANDS),
        rhythm: &RHYTHM,
        silent: plan.options.silent_days(),
        counts: |subject| subject.counts.shipments,
    };
    let events = plan.events("shipments", schedule);
    let malformed = plan.options.malformed_lines;
    let mut file = CsvFile::create(plan.directory, SHIPMENTS, HEADER, events.total(), malformed, progress)?;
    for (minute, actor) in events {
        write_row(&mut file, plan, minute, actor, &mut stream);
        let repeated = repeats(actor.may_err(), &mut stream);
        file.end_row(repeated)?;
    }
    file.finish()
}

fn write_row(file: &mut CsvFile<'_>, plan: &Plan<'_>, minute: u32, actor: Actor, stream: &mut Stream) {
    let people = &plan.people;
    let (person, usdot) = match actor {
        Actor::Ordinary(index) => (people.driver(index), FIRST_USDOT + index / TRUCKS_PER_CARRIER),
        Actor::Planted(index) => (people.planted(index), PLANTED_USDOT + index / TRUCKS_PER_CARRIER),
    };
    let booked = match actor {
        Actor::Ordinary(_) => reported_late(plan, minute, stream),
        Actor::Planted(_) => None,
    };
    let number = file.done() + 1;

    let line = file.line();
    line.id(b'S', number);
    plan.calendar.write(line.next(), booked.unwrap_or(minute));
    if booked.is_some() {
        line.late();
    }
    write_phone(line, "driver_phone", people.phone(person), actor.may_err(), stream);
    if stream.chance(ERROR_RATES.missing_plate) {
        line.text(b"");
        line.text(b"");
    } else {
        write_plate(people.plate(person), line.next(), stream);
        line.text(people.state(person).as_bytes());
    }
    push_number(line.next(), usdot, 1);
    let container = line.next();
    if !stream.chance(NO_CONTAINER_PER_MILLE) {
        write_container(container, stream);
    }
    line.text(weighted(&ORIGINS, stream.bits()).copied().unwrap_or("MXNLD").as_bytes());
    line.text(weighted(&DESTINATIONS, stream.bits()).copied().unwrap_or("USDET").as_bytes());
    let in_bond: &[u8] = if stream.chance(IN_BOND_PER_MILLE) { b"true" } else { b"false" };
    line.text(in_bond);
}

/// For some rows, the earlier minute that was really meant: never before the period, never in the week
/// that is missing.
fn reported_late(plan: &Plan<'_>, minute: u32, stream: &mut Stream) -> Option<u32> {
    if !stream.chance(ERROR_RATES.late_row) {
        return None;
    }
    let back = (1 + stream.below(LATE_DAYS)) as u32 * MINUTES_PER_DAY;
    let silent = plan.options.silent_days();
    let booked = minute.checked_sub(back)?;
    (!silent.contains(&(booked / MINUTES_PER_DAY))).then_some(booked)
}

/// An ISO 6346 container number with its check digit. The standard advises against serial numbers whose
/// remainder is 10, so these are passed over.
fn write_container(out: &mut Vec<u8>, stream: &mut Stream) {
    let owner = OWNERS[stream.below(OWNERS.len() as u64) as usize];
    let mut serial = stream.below(1_000_000);
    let at = out.len();
    loop {
        out.truncate(at);
        out.extend_from_slice(owner);
        push_number(out, serial, 6);
        let remainder = container_remainder(&out[at..]);
        if remainder < 10 {
            out.push(b'0' + remainder as u8);
            return;
        }
        serial = (serial + 1) % 1_000_000;
    }
}

/// ISO 6346: letters count from 10 upwards without the multiples of 11, the sign at place i is weighted
/// with 2^i, and the sum is taken modulo 11.
fn container_remainder(signs: &[u8]) -> u32 {
    let values = signs.iter().map(|sign| match sign {
        b'0'..=b'9' => u32::from(sign - b'0'),
        _ => {
            let letter = u32::from(sign - b'A');
            10 + letter + letter.div_ceil(10)
        }
    });
    values.zip(0..).map(|(value, place)| value << place).sum::<u32>() % 11
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_known_containers() {
        for known in ["CSQU3054383", "MSKU9070323", "TOLU4734787"] {
            let (signs, digit) = known.split_at(10);
            let remainder = container_remainder(signs.as_bytes()) % 10;
            assert_eq!(remainder.to_string(), digit, "{known}");
        }
    }
}
