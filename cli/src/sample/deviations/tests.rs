//! The scripted events as a plain reading of the files finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Days, TimeDelta, Utc};

use super::super::tests::{canonical, sample, small};
use super::super::{CALLS, CASE_OUTCOMES, CROSSINGS, SHIPMENTS, TRUTH_PLANTED};
use super::*;

type Moment = DateTime<Utc>;
type Row = HashMap<String, String>;

fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

/// Called numbers with the different crossers who called them within a day after crossing in the window.
struct AfterCrossing {
    all: BTreeMap<String, BTreeSet<String>>,
    /// Only those who had never called the number before the window.
    new: BTreeMap<String, BTreeSet<String>>,
}

fn after_crossing(crossings: &[Row], calls: &[Row], window_from: Moment) -> AfterCrossing {
    let mut crossed: HashMap<String, Vec<Moment>> = HashMap::new();
    for row in crossings {
        if let Some(phone) = canonical(&row["traveler_phone"]) {
            crossed.entry(phone).or_default().push(moment(&row["crossed_at"]));
        }
    }
    let pair = |row: &Row| Some((canonical(&row["caller"])?, canonical(&row["callee"])?));
    let known = calls.iter().filter(|row| moment(&row["started_at"]) < window_from).filter_map(pair);
    let known: BTreeSet<(String, String)> = known.collect();
    let (mut all, mut new) = (BTreeMap::new(), BTreeMap::new());
    for row in calls.iter().filter(|row| moment(&row["started_at"]) >= window_from) {
        let (Some((caller, callee)), called) = (pair(row), moment(&row["started_at"])) else { continue };
        let since = crossed.get(&caller).into_iter().flatten().filter(|crossed| **crossed >= window_from);
        if since.map(|crossed| called - *crossed).any(|gap| (TimeDelta::zero()..=TimeDelta::days(1)).contains(&gap)) {
            let found = if known.contains(&(caller.clone(), callee.clone())) { &mut all } else { &mut new };
            let callers: &mut BTreeSet<String> = found.entry(callee).or_default();
            callers.insert(caller);
        }
    }
    for (callee, callers) in &new {
        all.entry(callee.clone()).or_default().extend(callers.iter().cloned());
    }
    AfterCrossing { all, new }
}

#[test]
fn the_truth_is_what_the_files_hold_at_every_seed() {
    for seed in [1, 2, 3, u64::MAX] {
        let options = small(seed);
        let sample = sample(&options);
        let planted = Deviations::new(&options, &People::new(&options)).numbers;
        let window_from =
            options.start.checked_add_days(Days::new(120)).unwrap().and_time(Default::default()).and_utc();
        let (calls, _) = sample.rows(CALLS);
        let found = after_crossing(&sample.rows(CROSSINGS).0, &calls, window_from);
        let mut lines = String::from("rank,phone,crossers\n");
        for number in &planted {
            assert_eq!(found.new[&number.phone].len(), number.crossers as usize, "seed {seed}");
            assert_eq!(found.all[&number.phone].len(), number.crossers as usize, "nobody knew it");
            lines += &format!("{},{},{}\n", number.rank, number.phone, number.crossers);
        }
        assert_eq!(sample.bytes(TRUTH_DEVIATIONS), lines.as_bytes());
        assert!(planted.windows(2).all(|pair| pair[0].crossers > pair[1].crossers));
        // Who only counts callers is taken in by the hotlines.
        let is_planted = |phone: &String| planted.iter().any(|number| number.phone == *phone);
        let most = found.all.iter().filter(|(phone, _)| !is_planted(phone)).map(|(_, callers)| callers.len()).max();
        assert!(most > Some(planted[1].crossers as usize), "{most:?}");
    }
}

#[test]
fn those_who_call_at_other_times_call_as_much_as_the_deviators_do() {
    let options = small(1);
    let people = People::new(&options);
    let made = Deviations::new(&options, &people);
    let first = u64::from(options.deviators) + 3 * others(options.deviators) + NUMBERS;
    let elsewhere: Vec<Phone> =
        (first..first + NUMBERS).map(|index| people.phone(people.of_deviations(index))).collect();
    let calls: Vec<&(u32, Call)> = made.calls.iter().filter(|(_, call)| elsewhere.contains(&call.callee)).collect();
    assert!(calls.len() as u64 >= 2 * others(options.deviators));
    for (called, call) in calls {
        let own = made.crossings.iter().filter(|(_, person)| *person == call.caller);
        let mut gaps = own.map(|(crossed, _)| i64::from(*called) - i64::from(*crossed));
        assert!(gaps.all(|gap| !(0..=i64::from(MINUTES_PER_DAY)).contains(&gap)));
    }
}

#[test]
fn deviations_change_no_other_row() {
    let options = small(4);
    let (with, without) = (sample(&options), sample(&SampleOptions { deviators: 0, ..options.clone() }));
    for file in [CASE_OUTCOMES, SHIPMENTS, TRUTH_PLANTED] {
        assert_eq!(with.bytes(file), without.bytes(file), "{file}");
    }
    let people = People::new(&options);
    let scripted: BTreeSet<String> =
        (0..super::people(options.deviators)).map(|index| people.phone(people.of_deviations(index)).e164()).collect();
    for (file, id, phone) in [(CALLS, "call_id", "caller"), (CROSSINGS, "crossing_id", "traveler_phone")] {
        let rows = |sample: &super::super::tests::Sample| -> Vec<Row> {
            let (mut rows, _) = sample.rows(file);
            rows.iter_mut().for_each(|row| drop(row.remove(id)));
            rows.retain(|row| canonical(&row[phone]).is_none_or(|phone| !scripted.contains(&phone)));
            rows
        };
        assert_eq!(rows(&with), rows(&without), "{file}");
    }
}

#[test]
fn a_period_too_short_for_a_pattern_has_none() {
    for days in [1, 83] {
        let options = SampleOptions { days, ..small(1) };
        let made = Deviations::new(&options, &People::new(&options));
        assert!(made.crossings.is_empty() && made.calls.is_empty() && made.numbers.is_empty());
        assert_eq!(sample(&options).bytes(TRUTH_DEVIATIONS), b"rank,phone,crossers\n");
    }
    let options = SampleOptions { days: 84, ..small(1) };
    let made = Deviations::new(&options, &People::new(&options));
    let last = 84 * MINUTES_PER_DAY;
    assert!(made.calls.iter().all(|(minute, _)| *minute < last) && !made.numbers.is_empty());
}
