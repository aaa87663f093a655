//! From a partner's positions to somebody who must act: a truck under bond leaves its corridor.

use std::{fmt::Write as _, fs, io::Write, process::Output};

use sallyport_trust::clock::Clock;
use serde_json::Value;

use crate::{
    federation::{Agency, Federation, OPEN_RULES, tls, wait_until},
    watches::{INBOND, PLAYBOOK, RULES},
};

const FEED: &str = r#"
[[feed]]
name = "acme.positions"
partner = "acme"
devices = ["ACME-*"]
[tracks]
corridors = "corridors"
news_to = ["cbp"]
sensitivity = "official"
"#;

const FEED_RULE: &str = r#"
[[rule]]
id = "feeds"
effect = "allow"
actions = ["contribute"]
datasets = ["acme.positions"]
[rule.subject]
role = { equals = "feed" }
"#;

const EXCEPTION: &str = r#"
[[exception]]
name = "port-diversion"
title = "The carrier filed an approved diversion"
check = "Search the bond for a diversion."
confirmed_by = [{ role = "analyst" }]
clears_for = "3d"
"#;

/// Due east along the equator: 200 km, one kilometre to each side.
const CORRIDOR: &str = r#"{ "type": "FeatureCollection", "features": [
  { "type": "Feature", "properties": { "role": "corridor", "name": "east", "half_width_m": 1000,
      "valid_from": "2020-01-01", "valid_until": "2100-01-01", "arrival_within_h": 48, "darkness_limit_min": 45,
      "dwell_limit_min": 45 },
    "geometry": { "type": "LineString", "coordinates": [[10.0, 0.0], [12.0, 0.0]] } },
  { "type": "Feature", "properties": { "role": "origin", "name": "West", "radius_m": 2000 },
    "geometry": { "type": "Point", "coordinates": [10.0, 0.0] } },
  { "type": "Feature", "properties": { "role": "destination", "name": "East", "radius_m": 2000 },
    "geometry": { "type": "Point", "coordinates": [12.0, 0.0] } }
] }"#;

const QUESTION: &str = r#"
subject = "device"
purpose = "border-security"
case_number = "T-1"
[[indicator]]
dataset = "cbp.inbond"
[[indicator]]
dataset = "acme.track_events"
where = [{ attribute = "kind", is = "=", value = "excursion" }]
"#;

/// Minutes of the trip; trucks 1, 2 and 4 are five kilometres off between these two.
const MINUTES: i64 = 100;
const AWAY: std::ops::Range<i64> = 40..70;

fn positions(minutes: std::ops::Range<i64>) -> String {
    let begin_s = Clock::system().now_ms() / 1_000 - MINUTES * 60;
    let mut text = String::from("truck,time,lat,lon\n");
    for minute in minutes {
        for truck in 1..=4 {
            let latitude = if AWAY.contains(&minute) && truck != 3 { 0.045 } else { 0.0 };
            let longitude = 10.0 + minute as f64 * 0.009;
            writeln!(text, "ACME-{truck},{},{latitude},{longitude:.4}", begin_s + minute * 60).unwrap();
        }
    }
    text
}

fn start() -> Federation {
    let (cbp_rules, acme_rules) = (format!("{OPEN_RULES}{RULES}"), format!("{OPEN_RULES}{FEED_RULE}"));
    // Truck 2 is not under bond.
    let inbond =
        [("inbond.csv", "truck,departed\nACME-1,2026-03-01\nACME-3,2026-03-01\nACME-4,2026-03-01\n".to_owned())];
    let mut cbp = Agency::new("cbp", INBOND, &inbond);
    (cbp.rules, cbp.people) = (Some(cbp_rules.as_str()), &[("com", "commander")]);
    let mut acme = Agency::new("acme", FEED, &[]);
    acme.rules = Some(&acme_rules);
    let federation = Federation::prepare(&[cbp, acme]);
    let mut people = fs::OpenOptions::new().append(true).open(federation.path().join("people.toml")).unwrap();
    let (files, node) = (tls("partner-acme-feed").replace("[tls]", "[feed.tls]"), federation.ports[2]);
    writeln!(people, "[[feed]]\nname = \"acme\"\nagency = \"acme\"\nnode = \"127.0.0.1:{node}\"\n{files}").unwrap();
    fs::write(federation.path().join("standing.toml"), QUESTION).unwrap();
    fs::create_dir(federation.path().join("corridors")).unwrap();
    fs::write(federation.path().join("corridors/east.geojson"), CORRIDOR).unwrap();
    let playbooks = federation.path().join("policies/cbp/playbooks");
    fs::create_dir_all(&playbooks).unwrap();
    fs::write(playbooks.join("off-corridor.toml"), format!("{PLAYBOOK}{EXCEPTION}")).unwrap();
    federation
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn push(federation: &Federation, file: &str, minutes: std::ops::Range<i64>) {
    fs::write(federation.path().join(file), positions(minutes)).unwrap();
    done(federation.output(&["feed", "push", file, "--as", "acme", "--json"]));
}

fn leads(federation: &Federation) -> Vec<String> {
    let listed: Value =
        serde_json::from_str(&done(federation.output(&["lead", "list", "--json", "--as", "cbp-analyst"]))).unwrap();
    listed["leads"].as_array().unwrap().iter().map(|lead| lead["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_truck_under_bond_that_leaves_its_corridor_becomes_a_lead_and_a_diverted_one_does_not() {
    let mut federation = start();
    ["gateway", "cbp", "acme"].iter().for_each(|party| federation.run(party));
    federation.wait_until_settled();
    let arm =
        ["watch", "arm", "off-corridor", "--question", "standing.toml", "--reason", "trucks", "--as", "cbp-analyst"];
    done(federation.output(&arm));
    let clear = [
        "lead",
        "clear",
        "--device",
        "ACME-4",
        "--playbook",
        "off-corridor",
        "--exception",
        "port-diversion",
        "--reason",
        "diverted to Memphis",
        "--as",
        "cbp-analyst",
    ];
    done(federation.output(&clear));

    push(&federation, "first.csv", 0..AWAY.start);
    wait_until("the watch has asked", || {
        let listed = done(federation.output(&["watch", "list", "--json", "--as", "cbp-analyst"]));
        serde_json::from_str::<Value>(&listed).unwrap()["watches"][0]["asked"].as_u64().unwrap() > 0
    });
    assert_eq!(leads(&federation), Vec::<String>::new());

    // The carrier's node dies in the middle, and goes on where it was.
    federation.kill("acme");
    federation.run("acme");
    // Its disk takes positions and no events for a while: those are written when it does again.
    let in_the_way = federation.path().join("acme/tracks/track_events.new");
    fs::create_dir(&in_the_way).unwrap();
    push(&federation, "second.csv", AWAY.start..MINUTES);
    wait_until("the carrier is told", || federation.log("acme").contains("what tracks show cannot be written"));
    fs::remove_dir(&in_the_way).unwrap();
    wait_until("the truck has a lead", || leads(&federation) == ["acme-1"]);
    // Everybody who was off is one event at the carrier, and nowhere else.
    let events = || fs::read_to_string(federation.path().join("acme/tracks/track_events.csv")).unwrap();
    let excursions =
        |truck: &str| events().lines().filter(|row| row.starts_with(truck) && row.contains(",excursion,")).count();
    for truck in ["ACME-1", "ACME-2", "ACME-4"] {
        wait_until("its excursion is written", || excursions(truck) == 1);
    }
    // While the second file had not come all of them were silent; that is taken back.
    wait_until("nothing is left of it", || !events().contains("ACME-3"));
    assert_eq!(leads(&federation), ["acme-1"]);

    // An excursion's own strength is evidence of the trucks under bond.
    let by_strength = "acme.track_events\"\nmeasure = \"strongest\"\nstrength_of = \"strength\"";
    let question = QUESTION.replace("acme.track_events\"", by_strength);
    wait_until("the answer has the strengths of the events", || {
        let mut expected: Vec<String> = ["ACME-1", "ACME-4"].map(|truck| strength(&events(), truck)).into();
        let answer = federation.try_ask("cbp", &question, &[]).stdout;
        let mut answered =
            serde_json::from_slice::<Value>(&answer).map_or_else(|_| Vec::new(), |answer| strengths(&answer));
        expected.sort();
        answered.sort();
        expected == answered && expected[0].starts_with("0.")
    });
}

/// The strength of a truck's excursion as the carrier's node wrote it.
fn strength(events: &str, truck: &str) -> String {
    let row = events.lines().find(|row| row.starts_with(truck) && row.contains(",excursion,")).unwrap();
    row.rsplit(',').next().unwrap().to_owned()
}

/// Those of the carrier's evidence in an answer.
fn strengths(answer: &Value) -> Vec<String> {
    let pieces = answer["matches"].as_array().unwrap().iter().flat_map(|found| found["evidence"].as_array().unwrap());
    let of_events = pieces.filter(|piece| piece["dataset"] == "acme.track_events");
    of_events.map(|piece| format!("{:.3}", piece["strength"].as_f64().unwrap())).collect()
}
