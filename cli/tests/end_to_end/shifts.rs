//! How traffic shifts between places, from counts that no party but the asker's node can read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use chrono::{Days, NaiveDate};
use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, outcome, reason, wait_until};

/// Asks by a file and expects an answer.
fn shift(federation: &Federation, person: &str, file: &str, more: &[&str]) -> Value {
    let output = try_shift(federation, person, file, &[&["--json"], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn try_shift(federation: &Federation, person: &str, file: &str, more: &[&str]) -> Output {
    let path = federation.path().join("shift.toml");
    fs::write(&path, file).unwrap();
    federation.output(&[&["shift", "shift.toml", "--as", person], more].concat())
}

fn place<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let places = answer["places"].as_array().unwrap();
    places.iter().find(|place| place["place"] == name).unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn names(answer: &Value) -> Vec<&str> {
    answer["places"].as_array().unwrap().iter().map(|place| place["place"].as_str().unwrap()).collect()
}

const WEEKS: &str = r#"
title = "After portals at LaredoBridge"
purpose = "border-security"
case_number = "C-1"
period = "week"
changed_at = 2026-03-02
before = 6
changed = ["LaredoBridge"]
[[count]]
dataset = "hsi.seen"
place = "port"
[[count]]
dataset = "cbp.crossings"
place = "port"
where = [{ attribute = "lane", is = "=", value = "cargo" }]
"#;

/// Events a week at each place, by agency: before and after 2 March 2026.
const HSI_SEEN: [(&str, u32, u32); 3] = [("LaredoBridge", 40, 12), ("PharrBridge", 30, 58), ("QuietBridge", 9, 9)];
const CBP_CROSSINGS: [(&str, u32, u32); 3] =
    [("LaredoBridge", 60, 18), ("PharrBridge", 20, 62), ("DelRioBridge", 50, 50)];

/// A row for each event, week by week, newest first.
fn rows(places: &[(&str, u32, u32)], lane: &str) -> String {
    let monday = NaiveDate::from_ymd_opt(2026, 1, 19).unwrap();
    let mut rows = String::new();
    for week in (0..7u64).rev() {
        for (place, before, after) in places {
            for event in 0..if week < 6 { *before } else { *after } {
                let day = monday + Days::new(7 * week + u64::from(event % 7));
                rows.push_str(&format!("{day}T10:00:00Z,{place},{lane}\n"));
            }
        }
    }
    rows
}

fn data_set(name: &str, counts: &str) -> String {
    let (_, file) = name.split_once('.').unwrap();
    format!(
        "[[dataset]]\nname = \"{name}\"\nfiles = [\"{file}.csv\"]\nsensitivity = \"official\"\n\
         [dataset.time]\ncolumn = \"at\"\n\
         [[dataset.attribute]]\nname = \"port\"\ncolumn = \"port\"\ntype = \"text\"\n\
         [[dataset.attribute]]\nname = \"lane\"\ncolumn = \"lane\"\ntype = \"text\"\n{counts}"
    )
}

const BY_PORT: &str = "[dataset.counts]\nby = [\"port\"]\n";

/// With these rules at CBP.
fn weeks(cbp_rules: &str) -> Federation {
    let head = "at,port,lane\n";
    let hsi_files = [("seen.csv", format!("{head}{}", rows(&HSI_SEEN, "any")))];
    let walkers = rows(&[("LaredoBridge", 500, 500)], "pedestrian");
    let cbp_files = [("crossings.csv", format!("{head}{}{walkers}", rows(&CBP_CROSSINGS, "cargo")))];
    let (hsi, cbp) = (data_set("hsi.seen", BY_PORT), data_set("cbp.crossings", BY_PORT));
    let mut owner = Agency::new("cbp", &cbp, &cbp_files);
    owner.rules = Some(cbp_rules);
    owner.people = &[("officer", "release_officer")];
    Federation::start(&[Agency::new("hsi", &hsi, &hsi_files), owner])
}

#[test]
fn counts_of_two_agencies_are_summed_and_only_the_asker_reads_them() {
    let federation = weeks(OPEN_RULES);
    let answer = shift(&federation, "hsi-analyst", WEEKS, &[]);
    let counts = |name: &str| place(&answer, name)["counts"].clone();
    assert_eq!(counts("LaredoBridge"), serde_json::json!([100, 100, 100, 100, 100, 100, 30]));
    assert_eq!(counts("PharrBridge"), serde_json::json!([50, 50, 50, 50, 50, 50, 120]));
    assert_eq!(counts("DelRioBridge"), serde_json::json!([50, 50, 50, 50, 50, 50, 50]));
    assert_eq!(place(&answer, "PharrBridge")["datasets"], serde_json::json!(["hsi.seen", "cbp.crossings"]));
    assert_eq!(place(&answer, "DelRioBridge")["datasets"], serde_json::json!(["cbp.crossings"]));
    assert_eq!(
        (&place(&answer, "LaredoBridge")["direction"], &place(&answer, "LaredoBridge")["changed"]),
        (&"down".into(), &true.into())
    );
    assert_eq!(place(&answer, "PharrBridge")["direction"], "up");
    assert_eq!(place(&answer, "DelRioBridge")["direction"], "as before");
    // Nine a week are too few to be told.
    assert!(!names(&answer).contains(&"QuietBridge"), "{answer}");
    let seen = outcome(&answer, "hsi.seen");
    assert_eq!((&seen["minimum_cohort"], &seen["withheld"], &answer["broken"]), (&10.into(), &10.into(), &0.into()));
    // How many rows there were is what is kept back where there are few.
    assert_eq!((&seen["rows"], &seen["newest"]), (&0.into(), &Value::Null));
    words(&federation);
    nobody_else_reads(&federation);
    refusals(&federation);
}

fn words(federation: &Federation) {
    let output = try_shift(federation, "hsi-analyst", WEEKS, &["--svg", "shift.svg"]);
    let told = String::from_utf8(output.stdout).unwrap();
    for words in [
        "week of 2026-03-02 against the 6 weeks before",
        "Where something changed (LaredoBridge -35.00), lost 35.00 points of share",
        "other places that gained, in points: PharrBridge +35.00",
        "Counted in all: 200 a week before (median), 200 after (0.0 %)",
        "up to 10 places in periods with fewer than 10 events were not told",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let drawn = fs::read_to_string(federation.path().join("shift.svg")).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("LaredoBridge, changed: -70 %"), "{drawn}");
}

/// The gateway's files name no place, and every contribution was accounted for.
fn nobody_else_reads(federation: &Federation) {
    for agency in ["hsi", "cbp"] {
        let awaited = federation.path().join(agency).join("awaited");
        wait_until("every account has come", || fs::read_dir(&awaited).unwrap().next().is_none());
        assert!(!federation.log(agency).contains("did not account"), "{}", federation.log(agency));
    }
    assert!(!federation.log("gateway").contains("Bridge"));
    for (name, counted) in [("gateway", "sums"), ("hsi", "sums"), ("hsi", "cells"), ("cbp", "cells")] {
        let entries = contents(&federation.audit(name));
        let holds = |words: &[u8]| entries.windows(words.len()).any(|window| window == words);
        assert!(
            holds(counted.as_bytes()) && !holds(b"Bridge"),
            "the log of {name} says that cells were counted, and of no place"
        );
    }
}

fn contents(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { contents(&path) } else { fs::read(path).unwrap() });
    }
    all
}

fn refusals(federation: &Federation) {
    let by_lane = WEEKS.replacen("place = \"port\"\nwhere", "place = \"lane\"\nwhere", 1);
    let answer = shift(federation, "hsi-analyst", &by_lane, &[]);
    let refused = outcome(&answer, "cbp.crossings");
    assert_eq!((&refused["outcome"], &refused["reason"]), (&"denied".into(), &"counts_undeclared".into()));
    assert!(refused["explanation"].as_str().unwrap().contains("[dataset.counts]"), "{answer}");
    // What the other counted is there.
    assert_eq!(place(&answer, "LaredoBridge")["counts"][0], 40);
    // Nothing is counted so long after.
    let later = WEEKS.replace("2026-03-02", "2027-03-01");
    let answer = shift(federation, "hsi-analyst", &later, &[]);
    assert!(answer["unmeasurable"].as_str().unwrap().contains("only 0 periods"), "{answer}");
    assert_eq!(
        reason(&try_shift(federation, "hsi-analyst", &WEEKS.replace("2026-03-02", "2026-03-03"), &[])),
        "changed_within_period"
    );
    // Counts have no subject to ask for in another way.
    let question = "subject = \"counts\"\npurpose = \"border-security\"\n[[indicator]]\ndataset = \"hsi.seen\"\n";
    assert_eq!(reason(&federation.try_ask("hsi", question, &[])), "counts_mixed");
}

/// A rule that says of which kinds it speaks.
fn rules(kinds: &str, more: &str) -> String {
    let analysts = "role = { equals = \"analyst\" }\n";
    OPEN_RULES.replacen(analysts, &format!("{analysts}[rule.resource]\nkind = {{ one_of = [{kinds}] }}\n"), 1) + more
}

const OFFICERS: &str = r#"
[[rule]]
id = "officers-release-counts"
effect = "hold"
release_by = "release_officer"
actions = ["ask"]
[rule.subject]
role = { equals = "analyst" }
[rule.resource]
kind = { equals = "counts" }
[rule.obligations]
minimum_cohort = 55
[[rule]]
id = "officers"
effect = "allow"
actions = ["release"]
[rule.subject]
role = { equals = "release_officer" }
[rule.resource]
kind = { equals = "release" }
"#;

#[test]
fn counting_is_allowed_by_nothing_that_does_not_say_so_and_may_need_a_release() {
    let kinds = "\"dataset\", \"federation\", \"catalog\"";
    let mut federation = weeks(&rules(kinds, ""));
    let answer = shift(&federation, "hsi-analyst", WEEKS, &[]);
    let refused = outcome(&answer, "cbp.crossings");
    assert_eq!((&refused["outcome"], &refused["reason"]), (&"denied".into(), &"no_rule_allows".into()), "{answer}");
    federation.stop("cbp");
    crate::federation::write_policy(&federation.path().join("policies/cbp"), &rules(kinds, OFFICERS));
    federation.run("cbp");
    wait_until("it is held", || {
        outcome(&shift(&federation, "hsi-analyst", WEEKS, &[]), "cbp.crossings")["outcome"] == "held"
    });
    let held = shift(&federation, "hsi-analyst", WEEKS, &[]);
    let id = held["complete_with"].as_str().unwrap();
    let shown = |command: &[&str]| {
        let output = federation.output(&[&["release"], command, &["--as", "officer"]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // Each asking waits by itself; the one to complete is the last.
    let listed = shown(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let waiting = listed["questions"].as_array().unwrap().iter().find(|held| held["question_id"] == id).unwrap();
    let release = waiting["id"].as_str().unwrap();
    let told = shown(&["show", release]);
    for words in [
        "of cbp.crossings: counts of events",
        "how many events there were, by the attribute \"port\" and by week",
        "rows in which \"lane\" is \"cargo\"",
        "how much counts of 55 events and more",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let granted = federation.output(&["release", "grant", release, "--reason", "fits the case", "--as", "officer"]);
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    let answer = shift(&federation, "hsi-analyst", WEEKS, &["--complete", id]);
    assert_eq!(outcome(&answer, "cbp.crossings")["outcome"], "answered", "{answer}");
    // The rule tells cells of 55 events and more: of 60 and 62.
    assert_eq!(place(&answer, "LaredoBridge")["counts"], serde_json::json!([100, 100, 100, 100, 100, 100, 12]));
    assert_eq!(place(&answer, "PharrBridge")["counts"], serde_json::json!([30, 30, 30, 30, 30, 30, 120]));
    // What CBP kept back of it may be up to 54 more a week.
    assert_eq!(place(&answer, "PharrBridge")["kept_back"], serde_json::json!([54, 54, 54, 54, 54, 54, 0]));
    assert_eq!(place(&answer, "PharrBridge")["partial"], 6);
    let told = outcome(&answer, "cbp.crossings");
    assert_eq!((&told["minimum_cohort"], &told["withheld"]), (&55.into(), &55.into()));
}

/// The file with everybody's counts, if it is here.
fn monthly() -> Option<String> {
    let root = std::env::var_os("SALLYPORT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let packed = fs::read(root.join("bts_border_crossing/Border_Crossing_Entry_Data.csv.zst")).ok()?;
    Some(String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap())
}

const MONTHLY: &str = r#"
files = ["FILE"]
sensitivity = "public"
[dataset.time]
column = "Date"
format = "%b %Y"
[[dataset.attribute]]
name = "port_code"
column = "Port Code"
type = "text"
[[dataset.attribute]]
name = "border"
column = "Border"
type = "text"
[[dataset.attribute]]
name = "measure"
column = "Measure"
type = "text"
[[dataset.attribute]]
name = "value"
column = "Value"
type = "integer"
[dataset.counts]
by = ["port_code"]
of = "value"
once = ["port_code", "measure", "time"]
[dataset.coverage]
gaps = ["outbound crossings are not recorded"]
"#;

const BLOCKADES: &str = r#"
title = "Trucks after the blockades"
purpose = "border-security"
period = "month"
changed_at = 2022-02-01
before = 12
changed = ["3310", "3401", "3801"]
[[count]]
dataset = "east.monthly"
place = "port_code"
where = [{ attribute = "measure", is = "=", value = "Trucks" }, { attribute = "border", is = "=", value = "US-Canada Border" }]
[[count]]
dataset = "west.monthly"
place = "port_code"
where = [{ attribute = "measure", is = "=", value = "Trucks" }, { attribute = "border", is = "=", value = "US-Canada Border" }]
"#;

/// Rows of the years from 2020 on, of ports with even and with odd codes.
fn halves(text: &str) -> [String; 2] {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().unwrap().clone();
    let mut halves = [0, 1].map(|_| csv::Writer::from_writer(Vec::new()));
    halves.iter_mut().for_each(|half| half.write_record(&head).unwrap());
    for row in reader.records().map(Result::unwrap) {
        let (code, date): (usize, &str) = (row[2].parse().unwrap(), &row[4]);
        if ["2020", "2021", "2022"].iter().any(|year| date.ends_with(year)) {
            halves[code % 2].write_record(&row).unwrap();
        }
    }
    halves.map(|half| String::from_utf8(half.into_inner().unwrap()).unwrap())
}

/// Monthly counts of trucks from Canada by the Bureau of Transportation Statistics: in February 2022 blockades
/// closed or slowed several ports. What is expected was computed by others from the whole file.
#[test]
fn trucks_went_around_the_blockades_of_february_2022() {
    let Some(text) = monthly() else {
        println!("bts_border_crossing is not here: skipped");
        return;
    };
    let [even, odd] = halves(&text);
    // Told in steps of ten, as the least count is ten.
    let expected = withheld(&even).next_multiple_of(10) + withheld(&odd).next_multiple_of(10);
    let (east_files, west_files) = ([("even.csv", even)], [("odd.csv", odd)]);
    let set =
        |agency: &str, file: &str| format!("[[dataset]]\nname = \"{agency}.monthly\"{}", MONTHLY.replace("FILE", file));
    let (east, west) = (set("east", "even.csv"), set("west", "odd.csv"));
    let mut federation =
        Federation::start(&[Agency::new("east", &east, &east_files), Agency::new("west", &west, &west_files)]);
    let answer = shift(&federation, "east-analyst", BLOCKADES, &[]);
    for (port, change, z) in [
        ("3310", -49.0, -19.0),
        ("3401", -25.0, -20.0),
        ("3802", 19.0, 8.6),
        ("3801", -12.0, -2.3),
        ("0104", 26.0, 1.5),
    ] {
        let found = place(&answer, port);
        let (changed, by) = (found["change"].as_f64().unwrap() * 100.0, found["z"].as_f64().unwrap());
        assert!(
            (changed - change).abs() <= 0.5 && (by - z).abs() <= if z.abs() > 10.0 { 0.5 } else { 0.05 },
            "{found}"
        );
    }
    let direction = |port: &str| place(&answer, port)["direction"].as_str().unwrap();
    assert_eq!(
        ["3310", "3401", "3802", "3801", "0104"].map(direction),
        ["down", "down", "up", "as before", "as before"]
    );
    // Two ports are called Eastport.
    assert!(names(&answer).contains(&"0103") && names(&answer).contains(&"3302"));
    let told: u64 =
        answer["coverage"].as_array().unwrap().iter().map(|entry| entry["withheld"].as_u64().unwrap()).sum();
    assert!(expected > 0 && told == expected, "{told} of {expected}");
    contradictions(&federation);
    without_one(&mut federation, &answer);
}

/// Cells with some trucks and fewer than ten, in the thirteen months.
fn withheld(text: &str) -> u64 {
    let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap) {
        let date = &row[4];
        let is_in = (date.ends_with("2021") && date != "Jan 2021") || ["Jan 2022", "Feb 2022"].contains(&date);
        if is_in && &row[3] == "US-Canada Border" && &row[5] == "Trucks" {
            cells.insert((row[2].to_owned(), date.to_owned()), row[6].parse().unwrap());
        }
    }
    cells.values().filter(|count| (1..10).contains(*count)).count() as u64
}

/// Of Sasabe's bus passengers in February 2021 the file says 0 and 2,175.
fn contradictions(federation: &Federation) {
    let buses = BLOCKADES.replace("Trucks\" }", "Bus Passengers\" }").replace("US-Canada", "US-Mexico");
    let answer = shift(federation, "east-analyst", &buses, &[]);
    let told = answer["coverage"].as_array().unwrap().iter().map(|entry| entry["contradicting"].as_u64().unwrap());
    // Two, told in steps of ten.
    assert_eq!(told.sum::<u64>(), 10, "{answer}");
}

/// A node that is away is told, and the shares are of the rest.
fn without_one(federation: &mut Federation, whole: &Value) {
    federation.stop("west");
    let answer = shift(federation, "east-analyst", BLOCKADES, &[]);
    assert_eq!(outcome(&answer, "west.monthly")["outcome"], "unavailable", "{answer}");
    assert_eq!(outcome(&answer, "east.monthly")["outcome"], "answered");
    assert!(names(&answer).iter().all(|port| port.parse::<u32>().unwrap() % 2 == 0));
    assert_eq!(place(&answer, "3310")["counts"], place(whole, "3310")["counts"]);
    let output = try_shift(federation, "east-analyst", BLOCKADES, &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Shares are of what 1 of 2 data sets counted; the rest did not answer."), "{told}");
    assert!(told.contains("Nothing was told of 3401, 3801, where something changed."), "{told}");
}
