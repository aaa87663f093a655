//! `cbp/crossings.csv`: inbound crossings at land ports. Outbound ones are not recorded, as in life.

use super::activity::{Activity, Band};
use super::calendar::Rhythm;
use super::csv::CsvFile;
use super::people::{Person, QUIET, write_plate};
use super::plan::{Actor, Event, Plan, Schedule, interleave, repeats, write_phone};
use super::random::{Stream, scale, weighted};
use super::summary::{ERROR_RATES, FileSummary};
use super::{CROSSINGS, Progress, SampleError};

const HEADER: &str = "crossing_id,crossed_at,port_code,direction,lane,traveler_phone,plate,plate_state,passport";

/// Most people cross a few times in half a year, commuters most working days.
#[rustfmt::skip]
const BANDS: [Band; 5] = [
    Band { people: 500, least: 1, most: 2 },
    Band { people: 250, least: 3, most: 5 },
    Band { people: 110, least: 6, most: 16 },
    Band { people: 34, least: 17, most: 40 },
    Band { people: 8, least: 41, most: 120 },
];
const QUIET_CROSSINGS: u64 = 6;

/// Busy from the early morning to the evening at the southern border (UTC-6), least at weekends' start.
const RHYTHM: Rhythm = Rhythm {
    hours: [7, 6, 5, 4, 3, 2, 2, 1, 1, 2, 4, 7, 9, 9, 8, 8, 8, 8, 8, 9, 10, 10, 9, 8],
    weekdays: [10, 9, 9, 10, 12, 11, 9],
};

/// Land ports by their CBP Schedule D code, with their share of traffic.
const PORTS: [(&str, u32); 28] = [
    ("2504", 150), // San Ysidro
    ("2402", 120), // El Paso
    ("2304", 110), // Laredo
    ("2506", 80),  // Otay Mesa
    ("2305", 65),  // Hidalgo/Pharr
    ("2301", 55),  // Brownsville
    ("2604", 55),  // Nogales
    ("2503", 45),  // Calexico
    ("2303", 35),  // Eagle Pass
    ("2608", 30),  // San Luis
    ("2507", 25),  // Calexico East
    ("2302", 20),  // Del Rio
    ("2601", 20),  // Douglas
    ("2408", 12),  // Santa Teresa
    ("2310", 10),  // Roma
    ("2307", 8),   // Rio Grande City
    ("2403", 5),   // Presidio
    ("3004", 50),  // Blaine
    ("3801", 45),  // Detroit
    ("0901", 45),  // Buffalo-Niagara Falls
    ("3802", 20),  // Port Huron
    ("0712", 15),  // Champlain-Rouses Point
    ("0708", 8),   // Alexandria Bay
    ("0115", 8),   // Calais
    ("0209", 4),   // Derby Line
    ("0212", 4),   // Highgate Springs
    ("3310", 4),   // Sweetgrass
    ("3401", 4),   // Pembina
];

/// Kinds of a person's traits that only this file uses.
const TRAIT_PORT: u64 = 10;
const TRAIT_LANE: u64 = 11;

/// Where portals go into service, and where drivers then go instead, by how many each.
const PORTALS_AT: &str = "2304";
const INSTEAD: [(&str, u32); 2] = [("2305", 70), ("2303", 30)];
const INSTEAD_PER_MILLE: u32 = 600;

const AWAY_PER_MILLE: u32 = 120;
const SHOWS_PASSPORT_PER_MILLE: u32 = 600;

/// Writes the file.
pub(super) fn write(plan: &Plan<'_>, progress: &mut dyn FnMut(Progress)) -> Result<FileSummary, SampleError> {
    let mut stream = plan.stream("crossings");
    let schedule = Schedule {
        activity: Activity::new(plan.options.travellers, QUIET, QUIET_CROSSINGS, &BANDS),
        rhythm: &RHYTHM,
        silent: 0..0,
        counts: |subject| subject.counts.crossings,
    };
    let (events, scripted) = (plan.events("crossings", schedule), &plan.deviations.crossings);
    let mut own_stream = plan.stream("deviations crossings");
    let (mut portals, mut own_portals) = (Portals::new(plan, "portals"), Portals::new(plan, "deviations portals"));
    let (total, malformed) = (events.total() + scripted.len() as u64, plan.options.malformed_lines);
    let mut file = CsvFile::create(plan.directory, CROSSINGS, HEADER, total, malformed, progress)?;
    for (minute, event) in interleave(events, scripted) {
        let repeated = match event {
            Event::Drawn(actor) => {
                write_drawn(&mut file, plan, minute, actor, (&mut stream, &mut portals));
                repeats(actor.may_err(), &mut stream)
            }
            Event::Scripted(&person) => {
                let crosser = Crosser { person, drives: false, may_err: false };
                write_row(&mut file, plan, minute, crosser, (&mut own_stream, &mut own_portals));
                false
            }
        };
        file.end_row(repeated)?;
    }
    file.finish()
}

/// Who comes to the port.
struct Crosser {
    person: Person,
    /// For the partner.
    drives: bool,
    may_err: bool,
}

/// What portals do to traffic: of the vehicles that would come to one port, many come to another one.
struct Portals {
    /// Minute from which they are in service, if they ever are.
    from: Option<u32>,
    /// Its own, so that nothing else depends on it.
    stream: Stream,
}

impl Portals {
    fn new(plan: &Plan<'_>, name: &str) -> Self {
        Self { from: plan.options.portals_from(), stream: plan.stream(name) }
    }

    fn instead_of(&mut self, port: &'static str, lane: &str, minute: u32) -> &'static str {
        let drawn = port == PORTALS_AT && lane != "pedestrian" && self.from.is_some_and(|from| minute >= from);
        if !drawn || !self.stream.chance(INSTEAD_PER_MILLE) {
            return port;
        }
        weighted(&INSTEAD, self.stream.bits()).copied().unwrap_or(port)
    }
}

/// The random choices of a file, and of the portals.
type Choices<'a> = (&'a mut Stream, &'a mut Portals);

fn write_drawn(file: &mut CsvFile<'_>, plan: &Plan<'_>, minute: u32, actor: Actor, choices: Choices<'_>) {
    let (person, drives) = match actor {
        Actor::Ordinary(index) => (plan.people.traveller(index), plan.people.drives(index)),
        Actor::Planted(index) => (plan.people.planted(index), true),
    };
    write_row(file, plan, minute, Crosser { person, drives, may_err: actor.may_err() }, choices);
}

fn write_row(file: &mut CsvFile<'_>, plan: &Plan<'_>, minute: u32, crosser: Crosser, (stream, portals): Choices<'_>) {
    let people = &plan.people;
    let Crosser { person, drives, may_err } = crosser;
    let lane = lane(plan, person, drives, stream);
    let number = file.done() + 1;

    let line = file.line();
    line.id(b'X', number);
    plan.calendar.write(line.next(), minute);
    line.text(portals.instead_of(port(plan, person, stream), lane, minute).as_bytes());
    line.text(b"inbound");
    line.text(lane.as_bytes());
    let phone = people.phone(person);
    write_phone(line, "traveler_phone", phone, may_err, stream);
    if lane == "pedestrian" || stream.chance(ERROR_RATES.missing_plate) {
        line.text(b"");
        line.text(b"");
    } else {
        write_plate(people.plate(person), line.next(), stream);
        line.text(people.state(person).as_bytes());
    }
    match people.passport(person) {
        Some(passport) if stream.chance(SHOWS_PASSPORT_PER_MILLE) => line.text(&passport),
        _ => line.text(b""),
    }
}

/// People keep to their own port; now and then they cross at another.
fn port(plan: &Plan<'_>, person: Person, stream: &mut Stream) -> &'static str {
    let bits = if stream.chance(AWAY_PER_MILLE) { stream.bits() } else { plan.people.trait_of(person, TRAIT_PORT) };
    weighted(&PORTS, bits).copied().unwrap_or("2304")
}

/// Drivers of the partner mostly come with cargo; of the others some always walk.
fn lane(plan: &Plan<'_>, person: Person, drives: bool, stream: &mut Stream) -> &'static str {
    if drives {
        return if stream.chance(850) { "cargo" } else { "pov" };
    }
    match scale(plan.people.trait_of(person, TRAIT_LANE), 1000) {
        0..170 => "pedestrian",
        170..230 => "cargo",
        _ if stream.chance(50) => "pedestrian",
        _ => "pov",
    }
}
