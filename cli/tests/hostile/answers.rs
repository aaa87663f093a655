//! Questions that are well written and cannot be answered, and data that are not as they should be.

use crate::{
    attacker::QUESTION,
    world::{Federation, Finished, World},
};

/// Marks that would clear a screen, recolour it, ring, overwrite a line, and turn text around.
const STEERING: [char; 6] = ['\u{1b}', '\u{9b}', '\u{7}', '\r', '\u{202e}', '\u{7f}'];

const CBP: &str = r#"
[[dataset]]
name = "cbp.crossings"
title = "Cross\u001b[2Jings\u009b31m\u202e\u0007"
files = ["crossings.csv"]
sensitivity = "official"
[dataset.time]
column = "crossed_at"
[[dataset.identifier]]
name = "phone"
column = "phone"
type = "phone"
country = "US"
[[dataset.attribute]]
name = "lane"
column = "lane"
type = "text"
title = "La\u001b]0;owned\u0007ne"
[[dataset.attribute]]
name = "axles"
column = "axles"
type = "integer"
[dataset.coverage]
gaps = ["out\u001b[1Abound\rcrossings are not recorded"]
"#;

const HSI: &str = r#"
[[dataset]]
name = "hsi.calls"
files = ["calls.csv"]
sensitivity = "official"
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
[dataset.label]
column = "status"
"#;

async fn federation() -> (World, Federation) {
    let world = World::new();
    let mut crossings = "crossed_at,phone,lane,axles\n".to_owned();
    let mut calls = "caller,callee,status\n".to_owned();
    for n in 0..8 {
        crossings.push_str(&format!("2026-03-04T10:00:00Z,956-700-100{n},cargo,5\n"));
        calls.push_str(&format!("+1956700100{n},+1956700200{n},Arr\u{1b}[31mested\u{202e}\n"));
    }
    // Too few fields, too many, a filler number, no number, no time, no number of axles.
    crossings.push_str("2026-03-04T10:00:00Z,956-700-1001\n2026-03-04T10:00:00Z,956-700-1001,cargo,5,6\n");
    crossings.push_str("2026-03-04T10:00:00Z,9999999999,cargo,5\n2026-03-04T10:00:00Z,,cargo,5\n");
    crossings.push_str("soon,956-700-1001,cargo,5\n2026-03-04T10:00:00Z,956-700-1001,cargo,many\n");
    let mut crossings = crossings.into_bytes();
    // No text at all.
    crossings.extend(b"2026-03-04T10:00:00Z,956-700-1001,\xff\xfe,5\n");
    std::fs::write(world.path("crossings.csv"), crossings).unwrap();
    world.write("calls.csv", &calls);
    let federation = Federation::start(&world, HSI, CBP).await;
    (world, federation)
}

fn answer(finished: &Finished) -> serde_json::Value {
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    serde_json::from_str(&finished.out).unwrap()
}

#[tokio::test]
async fn what_cannot_be_answered_is_said_with_a_stable_reason() {
    let (world, mut federation) = federation().await;
    let ask = |from: &str, to: &str| {
        assert!(QUESTION.contains(from), "{from}");
        world.write("question.toml", &QUESTION.replacen(from, to, 1));
        world.ask("rivera", &["question.toml", "--json"])
    };
    let sound = answer(&ask("top = 50", "top = 50"));
    assert_eq!(sound["matches"].as_array().unwrap().len(), 8, "{sound}");
    // Lines that cannot be read, and rows whose number cannot be, are counted, not dropped in silence.
    assert_eq!(sound["coverage"][0]["unusable"], 5, "{sound}");

    ask("minimum_datasets = 2", "minimum_datasets = 3").refused(2, "minimum_datasets_too_large");
    ask("minimum_datasets = 2", "minimum_datasets = 1").refused(2, "minimum_datasets_too_small");
    ask("subject = \"phone\"", "subject = \"telephone\"").refused(2, "subject_unknown");
    // The policies' own bounds.
    ask("top = 50", "top = 501").refused(3, "too_many_results");
    ask("case_number = \"HSI-2026-0117\"", "").refused(3, "missing_attribute");
    ask("\"counter-narcotics\"", "\"traffic-fines\"").refused(3, "no_rule_allows");

    let of_cbp = |from: &str, to: &str| {
        let told = answer(&ask(from, to));
        assert_eq!(told["matches"].as_array().unwrap().len(), 0, "{told}");
        assert_eq!(told["coverage"][1]["outcome"], "answered", "{told}");
        let coverage = &told["coverage"][0];
        assert_eq!(coverage["outcome"], "denied", "{told}");
        coverage["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(of_cbp("cbp.crossings", "cbp.flights"), "dataset_unknown");
    assert_eq!(of_cbp("cbp.crossings", "fbi.files"), "agency_unknown");
    assert_eq!(of_cbp("attribute = \"lane\"", "attribute = \"colour\""), "attribute_unknown");
    assert_eq!(of_cbp("value = \"cargo\"", "value = 5"), "filter_value_type");
    assert_eq!(of_cbp("attribute = \"lane\"", "attribute = \"axles\""), "filter_value_type");
    assert_eq!(of_cbp("cbp.crossings\"", "cbp.crossings\"\nidentifier = \"driver\""), "identifier_unknown");
    // Which of two identifiers is meant must be said.
    let told = answer(&ask("identifier = \"caller\"", ""));
    assert_eq!(told["coverage"][1]["reason"], "identifier_unknown", "{told}");

    // A value is only ever a value.
    let told = answer(&ask("\"cargo\"", "\"cargo' OR 1=1 --\""));
    assert_eq!((&told["coverage"][0]["outcome"], &told["coverage"][0]["rows"]), (&"answered".into(), &0.into()));
    [&mut federation.gateway, &mut federation.hsi, &mut federation.cbp].into_iter().for_each(|server| server.is_well());
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_said_without_repeating_it() {
    let (world, federation) = federation().await;
    let why = ["--purpose", "counter-narcotics", "--case", "HSI-2026-0117"];
    let look_up = |what: [&str; 2]| world.ask("rivera", &[&what[..], &why].concat());
    look_up(["--vin", "1M8GDM9AXKP042788"]).refused(2, "no_dataset");
    for unusable in ["911", "956-700-1001 x5", "not a number", "\u{1b}[2J"] {
        let told = look_up(["--phone", unusable]);
        told.refused(2, "identifier_unusable");
        assert!(!told.err.contains(unusable), "{:?}", told.err);
        let logs = [&federation.gateway, &federation.hsi, &federation.cbp].map(|server| server.said("log"));
        assert!(!says(&logs.concat(), unusable), "no log tells who was looked up");
    }
    world.write("question.toml", QUESTION);
    let of_two = world.ask("rivera", &["question.toml", "--phone", "956-700-1001", "--json"]);
    assert_eq!(answer(&of_two)["matches"].as_array().unwrap().len(), 1, "{}", of_two.out);
}

/// Whether the words stand in the text by themselves: the digits of a port or of a moment are none of them.
fn says(text: &str, words: &str) -> bool {
    let apart = |neighbour: Option<char>| neighbour.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(words)
        .any(|(at, _)| apart(text[..at].chars().next_back()) && apart(text[at + words.len()..].chars().next()))
}

#[tokio::test]
async fn nothing_that_others_wrote_steers_the_terminal() {
    let (world, _federation) = federation().await;
    world.write("question.toml", QUESTION);
    let who = ["--as", "rivera", "--people", "people.toml"];
    for json in [&[][..], &["--json"]] {
        let catalog = world.run(&[&["catalog"][..], &who, json].concat());
        let answer = world.run(&[&["ask", "question.toml"][..], &who, json].concat());
        assert_eq!((catalog.code, answer.code), (Some(0), Some(0)), "{}{}", catalog.err, answer.err);
        assert!(catalog.out.contains("ings") && catalog.out.contains("bound"), "the titles and gaps are shown");
        assert!(
            answer.out.contains("ested") && answer.out.contains("bound"),
            "labels and gaps are shown: {}",
            answer.out
        );
        for said in [&catalog.out, &catalog.err, &answer.out, &answer.err] {
            assert!(!said.contains(STEERING), "{said:?}");
        }
        if !json.is_empty() {
            let told: serde_json::Value = serde_json::from_str(&catalog.out).unwrap();
            let titles = told.to_string();
            assert!(titles.contains("Cross\\u001b[2Jings"), "a script reads what the owner wrote: {titles}");
        }
    }
    // Words of our own that come back in a refusal.
    world.write("question.toml", &QUESTION.replace("cbp.crossings", "cbp.cross\\u202eings\\u009b"));
    let refused = world.ask("rivera", &["question.toml"]);
    assert!(!refused.err.contains(STEERING) && !refused.out.contains(STEERING), "{:?}{:?}", refused.err, refused.out);
}
