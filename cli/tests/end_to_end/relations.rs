//! Relations between data sets: in time, and by contacts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDateTime;
use serde_json::Value;

use crate::federation::{Agency, Federation, outcome, reason};

fn data_set(name: &str, identifiers: &[&str], kind: &str) -> String {
    let (_, file) = name.split_once('.').unwrap();
    let mut text = format!(
        "[[dataset]]\nname = \"{name}\"\nfiles = [\"{file}.csv\"]\nsensitivity = \"official\"\n\
         [dataset.time]\ncolumn = \"at\"\n"
    );
    for identifier in identifiers {
        text.push_str(&format!(
            "[[dataset.identifier]]\nname = \"{identifier}\"\ncolumn = \"{identifier}\"\ntype = \"{kind}\"\n"
        ));
    }
    text
}

/// A small generator, so that the data look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn at(minute: i64) -> String {
    let day = NaiveDateTime::parse_from_str("2026-03-01 00:00", "%Y-%m-%d %H:%M").unwrap();
    // Seconds vary and must not matter.
    (day + chrono::Duration::seconds(minute * 60 + minute % 60)).and_utc().to_rfc3339()
}

const AFTER: &str = r#"
subject = "device"
purpose = "border-security"
top = 500
[[indicator]]
name = "crossing"
dataset = "cbp.crossings"
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
contact = "callee"
measure = "frequency"
half_at = 10
after = "crossing"
within = "6h"
"#;

#[test]
fn events_in_time_meet_exactly_as_in_a_plain_interval_join() {
    let mut dice = Dice(5);
    let crossings: Vec<(u64, i64)> = (0..300).map(|_| (dice.roll(40), dice.roll(20_000) as i64)).collect();
    let calls: Vec<(u64, u64, i64)> =
        (0..600).map(|_| (dice.roll(40), 100 + dice.roll(30), dice.roll(20_000) as i64)).collect();
    let crossings_csv: String = crossings.iter().map(|(s, m)| format!("d{s},{}\n", at(*m))).collect();
    let calls_csv: String = calls.iter().map(|(s, o, m)| format!("d{s},d{o},{}\n", at(*m))).collect();
    let cbp = [("crossings.csv", format!("subject,at\n{crossings_csv}"))];
    let hsi = [("calls.csv", format!("caller,callee,at\n{calls_csv}"))];
    let (cbp_sets, hsi_sets) =
        (data_set("cbp.crossings", &["subject"], "device"), data_set("hsi.calls", &["caller", "callee"], "device"));
    let federation = Federation::start(&[Agency::new("cbp", &cbp_sets, &cbp), Agency::new("hsi", &hsi_sets, &hsi)]);

    for (order, from, to) in [("after", 0, 360), ("before", -360, 0), ("around", -360, 360)] {
        let mut pairs: BTreeMap<u64, u64> = BTreeMap::new();
        for (subject, crossed) in &crossings {
            for (_, _, called) in calls.iter().filter(|(caller, ..)| caller == subject) {
                if (from..=to).contains(&(called - crossed)) {
                    *pairs.entry(*subject).or_default() += 1;
                }
            }
        }
        let answer = federation.ask("hsi", &AFTER.replace("after =", &format!("{order} =")), &[]);
        let mut expected: Vec<u64> =
            pairs.values().map(|&n| (n as f64 / (n as f64 + 10.0) * 1_000.0).round() as u64).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(strengths(&answer, "hsi.calls"), expected, "{order}");
    }
    contacts_by_distinct_callers(&federation, &crossings, &calls);
}

fn strengths(answer: &Value, dataset: &str) -> Vec<u64> {
    let matches = answer["matches"].as_array().unwrap();
    let pieces = matches.iter().flat_map(|found| found["evidence"].as_array().unwrap());
    let of_dataset = pieces.filter(|piece| piece["dataset"] == dataset);
    of_dataset.map(|piece| (piece["strength"].as_f64().unwrap() * 1_000.0).round() as u64).collect()
}

/// Whom do they call after crossing?
fn contacts_by_distinct_callers(federation: &Federation, crossings: &[(u64, i64)], calls: &[(u64, u64, i64)]) {
    let mut callers: HashMap<u64, HashSet<u64>> = HashMap::new();
    for (caller, callee, called) in calls {
        if crossings.iter().any(|(subject, crossed)| subject == caller && (0..=360).contains(&(called - crossed))) {
            callers.entry(*callee).or_default().insert(*caller);
        }
    }
    let answer = federation.ask("hsi", &AFTER.replace("top = 500", "top = 500\nrank = \"contact\""), &[]);
    assert_eq!(answer["subjects_matched"], callers.len());
    let mut expected: Vec<u64> = callers.values().map(|set| set.len() as u64).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let expected: Vec<u64> =
        expected.into_iter().map(|n| (n as f64 / (n as f64 + 5.0) * 1_000.0).round() as u64).collect();
    assert_eq!(strengths(&answer, "hsi.calls"), expected);
    // The number of callers is told as a band.
    let bands: BTreeSet<&str> =
        answer["matches"].as_array().unwrap().iter().map(|found| found["others"].as_str().unwrap()).collect();
    assert!(bands.iter().all(|band| ["1", "2-4", "5-9", "10-19", "20-49"].contains(band)), "{bands:?}");
}

const CONTACTS: &str = r#"
subject = "device"
purpose = "border-security"
top = 5
[[indicator]]
name = "quiet"
dataset = "east.calls"
identifier = "caller"
contact = "callee"
both_ways = true
[[indicator]]
dataset = "west.calls"
identifier = "caller"
contact = "callee"
both_ways = true
from = 2006-06-08
contacts_in_common_with = "quiet"
"#;

/// VAST Challenge 2008, mini challenge 3: five phones go quiet and five others take over their roles.
#[test]
fn who_keeps_the_contacts_of_a_phone_that_went_quiet() {
    let root = std::env::var_os("SALLYPORT_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(root.join("vast2008_phone/cdr.csv")) else {
        println!("vast2008_phone is not here: skipped");
        return;
    };
    let (head, rows) = text.split_once('\n').unwrap();
    let when = |row: &&str| row.split(',').nth(2).unwrap() < "20060608";
    let (before, after): (Vec<&str>, Vec<&str>) = rows.lines().filter(|row| !row.is_empty()).partition(when);
    let phones: BTreeSet<&str> = rows.lines().flat_map(|row| row.split(',').take(2)).collect();
    let file = |rows: &[&str]| format!("{head}\n{}\n", rows.join("\n"));
    let east =
        [("before.csv", file(&before)), ("phones.csv", format!("phone\n{}\n", Vec::from_iter(phones).join("\n")))];
    let west = [("after.csv", file(&after))];
    let calls = |agency: &str, file: &str| {
        format!(
            "[[dataset]]\nname = \"{agency}.calls\"\nfiles = [\"{file}\"]\nsensitivity = \"official\"\n\
             [dataset.time]\ncolumn = \"Datetime\"\nformat = \"%Y%m%d %H%M\"\n\
             [[dataset.identifier]]\nname = \"caller\"\ncolumn = \"From\"\ntype = \"device\"\n\
             [[dataset.identifier]]\nname = \"callee\"\ncolumn = \"To\"\ntype = \"device\"\n"
        )
    };
    let register = "[[dataset]]\nname = \"east.phones\"\nfiles = [\"phones.csv\"]\nsensitivity = \"public\"\n\
                    [[dataset.identifier]]\nname = \"phone\"\ncolumn = \"phone\"\ntype = \"device\"\n";
    let east_sets = format!("{}{register}", calls("east", "before.csv"));
    let west_sets = calls("west", "after.csv");
    // The analyst may see the numbers, so that the answer can be compared.
    let shown = crate::federation::OPEN_RULES.replace("mask = \"last_four\"", "mask = \"none\"");
    let mut asking = Agency::new("east", &east_sets, &east);
    asking.rules = Some(&shown);
    let federation = Federation::start(&[asking, Agency::new("west", &west_sets, &west)]);
    for (quiet, successor) in [("1", "309"), ("2", "397"), ("3", "360"), ("5", "306")] {
        let answer = federation.ask("east", CONTACTS, &["--device", quiet]);
        assert_eq!(answer["matches"][0]["label"], successor, "{quiet}: {answer}");
        let qe = |rank: usize| answer["matches"][rank]["qe"].as_f64().unwrap();
        assert!(qe(0) > 1.4 * qe(1), "{quiet} is far ahead");
    }
    let second = format!("{CONTACTS}hops = 2\nothers_half_at = 50\n");
    assert_eq!(federation.ask("east", &second, &["--device", "200"])["matches"][0]["label"], "300");
    refusals(&federation);
    callees_of_both_halves(&federation, &before, &after);
}

fn refusals(federation: &Federation) {
    // Contacts in common need somebody to have them in common with, at the asker's own node.
    assert_eq!(reason(&federation.try_ask("east", CONTACTS, &[])), "lookup_needed");
    assert_eq!(reason(&federation.try_ask("west", CONTACTS, &["--device", "1"])), "own_list_elsewhere");
    let unknown = CONTACTS.replace("contact = \"callee\"", "contact = \"cousin\"");
    let answer = federation.ask("east", &unknown, &["--device", "1"]);
    assert_eq!(outcome(&answer, "west.calls")["reason"], "identifier_unknown");
    assert_eq!(answer["subjects_matched"], 0);
}

/// Phones called in both halves, as a plain join has them.
fn callees_of_both_halves(federation: &Federation, before: &[&str], after: &[&str]) {
    let callees = |rows: &[&str]| -> BTreeSet<String> {
        rows.iter().map(|row| row.split(',').nth(1).unwrap().to_owned()).collect()
    };
    let expected: BTreeSet<String> = callees(before).intersection(&callees(after)).cloned().collect();
    let question = "subject = \"device\"\npurpose = \"border-security\"\ntop = 500\n\
        [[indicator]]\ndataset = \"east.calls\"\nidentifier = \"callee\"\n\
        [[indicator]]\ndataset = \"west.calls\"\nidentifier = \"callee\"\n";
    let answer = federation.ask("east", question, &[]);
    let found = answer["matches"].as_array().unwrap().iter().map(|found| found["label"].as_str().unwrap().to_owned());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}
