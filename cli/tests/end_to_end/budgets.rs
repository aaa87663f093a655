//! What owners give away at most, and what they write down of what they gave.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, OPEN_RULES, PATIENCE, outcome, reason},
};

const OFFICER_RULE: &str = r#"
[[rule]]
id = "officers"
effect = "allow"
actions = ["disclosures"]
owners = ["cbp"]
[rule.subject]
role = { equals = "privacy_officer" }
agency = { same_as = "resource.owner" }
"#;

const PEOPLE: [(&str, &str); 1] = [("cbp-officer", "privacy_officer")];

/// HSI asks, and CBP is the one who counts.
fn start(hsi_people: &[(&str, &str)], cbp_datasets: &str) -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    let rules = format!("{OPEN_RULES}{OFFICER_RULE}");
    let hsi = Agency { people: hsi_people, ..Agency::new("hsi", CALLS, &calls) };
    let cbp = Agency { people: &PEOPLE, rules: Some(&rules), ..Agency::new("cbp", cbp_datasets, &crossings) };
    Federation::start(&[cbp, hsi])
}

fn answer(federation: &Federation, person: &str, question: &str, more: &[&str]) -> Value {
    let output = federation.try_ask_as(person, question, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What became of CBP's data set, and what is left of its budgets by what they are of.
fn crossing(answer: &Value) -> (String, String, Vec<(String, u64)>) {
    let entry = outcome(answer, "cbp.crossings");
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    let left = entry["budgets"].as_array().unwrap().iter();
    let left = left.map(|one| (one["of"].as_str().unwrap().to_owned(), one["left"].as_u64().unwrap())).collect();
    (text("outcome"), text("reason"), left)
}

#[test]
fn people_and_agencies_run_out_each_by_its_own_budget_and_a_restart_gives_nothing_back() {
    let budgets = "[[budget]]\nof = \"person\"\nquestions = 3\nperiod = \"1h\"\n\
        [[budget]]\nof = \"agency\"\nquestions = 5\nperiod = \"1h\"\n\
        [[budget]]\nof = \"purpose\"\npurpose = \"counter-smuggling\"\nquestions = 1\nperiod = \"1h\"\n\
        [[budget]]\nof = \"look_up\"\nidentifiers = 2\n";
    let mut federation = start(&[("hsi-second", "analyst")], &format!("{CROSSINGS}{budgets}"));
    let asked = |federation: &Federation, person: &str| crossing(&answer(federation, person, QUESTION, &[]));
    let left = |person: u64, agency: u64| vec![("person".to_owned(), person), ("agency".to_owned(), agency)];
    for n in [2, 1, 0] {
        let (outcome, _, told) = asked(&federation, "hsi-analyst");
        assert_eq!((outcome.as_str(), told), ("answered", left(n, n + 2)));
    }
    let whole = answer(&federation, "hsi-analyst", QUESTION, &[]);
    let refused = outcome(&whole, "cbp.crossings");
    assert_eq!((&refused["outcome"], &refused["reason"]), (&"denied".into(), &"budget_person".into()));
    let said = refused["explanation"].as_str().unwrap();
    assert!(said.starts_with("The budget of 3 questions per person and hour is used up; it renews at 20"), "{said}");
    assert_eq!(outcome(&whole, "hsi.calls")["outcome"], "answered", "one owner's budget is not another's");

    // Another person of the same agency goes on, as far as the agency may.
    for n in [1, 0] {
        let (outcome, _, told) = asked(&federation, "hsi-second");
        assert_eq!((outcome.as_str(), told), ("answered", left(n + 1, n)));
    }
    assert_eq!(asked(&federation, "hsi-second").1, "budget_agency");

    // A power cut, at the owner.
    federation.kill("cbp");
    federation.run("cbp");
    let until = Instant::now() + PATIENCE;
    let after = loop {
        let (outcome, reason, _) = asked(&federation, "hsi-second");
        if outcome == "denied" {
            break reason;
        }
        assert!(outcome == "unavailable" && Instant::now() < until, "{outcome} [{reason}]");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(after, "budget_agency");

    shown_before(&federation);
    the_last_one_is_taken_once(&federation);
    // CBP's own people count at their own node as well: how long a list may be is the same for them.
    let list = ["--phone", "603-903-1234", "--phone", "415-555-2671", "--phone", "212-555-0188"];
    let answer = answer(&federation, "cbp-analyst", QUESTION, &list);
    assert_eq!(crossing(&answer).1, "budget_look_up");
}

/// What is left stands in the catalog and, when it is little, under an answer.
fn shown_before(federation: &Federation) {
    let output = federation.output(&["catalog", "--as", "hsi-second", "--json"]);
    let catalog: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = catalog["nodes"].as_array().unwrap();
    let cbp = nodes.iter().find(|node| node["agency"] == "cbp").unwrap()["budgets"].as_array().unwrap();
    let told: Vec<_> =
        cbp.iter().map(|one| (one["of"].as_str().unwrap(), one["limit"].clone(), one["left"].clone())).collect();
    let expected = [
        ("person", 3.into(), 1.into()),
        ("agency", 5.into(), 0.into()),
        ("purpose", 1.into(), 1.into()),
        ("look_up", 2.into(), Value::Null),
    ];
    assert_eq!(told, expected);
    let told = federation.output(&["catalog", "--as", "hsi-second"]).stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("1 of 3 questions per person and hour are left"), "{told}");
    assert!(told.contains("0 of 5 questions per agency and hour are left, one more from 20"), "{told}");
    assert!(told.contains("at most 2 identifiers per look-up"), "{told}");
}

/// One question is left for the purpose, and three are asked at once.
fn the_last_one_is_taken_once(federation: &Federation) {
    let question = QUESTION.replace("border-security", "counter-smuggling");
    let reasons: Vec<String> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..3).map(|_| scope.spawn(|| crossing(&answer(federation, "cbp-analyst", &question, &[])).1)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    let refused = reasons.iter().filter(|reason| *reason == "budget_purpose").count();
    assert_eq!((refused, reasons.iter().filter(|reason| reason.is_empty()).count()), (2, 1), "{reasons:?}");
}

fn disclosures(federation: &Federation, phone: &str) -> Vec<Value> {
    let output = federation.output(&["disclosures", "--phone", phone, "--as", "cbp-officer", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["disclosures"].as_array().unwrap().clone()
}

/// The account comes after the answer: waits until there are as many disclosures of the phone.
fn disclosed(federation: &Federation, phone: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = disclosures(federation, phone);
        if told.len() == count {
            return told;
        }
        assert!(told.len() < count && Instant::now() < until, "{told:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const KNOWN: &str = "(603) 903-1234";
const OTHER: &str = "415-555-2671";

#[test]
fn a_subject_is_left_out_after_its_scores_and_its_owner_can_say_who_had_them() {
    let budget = "[[budget]]\nof = \"subject\"\nscores = 2\nperiod = \"1h\"\n";
    let federation = start(&[], &format!("{CROSSINGS}{budget}"));
    assert_eq!(federation.ask("hsi", QUESTION, &[])["subjects_matched"], 2);
    disclosed(&federation, KNOWN, 1);
    disclosed(&federation, OTHER, 1);
    // Another agency's person looks one of the two up: its second score.
    let because = QUESTION.replace("case_number = \"T-1\"", "case_number = \"T-2\"\nreason = \"a seizure at Laredo\"");
    let answer = federation.ask("cbp", &because, &["--phone", KNOWN]);
    assert_eq!(answer["matches"].as_array().unwrap().len(), 1, "{answer}");
    let told = disclosed(&federation, KNOWN, 2);
    let has = |entry: &Value, name: &str, value: &str| assert_eq!(entry[name], value, "{entry}");
    for (entry, who, case, nature) in [
        (&told[0], "hsi", "T-1", "match score of a subject ranked among all, by presence"),
        (&told[1], "cbp", "T-2", "match score of a subject looked up, by presence"),
    ] {
        has(entry, "asker", &format!("spiffe://sallyport.demo/agency/{who}/user/{who}-analyst"));
        has(entry, "agency", who);
        has(entry, "purpose", "border-security");
        has(entry, "case_number", case);
        has(entry, "dataset", "cbp.crossings");
        has(entry, "nature", nature);
        has(entry, "rows", "all rows, at any time");
    }
    has(&told[1], "reason", "a seizure at Laredo");
    has(&told[1], "question_id", answer["question_id"].as_str().unwrap());
    assert!(told[0]["at"].as_str().unwrap() <= told[1]["at"].as_str().unwrap());

    // From now on it is left out, whoever asks, and nobody is told which one it is.
    let answer = federation.ask("hsi", QUESTION, &[]);
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["label"]), (&1.into(), &"1415555XXXX".into()));
    assert_eq!(outcome(&answer, "cbp.crossings")["over_budget"], 1);
    disclosed(&federation, OTHER, 2);
    let answer = federation.ask("cbp", QUESTION, &[]);
    assert_eq!(answer["subjects_matched"], 0, "{answer}");
    assert_eq!(outcome(&answer, "cbp.crossings")["over_budget"], 2);
    nothing_is_told_to_whom_it_does_not_concern(&federation);
    the_log_proves_what_was_sealed(&federation);
}

fn nothing_is_told_to_whom_it_does_not_concern(federation: &Federation) {
    // A phone that is nobody's, one that CBP holds and never disclosed, and one that cannot be read.
    assert!(disclosures(federation, "212-555-0123").is_empty());
    assert!(disclosures(federation, "+44 20 7946 0958").is_empty());
    let told = federation.output(&["disclosures", "--phone", "212-555-0123", "--as", "cbp-officer"]);
    assert!(String::from_utf8_lossy(&told.stdout).starts_with("Nothing was disclosed"));
    let refused = |arguments: &[&str]| {
        let output = federation.output(&[&["disclosures"], arguments].concat());
        assert!(output.stdout.is_empty());
        (output.status.code(), reason(&output))
    };
    let denied = (Some(3), "no_rule_allows".to_owned());
    assert_eq!(refused(&["--phone", KNOWN, "--as", "cbp-analyst"]), denied);
    assert_eq!(refused(&["--phone", KNOWN, "--as", "hsi-analyst"]), denied);
    let bad = |reason: &str| (Some(2), reason.to_owned());
    assert_eq!(refused(&["--phone", "nonsense", "--as", "cbp-officer"]), bad("identifier_unusable"));
    assert_eq!(refused(&["--as", "cbp-officer"]), bad("one_subject"));
    assert_eq!(refused(&["--phone", KNOWN, "--phone", OTHER, "--as", "cbp-officer"]), bad("one_subject"));
    let list = federation.output(&["disclosures", "--lookup-file", "list.txt", "--as", "cbp-officer"]);
    assert!(String::from_utf8_lossy(&list.stderr).contains("unexpected argument '--lookup-file'"));
    for (path, bytes) in files(&federation.audit("cbp")) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("6039031234") && !text.contains("903-1234"), "{}", path.display());
    }
    assert!(!federation.log("cbp").contains("6039031234"));
}

/// Each account's entry names the place of its sealed disclosures and their digest.
fn the_log_proves_what_was_sealed(federation: &Federation) {
    let entries: Vec<String> = files(&federation.audit("cbp").join("journal"))
        .into_iter()
        .map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    let text = entries.concat();
    let mut proved = 0;
    for entry in text.split("{\"format\"").filter(|entry| entry.contains("disclosures_sha256_")) {
        let after = |name: &str| {
            let from = entry.find(name).unwrap() + name.len();
            entry[from..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>()
        };
        let number = |name: &str| after(&format!("\"{name}\":")).parse::<usize>().unwrap();
        let (from, length) = (number("disclosures_from_byte"), number("disclosures_bytes"));
        let day = federation.path().join("cbp/disclosures/sealed").join(number("disclosures_day").to_string());
        let sealed = &fs::read(day).unwrap()[from..from + length];
        let digest: String = Sha256::digest(sealed).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, after("disclosures_sha256_"));
        proved += 1;
    }
    assert_eq!(proved, 3, "three of the four answers released something");
}

/// By plain rows, by relation, as a person: nobody leaves in another way.
#[test]
fn questions_of_every_kind_are_accounted_for_and_leave_out_whoever_is_over_budget() {
    let budget = "[[budget]]\nof = \"subject\"\nscores = 3\nperiod = \"1h\"\n";
    let federation = start(&[], &format!("{CROSSINGS}{budget}"));
    let related = QUESTION
        .replace("\"cbp.crossings\"", "\"cbp.crossings\"\nname = \"crossing\"")
        .replace("identifier = \"caller\"", "identifier = \"caller\"\nafter = \"crossing\"\nwithin = \"6h\"");
    let person = "subject = \"person\"\npurpose = \"border-security\"\n[[indicator]]\ndataset = \"cbp.crossings\"\n\
        [[indicator]]\ndataset = \"hsi.cases\"\n";
    for (count, question) in (1..).zip([QUESTION, &related, person]) {
        let answer = federation.ask("hsi", question, &[]);
        assert!(answer["subjects_matched"].as_u64().unwrap() > 0, "{answer}");
        disclosed(&federation, KNOWN, count);
    }
    // Only one of the two has an HSI case, so the other person has one score less.
    for (question, left) in [(QUESTION, 1), (&related, 0), (person, 0)] {
        let answer = federation.ask("hsi", question, &[]);
        assert_eq!(answer["subjects_matched"], left, "{question}: {answer}");
        disclosed(&federation, OTHER, 3);
    }
    let until = Instant::now() + PATIENCE;
    for agency in ["cbp", "hsi"] {
        let awaited = federation.path().join(agency).join("awaited");
        while !files(&awaited).is_empty() {
            assert!(Instant::now() < until, "{agency} still awaits {:?}", files(&awaited));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!federation.log(agency).contains("did not account"));
    }
    assert!(!federation.log("gateway").contains("could not be told"), "{}", federation.log("gateway"));
}

#[test]
fn what_has_expired_is_erased_and_the_log_says_that_it_was() {
    // The newest crossing was in March 2026: by a day's retention no record lives longer than three seconds.
    let brief = CROSSINGS.replace("sensitivity", "retention_days = 1\nsensitivity");
    let federation = start(&[], &format!("{brief}[disclosures]\nkeep = \"3s\"\n"));
    federation.ask("hsi", QUESTION, &[]);
    disclosed(&federation, KNOWN, 1);
    let keys = federation.path().join("cbp/disclosures/keys");
    assert_eq!(files(&keys).len(), 1);
    let until = Instant::now() + PATIENCE;
    while !disclosures(&federation, KNOWN).is_empty() {
        assert!(Instant::now() < until, "it is told for ever");
        std::thread::sleep(Duration::from_millis(100));
    }
    while !files(&keys).is_empty() {
        assert!(Instant::now() < until, "the key stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    let journal = federation.audit("cbp").join("journal");
    let says = |words: &str| files(&journal).iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(words));
    while !says("\"disclosures_erased\":2") {
        assert!(Instant::now() < until, "the audit log does not say so");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(files(&federation.path().join("cbp/disclosures/sealed")).len(), 1, "what was sealed stays, as noise");
    let verified = federation.output(&["audit", "verify", federation.audit("cbp").to_str().unwrap()]);
    assert!(verified.status.success());
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match fs::read(&path) {
            Ok(bytes) => found.push((path, bytes)),
            Err(_) if path.is_dir() => found.extend(files(&path)),
            // What is being published may have moved on.
            Err(_) => {}
        }
    }
    found
}
