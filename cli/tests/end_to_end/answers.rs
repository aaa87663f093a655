//! Known answers.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, PROGRAM, outcome, reason};

pub(crate) const CROSSINGS: &str = r#"
[[dataset]]
name = "cbp.crossings"
files = ["crossings.csv"]
sensitivity = "official"
[dataset.time]
column = "at"
[[dataset.identifier]]
name = "phone"
column = "phone"
type = "phone"
country = "US"
[[dataset.attribute]]
name = "lane"
column = "lane"
type = "text"
[[dataset.attribute]]
name = "weight"
column = "weight"
type = "integer"
[dataset.coverage]
gaps = ["outbound is not recorded"]
"#;

pub(crate) const CALLS: &str = r#"
[[dataset]]
name = "hsi.calls"
files = ["calls.csv"]
sensitivity = "official"
[dataset.time]
column = "at"
[[dataset.identifier]]
name = "caller"
column = "caller"
type = "phone"
country = "US"
[[dataset.identifier]]
name = "callee"
column = "callee"
type = "phone"
country = "US"

[[dataset]]
name = "hsi.cases"
files = ["cases.csv"]
sensitivity = "official"
[dataset.time]
column = "at"
[[dataset.identifier]]
name = "phone"
column = "phone"
type = "phone"
country = "US"
[dataset.label]
column = "status"
"#;

pub(crate) const QUESTION: &str = r#"
subject = "phone"
purpose = "border-security"
case_number = "T-1"
[[indicator]]
dataset = "cbp.crossings"
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
"#;

pub(crate) fn crossings() -> (&'static str, String) {
    let text = "phone,at,lane,weight\n\
        (603) 903-1234,2026-03-01T08:00:00Z,cargo,10\n\
        603.903.1234,2026-03-02T08:00:00Z,pov,20\n\
        +1 415 555 2671,2026-03-03T08:00:00Z,cargo,30\n\
        unknown,2026-03-03T09:00:00Z,cargo,30\n\
        +44 20 7946 0958,2026-03-04T08:00:00Z,cargo,40\n";
    ("crossings.csv", text.to_owned())
}

pub(crate) fn calls() -> [(&'static str, String); 2] {
    let calls = "caller,callee,at\n\
        6039031234,4155552671,2026-03-01T10:00:00Z\n\
        6039031234,4155552671,2026-03-05T10:00:00Z\n\
        \"(415) 555-2671\",6039031234,2026-03-03T11:00:00Z\n\
        2125550188,6039031234,2026-03-03T12:00:00Z\n";
    let cases = "phone,status,at\n603-903-1234,Arrested,2025-01-01\n6039031234,Unpursued,2026-01-01\n";
    [("calls.csv", calls.to_owned()), ("cases.csv", cases.to_owned())]
}

fn two_agencies() -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)])
}

#[test]
fn an_answer_is_what_the_question_says() {
    let federation = two_agencies();
    presence(&federation);
    measures_weights_and_filters(&federation);
    look_ups(&federation);
    logs(&federation);
}

fn presence(federation: &Federation) {
    let answer = federation.ask("hsi", QUESTION, &[]);
    let found = answer["matches"].as_array().unwrap();
    assert_eq!(answer["subjects_matched"], 2);
    assert!(found.iter().all(|found| found["qe"] == 1.414), "two data sets at full strength: {answer}");
    let labels: BTreeMap<_, _> =
        found.iter().map(|found| (found["label"].as_str().unwrap(), found["status"].clone())).collect();
    // Both are in HSI's own records; the newest outcome counts.
    assert_eq!(labels["1603903XXXX"], "Unpursued");
    assert_eq!(labels["1415555XXXX"], Value::Null);
    let crossings = outcome(&answer, "cbp.crossings");
    assert_eq!((&crossings["rows"], &crossings["unusable"]), (&4.into(), &1.into()));
    assert_eq!(crossings["gaps"][0], "outbound is not recorded");
    assert_eq!(crossings["newest"], "2026-03-04");
    // CBP holds one of them by a call only as far as HSI is concerned: a reference stays a reference.
    let narrowed =
        QUESTION.replace("[[indicator]]\ndataset = \"cbp.crossings\"", "[[indicator]]\ndataset = \"hsi.cases\"");
    let answer = federation.ask("cbp", &narrowed, &[]);
    assert_eq!(answer["matches"][0]["label"], "1603903XXXX", "this phone crossed, so CBP knows it too");
}

fn measures_weights_and_filters(federation: &Federation) {
    let frequency =
        QUESTION.replace("\"hsi.calls\"", "\"hsi.calls\"\nmeasure = \"frequency\"\nhalf_at = 2\nweight = 0.5");
    let answer = federation.ask("hsi", &frequency, &[]);
    // Two calls are half, and half of that by weight: sqrt(1 + 0.25²).
    assert_eq!(answer["matches"][0]["qe"], 1.03);
    assert_eq!(answer["matches"][0]["evidence"][1]["strength"], 0.5);
    let recency = QUESTION.replace(
        "[[indicator]]\ndataset = \"cbp.crossings\"",
        "[window]\nuntil = 2026-03-04\n[[indicator]]\ndataset = \"cbp.crossings\"\nmeasure = \"recency\"\nhalf_life_hours = 16",
    );
    let answer = federation.ask("hsi", &recency, &[]);
    // 16 hours old is one half; 40 hours old is 2^-2.5.
    let strengths: Vec<_> =
        answer["matches"].as_array().unwrap().iter().map(|m| &m["evidence"][0]["strength"]).collect();
    assert_eq!(strengths, [&Value::from(0.5), &Value::from(0.177)]);
    for (filter, matched) in [
        ("{ attribute = \"lane\", is = \"=\", value = \"pov\" }", 1),
        ("{ attribute = \"weight\", is = \">=\", value = 20 }", 2),
        ("{ attribute = \"weight\", is = \">\", value = 20 }", 1),
        ("{ attribute = \"lane\", is = \"one of\", value = [\"pov\", \"' OR 1=1 --\"] }", 1),
    ] {
        let filtered = QUESTION.replace("\"cbp.crossings\"", &format!("\"cbp.crossings\"\nwhere = [{filter}]"));
        assert_eq!(federation.ask("hsi", &filtered, &[])["subjects_matched"], matched, "{filter}");
    }
    let required = format!("{QUESTION}[[indicator]]\ndataset = \"hsi.cases\"\nrequired = true\n");
    assert_eq!(federation.ask("hsi", &required, &[])["subjects_matched"], 1);
    let three = format!("minimum_datasets = 3\n{}", required.replace("required = true", ""));
    assert_eq!(federation.ask("hsi", &three, &[])["subjects_matched"], 1);
    assert_eq!(federation.ask("hsi", &format!("top = 1\n{QUESTION}"), &[])["matches"].as_array().unwrap().len(), 1);
}

fn look_ups(federation: &Federation) {
    let answer = federation.ask("cbp", QUESTION, &["--phone", "(603) 903-1234"]);
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&1.into(), &1.414.into()));
    // Nobody holds it; asking for it takes the help of all nodes and leaves no trace of it.
    let answer = federation.ask("cbp", QUESTION, &["--phone", "(303) 555-0199"]);
    assert_eq!(answer["subjects_matched"], 0);
    std::fs::write(federation.path().join("list"), "4155552671\n\n603-903-1234\n2125550188\n").unwrap();
    // The asker's own list is one of the data sets that must agree, so one more may be enough.
    let answer = federation.ask("hsi", QUESTION, &["--lookup-file", "list"]);
    assert_eq!(answer["subjects_matched"], 3);
    // Without a question's file, every data set that knows phones is asked.
    let arguments = ["ask", "--phone", "6039031234", "--purpose", "border-security", "--case", "T-1", "--json"];
    let output = federation.output(&[&arguments[..], &["--as", "cbp-analyst"]].concat());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["coverage"].as_array().unwrap().len(), 4, "{answer}");
    assert_eq!(answer["matches"][0]["qe"], 2.0, "four indicators at full strength");
    let output = federation.try_ask("hsi", QUESTION, &["--phone", "call me"]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("identifier_unusable", Some(2)));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("call me"), "a refusal does not repeat identifiers");
}

fn logs(federation: &Federation) {
    for name in ["gateway", "cbp", "hsi"] {
        let log = federation.audit(name);
        let output = federation.output(&["audit", "verify", log.to_str().unwrap()]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // One flipped byte anywhere in the entries is found.
    let tiles = federation.audit("gateway").join("tile/entries");
    let damaged = walk(&tiles).into_iter().next().expect("an entry tile");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let output = federation.output(&["audit", "verify", federation.audit("gateway").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5));
}

pub(crate) fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_demonstration_finds_what_is_planted_at_any_seed() {
    for seed in ["2", "7", "23"] {
        let directory = tempfile::tempdir().unwrap();
        let output = Command::new(PROGRAM)
            .args(["demo", "--json", "--seed", seed, "--directory"])
            .arg(directory.path().join("demo"))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        for (truth, planted) in [(&answer["truth"], 12), (&answer["after_crossing"]["truth"], 5)] {
            assert_eq!((&truth["planted"], &truth["found"]), (&planted.into(), &planted.into()), "seed {seed}");
            assert_eq!(truth["in_order"], true, "seed {seed}");
        }
        // Of three trucks off the corridor one is under bond and not diverted; what came of it labels the next answer.
        let told = &answer["off_corridor"];
        assert_eq!((&told["truth"]["leads"], &told["truth"]["found"]), (&1.into(), &true.into()), "seed {seed}");
        assert_eq!((&told["lead"]["subject"], &told["lead"]["state"]), (&"acme-104".into(), &"concluded".into()));
        let statuses: Vec<&Value> =
            told["answer"]["matches"].as_array().unwrap().iter().map(|found| &found["status"]).collect();
        for status in ["seizure", "cleared"] {
            assert_eq!(statuses.iter().filter(|shown| ***shown == status).count(), 1, "{told}");
        }
    }
}

#[test]
fn an_owner_that_refuses_leaves_the_answer_of_the_others() {
    let (crossings, calls) = ([crossings()], calls());
    let closed = OPEN_RULES.replace("\"ask\", \"look_up\", ", "");
    let mut refusing = Agency::new("cbp", CROSSINGS, &crossings);
    refusing.rules = Some(&closed);
    let federation = Federation::start(&[refusing, Agency::new("hsi", CALLS, &calls)]);
    let question = format!("{QUESTION}[[indicator]]\ndataset = \"hsi.cases\"\n");
    let answer = federation.ask("hsi", &question, &[]);
    assert_eq!(outcome(&answer, "cbp.crossings")["outcome"], "denied", "{answer}");
    assert_eq!(outcome(&answer, "cbp.crossings")["reason"], "no_rule_allows");
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&1.into(), &1.414.into()));
    // The home node's own policy comes first: then there is no answer at all.
    let output = federation.try_ask("cbp", QUESTION, &[]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("no_rule_allows", Some(3)));
}

#[test]
fn what_a_file_cannot_give_is_counted_and_told() {
    let mut broken = crossings().1.into_bytes();
    broken.extend(b"6039031234,2026-03-05T08:00:00Z\n");
    broken.extend(b"6039031234,2026-03-05T08:00:00Z,\xff\xfe,1\n");
    broken.extend(b"6039031234,2026-03-06T08:00:00Z,\"said \"\"pov\"\"\r\nand left\",1\n");
    let (calls, directory) = (calls(), tempfile::tempdir().unwrap());
    let file = directory.path().join("broken.csv");
    std::fs::write(&file, broken).unwrap();
    let crossings = CROSSINGS.replace("crossings.csv", file.to_str().unwrap());
    let federation = Federation::start(&[Agency::new("cbp", &crossings, &[]), Agency::new("hsi", CALLS, &calls)]);
    let answer = federation.ask("hsi", QUESTION, &[]);
    let told = outcome(&answer, "cbp.crossings");
    // Two lines are unreadable and one phone is no phone; a quoted field may hold line feeds.
    assert_eq!((&told["unusable"], &told["rows"]), (&3.into(), &5.into()), "{answer}");
    assert_eq!(told["newest"], "2026-03-06");
}
