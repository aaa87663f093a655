//! Wrong files, wrong commands, wrong settings: each has a reason that scripts can rely on.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, OPEN_RULES, PROGRAM, outcome, reason, tls},
};

#[test]
fn questions_and_look_ups_that_cannot_be_asked_are_refused_with_their_reason() {
    let (crossings, calls) = ([crossings()], calls());
    let federation = Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    let with = |from: &str, to: &str| QUESTION.replacen(from, to, 1);
    for (question, expected) in [
        ("subject = ".to_owned(), "question_file"),
        (with("subject", "subjekt"), "question_file"),
        (with("\"phone\"", "\"telephone\""), "subject_unknown"),
        (format!("minimum_datasets = 3\n{QUESTION}"), "minimum_datasets_too_large"),
        (format!("minimum_datasets = 1\n{QUESTION}"), "minimum_datasets_too_small"),
        (format!("top = 501\n{QUESTION}"), "too_many_results"),
        (format!("top = 0\n{QUESTION}"), "top_out_of_range"),
        (with("\"cbp.crossings\"", "\"crossings\""), "dataset_name"),
        (with("purpose = \"border-security\"", "purpose = \"\""), "purpose_missing"),
    ] {
        let output = federation.try_ask("hsi", &question, &[]);
        assert_eq!((reason(&output).as_str(), output.status.success()), (expected, false), "{question}");
        assert!(matches!(output.status.code(), Some(2 | 3)));
    }
    // What only an owner can tell is told in the coverage, and the others still answer.
    for (question, expected) in [
        (with("\"cbp.crossings\"", "\"cbp.flights\""), "dataset_unknown"),
        (with("\"cbp.crossings\"", "\"dea.crossings\""), "agency_unknown"),
        (with("\"cbp.crossings\"", "\"cbp.crossings\"\nidentifier = \"plate\""), "identifier_unknown"),
        (
            with("\"cbp.crossings\"", "\"cbp.crossings\"\nwhere = [{ attribute = \"port\", is = \"=\", value = 1 }]"),
            "attribute_unknown",
        ),
        (
            with("\"cbp.crossings\"", "\"cbp.crossings\"\nwhere = [{ attribute = \"lane\", is = \"=\", value = 1 }]"),
            "filter_value_type",
        ),
    ] {
        let answer = federation.ask("hsi", &question, &[]);
        let told = answer["coverage"][0].clone();
        assert_eq!(told["reason"], expected, "{answer}");
        assert_ne!(told["outcome"], "answered");
        assert_eq!(outcome(&answer, "hsi.calls")["outcome"], "answered");
    }
    commands(&federation);
}

fn commands(federation: &Federation) {
    for (arguments, expected, code) in [
        (&["ask", "none.toml", "--as", "hsi-analyst"][..], "file_unreadable", 2),
        (&["ask", "--as", "hsi-analyst"], "nothing_asked", 2),
        (&["ask", "--phone", "6039031234", "--as", "hsi-analyst"], "purpose_missing", 2),
        (&["ask", "--phone", "6039031234", "--plate", "NH-1", "--as", "hsi-analyst"], "nothing_asked", 2),
        (&["catalog", "--as", "somebody"], "person_unknown", 2),
        (&["catalog", "--as", "hsi-analyst", "--people", "nowhere.toml"], "people_file", 2),
        (&["audit", "verify", "nowhere"], "audit_log_broken", 5),
    ] {
        let output = federation.output(arguments);
        assert_eq!((reason(&output).as_str(), output.status.code()), (expected, Some(code)), "{arguments:?}");
    }
    let question = federation.path().join("phones.toml");
    fs::write(&question, QUESTION).unwrap();
    let output = federation.output(&["ask", "phones.toml", "--plate", "NH-1", "--as", "hsi-analyst"]);
    assert_eq!(reason(&output), "lookup_type");
}

/// Starts a process with a configuration that cannot be used; what it says.
fn refused(subcommand: &str, directory: &std::path::Path, config: &str) -> String {
    let file = directory.join("config.toml");
    fs::write(&file, config).unwrap();
    let output = Command::new(PROGRAM).args([subcommand, "--config"]).arg(file).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "it must not have begun to listen");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_process_does_not_start_with_settings_that_cannot_work() {
    let (crossings, calls) = ([crossings()], calls());
    let mut federation =
        Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    federation.stop("cbp");
    federation.stop("gateway");
    let path = federation.path().to_owned();
    let node = fs::read_to_string(path.join("cbp.toml")).unwrap();
    let gateway = fs::read_to_string(path.join("gateway.toml")).unwrap();
    let hsi = tls("agency-hsi-node");
    fs::create_dir_all(path.join("policies/empty")).unwrap();
    for (file, text) in [("model.conf", ""), ("rules.toml", ""), ("cases.toml", "")] {
        fs::write(path.join("policies/empty").join(file), text).unwrap();
    }
    for (subcommand, config, expected) in [
        ("agency-node", node.replace("agency = \"cbp\"", "agencie = \"cbp\""), "agencie"),
        ("agency-node", node.replace("state = \"cbp\"", "state = \"/proc/nowhere\""), "/proc/nowhere"),
        ("agency-node", node.replace(&tls("agency-cbp-node"), &hsi), "hsi"),
        ("agency-node", node.replace("agency-cbp-node.key", "agency-hsi-node.key"), "key"),
        ("agency-node", node.replace("agency-cbp-node.pem", "missing.pem"), "missing.pem"),
        ("agency-node", node.replace("crossings.csv", "missing.csv"), "missing.csv"),
        ("agency-node", node.replace("type = \"phone\"", "type = \"fax\""), "fax"),
        ("agency-node", node.replace("members = [\"cbp\", \"hsi\"]", "members = [\"hsi\"]"), "members"),
        ("agency-node", node.replace("policies/cbp", "policies/empty"), "model.conf"),
        ("gateway", gateway.replace("policies/gateway", "policies/nowhere"), "policies/nowhere"),
        ("gateway", gateway.replace("audit = \"gateway-audit\"", "audit = \"/proc/audit\""), "/proc/audit"),
        ("gateway", gateway.replace("certs/gateway", "certs/agency-hsi-node"), "hsi"),
        ("gateway", gateway.replace(&federation.ports[0].to_string(), &federation.ports[2].to_string()), "use"),
    ] {
        let told = refused(subcommand, &path, &config);
        assert!(told.contains(expected), "expected `{expected}` in: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[test]
fn what_a_file_cannot_give_is_counted_and_told() {
    let mut broken = crossings().1.into_bytes();
    broken.extend(b"6039031234,2026-03-05T08:00:00Z\n");
    broken.extend(b"6039031234,2026-03-05T08:00:00Z,\xff\xfe,1\n");
    broken.extend(b"6039031234,2026-03-06T08:00:00Z,\"said \"\"pov\"\"\r\nand left\",1\n");
    let (calls, directory) = (calls(), tempfile::tempdir().unwrap());
    let file = directory.path().join("broken.csv");
    fs::write(&file, broken).unwrap();
    let crossings = CROSSINGS.replace("crossings.csv", file.to_str().unwrap());
    let federation = Federation::start(&[Agency::new("cbp", &crossings, &[]), Agency::new("hsi", CALLS, &calls)]);
    let answer = federation.ask("hsi", QUESTION, &[]);
    let told = outcome(&answer, "cbp.crossings");
    // Two lines are unreadable and one phone is no phone; a quoted field may hold line feeds.
    assert_eq!((&told["unusable"], &told["rows"]), (&3.into(), &5.into()), "{answer}");
    assert_eq!(told["newest"], "2026-03-06");
}

#[test]
fn an_owner_with_a_policy_that_cannot_be_read_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    crate::federation::write_policy(directory.path(), &OPEN_RULES.replace("effect = \"allow\"", "effect = \"alow\""));
    let config = format!("listen = \"127.0.0.1:0\"\naudit = \"a\"\npolicies = \".\"\n{}", tls("gateway"));
    let told = refused("gateway", directory.path(), &config);
    assert!(!told.contains("panicked"), "{told}");
}
