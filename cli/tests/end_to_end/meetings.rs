//! Same place, same time: who meets without a shared identifier.

use std::fs;

use chrono::NaiveDateTime;
use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, outcome, reason, wait_until};

/// Plate readers along a highway, an hour's drive from each other.
const READERS: [(f64, f64); 4] = [(27.50, -99.50), (27.95, -99.35), (28.40, -99.20), (28.85, -99.05)];
/// When the planted truck comes to the first reader.
const STARTS: i64 = 600;

const QUESTION: &str = r#"
subject = "device"
purpose = "border-security"
top = 50
[[indicator]]
name = "reads"
dataset = "dps.reads"
[[indicator]]
dataset = "hsi.trucks"
same_place_as = "reads"
within = "10 minutes"
"#;

fn data_set(name: &str, kind: &str, place: bool) -> String {
    let (_, file) = name.split_once('.').unwrap();
    let place = if place { "[dataset.place]\nlatitude = \"lat\"\nlongitude = \"lon\"\n" } else { "" };
    format!(
        "[[dataset]]\nname = \"{name}\"\nfiles = [\"{file}.csv\"]\nsensitivity = \"official\"\n\
         [dataset.time]\ncolumn = \"at\"\n{place}\
         [[dataset.identifier]]\nname = \"{kind}\"\ncolumn = \"who\"\ntype = \"{kind}\"\n"
    )
}

/// A row of somebody near a reader, so many thousandths of a degree north of it.
fn row(who: &str, minute: i64, reader: usize, north: i32) -> String {
    let day = NaiveDateTime::parse_from_str("2026-03-01 00:00", "%Y-%m-%d %H:%M").unwrap();
    let at = (day + chrono::Duration::minutes(minute)).and_utc().to_rfc3339();
    let (latitude, longitude) = READERS[reader];
    format!("{who},{at},{:.5},{longitude}\n", latitude + f64::from(north) / 1_000.0)
}

/// Somebody's way along all readers.
fn passing(who: &str, starts: i64, north: i32) -> String {
    (0..READERS.len()).map(|reader| row(who, starts + 60 * reader as i64, reader, north)).collect()
}

/// When others come to the first reader: half an hour from the planted truck, or more.
fn other_starts() -> impl Iterator<Item = (usize, i64)> {
    (0..30).filter(|n| *n != 15).map(|n| (n, STARTS + 30 * (n as i64 - 15)))
}

fn trucks() -> String {
    let mut rows = passing("planted", STARTS, 2);
    // Always close enough in time, and 11 km away.
    rows.push_str(&passing("elsewhere", STARTS, 100));
    rows.extend((0..288).map(|n| row("standing", 5 * n, 0, 1)));
    rows.extend(other_starts().map(|(n, starts)| passing(&format!("other{n}"), starts, 1)));
    // A tracker that does not know where it is, and two that write nonsense.
    rows.push_str("lost,2026-03-01T10:00:00Z,0,0\nlost,2026-03-01T10:00:00Z,,\nlost,2026-03-01T10:00:00Z,91,10\n");
    format!("who,at,lat,lon\n{rows}")
}

fn reads() -> String {
    // The planted truck's plate, on the readers' other side: often in the next cell.
    let mut rows = passing("TX-PLN0001", STARTS + 4, -2);
    for (n, starts) in other_starts() {
        let reader = n % READERS.len();
        let at = |reader: usize| starts + 60 * reader as i64;
        // A stranger at one place; and one who has the same way for a while, at two.
        rows.push_str(&row(&format!("TX-ONE{n}"), at(reader) + 1, reader, 0));
        if reader > 0 {
            rows.push_str(&row(&format!("TX-TWO{n}"), at(reader) - 2, reader, 0));
            rows.push_str(&row(&format!("TX-TWO{n}"), at(reader - 1) - 2, reader - 1, 0));
        }
    }
    // Whoever is read at one place all day is at one place.
    rows.extend((0..288).map(|n| row("TX-STAYS", 5 * n, 0, 0)));
    format!("who,at,lat,lon\n{rows}")
}

/// Trackers of another agency: one on the planted truck itself, one on a car that follows another truck.
fn trackers() -> String {
    let (_, starts) = other_starts().nth(3).unwrap();
    format!("who,at,lat,lon\n{}{}", passing("planted", STARTS, 2), passing("shadow", starts + 2, -1))
}

/// With these rules at DPS.
fn start(dps_rules: &str) -> Federation {
    let hsi_files = [("trucks.csv", trucks()), ("list.csv", "who,at\nplanted,2026-03-01\n".to_owned())];
    let (dps_files, cbp_files) = ([("reads.csv", reads())], [("trackers.csv", trackers())]);
    let hsi = format!("{}{}", data_set("hsi.trucks", "device", true), data_set("hsi.list", "device", false));
    let (dps, cbp) = (data_set("dps.reads", "plate", true), data_set("cbp.trackers", "device", true));
    // The analyst may see the identifiers, so that the answers can be compared.
    let shown = OPEN_RULES.replace("mask = \"last_four\"", "mask = \"none\"");
    let mut asking = Agency::new("hsi", &hsi, &hsi_files);
    asking.rules = Some(&shown);
    let mut reading = Agency::new("dps", &dps, &dps_files);
    reading.rules = Some(dps_rules);
    Federation::start(&[asking, reading, Agency::new("cbp", &cbp, &cbp_files)])
}

fn labels(answer: &Value) -> Vec<&str> {
    answer["matches"].as_array().unwrap().iter().map(|found| found["label"].as_str().unwrap_or("-")).collect()
}

#[test]
fn a_truck_and_its_plate_meet_at_different_places_without_a_shared_identifier() {
    let federation = start(OPEN_RULES);
    let answer = federation.ask("hsi", QUESTION, &[]);
    assert_eq!(labels(&answer), ["planted"], "{answer}");
    let found = &answer["matches"][0];
    assert_eq!((&found["others"], &answer["subjects_matched"]), (&"2-4".into(), &1.into()));
    // Four places, half at five.
    for piece in found["evidence"].as_array().unwrap() {
        assert_eq!(piece["strength"], 0.444, "{answer}");
    }
    assert_eq!(outcome(&answer, "hsi.trucks")["unusable"], 3);
    thresholds(&federation);
    nobody_meets_itself(&federation);
    refusals(&federation);
    accounted_for(&federation);
}

#[test]
fn rules_about_data_sets_do_not_allow_to_ask_where_their_records_were() {
    let (analysts, data_sets) = ("role = { equals = \"analyst\" }\n", "[rule.resource]\nkind = { one_of = [KINDS] }\n");
    let rules = |kinds: &str| {
        let data_sets = data_sets.replace("KINDS", kinds);
        OPEN_RULES.replacen(analysts, &format!("{analysts}{data_sets}"), 1)
    };
    let federation = start(&rules("\"dataset\", \"federation\", \"catalog\""));
    let answer = federation.ask("hsi", QUESTION, &[]);
    assert_eq!(outcome(&answer, "dps.reads")["outcome"], "denied", "{answer}");
    assert_eq!(outcome(&answer, "dps.reads")["reason"], "no_rule_allows");
    assert_eq!(answer["subjects_matched"], 0);
}

/// More places, less time, and fewer places.
fn thresholds(federation: &Federation) {
    for (change, matched) in [("10 minutes\"\nplaces = 4", 1), ("10 minutes\"\nplaces = 5", 0), ("3m\"", 0)] {
        let answer = federation.ask("hsi", &QUESTION.replace("10 minutes\"", change), &[]);
        assert_eq!(answer["subjects_matched"], matched, "{change}: {answer}");
    }
    let twice = federation.ask("hsi", &QUESTION.replace("10 minutes\"", "10 minutes\"\nplaces = 2"), &[]);
    assert_eq!(labels(&twice)[0], "planted");
    assert!(!labels(&twice).contains(&"standing") && !labels(&twice).contains(&"elsewhere"), "{twice}");
    let strengths = twice["matches"].as_array().unwrap().iter().map(|found| &found["evidence"][1]["strength"]);
    // The planted truck's four places, then two for company on a part of the way.
    let expected = std::iter::once(0.444).chain([0.286; 21]);
    assert_eq!(strengths.map(|strength| strength.as_f64().unwrap()).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// Two data sets with the same identifiers, one of them looked up.
fn nobody_meets_itself(federation: &Federation) {
    let among_trackers = QUESTION.replace("dps.reads", "cbp.trackers");
    assert_eq!(labels(&federation.ask("hsi", &among_trackers, &[])), ["other3"]);
    let met = federation.ask("cbp", &among_trackers, &["--device", "shadow"]);
    assert_eq!((labels(&met), &met["subjects_matched"]), (vec!["-"], &1.into()));
    assert_eq!(federation.ask("cbp", &among_trackers, &["--device", "planted"])["subjects_matched"], 0);
}

fn refusals(federation: &Federation) {
    let plate = |agency| federation.try_ask(agency, QUESTION, &["--device", "planted"]);
    assert_eq!(reason(&plate("hsi")), "own_list_elsewhere");
    let answer = federation.ask("dps", QUESTION, &["--device", "planted"]);
    assert_eq!(outcome(&answer, "dps.reads")["reason"], "lookup_other_type");
    assert_eq!(answer["subjects_matched"], 0);
    let nowhere = federation.ask("hsi", &QUESTION.replace("hsi.trucks", "hsi.list"), &[]);
    assert_eq!(outcome(&nowhere, "hsi.list")["reason"], "place_missing");
    assert_eq!(reason(&federation.try_ask("hsi", &QUESTION.replace("10 minutes", "2 days"), &[])), "relation_minutes");
}

/// Also by the agency that holds nobody of the ranked ones' type.
fn accounted_for(federation: &Federation) {
    for agency in ["hsi", "dps", "cbp"] {
        let awaited = federation.path().join(agency).join("awaited");
        wait_until("every account has come", || fs::read_dir(&awaited).unwrap().next().is_none());
        assert!(!federation.log(agency).contains("did not account"), "{}", federation.log(agency));
    }
    assert!(!federation.log("gateway").contains("could not be told"), "{}", federation.log("gateway"));
}
