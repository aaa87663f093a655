use sallyport_proto::common::v1 as pb;

use super::*;
use crate::{
    clock::Clock,
    identity::{
        Identity, SigningPurpose,
        development_ca::RevocationReason,
        tests::{Fixture, id, load, now},
    },
};

const TEXT: &str = r#"
name = "after-crossing"
version = 2
looks_for = """
Phones that call outside their own pattern
within 24 hours after crossing"""
learned_from = "post-seizure analysis"
minimum_qe = 1.2

subject = "phone"
top = 7
[window]
last_days = 30
[[indicator]]
name = "crossing"
dataset = "cbp.crossings"
[[indicator]]
dataset = "hsi.calls"
identifier = "caller"
contact = "callee"
measure = "novelty"
baseline_days = 90
after = "crossing"
within = "24h"
"#;

const DAY_MS: i64 = 86_400_000;

fn why() -> Why {
    Why { purpose: "border-security".to_owned(), case_number: "C-1".to_owned(), reason: String::new() }
}

fn reason(text: &str) -> String {
    Pattern::parse("hsi", text).err().map(|refusal| refusal.reason).unwrap_or_else(|| panic!("accepted: {text}"))
}

#[test]
fn a_pattern_becomes_the_question_of_whoever_runs_it() {
    let pattern = Pattern::parse("hsi", TEXT).unwrap();
    assert_eq!(pattern.name().to_string(), "hsi.after-crossing@2");
    assert_eq!(pattern.looks_for(), "Phones that call outside their own pattern within 24 hours after crossing");
    assert_eq!(pattern.minimum_qe_millionths(), 1_200_000);
    assert_eq!(pattern.summary().datasets.iter().collect::<Vec<_>>(), ["cbp.crossings", "hsi.calls"]);
    let question = pattern.question(&why(), 100 * DAY_MS, None).unwrap();
    assert_eq!((question.why(), question.top, question.minimum_datasets), (why(), 7, 2));
    assert_eq!(question.window, Window { from_ms: Some(70 * DAY_MS), until_ms: Some(100 * DAY_MS) });
    // Asked again later, it looks at later days.
    assert_eq!(pattern.question(&why(), 101 * DAY_MS, None).unwrap().window.from_ms, Some(71 * DAY_MS));
}

#[test]
fn as_of_a_moment_nothing_later_counts() {
    let pattern = Pattern::parse("hsi", TEXT).unwrap();
    let window = |pattern: &Pattern| pattern.question(&why(), 100 * DAY_MS, Some(50 * DAY_MS)).unwrap().window;
    assert_eq!(window(&pattern), Window { from_ms: Some(20 * DAY_MS), until_ms: Some(50 * DAY_MS) });
    let whenever = TEXT.replace("last_days = 30", "").replace("measure = \"novelty\"\nbaseline_days = 90", "");
    let whenever = Pattern::parse("hsi", &whenever).unwrap();
    assert_eq!(window(&whenever), Window { from_ms: None, until_ms: Some(50 * DAY_MS) });
    assert_eq!(pattern.question(&why(), 0, Some(i64::MIN)).unwrap_err().reason, "window_empty");
}

#[test]
fn whoever_runs_it_must_say_why() {
    let pattern = Pattern::parse("hsi", TEXT).unwrap();
    let asked = |why: Why| pattern.question(&why, 0, None).unwrap_err().reason;
    assert_eq!(asked(Why { purpose: " ".to_owned(), ..why() }), "purpose_missing");
    assert_eq!(asked(Why { reason: "two\nlines".to_owned(), ..why() }), "reason_unusable");
}

#[test]
fn each_fault_of_a_pattern_has_its_reason() {
    let more = |line: &str| TEXT.replace("top = 7", &format!("top = 7\n{line}"));
    let faults = [
        (TEXT.replace("version = 2", "version = 0"), "pattern_version"),
        (TEXT.replace("version = 2", "version = -1"), "pattern_file"),
        (TEXT.replace("version = 2", ""), "pattern_file"),
        (TEXT.replace("\"after-crossing\"", "\"After Crossing\""), "pattern_name"),
        (TEXT.replace("\"after-crossing\"", "\"../up\""), "pattern_name"),
        (TEXT.replace("\"after-crossing\"", "\"\""), "pattern_name"),
        (TEXT.replace("\"after-crossing\"", &format!("\"{}\"", "x".repeat(64))), "pattern_name"),
        (TEXT.replace("Phones that call", &"x".repeat(1_001)), "looks_for_unusable"),
        (TEXT.replace("minimum_qe = 1.2", "minimum_qe = -0.1"), "minimum_qe_out_of_range"),
        (TEXT.replace("minimum_qe = 1.2", "minimum_qe = nan"), "minimum_qe_out_of_range"),
        (TEXT.replace("minimum_qe = 1.2", "minimum_qe = 41"), "minimum_qe_out_of_range"),
        (TEXT.replace("post-seizure", "\\u0007"), "learned_from_unusable"),
        (TEXT.replace("last_days = 30", "from = 2026-01-01"), "pattern_window"),
        (TEXT.replace("baseline_days = 90", "baseline_days = 90\nuntil = 2026-01-01"), "pattern_window"),
        (TEXT.replace("last_days = 30", ""), "baseline_needs_window"),
        (TEXT.replace("top = 7", "top = 0"), "top_out_of_range"),
        (TEXT.replace("within = \"24h\"", "within = \"91d\""), "relation_minutes"),
        (more("minimum_datasets = 4"), "minimum_datasets_too_large"),
        (more("minimum_datasets = 1"), "minimum_datasets_too_small"),
        (more("owner = \"cbp\""), "pattern_file"),
        (more("purpose = \"x\""), "pattern_settings"),
        (more("case_number = \"x\""), "pattern_settings"),
        (more("reason = \"x\""), "pattern_settings"),
        (more("lookup = [\"6039031234\"]"), "pattern_settings"),
        (format!("{TEXT}#{}", "x".repeat(16 * 1024)), "pattern_too_large"),
    ];
    for (text, expected) in faults {
        assert_eq!(reason(&text), expected, "{text}");
    }
    let unsaid =
        "looks_for = \" \\n \"\nname = \"x\"\nversion = 1\nsubject = \"phone\"\n[[indicator]]\ndataset = \"a.b\"";
    assert_eq!(reason(unsaid), "looks_for_missing");
    let fault = Pattern::parse("hsi", &TEXT.replace("dataset = \"cbp", "data = \"cbp")).err().unwrap();
    assert!(fault.message.contains("near line 15"), "the line where it stands: {}", fault.message);
}

#[test]
fn names_are_read_as_they_are_written() {
    for text in ["hsi.after-crossing", "hsi.x@1", "cbp.9@4294967295"] {
        assert_eq!(text.parse::<PatternName>().unwrap().to_string(), text);
    }
    for text in
        ["", "hsi", "hsi.", ".x", "hsi.x@", "hsi.x@0", "hsi.x@two", "hsi.x@1@1", "hsi.a.b", "Hsi.x", "hsi.x@4294967296"]
    {
        assert_eq!(text.parse::<PatternName>().unwrap_err().reason, "pattern_name", "{text}");
    }
}

#[test]
fn a_signed_file_is_believed_wherever_it_comes_from() {
    let fixture = Fixture::new();
    let (hsi, cbp) = (fixture.identity("agency/hsi/node"), fixture.identity("agency/cbp/node"));
    let signed = SignedPattern::sign(&hsi, "hsi", TEXT).unwrap();
    let passed = SignedPattern::from_json(&signed.to_json().unwrap()).unwrap();
    assert_eq!(passed, signed);
    assert_eq!(passed.verify(&cbp).unwrap().name().to_string(), "hsi.after-crossing@2");
    let wired = SignedPattern::try_from(pb::SignedPattern::from(passed)).unwrap();
    assert_eq!(wired, signed);
    assert_eq!(SignedPattern::sign(&hsi, "hsi", "name = 1").unwrap_err().reason, "pattern_file");
}

#[test]
fn a_changed_or_foreign_file_is_refused() {
    let fixture = Fixture::new();
    let (hsi, cbp) = (fixture.identity("agency/hsi/node"), fixture.identity("agency/cbp/node"));
    let refused = |signed: &SignedPattern| signed.verify(&cbp).err().unwrap().reason;
    let json = SignedPattern::sign(&hsi, "hsi", TEXT).unwrap().to_json().unwrap();
    for (from, to) in [("24h", "48h"), ("\"agency\": \"hsi\"", "\"agency\": \"cbp\"")] {
        assert!(json.contains(from));
        assert_eq!(refused(&SignedPattern::from_json(&json.replacen(from, to, 1)).unwrap()), "pattern_signature");
    }
    // Signed in full, and not by the owner's node.
    assert_eq!(refused(&SignedPattern::sign(&cbp, "hsi", TEXT).unwrap()), "pattern_owner");
    let person = fixture.identity("agency/hsi/user/rivera");
    assert_eq!(refused(&SignedPattern::sign(&person, "hsi", TEXT).unwrap()), "pattern_owner");
    let stranger = Fixture::new().identity("agency/hsi/node");
    assert_eq!(refused(&SignedPattern::sign(&stranger, "hsi", TEXT).unwrap()), "pattern_signature");
    // What was signed for another purpose is no pattern.
    let signature = hsi.sign(SigningPurpose::new("question"), format!("hsi\0{TEXT}").as_bytes()).unwrap();
    let borrowed =
        pb::SignedPattern { agency: "hsi".to_owned(), text: TEXT.to_owned(), signature: Some(signature.into()) };
    assert_eq!(refused(&borrowed.try_into().unwrap()), "pattern_signature");
}

#[test]
fn a_signature_is_worth_as_much_as_its_certificate() {
    let fixture = Fixture::new();
    let issued = fixture.issue(&id("agency/hsi/node"), 31);
    let signed = SignedPattern::sign(&load(&issued.files, now()).unwrap(), "hsi", TEXT).unwrap();
    let clock = Clock::manual(now());
    let cbp = Identity::load(&fixture.issue(&id("agency/cbp/node"), 365).files, clock.clone()).unwrap();
    assert!(signed.verify(&cbp).is_ok());
    clock.advance_ms(32 * DAY_MS);
    assert_eq!(signed.verify(&cbp).err().unwrap().reason, "pattern_expired");
    clock.advance_ms(-32 * DAY_MS);
    fixture.authority.revoke(&issued.serial, RevocationReason::Unspecified).unwrap();
    cbp.reload().unwrap();
    assert_eq!(signed.verify(&cbp).err().unwrap().reason, "pattern_signature");
}

#[test]
fn what_is_no_signed_file_is_refused_by_name() {
    let fixture = Fixture::new();
    let json = SignedPattern::sign(&fixture.identity("agency/hsi/node"), "hsi", TEXT).unwrap().to_json().unwrap();
    for text in [
        "",
        "name = \"x\"",
        "{}",
        &json.replace("pattern v1", "pattern v2"),
        &json.replace("\"scheme\"", "\"extra\": 1, \"scheme\""),
        &json.replace("\"signature\": \"", "\"signature\": \"?"),
        &format!("{json}{}", " ".repeat(PATTERN_FILE_BYTES_MAX)),
    ] {
        assert_eq!(SignedPattern::from_json(text).unwrap_err().reason, "pattern_file", "{text}");
    }
}
