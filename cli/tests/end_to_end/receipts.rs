//! What others can check without asking anyone: receipts, and whole logs with programs of third parties.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings, walk},
    entries::entries,
    federation::{Agency, Federation, reason},
    witnesses::{cosigned, until, witness_keys},
};

/// The versions that the script was written with.
const PYTHON_PACKAGES: [&str; 2] = ["pymerkle==7.0.0", "cryptography==46.0.3"];

fn two_agencies() -> Federation {
    let (crossings, calls) = ([crossings()], calls());
    Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)])
}

fn check(federation: &Federation, file: &str, more: &[&str]) -> Output {
    federation.output(&[&["audit", "check-receipt", file], more].concat())
}

#[test]
fn a_receipt_proves_the_question_and_nothing_else() {
    let mut federation = two_agencies();
    let answer = federation.ask("hsi", QUESTION, &["--receipt", "receipt"]);
    a_receipt_has_a_file_of_its_own(&federation, answer["question_id"].as_str().unwrap());
    // From here on nobody needs to be there.
    for name in ["hsi", "cbp", "gateway"] {
        federation.stop(name);
    }
    let authorities = ["--authorities", "certs/authority.pem", "--json"];
    let output = check(&federation, "receipt", &authorities);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let proven: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(proven["question_id"], answer["question_id"]);
    assert_eq!(proven["actor"], "spiffe://sallyport.demo/agency/hsi/user/hsi-analyst");
    assert_eq!(proven["party"], "spiffe://sallyport.demo/agency/hsi/node");
    assert_eq!((&proven["decision"], &proven["rule"]), (&"allow".into(), &"analysts".into()));
    assert_eq!((&proven["purpose"], &proven["case_number"]), (&"border-security".into(), &"T-1".into()));
    assert_eq!((&proven["outcome"], &proven["counts"]["matches"]), (&"answered".into(), &2.into()));
    assert_eq!(proven["obligations"]["minimum_datasets"], "2");
    assert_eq!(proven["policy"].as_str().unwrap().len(), 64);
    let names: Vec<&str> =
        proven["witnesses"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"sallyport.demo/gateway"), "{names:?}");

    let output = check(&federation, "receipt", &authorities[..2]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in ["The receipt holds.", "allow by analysts", "It proves:", "It does not prove:", "What the answer was"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("  ended        answered\n"), "{told}");
    // With keys that came another way, as text and as a file.
    let key = fs::read_to_string(federation.audit("hsi").join("audit.vkey")).unwrap();
    let witnesses = witness_keys(&federation, "hsi");
    let given = ["--key", key.trim(), "--witness", &witnesses[0], "--witness", &witnesses[1]];
    assert!(check(&federation, "receipt", &given).status.success());
    let file = federation.audit("hsi").join("audit.vkey");
    let told = check(&federation, "receipt", &["--key", file.to_str().unwrap()]);
    assert!(told.status.success() && !String::from_utf8_lossy(&told.stdout).contains("has seen that"));
    // Without anybody's word but its own it proves nothing.
    let told = check(&federation, "receipt", &[]);
    assert_eq!((reason(&told).as_str(), told.status.code()), ("receipt_without_root", Some(5)));
    assert!(told.stdout.is_empty() && String::from_utf8_lossy(&told.stderr).contains("--authorities FILE"));
    let told: Value = serde_json::from_slice(&check(&federation, "receipt", &["--json"]).stdout).unwrap();
    assert_eq!((&told["holds"], &told["reason"]), (&false.into(), &"receipt_without_root".into()));
    let other = fs::read_to_string(federation.audit("cbp").join("audit.vkey")).unwrap();
    for wrong in [&["--key", other.trim()][..], &["--authorities", "people.toml"]] {
        assert!(!check(&federation, "receipt", wrong).status.success(), "{wrong:?}");
    }
    forgeries(&federation, &given);
}

/// The file is made before anybody is asked, is never another question's, and can be had later.
fn a_receipt_has_a_file_of_its_own(federation: &Federation, question_id: &str) {
    let first = fs::read_to_string(federation.path().join("receipt")).unwrap();
    for file in ["receipt", "nowhere/receipt"] {
        let output = federation.try_ask("hsi", QUESTION, &["--receipt", file]);
        assert_eq!((reason(&output).as_str(), output.status.code()), ("receipt_file", Some(2)), "{file}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(fs::read_to_string(federation.path().join("receipt")).unwrap(), first);
    let refused = ["ask", "--complete", "0000000000", "--as", "hsi-analyst", "--receipt", "refused"];
    assert_eq!(federation.output(&refused).status.code(), Some(2));
    assert!(!federation.path().join("refused").exists(), "a refused question leaves no file");
    let fetch = |id: &str, file: &str| federation.output(&["receipt", id, "--as", "hsi-analyst", "--output", file]);
    assert!(fetch(&question_id[..12], "later").status.success());
    let opening =
        |file: &str| fs::read_to_string(federation.path().join(file)).unwrap().lines().nth(2).unwrap().to_owned();
    assert_eq!(opening("later"), opening("receipt"), "the same entry");
    assert_eq!(reason(&fetch("00000000", "unknown")), "receipt_unknown");
    assert!(!federation.path().join("unknown").exists());
    // Between the first question and another one nobody was asked.
    federation.ask("hsi", QUESTION, &[]);
    let asked = || {
        let entries = entries(&federation.audit("hsi"));
        entries.iter().filter(|entry| entry["phase"]["open"]["action"] == "ask").count()
    };
    until(|| asked() > 1, "the second question is in the log");
    assert_eq!(asked(), 2);
}

/// Changed anywhere, a receipt is refused; so is one whose cosignatures are others' work.
fn forgeries(federation: &Federation, given: &[&str]) {
    let receipt = fs::read_to_string(federation.path().join("receipt")).unwrap();
    let authorities = ["--authorities", "certs/authority.pem"];
    let refused = |text: &str, keys: &[&str]| {
        fs::write(federation.path().join("forged"), text).unwrap();
        let output = check(federation, "forged", keys);
        assert_eq!((reason(&output).as_str(), output.status.code()), ("receipt_wrong", Some(5)), "{text}");
    };
    let lines: Vec<&str> = receipt.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.len() > 4) {
        // Past the names, in the middle of what is said or signed.
        let middle = line.len() / 2 + line.len() / 4;
        let flipped = if line.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let mut forged = lines.clone();
        let changed = format!("{}{flipped}{}", &line[..middle], &line[middle + 1..]);
        forged[at] = &changed;
        // A statement of keys is of no account when keys are given.
        let keys: &[&str] = if at == 1 { &authorities } else { given };
        refused(&(forged.join("\n") + "\n"), keys);
    }
    // The witnesses' lines taken away, and the log's own signature in their place.
    let own = lines.iter().position(|line| line.starts_with('\u{2014}')).unwrap();
    let unwitnessed = lines[..=own].join("\n") + "\n";
    refused(&unwitnessed, given);
    refused(&unwitnessed, &authorities);
    let (name, signature) = lines[own + 1].rsplit_once(' ').unwrap();
    let (_, others) = lines[own].rsplit_once(' ').unwrap();
    let forged = format!("{unwitnessed}{name} {}{}\n", &signature[..16], &others[16..]);
    refused(&forged, given);
    refused("", given);
}

/// Runs a program of third parties over the logs of a real run.
#[test]
fn programs_of_third_parties_verify_the_logs() {
    let Some(python) = python() else {
        println!("skipped: python3 with pymerkle and cryptography from PyPI cannot be had here");
        return;
    };
    let mut federation = two_agencies();
    for _ in 0..3 {
        federation.ask("hsi", QUESTION, &[]);
    }
    until(|| ["gateway", "hsi", "cbp"].iter().all(|name| cosigned(&federation, name)), "nobody cosigns");
    for name in ["hsi", "cbp", "gateway"] {
        federation.stop(name);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/verify_log.py");
    let verify = |log: &Path, keys: &[String]| {
        Command::new(&python).arg(&script).arg(log).args(keys).stdin(Stdio::null()).output().unwrap()
    };
    for name in ["gateway", "hsi", "cbp"] {
        let keys = witness_keys(&federation, name);
        let output = verify(&federation.audit(name), &keys);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.starts_with(&format!("sallyport.demo/{name}: ")) && !told.contains(" 0 cosignatures"), "{told}");
    }
    // One flipped bit of an entry, of the root, of either signature.
    let log = federation.audit("hsi");
    let keys = witness_keys(&federation, "hsi");
    let size: usize = fs::read_to_string(log.join("checkpoint")).unwrap().lines().nth(1).unwrap().parse().unwrap();
    let bundles = walk(&log.join("tile/entries"));
    let bundle =
        bundles.iter().find(|path| path.ends_with(format!("000.p/{size}"))).expect("a small log is one bundle");
    let (entries, checkpoint) = (fs::metadata(bundle).unwrap().len() as usize, log.join("checkpoint"));
    let note = fs::read_to_string(&checkpoint).unwrap();
    let root = note.find('\n').unwrap() + 10;
    let own = note.find('\u{2014}').unwrap() + 60;
    let cosignature = note.len() - 30;
    for (file, at) in [
        (bundle, 10),
        (bundle, entries / 2),
        (bundle, entries - 1),
        (&checkpoint, root),
        (&checkpoint, own),
        (&checkpoint, cosignature),
    ] {
        let whole = fs::read(file).unwrap();
        let mut changed = whole.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        fs::write(file, changed).unwrap();
        assert!(!verify(&log, &keys).status.success(), "{} at {at}", file.display());
        fs::write(file, whole).unwrap();
    }
    assert!(verify(&log, &keys).status.success());
}

/// A Python with the packages, made once beside the build; `None` where it cannot be had.
fn python() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = directory.join("bin/python3");
    let works = || {
        Command::new(&python).args(["-c", "import pymerkle, cryptography"]).output().is_ok_and(|o| o.status.success())
    };
    if works() {
        return Some(python);
    }
    let quiet =
        |command: &mut Command| command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    let made = quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
        && quiet(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES));
    (made && works()).then_some(python)
}
