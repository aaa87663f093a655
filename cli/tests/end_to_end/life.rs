//! Certificates that are renewed, revoked and run out while real processes run.

use std::{
    fs,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    entries::{actors, entries},
    federation::{Agency, Federation, PROGRAM, outcome, reason, wait_until},
};

/// Whether an action with this name ended for this reason.
fn is_audited(federation: &Federation, name: &str, action: &str, detail: &str) -> bool {
    !actors(&federation.audit(name), action, detail).is_empty()
}

/// Two agencies whose processes look at their files every second and heed the authority's list.
fn federation() -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    let agencies = [Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)];
    let mut federation = Federation::prepare(&agencies);
    for name in ["gateway", "cbp", "hsi"] {
        federation.configure(name, |text| {
            text.replacen("[tls]\n", "[tls]\nrevocations = \"certs/authority.crl\"\n", 1)
                + "\n[certificates]\ncheck_every_s = 1\nrefusals_every_s = 1\n"
        });
        federation.run(name);
    }
    federation.wait_until_settled();
    federation
}

fn certs(federation: &Federation, arguments: &[&str]) -> String {
    let output = federation.output(&[&["certs"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A question that waits for CBP's node, which is stopped, for a long time.
fn long_question(federation: &Federation) -> Child {
    federation.signal("cbp", "STOP");
    fs::write(federation.path().join("long.toml"), format!("deadline_seconds = 500\n{QUESTION}")).unwrap();
    let mut command = federation.command(&["ask", "long.toml", "--as", "hsi-analyst"]);
    let asking = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the question is under way", || {
        entries(&federation.audit("gateway")).iter().any(|entry| entry["phase"]["open"]["action"] == "ask")
    });
    asking
}

/// Waits until a question ends by itself; what was said.
fn ended(mut asking: Child) -> String {
    wait_until("the question ends", || asking.try_wait().unwrap().is_some());
    let output = asking.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn everybodys_certificates_are_renewed_under_load_and_no_question_fails() {
    let federation = federation();
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let reads =
        |name: &str| federation.log(name).matches("certificates, authorities and revocation lists read").count();
    std::thread::scope(|scope| {
        for agency in ["hsi", "cbp"] {
            let (federation, stop, asked) = (&federation, &stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = federation.ask(agency, QUESTION, &[]);
                    for dataset in ["cbp.crossings", "hsi.calls"] {
                        assert_eq!(outcome(&answer, dataset)["outcome"], "answered", "{answer}");
                    }
                    assert_eq!(answer["subjects_matched"], 2, "{answer}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=3 {
            let before = asked.load(Ordering::Relaxed);
            let renewed = certs(&federation, &["renew", "--all", "--new-keys"]);
            assert!(
                renewed.contains("renewed gateway\n") && renewed.contains("renewed agency-hsi-node\n"),
                "{renewed}"
            );
            // Half of the processes are told, the others look by themselves.
            federation.signal("hsi", "HUP");
            wait_until("every process has read its files", || {
                ["gateway", "cbp", "hsi"].iter().all(|name| reads(name) >= round)
            });
            wait_until("questions go on", || asked.load(Ordering::Relaxed) > before + 6);
        }
        stop.store(true, Ordering::Relaxed);
    });
    for name in ["gateway", "cbp", "hsi"] {
        let log = federation.log(name);
        assert!(!log.contains("certificates cannot be used"), "{log}");
        let audit = federation.audit(name);
        assert!(federation.output(&["audit", "verify", audit.to_str().unwrap()]).status.success(), "{name}");
    }
}

#[test]
fn who_is_revoked_is_cut_off_and_nobody_else_is() {
    let federation = federation();
    let asking = long_question(&federation);
    certs(&federation, &["revoke", "agency-hsi-user-hsi-analyst", "--reason", "affiliation-changed"]);
    ended(asking);
    federation.signal("cbp", "CONT");
    let refused = federation.try_ask("hsi", QUESTION, &[]);
    assert_eq!(reason(&refused), "own_certificate_revoked");
    for action in ["close_connections", "refuse_connections"] {
        wait_until(action, || is_audited(&federation, "hsi", action, "certificate_revoked"));
    }
    assert_eq!(federation.ask("cbp", QUESTION, &[])["subjects_matched"], 2);

    let shown = certs(&federation, &["show", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let state = |name: &str| {
        let all = shown["certificates"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["state"].as_str().unwrap().to_owned()
    };
    let revoked = state("agency-hsi-user-hsi-analyst");
    assert!(revoked.starts_with("revoked ") && revoked.ends_with(" (affiliation-changed)"), "{revoked}");
    assert_eq!(state("agency-cbp-user-cbp-analyst"), "good");
    let again = certs(&federation, &["revoke", "agency-hsi-user-hsi-analyst", "--reason", "superseded"]);
    assert_eq!(again, format!("agency-hsi-user-hsi-analyst was {revoked} already; nothing has changed\n"));
}

#[test]
fn a_revoked_certificate_is_issued_again_only_when_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("certs").args(arguments).arg("--directory").arg(directory.path().join("certs"));
        command.output().unwrap()
    };
    let key = |name: &str| fs::read(directory.path().join("certs").join(format!("{name}.key"))).unwrap();
    assert!(run(&[]).status.success());
    for (name, why, unsaid, said) in [
        ("agency-hsi-user-rivera", "key-compromise", "--although-revoked", "--new-keys"),
        ("agency-hsi-user-adeyemi", "privilege-withdrawn", "--new-keys", "--although-revoked"),
    ] {
        assert!(run(&["revoke", name, "--reason", why]).status.success());
        let before = key(name);
        for refused in [&["renew", name][..], &["renew", name, unsaid], &["renew", name, "--dry-run"]] {
            let output = run(refused);
            assert_eq!((reason(&output).as_str(), output.status.code()), ("certificate_revoked", Some(2)));
        }
        assert!(run(&["renew", name, said]).status.success());
        assert_eq!(key(name) != before, why == "key-compromise");
    }
    // What is not named is left as it is.
    assert!(run(&["revoke", "agency-cbp-node", "--reason", "superseded"]).status.success());
    let all = run(&["renew", "--all"]);
    assert!(all.status.success() && !String::from_utf8_lossy(&all.stdout).contains("agency-cbp-node"));
}

#[test]
fn a_connection_ends_when_its_certificate_runs_out() {
    let federation = federation();
    // A certificate has whole seconds, and is made before the command ends.
    let expires = Instant::now() + Duration::from_secs(7);
    certs(&federation, &["renew", "agency-hsi-user-hsi-analyst", "--lifetime", "8s"]);
    let asking = long_question(&federation);
    ended(asking);
    assert!(Instant::now() >= expires, "not before its time");
    wait_until("it is written down", || is_audited(&federation, "hsi", "close_connections", "certificate_expired"));
    federation.signal("cbp", "CONT");
    let refused = federation.try_ask("hsi", QUESTION, &[]);
    // The command looks at its own certificate first.
    assert_eq!(reason(&refused), "identity");
    certs(&federation, &["renew", "agency-hsi-user-hsi-analyst", "--lifetime", "90d"]);
    assert_eq!(federation.ask("hsi", QUESTION, &[])["subjects_matched"], 2);
}

#[test]
fn what_is_past_half_its_time_is_told_and_renewed() {
    let federation = federation();
    assert_eq!(certs(&federation, &["renew", "--dry-run"]), "Nothing is past half its time.\n");
    // Valid from five minutes before now, so half of its time is over.
    certs(&federation, &["renew", "agency-cbp-node", "--lifetime", "2m"]);
    wait_until("the node says so", || federation.log("cbp").contains("More than half the time"));
    assert!(certs(&federation, &["renew", "--dry-run"]).starts_with("would renew agency-cbp-node, "));
    certs(&federation, &["renew", "--lifetime", "90d"]);
    assert_eq!(certs(&federation, &["renew", "--dry-run"]), "Nothing is past half its time.\n");
    wait_until("the node has read it", || {
        federation.log("cbp").matches("certificates, authorities and revocation lists read").count() == 2
    });
    for (arguments, expected) in [
        (&["certs", "renew", "nobody"][..], "certificate_unknown"),
        (&["certs", "revoke", "nobody", "--reason", "superseded"], "certificate_unknown"),
        (&["certs", "show", "--directory", "nowhere"], "authority_absent"),
    ] {
        let output = federation.output(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(reason(&output), expected);
    }
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let federation = federation();
    let path = federation.path().join("certs/authority.pem");
    let good = fs::read(&path).unwrap();
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for name in ["gateway", "cbp", "hsi"] {
        federation.signal(name, "HUP");
        wait_until("the fault is told", || federation.log(name).contains("the old ones stay in force"));
    }
    // Who asks is not a running process, and has nothing older to go by.
    assert_eq!(reason(&federation.try_ask("hsi", QUESTION, &[])), "identity");
    fs::write(federation.path().join("kept.pem"), good).unwrap();
    let people = federation.path().join("people.toml");
    fs::write(&people, fs::read_to_string(&people).unwrap().replace("certs/authority.pem", "kept.pem")).unwrap();
    assert_eq!(federation.ask("hsi", QUESTION, &[])["subjects_matched"], 2);
    wait_until("the fault is written down", || is_audited(&federation, "hsi", "reload", "certificates_unusable"));
}
