//! From a match to its outcome: a person raises it, the playbook says who acts, clocks run, people are
//! told, the node dies in between, and the next answer shows what came of it.

use std::{
    fs,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, OPEN_RULES, PATIENCE, PROGRAM, reason},
};

const LEAD_RULES: &str = r#"
[[rule]]
id = "leads"
effect = "allow"
actions = ["leads", "pursue"]
[rule.subject]
agency = { same_as = "resource.owner" }
role = { one_of = ["analyst", "commander"] }
[rule.resource]
kind = { equals = "lead" }
[rule.obligations]
mask = "last_four"
"#;

/// Deadlines that pass while a test waits.
const PLAYBOOK: &str = r#"
name = "crossers"
title = "Somebody who crossed and is called"
watches = ["crossers"]
raise_from_qe = 1.0
[[severity]]
name = "inquire"
from_qe = 1.0
who = { role = "analyst" }
steps = ["Ask who it is."]
acknowledge_within = "2s"
pursue_within = "30d"
escalation = "commander"
[[escalation]]
name = "commander"
to = { role = "commander" }
after = "1s"
[[exception]]
name = "informant"
title = "The number is an informant's"
check = "Ask the handler."
confirmed_by = [{ role = "commander" }]
clears_for = "30d"
"#;

fn start() -> Federation {
    let (crossings, calls, rules) = ([crossings()], calls(), format!("{OPEN_RULES}{LEAD_RULES}"));
    let cbp = Agency::new("cbp", CROSSINGS, &crossings);
    let datasets = format!(
        "{CALLS}\n[leads]\noutcomes = true\n[leads.mail]\ndirectory = \"mail\"\nfrom = \"sallyport@hsi.example\"\n\
         domain = \"hsi.example\"\n"
    );
    let mut hsi = Agency::new("hsi", &datasets, &calls);
    (hsi.rules, hsi.people) =
        (Some(rules.as_str()), &[("second", "analyst"), ("com", "commander"), ("clerk", "clerk")]);
    let federation = Federation::start(&[cbp, hsi]);
    fs::create_dir(federation.path().join("policies/hsi/playbooks")).unwrap();
    fs::write(federation.path().join("policies/hsi/playbooks/crossers.toml"), PLAYBOOK).unwrap();
    federation
}

fn lead(federation: &Federation, arguments: &[&str], person: &str) -> Output {
    let mut all = vec!["lead"];
    all.extend(arguments);
    all.extend(["--as", person]);
    federation.output(&all)
}

#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, expected: &str) {
    assert_eq!((reason(output).as_str(), output.status.code()), (expected, Some(code)));
}

fn show(federation: &Federation, id: &str) -> Value {
    serde_json::from_str(&done(lead(federation, &["show", id, "--json"], "hsi-analyst"))).unwrap()
}

/// A match of an own question.
struct Found {
    question: String,
    rank: String,
    shown: Value,
}

impl Found {
    fn raising(&self) -> [&str; 7] {
        ["raise", "--question", &self.question, "--rank", &self.rank, "--playbook", "crossers"]
    }
}

/// Asks who crossed and is called, and finds the one with an old outcome.
fn ask(federation: &Federation) -> Found {
    let answer = federation.ask("hsi", QUESTION, &[]);
    let matches = answer["matches"].as_array().unwrap();
    let place = matches.iter().position(|found| found["label"] == "1603903XXXX").unwrap();
    let question = answer["question_id"].as_str().unwrap().to_owned();
    Found { question, rank: (place + 1).to_string(), shown: matches[place].clone() }
}

/// Raises it once the node has read the playbook that was written while it ran.
fn raise(federation: &Federation, found: &Found) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = lead(federation, &found.raising(), "hsi-analyst");
        if output.status.success() {
            let told = String::from_utf8(output.stdout).unwrap();
            return told.trim_end().trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        }
        refused(&output, 3, "playbook_missing");
        assert!(Instant::now() < until, "the playbook is not read: {}", federation.log("hsi"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mails(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("mail")).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "eml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn a_match_becomes_a_lead_and_its_outcome_shows_in_the_next_answer() {
    let mut federation = start();
    let found = ask(&federation);
    let id = raise(&federation, &found);
    whoever_may_not_is_refused(&federation, &found, &id);
    let (question, found) = (found.question, found.shown);

    let raised = show(&federation, &id);
    assert_eq!(
        (&raised["state"], &raised["severity"], &raised["who"]),
        (&"raised".into(), &"inquire".into(), &"any analyst".into())
    );
    assert_eq!((&raised["qe"], &raised["question_id"]), (&found["qe"], &question.as_str().into()));
    assert_eq!(raised["subject"], found["label"], "as much as the policy lets be seen");
    let evidence: Vec<&str> =
        raised["evidence"].as_array().unwrap().iter().map(|piece| piece["dataset"].as_str().unwrap()).collect();
    assert_eq!(evidence.len(), found["evidence"].as_array().unwrap().len());
    assert!(evidence.contains(&"cbp.crossings"), "{raised}");

    // Nobody takes it in hand: after two seconds it is late, a second later it is the commander's.
    wait_for("escalated", || show(&federation, &id)["level"] == 1);
    wait_for("told by e-mail", || mails(federation.path()).len() == 3);
    let told = mails(federation.path());
    assert!(told.iter().any(|mail| mail.contains("To: com@hsi.example\r\n")), "{told:?}");
    assert!(told.iter().all(|mail| !mail.contains("555") && mail.contains(&id)), "no mail names the subject: {told:?}");

    done(lead(&federation, &["assign", &id], "hsi-analyst"));
    federation.kill("hsi");
    federation.run("hsi");
    let survived = show(&federation, &id);
    assert_eq!((&survived["state"], &survived["owner"]), (&"assigned".into(), &"hsi-analyst".into()));
    assert_eq!(survived["level"], 1, "late it was, and so it stays");
    refused(&lead(&federation, &["pursue", &id], "second"), 3, "lead_not_yours");
    refused(&lead(&federation, &["outcome", &id, "--no-finding"], "hsi-analyst"), 3, "lead_not_pursued");
    done(lead(&federation, &["pursue", &id], "hsi-analyst"));
    let standing = done(lead(&federation, &["outcome", &id, "--seizure", "4.5 kg cocaine"], "hsi-analyst"));
    assert_eq!(standing, format!("Lead {id} is concluded by hsi-analyst: 4.5 kg of cocaine seized.\n"));
    shown_in_words(&federation, &id, &question);
    assert_eq!(mails(federation.path()).len(), 3, "nobody is told twice, and nothing is due any more");

    wait_for("settled again", || federation.log("hsi").matches("every data set can be asked").count() == 2);
    assert_eq!(ask(&federation).shown["status"], "seizure");
    the_outcome_is_asked_like_any_data(&federation);
    let known = raise(&federation, &ask(&federation));
    assert_eq!(known, "already", "the same evidence is no new lead");
    let log = federation.audit("hsi");
    assert!(federation.output(&["audit", "verify", log.to_str().unwrap()]).status.success());
}

fn whoever_may_not_is_refused(federation: &Federation, found: &Found, id: &str) {
    refused(&lead(federation, &["list"], "clerk"), 3, "no_rule_allows");
    refused(&lead(federation, &["show", id], "clerk"), 3, "no_rule_allows");
    refused(&lead(federation, &["pursue", id], "clerk"), 3, "no_rule_allows");
    // Another agency's node has its own leads, and none.
    refused(&lead(federation, &["show", id], "cbp-analyst"), 2, "lead_unknown");
    refused(&lead(federation, &["list"], "cbp-analyst"), 3, "no_rule_allows");
    let raise = |rank: &str, person: &str| {
        let arguments = ["raise", "--question", &found.question, "--rank", rank, "--playbook", "crossers"];
        lead(federation, &arguments, person)
    };
    refused(&raise("1", "second"), 2, "answer_unknown");
    refused(&raise("99", "hsi-analyst"), 2, "match_unknown");
    refused(&raise("1", "clerk"), 3, "no_rule_allows");
    assert_eq!(done(raise(&found.rank, "hsi-analyst")), format!("Lead {id} is about it already.\n"));
    let confirm = ["confirm-exception", id, "informant", "--note", "I know him"];
    refused(&lead(federation, &confirm, "hsi-analyst"), 3, "exception_not_yours");
    refused(&lead(federation, &["assign", id, "--to", "nobody"], "hsi-analyst"), 2, "person_unknown");
    refused(&lead(federation, &["assign", id, "--to", "clerk"], "hsi-analyst"), 3, "assignee_may_not_pursue");
    refused(&lead(federation, &["note", id, " "], "hsi-analyst"), 2, "lead_text");
}

fn shown_in_words(federation: &Federation, id: &str, question: &str) {
    let told = done(lead(federation, &["show", id], "second"));
    for said in [
        "Somebody who crossed and is called (inquire)",
        &format!("receipt   question {question}"),
        "1. Ask who it is.",
        "informant: The number is an informant's (not looked for yet)",
        "deadline  acknowledge by",
        "done late",
        "to any commander, as nobody did acknowledge in time",
        "hsi-analyst concluded: 4.5 kg of cocaine seized",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(done(lead(federation, &["list"], "second")), "No lead waits for anybody.\n");
    assert!(done(lead(federation, &["list", "--closed"], "second")).contains("concluded"));
}

/// Who crossed and was pursued before?
fn the_outcome_is_asked_like_any_data(federation: &Federation) {
    let question = "subject = \"phone\"\npurpose = \"border-security\"\ncase_number = \"T-1\"\n\
                    [[indicator]]\ndataset = \"cbp.crossings\"\n[[indicator]]\ndataset = \"hsi.outcomes\"\n";
    let filtered = |outcome: &str| {
        let filter = format!("{question}where = [{{ attribute = \"outcome\", is = \"=\", value = \"{outcome}\" }}]\n");
        federation.ask("hsi", &filter, &[])["subjects_matched"].clone()
    };
    wait_for("the outcome is in the data set", || filtered("seizure") == 1);
    assert_eq!(filtered("arrest"), 0);
}

#[test]
fn rulings_keep_a_match_from_being_raised() {
    let federation = start();
    let found = ask(&federation);
    let id = raise(&federation, &found);
    done(lead(&federation, &["assign", &id], "hsi-analyst"));
    done(lead(&federation, &["outcome", &id, "--false-match", "30d", "--note", "a call centre"], "hsi-analyst"));
    let again = found.raising();
    assert!(done(lead(&federation, &again, "hsi-analyst")).starts_with("Not raised: it was ruled to be nothing until"));
    assert_eq!(ask(&federation).shown["status"], "false_match");

    done(lead(&federation, &["reopen", &id, "--reason", "no call centre"], "second"));
    wait_for("what was recorded before shows again", || ask(&federation).shown["status"] == found.shown["status"]);
    let told = done(lead(&federation, &["reject-exception", &id, "informant", "--note", "asked the handler"], "com"));
    assert!(told.ends_with("Noted: `informant` does not hold.\n"), "{told}");
    assert_eq!(show(&federation, &id)["exceptions"][0]["confirmed"], false);
    done(lead(&federation, &["confirm-exception", &id, "informant", "--note", "asked again"], "com"));
    assert_eq!(show(&federation, &id)["state"], "cleared");
    assert!(done(lead(&federation, &again, "hsi-analyst")).starts_with("Not raised"));

    // An exception that is known beforehand.
    let clear = ["clear", "--phone", "(603) 903-1234", "--playbook", "crossers", "--exception", "informant"];
    refused(&lead(&federation, &clear, "com"), 2, "lead_text");
    let clear: Vec<&str> = clear.into_iter().chain(["--reason", "ours"]).collect();
    refused(&lead(&federation, &clear, "hsi-analyst"), 3, "exception_not_yours");
    assert!(done(lead(&federation, &clear, "com")).starts_with("Not raised under this playbook until"));
}

#[test]
fn a_playbook_is_checked_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/cbp/playbooks");
    let check = |directory: &Path, more: &[&str]| {
        std::process::Command::new(PROGRAM).args(["playbook", "check"]).arg(directory).args(more).output().unwrap()
    };
    let whole = done(check(Path::new(sample), &[]));
    assert!(whole.contains("Covers in-bond-off-corridor, cbp.in-bond-off-corridor; raises from QE 1.000."), "{whole}");
    assert!(whole.ends_with("1 playbook, nothing is missing.\n"), "{whole}");
    let corridor = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/corridors/laredo-detroit.geojson");
    done(check(Path::new(sample), &["--corridor", corridor]));
    let other = fs::read_to_string(corridor).unwrap().replace("port-diversion", "port-change");
    let other_path = folder.path().join("other.geojson");
    fs::write(&other_path, other).unwrap();
    let output = check(Path::new(sample), &["--corridor", other_path.to_str().unwrap()]);
    refused(&output, 5, "playbooks_have_gaps");
    assert!(String::from_utf8(output.stdout).unwrap().contains("other.geojson: exception `port-change`"), "unchecked");

    let circle = PLAYBOOK.replace("after = \"1s\"", "after = \"1s\"\nthen = \"commander\"");
    fs::write(folder.path().join("a.toml"), circle.replace("who = { role = \"analyst\" }\n", "")).unwrap();
    let output = check(folder.path(), &["--json"]);
    refused(&output, 5, "playbooks_have_gaps");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reasons: Vec<&str> =
        told["problems"].as_array().unwrap().iter().map(|problem| problem["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["escalation_circle", "severity_without_actor"]);

    fs::write(folder.path().join("a.toml"), PLAYBOOK).unwrap();
    let node = folder.path().join("node.toml");
    fs::write(&node, "agency = \"hsi\"\n[[person]]\nname = \"a\"\n[person.attributes]\nrole = \"analyst\"\n").unwrap();
    let output = check(folder.path(), &["--node", node.to_str().unwrap()]);
    refused(&output, 5, "playbooks_have_gaps");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Nobody of the node's people has the role `commander`") && told.contains("[role_unfilled]"));
    refused(&check(&folder.path().join("none"), &[]), 2, "playbooks_unreadable");
    fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&check(&folder.path().join("empty"), &[]), 5, "no_playbooks");
}
