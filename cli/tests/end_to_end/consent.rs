//! Questions that a rule holds: they wait for people of the owner, and are completed by their id.

use std::{process::Output, time::Instant};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, OPEN_RULES, PATIENCE, outcome, reason, tls},
};

const OFFICERS: &str = r#"
[[rule]]
id = "officers"
effect = "allow"
actions = ["release"]
[rule.subject]
agency = { same_as = "resource.owner" }
role = { equals = "release_officer" }
"#;

/// HSI's questions about crossings wait for so many release officers.
fn held_by(releases: u32) -> String {
    format!(
        "{OPEN_RULES}{OFFICERS}[[rule]]\nid = \"crossings-wait\"\neffect = \"hold\"\nrelease_by = \"release_officer\"\n\
         actions = [\"ask\", \"look_up\"]\ndatasets = [\"cbp.crossings\"]\n\
         [rule.subject]\nagency = {{ equals = \"hsi\" }}\n\
         [rule.obligations]\nreleases = {releases}\nmaximum_results = 50\nscore_step_thousandths = 2\n"
    )
}

/// HSI's own two data sets agree on one phone whatever CBP does.
fn question() -> String {
    format!("reason = \"Last seen at the bridge\"\n{QUESTION}[[indicator]]\ndataset = \"hsi.cases\"\n")
}

fn start(releases: u32) -> Federation {
    let (crossings, calls, rules) = ([crossings()], calls(), held_by(releases));
    let own = format!("{OPEN_RULES}{OFFICERS}");
    let mut cbp = Agency::new("cbp", CROSSINGS, &crossings);
    (cbp.rules, cbp.people) = (Some(rules.as_str()), &[("novak", "release_officer"), ("silva", "release_officer")]);
    let mut hsi = Agency::new("hsi", CALLS, &calls);
    (hsi.rules, hsi.people) = (Some(own.as_str()), &[("hsi-second", "analyst"), ("adeyemi", "release_officer")]);
    Federation::start(&[cbp, hsi])
}

fn answer(output: Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn complete(federation: &Federation, id: &str) -> Value {
    answer(federation.output(&["ask", "--complete", id, "--as", "hsi-analyst", "--json"]))
}

/// What waits for a release officer.
fn waiting(federation: &Federation, officer: &str) -> Vec<Value> {
    let listed = answer(federation.output(&["release", "list", "--as", officer, "--json"]));
    listed["questions"].as_array().unwrap().clone()
}

fn only(mut questions: Vec<Value>) -> Value {
    assert_eq!(questions.len(), 1, "{questions:?}");
    questions.remove(0)
}

fn decide(federation: &Federation, verdict: &[&str], id: &Value, officer: &str) -> Output {
    let mut arguments = vec!["release", verdict[0], id.as_str().unwrap(), "--as", officer];
    arguments.extend(&verdict[1..]);
    federation.output(&arguments)
}

fn grant(federation: &Federation, id: &Value, officer: &str) {
    let output = decide(federation, &["grant", "--reason", "the case is known to us"], id, officer);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, code: i32, expected: &str) {
    assert_eq!((reason(output).as_str(), output.status.code()), (expected, Some(code)));
}

#[track_caller]
fn is_held(answer: &Value) -> String {
    let crossings = outcome(answer, "cbp.crossings");
    assert_eq!((&crossings["outcome"], &crossings["reason"]), (&"held".into(), &"held".into()), "{answer}");
    assert!(crossings["explanation"].as_str().unwrap().contains("`crossings-wait`"), "{answer}");
    // The others answered.
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&1.into(), &1.414.into()));
    answer["complete_with"].as_str().unwrap().to_owned()
}

#[track_caller]
fn is_whole(answer: &Value) {
    assert_eq!(outcome(answer, "cbp.crossings")["outcome"], "answered", "{answer}");
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&2.into(), &1.732.into()));
    assert_eq!(answer["complete_with"], Value::Null);
}

fn state(federation: &Federation, dataset: &str) -> Value {
    let held = answer(federation.output(&["held", "--as", "hsi-analyst", "--json"]));
    let first = held["questions"][0]["datasets"].as_array().unwrap().iter().find(|d| d["dataset"] == dataset).cloned();
    first.unwrap()
}

#[test]
fn a_held_question_is_released_by_an_officer_and_completed_once_by_who_asked() {
    let federation = start(1);
    let asked = federation.ask("hsi", &question(), &[]);
    let id = is_held(&asked);
    assert_eq!(asked["question_id"], id.as_str());
    assert_eq!(state(&federation, "cbp.crossings")["state"], "waiting");
    assert_eq!(state(&federation, "hsi.calls")["state"], "answered");
    told_in_words(&federation);

    let held = only(waiting(&federation, "novak"));
    says_everything(&held, &id);
    shown_in_words(&federation, &held);
    refused(&federation.output(&["release", "list", "--as", "cbp-analyst"]), 3, "no_rule_allows");
    refused(&decide(&federation, &["grant", "--reason", "x"], &held["id"], "cbp-analyst"), 3, "no_rule_allows");
    refused(&decide(&federation, &["grant", "--reason", " "], &held["id"], "novak"), 2, "release_reason");
    // Officers of another agency have a queue of their own, and no say at this node.
    assert!(waiting(&federation, "adeyemi").is_empty());
    refused(&decide(&federation, &["grant", "--reason", "x"], &held["id"], "adeyemi"), 2, "release_unknown");
    refused(&at_cbp(&federation, &held["id"]), 3, "wrong_agency");

    // Tried too early, it waits on as the same entry.
    assert_eq!(is_held(&complete(&federation, &id)), id);
    assert_eq!(only(waiting(&federation, "novak"))["id"], held["id"]);
    let past = ["grant", "--reason", "x", "--until", "2020-01-01"];
    refused(&decide(&federation, &past, &held["id"], "novak"), 2, "release_until");
    grant(&federation, &Value::from(&held["id"].as_str().unwrap()[..8]), "novak");
    assert!(waiting(&federation, "novak").is_empty());
    assert_eq!(state(&federation, "cbp.crossings")["state"], "granted");
    of_no_use_to_others(&federation, &id);

    is_whole(&complete(&federation, &id[..8]));
    let again = complete(&federation, &id);
    assert_eq!(is_held(&again), id);
    let explained = outcome(&again, "cbp.crossings")["explanation"].as_str().unwrap().to_owned();
    assert!(explained.starts_with("It was answered before, which uses up a grant"), "{explained}");
    assert_ne!(again["question_id"], id.as_str());
    let anew: Vec<Value> =
        waiting(&federation, "silva").into_iter().filter(|held| held["question_id"] == id.as_str()).collect();
    let anew = only(anew);
    assert_ne!(anew["id"], held["id"]);
    refuse_with_a_reason(&federation, &id, &anew["id"]);
    for name in ["gateway", "cbp", "hsi"] {
        let log = federation.audit(name);
        assert!(federation.output(&["audit", "verify", log.to_str().unwrap()]).status.success(), "{name}");
    }
}

/// The asker reads what to do in the answer itself.
fn told_in_words(federation: &Federation) {
    std::fs::write(federation.path().join("again.toml"), question().replace("T-1", "T-0")).unwrap();
    let output = federation.output(&["ask", "again.toml", "--as", "hsi-second"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Rule `crossings-wait` leaves this to people of cbp"), "{told}");
    let command = told.lines().find(|line| line.contains("sallyport ask --complete")).expect("what to do next");
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let as_printed = federation.output(&words);
    assert!(as_printed.status.success(), "{}", String::from_utf8_lossy(&as_printed.stderr));
    let id = words[2];
    let listed = String::from_utf8(federation.output(&["held", "--as", "hsi-second"]).stdout).unwrap();
    assert!(listed.contains(&words.join(" ")) && listed.contains("waits for people of the owner"), "{listed}");
    // Out of the way of what follows.
    let other = waiting(federation, "novak").into_iter().find(|held| held["question_id"] == id).unwrap();
    assert!(decide(federation, &["refuse", "--reason", "not now"], &other["id"], "novak").status.success());
}

fn says_everything(held: &Value, id: &str) {
    assert_eq!(held["question_id"], id);
    assert_eq!((&held["state"], &held["rule"]), (&"waiting".into(), &"crossings-wait".into()));
    assert_eq!((&held["agency"], &held["asker"]["role"]), (&"hsi".into(), &"analyst".into()));
    assert_eq!(held["asker"]["federation_id"], "spiffe://sallyport.demo/agency/hsi/user/hsi-analyst");
    assert_eq!((&held["purpose"], &held["case_number"]), (&"border-security".into(), &"T-1".into()));
    assert_eq!((&held["reason"], &held["dataset"]), (&"Last seen at the bridge".into(), &"cbp.crossings".into()));
    assert_eq!((&held["subject"], &held["looked_up"]), (&"phone".into(), &0.into()));
    assert_eq!((&held["minimum_datasets"], &held["maximum_results"]), (&2.into(), &20.into()));
    assert_eq!(held["score_step_thousandths"], 2);
    let part = &held["parts"][0];
    assert_eq!((&part["filter"], &part["window"]), (&"all rows".into(), &"at any time".into()));
    assert_eq!(part["measure"], "whether the data set holds a subject");
    // Five rows, one of them without a usable phone; two of the others are of one phone.
    assert_eq!((&part["rows"], &part["subjects"]), (&4.into(), &3.into()));
    assert_eq!(held["needs"], serde_json::json!([{ "role": "release_officer", "needed": 1, "granted": 0 }]));
}

fn shown_in_words(federation: &Federation, held: &Value) {
    let digits = &held["id"].as_str().unwrap()[..8];
    refused(&federation.output(&["release", "show", &digits[..7], "--as", "novak"]), 2, "release_unknown");
    let output = federation.output(&["release", "show", digits, "--as", "novak"]);
    let told = String::from_utf8(output.stdout).unwrap();
    for said in [
        "0 of 1 release_officer granted",
        "spiffe://sallyport.demo/agency/hsi/user/hsi-analyst of hsi",
        "border-security, case T-1",
        "Last seen at the bridge",
        "of cbp.crossings: a ranking of everyone by phone",
        "these are 4 rows about 3 different subjects",
        "the best 20 at most, each a phone that at least 2 data sets hold",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    for number in ["6039031234", "4155552671", "903-1234"] {
        assert!(!told.contains(number), "{told}");
    }
}

/// HSI's officer knocks at CBP's node.
fn at_cbp(federation: &Federation, id: &Value) -> Output {
    let node = federation.ports[1];
    let files = tls("agency-hsi-user-adeyemi").replace("[tls]", "[person.tls]");
    let people = format!("[[person]]\nname = \"adeyemi\"\nagency = \"cbp\"\nnode = \"127.0.0.1:{node}\"\n{files}");
    std::fs::write(federation.path().join("strangers.toml"), people).unwrap();
    let id = id.as_str().unwrap();
    let who = ["--as", "adeyemi", "--people", "strangers.toml"];
    federation.output(&[&["release", "grant", id, "--reason", "x"], &who[..]].concat())
}

fn of_no_use_to_others(federation: &Federation, id: &str) {
    // Another person of the same agency, with the same question and with its id.
    let output = federation.output(&["ask", "--complete", id, "--as", "hsi-second", "--json"]);
    refused(&output, 2, "question_not_held");
    std::fs::write(federation.path().join("same.toml"), question()).unwrap();
    is_held(&answer(federation.output(&["ask", "same.toml", "--as", "hsi-second", "--json"])));
    // The same person with another question, and with the same one asked anew.
    let narrower = "\"cbp.crossings\"\nwhere = [{ attribute = \"lane\", is = \"=\", value = \"cargo\" }]";
    for other in [question().replace("\"cbp.crossings\"", narrower), question().replace("T-1", "T-2"), question()] {
        is_held(&federation.ask("hsi", &other, &[]));
    }
    assert_eq!(waiting(federation, "novak").len(), 4);
    // Neither more words nor an unknown id complete anything.
    refused(
        &federation.output(&["ask", "--complete", "0123456789abcdef", "--as", "hsi-analyst"]),
        2,
        "question_not_held",
    );
}

fn refuse_with_a_reason(federation: &Federation, id: &str, held: &Value) {
    let output = decide(federation, &["refuse", "--reason", "the bridge is not ours"], held, "silva");
    assert!(output.status.success());
    let told = complete(federation, id);
    let crossings = outcome(&told, "cbp.crossings");
    assert_eq!((&crossings["outcome"], &crossings["reason"]), (&"denied".into(), &"release_refused".into()));
    let explanation = crossings["explanation"].as_str().unwrap();
    assert!(explanation.contains("the bridge is not ours") && !explanation.contains("silva"), "{explanation}");
    assert_eq!(told["complete_with"], Value::Null);
    let listed = state(federation, "cbp.crossings");
    assert_eq!((&listed["state"], &listed["reason"]), (&"refused".into(), &"the bridge is not ours".into()));
    refused(&decide(federation, &["grant", "--reason", "x"], held, "novak"), 3, "release_decided");
}

#[test]
fn two_officers_must_agree_even_if_the_node_restarts_between_them() {
    let mut federation = start(2);
    let id = is_held(&federation.ask("hsi", &question(), &[]));
    let held = only(waiting(&federation, "novak"));
    let for_a_day = ["grant", "--reason", "a day's work", "--for", "24h"];
    let output = decide(&federation, &for_a_day, &held["id"], "novak");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 of 2 release_officer granted"), "{output:?}");
    refused(&decide(&federation, &for_a_day, &held["id"], "novak"), 3, "release_twice");
    is_held(&complete(&federation, &id));

    federation.kill("cbp");
    assert_eq!(state(&federation, "cbp.crossings")["state"], "unknown");
    federation.kill("hsi");
    federation.run("cbp");
    federation.run("hsi");
    until_answered(&federation, &id);
    is_held(&complete(&federation, &id));
    let held = only(waiting(&federation, "silva"));
    assert_eq!(held["needs"][0]["granted"], 1);
    assert!(decide(&federation, &for_a_day, &held["id"], "silva").status.success());
    assert_eq!(state(&federation, "cbp.crossings")["state"], "standing");

    // As often as it is asked, by its id or anew; but nothing else.
    is_whole(&complete(&federation, &id));
    is_whole(&complete(&federation, &id));
    is_whole(&federation.ask("hsi", &question(), &[]));
    is_held(&federation.ask("hsi", &question().replace("T-1", "T-2"), &[]));
    // One officer may take it back.
    let output = decide(&federation, &["refuse", "--reason", "enough"], &held["id"], "silva");
    assert!(output.status.success());
    assert_eq!(outcome(&complete(&federation, &id), "cbp.crossings")["reason"], "release_refused");
    is_held(&federation.ask("hsi", &question(), &[]));
}

/// Connections are made anew after a restart; how soon is not promised.
fn until_answered(federation: &Federation, id: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = federation.output(&["ask", "--complete", id, "--as", "hsi-analyst", "--json"]);
        if let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout)
            && outcome(&answer, "cbp.crossings")["outcome"] != "unavailable"
        {
            return;
        }
        assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn look_ups_relations_and_persons_wait_as_a_whole() {
    let federation = start(1);
    let looked_up = federation.ask("hsi", QUESTION, &["--phone", "(603) 903-1234"]);
    let id = looked_up["complete_with"].as_str().unwrap().to_owned();
    let held = only(waiting(&federation, "novak"));
    assert_eq!((&held["looked_up"], &held["subject"]), (&1.into(), &"phone".into()));
    assert_eq!((&held["identifiers"], &held["releases_at_most"]), (&1.into(), &1.into()));
    grant(&federation, &held["id"], "novak");
    let whole = complete(&federation, &id);
    assert_eq!((&whole["subjects_matched"], &whole["matches"][0]["qe"]), (&1.into(), &1.414.into()), "{whole}");
    assert_eq!(whole["matches"][0]["label"], "1603903XXXX");

    // Two parts of one data set, one entry, one grant.
    let after = "identifier = \"caller\"\nafter = \"cbp.crossings\"\nwithin = \"24h\"";
    let related = QUESTION.replace("identifier = \"caller\"", after);
    let id = federation.ask("hsi", &related, &[])["complete_with"].as_str().unwrap().to_owned();
    let held = only(waiting(&federation, "novak"));
    let parts = held["parts"].as_array().unwrap();
    let relations: Vec<&str> =
        parts.iter().filter_map(|part| part["relation"].as_str()).filter(|r| !r.is_empty()).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(relations, ["events that have one of the same subject in another data set within 24 hours after them"]);
    grant(&federation, &held["id"], "novak");
    let whole = complete(&federation, &id);
    assert_eq!(outcome(&whole, "cbp.crossings")["outcome"], "answered", "{whole}");
    assert_eq!(whole["subjects_matched"], 2);
    assert_eq!(outcome(&complete(&federation, &id), "cbp.crossings")["outcome"], "held");

    // Evidence of persons, which is told after the rows, is told of released questions.
    let indicators = "[[indicator]]\ndataset = \"cbp.crossings\"\n[[indicator]]\ndataset = \"hsi.cases\"\n";
    let persons = format!("subject = \"person\"\npurpose = \"border-security\"\n{indicators}");
    let id = federation.ask("hsi", &persons, &[])["complete_with"].as_str().unwrap().to_owned();
    let held = waiting(&federation, "novak").into_iter().find(|held| held["question_id"] == id.as_str()).unwrap();
    assert_eq!((&held["subject"], &held["parts"][0]["rows"]), (&"person".into(), &4.into()));
    grant(&federation, &held["id"], "novak");
    let whole = complete(&federation, &id);
    assert_eq!((&whole["subjects_matched"], &whole["matches"][0]["qe"]), (&1.into(), &1.414.into()), "{whole}");
}

#[test]
fn nobody_releases_their_own_question_and_many_completions_share_no_grant() {
    let (crossings, calls) = ([crossings()], calls());
    // Analysts of CBP release what analysts ask, their own agency's questions included.
    let rules = held_by(1)
        .replace("release_by = \"release_officer\"", "release_by = \"analyst\"")
        .replace("role = { equals = \"release_officer\" }", "role = { equals = \"analyst\" }")
        .replace("agency = { equals = \"hsi\" }", "agency = { one_of = [\"hsi\", \"cbp\"] }");
    let mut cbp = Agency::new("cbp", CROSSINGS, &crossings);
    (cbp.rules, cbp.people) = (Some(rules.as_str()), &[("cbp-second", "analyst")]);
    let federation = Federation::start(&[cbp, Agency::new("hsi", CALLS, &calls)]);
    let id = federation.ask("cbp", QUESTION, &[])["complete_with"].as_str().unwrap().to_owned();
    let held = only(waiting(&federation, "cbp-analyst"));
    for verdict in ["grant", "refuse"] {
        refused(&decide(&federation, &[verdict, "--reason", "mine"], &held["id"], "cbp-analyst"), 3, "self_release");
    }
    grant(&federation, &held["id"], "cbp-second");

    let asking: Vec<_> = (0..6)
        .map(|_| {
            let mut command = federation.command(&["ask", "--complete", &id, "--as", "cbp-analyst", "--json"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let answers: Vec<Value> = asking.into_iter().map(|asking| answer(asking.wait_with_output().unwrap())).collect();
    let fates: Vec<&str> =
        answers.iter().map(|answer| outcome(answer, "cbp.crossings")["outcome"].as_str().unwrap()).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == "answered").count(), 1, "{fates:?}");
    assert_eq!(fates.iter().filter(|fate| **fate == "held").count(), 5, "{fates:?}");
}
