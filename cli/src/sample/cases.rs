//! `hsi/case_outcomes.csv`: what became of cases: of one subscriber in ten, and of every planted subject.

use super::calendar::{Clock, Rhythm, Timeline, Who};
use super::csv::{CsvFile, push_number};
use super::plan::{Plan, repeats, write_phone};
use super::random::{Shuffle, Stream, mix, scale, weighted};
use super::summary::FileSummary;
use super::{CASE_OUTCOMES, Progress, SampleError};

const HEADER: &str = "case_number,phone,status,decided_at,office";

/// One case in so many subscribers.
const SUBSCRIBERS_PER_CASE: u64 = 10;

const STATUSES: [(&str, u32); 5] =
    [("No finding", 42), ("Unpursued", 28), ("Seizure", 12), ("Arrested", 10), ("False match", 8)];

const OFFICES: [(&str, u32); 9] = [
    ("Laredo", 5),
    ("El Paso", 5),
    ("San Diego", 5),
    ("Nogales", 3),
    ("McAllen", 3),
    ("Detroit", 2),
    ("Buffalo", 2),
    ("Seattle", 2),
    ("Boston", 1),
];

/// Office hours (UTC-6).
const RHYTHM: Rhythm = Rhythm {
    hours: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 5, 8, 9, 9, 7, 8, 9, 8, 6, 3],
    weekdays: [40, 40, 40, 40, 36, 2, 1],
};

/// Writes the file.
pub(super) fn write(plan: &Plan<'_>, progress: &mut dyn FnMut(Progress)) -> Result<FileSummary, SampleError> {
    let mut stream = plan.stream("cases");
    let cases = plan.options.phones.div_ceil(SUBSCRIBERS_PER_CASE);
    let order = Shuffle::new(cases, &mut plan.stream("cases order"));
    let subscribers = Subscribers { total: plan.options.phones, key: stream.bits() };
    let clock = Clock::new(&plan.calendar, &RHYTHM, &(0..0));
    let once = vec![1; plan.planted.len()];
    let timeline = Timeline::new(clock, cases, &once, plan.stream("cases times"));
    let (total, malformed) = (timeline.total(), plan.options.malformed_lines);
    let mut file = CsvFile::create(plan.directory, CASE_OUTCOMES, HEADER, total, malformed, progress)?;
    for (minute, who) in timeline {
        let subject = match who {
            Who::Background(row) => {
                let index = subscribers.of_case(order.apply(row));
                let status = weighted(&STATUSES, stream.bits()).copied();
                (plan.people.subscriber(index), status.unwrap_or("No finding"))
            }
            Who::Planted(index) => {
                let person = plan.people.planted(index as u64);
                (person, plan.planted[index].status)
            }
        };
        let may_err = matches!(who, Who::Background(_));
        write_row(&mut file, plan, minute, subject, may_err, &mut stream);
        let repeated = repeats(may_err, &mut stream);
        file.end_row(repeated)?;
    }
    file.finish()
}

/// Which subscriber a case is about: one of each ten, so nobody has two cases.
struct Subscribers {
    total: u64,
    key: u64,
}

impl Subscribers {
    fn of_case(&self, case: u64) -> u64 {
        let offset = scale(mix(self.key, case), SUBSCRIBERS_PER_CASE);
        (case * SUBSCRIBERS_PER_CASE + offset).min(self.total - 1)
    }
}

fn write_row(
    file: &mut CsvFile<'_>,
    plan: &Plan<'_>,
    minute: u32,
    (person, status): (super::people::Person, &str),
    may_err: bool,
    stream: &mut Stream,
) {
    let number = file.done() + 1;
    let line = file.line();
    let case_number = line.next();
    case_number.extend_from_slice(b"HSI-");
    push_number(case_number, number, 7);
    write_phone(line, "phone", plan.people.phone(person), may_err, stream);
    line.text(status.as_bytes());
    plan.calendar.write(line.next(), minute);
    let office = weighted(&OFFICES, stream.bits()).copied();
    line.text(office.unwrap_or("Laredo").as_bytes());
}
