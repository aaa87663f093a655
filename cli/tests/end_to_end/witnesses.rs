//! Owners who would rather have another past: real logs, put back, forked and shown in two versions.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings, walk},
    federation::{Agency, Federation, PATIENCE, reason},
};

pub(crate) fn until(condition: impl Fn() -> bool, or: &str) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "{or}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The verifier keys of all who witness a party's log, as it has pinned them.
pub(crate) fn witness_keys(federation: &Federation, name: &str) -> Vec<String> {
    let memory = if name == "gateway" { federation.audit(name) } else { federation.path().join(name) };
    let files = walk(&memory.join("witness")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "json"));
    let key = |file| {
        let known: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let statement = known["keys"]["statement"].as_str().unwrap().to_owned();
        statement.lines().find_map(|line| line.strip_prefix("cosigner ")).unwrap().to_owned()
    };
    files.map(key).collect()
}

/// Whether all have cosigned the newest checkpoint of a party.
pub(crate) fn cosigned(federation: &Federation, name: &str) -> bool {
    let read = |file: &str| fs::read_to_string(federation.audit(name).join(file)).unwrap_or_default();
    let (newest, cosigned) = (read("checkpoint"), read("cosigned"));
    newest == cosigned && newest.matches('\u{2014}').count() == 3
}

fn two_agencies() -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)])
}

fn copy(from: &Path, to: &Path) {
    for file in walk(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

fn put_back(copy_of: &Path, log: &Path) {
    fs::remove_dir_all(log).unwrap();
    copy(copy_of, log);
}

/// Whether a party has written down that HSI's log is not what it was.
fn names(federation: &Federation, witness: &str, detail: &str) -> bool {
    let bundles = walk(&federation.audit(witness).join("tile/entries"));
    let text: String =
        bundles.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()).collect();
    text.contains(
        r#""actor":"spiffe://sallyport.demo/agency/hsi/node","via":"spiffe://sallyport.demo/gateway","action":"witness""#,
    ) | text.contains(r#""actor":"spiffe://sallyport.demo/agency/hsi/node","action":"witness""#)
        && text.contains(&format!(r#""outcome":"denied","detail":"{detail}""#))
}

fn refuses(federation: &Federation, expected: &str) {
    until(
        || {
            let output = federation.try_ask("hsi", QUESTION, &[]);
            !output.status.success() && reason(&output) == expected
        },
        &format!("HSI never refused with {expected}"),
    );
}

fn answers(federation: &Federation) {
    until(|| federation.try_ask("hsi", QUESTION, &[]).status.success(), "HSI never answered again");
}

#[test]
fn an_older_copy_of_a_log_refuses_all_work_and_its_witnesses_have_it_on_record() {
    let mut federation = two_agencies();
    federation.ask("hsi", QUESTION, &[]);
    federation.stop("hsi");
    let (log, older, newest) =
        (federation.audit("hsi"), federation.path().join("older"), federation.path().join("newest"));
    copy(&log, &older);
    federation.run("hsi");
    answers(&federation);
    until(|| cosigned(&federation, "hsi"), "nobody cosigns HSI's log");
    federation.stop("hsi");
    copy(&log, &newest);
    told_by_whom_it_was_witnessed(&federation, &newest);

    put_back(&older, &log);
    federation.run("hsi");
    refuses(&federation, "audit_contradicted");
    for witness in ["gateway", "cbp"] {
        until(|| names(&federation, witness, "checkpoint_behind"), &format!("{witness} does not name HSI's log"));
    }
    let signed = |log: &Path| fs::read_to_string(log.join("checkpoint")).unwrap().lines().nth(1).unwrap().to_owned();
    assert_eq!(signed(&log), signed(&older), "nothing was signed");
    // The others go on with their own work, and HSI does not even start again.
    federation.ask("cbp", QUESTION, &[]);
    federation.kill("hsi");
    let output = federation.output(&["agency-node", "--config", "hsi.toml"]);
    assert_eq!(reason(&output), "audit_unavailable");
    assert!(String::from_utf8_lossy(&output.stderr).contains("contradicts what it signed before"));

    let output = federation.output(&["audit", "verify", log.to_str().unwrap()]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("audit_log_broken", Some(5)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds a checkpoint of this log"));

    put_back(&newest, &log);
    federation.run("hsi");
    answers(&federation);
    let output = federation.output(&["audit", "verify", log.to_str().unwrap(), newest.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whose word the key is, and who has seen the log, by its files alone.
fn told_by_whom_it_was_witnessed(federation: &Federation, log: &Path) {
    let verify = |more: &[&str]| federation.output(&[&["audit", "verify", log.to_str().unwrap()], more].concat());
    let text = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let alone = text(verify(&[]));
    assert!(alone.contains("its own word") && alone.contains("Not checked, for want of their keys"), "{alone}");
    let authorities = ["--authorities", "certs/authority.pem"];
    let told = text(verify(&authorities));
    assert!(
        told.contains("the certificate of spiffe://sallyport.demo/agency/hsi/node") && !told.contains("Not checked")
    );
    assert!(told.contains("sallyport.demo/gateway has cosigned") && told.contains("sallyport.demo/cbp has cosigned"));
    let json: Value = serde_json::from_str(&text(verify(&[&authorities[..], &["--json"]].concat()))).unwrap();
    assert_eq!(json["cosigned"]["witnesses"].as_array().unwrap().len(), 2, "{json}");

    let (own, others) = (log.join("audit.vkey"), federation.audit("cbp").join("audit.vkey"));
    assert!(text(verify(&["--key", own.to_str().unwrap()])).contains("the key given on the command line"));
    let output = verify(&["--key", others.to_str().unwrap()]);
    assert_eq!((reason(&output).as_str(), output.status.code()), ("audit_log_broken", Some(5)));
    let path = log.join("cosigned");
    let whole = fs::read_to_string(&path).unwrap();
    let at = whole.len() - 20;
    let flipped = if whole.as_bytes()[at] == b'A' { "B" } else { "A" };
    fs::write(&path, format!("{}{flipped}{}", &whole[..at], &whole[at + 1..])).unwrap();
    assert_eq!(reason(&verify(&authorities)), "audit_log_broken");
    fs::write(&path, whole).unwrap();

    let nothing = federation.output(&["audit", "verify"]);
    assert_eq!((reason(&nothing).as_str(), nothing.status.code()), ("audit_directory", Some(2)));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("--as AUDITOR"));
    let folder = federation.output(&["audit", "verify", "hsi"]);
    assert!(String::from_utf8_lossy(&folder.stderr).contains("did you mean hsi/audit?"));
}

#[test]
fn two_histories_of_one_log_are_told_apart_by_whoever_sees_both() {
    let mut federation = two_agencies();
    federation.ask("hsi", QUESTION, &[]);
    federation.stop("hsi");
    let (log, common, one) = (federation.audit("hsi"), federation.path().join("common"), federation.path().join("one"));
    copy(&log, &common);
    federation.run("hsi");
    answers(&federation);
    until(|| cosigned(&federation, "hsi"), "nobody cosigns HSI's log");
    federation.stop("hsi");
    copy(&log, &one);
    // Another history, while nobody can see it: within its grace period the node writes on.
    federation.stop("gateway");
    put_back(&common, &log);
    federation.run("hsi");
    for _ in 0..8 {
        refuses(&federation, "peer_unreachable");
    }
    federation.stop("hsi");

    let verify = |logs: &[&Path]| {
        let logs: Vec<&str> = logs.iter().map(|log| log.to_str().unwrap()).collect();
        federation.output(&[&["audit", "verify"][..], &logs].concat())
    };
    for holds in [&[&*common, &*one][..], &[&*log, &*common], &[&*one], &[&*log]] {
        let output = verify(holds);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for differ in [[&*one, &*log], [&*log, &*one]] {
        let output = verify(&differ);
        assert_eq!((reason(&output).as_str(), output.status.code()), ("audit_logs_differ", Some(5)));
    }
    // As soon as the others are there, it is over.
    federation.run("gateway");
    federation.run("hsi");
    refuses(&federation, "audit_contradicted");
    until(
        || {
            ["checkpoint_forked", "checkpoint_inconsistent", "checkpoint_behind"]
                .iter()
                .any(|why| names(&federation, "gateway", why))
        },
        "the gateway does not name HSI's log",
    );
}

#[test]
fn a_node_whose_witnesses_stay_away_stops_after_its_grace_period_and_goes_on_by_itself() {
    let mut federation = two_agencies();
    federation.stop("hsi");
    let config = federation.path().join("hsi.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[tls]", "[witnesses]\ngrace_s = 4\ninterval_ms = 100\n[tls]")).unwrap();
    federation.run("hsi");
    answers(&federation);
    federation.stop("gateway");
    federation.stop("cbp");
    refuses(&federation, "peer_unreachable");
    refuses(&federation, "witnesses_away");
    federation.run("gateway");
    answers(&federation);
}
