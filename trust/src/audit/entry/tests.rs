use proptest::prelude::*;

use super::*;

fn opening() -> Opening {
    Opening {
        actor: "spiffe://border.example/agency/hsi/user/ana".to_owned(),
        action: "ask".to_owned(),
        resource: "question".to_owned(),
        question: Some("00ff".to_owned()),
        purpose: Some("narcotics".to_owned()),
        ..Opening::default()
    }
}

fn completion() -> Completion {
    Completion {
        ruling: Some(Ruling {
            decision: Decision::Allow,
            rule: "hsi-narcotics".to_owned(),
            policy: "ab12".to_owned(),
            obligations: [("mask".to_owned(), "last4".to_owned())].into(),
        }),
        decided_on: [("subject.role".to_owned(), "analyst".to_owned())].into(),
        counts: [("rows".to_owned(), 7)].into(),
        detail: Some("complete".to_owned()),
        ..Completion::new(Outcome::Answered)
    }
}

fn open_entry(opening: Opening) -> Entry {
    Entry::new(1_790_000_000_000, EntryId([0xab; 16]), Phase::Open(opening))
}

fn complete_entry(completion: Completion) -> Entry {
    Entry::new(1_790_000_000_001, EntryId([0xab; 16]), Phase::Complete(completion))
}

#[test]
fn the_byte_forms_are_fixed() {
    assert_eq!(
        String::from_utf8(open_entry(opening()).to_bytes().unwrap()).unwrap(),
        concat!(
            r#"{"format":1,"at_ms":1790000000000,"entry":"abababababababababababababababab","#,
            r#""phase":{"open":{"actor":"spiffe://border.example/agency/hsi/user/ana","#,
            r#""action":"ask","resource":"question","question":"00ff","purpose":"narcotics"}}}"#
        )
    );
    assert_eq!(
        String::from_utf8(complete_entry(completion()).to_bytes().unwrap()).unwrap(),
        concat!(
            r#"{"format":1,"at_ms":1790000000001,"entry":"abababababababababababababababab","#,
            r#""phase":{"complete":{"outcome":"answered","ruling":{"decision":"allow","#,
            r#""rule":"hsi-narcotics","policy":"ab12","obligations":{"mask":"last4"}},"#,
            r#""decided_on":{"subject.role":"analyst"},"counts":{"rows":7},"detail":"complete"}}}"#
        )
    );
}

#[test]
fn entries_come_back_as_they_were_written() {
    for entry in
        [open_entry(opening()), complete_entry(completion()), complete_entry(Completion::new(Outcome::TimedOut))]
    {
        assert_eq!(Entry::from_bytes(&entry.to_bytes().unwrap()), Ok(entry));
    }
}

#[test]
fn anything_but_the_one_form_is_refused() {
    let text = String::from_utf8(open_entry(opening()).to_bytes().unwrap()).unwrap();
    let refused = |text: &str| Entry::from_bytes(text.as_bytes()).unwrap_err();
    assert_eq!(refused(&text.replace(r#","at_ms""#, r#", "at_ms""#)), EntryError::NotCanonical);
    assert_eq!(refused(&text.replace("narcotics", r"\u006earcotics")), EntryError::NotCanonical);
    let null = text.replace(r#","purpose":"narcotics""#, r#","purpose":null"#);
    assert_eq!(refused(&null), EntryError::NotCanonical);
    let phone = text.replace(r#","purpose""#, r#","subject":"16039035555","purpose""#);
    let error = refused(&phone);
    assert!(matches!(error, EntryError::Malformed { .. }));
    assert!(!format!("{error} {error:?}").contains("16039035555"));
    let newer = refused(&text.replace(r#""format":1"#, r#""format":2"#)).to_string();
    assert!(newer.contains("format 2") && newer.contains("newer version"));
    assert!(matches!(refused(&text.replace("abab", "ABAB")), EntryError::Malformed { .. }));
    assert!(matches!(refused(&text[1..]), EntryError::Malformed { .. }));
}

#[test]
fn every_limit_names_its_field() {
    let long = |bytes| "x".repeat(bytes);
    let open = |change: fn(&mut Opening, String), bytes| {
        let mut opening = opening();
        change(&mut opening, long(bytes));
        open_entry(opening).to_bytes().unwrap_err().to_string()
    };
    assert!(open(|o, text| o.actor = text, 2049).starts_with("actor is 2049 bytes"));
    assert!(open(|o, text| o.via = Some(text), 2049).starts_with("via is"));
    assert!(open(|o, text| o.action = text, 65).starts_with("action is"));
    assert!(open(|o, text| o.resource = text, 257).starts_with("resource is"));
    assert!(open(|o, text| o.question = Some(text), 2).starts_with("question must be"));
    assert!(open(|o, text| o.purpose = Some(text), 257).starts_with("purpose is"));
    assert!(open(|o, text| o.case_number = Some(text), 257).starts_with("case_number is"));
    assert!(open(|o, text| o.reason = Some(text), 4097).starts_with("reason is"));
    assert!(open(|o, text| o.actor = text, 0).starts_with("actor is empty"));
    assert!(open(|o, text| o.reason = Some(text), 0).starts_with("reason is empty"));
    let escape = Opening { reason: Some("\u{1b}[2J".to_owned()), ..opening() };
    assert_eq!(open_entry(escape).to_bytes(), Err(EntryError::ControlCharacters { field: "reason" }));
    let mut many = completion();
    many.counts = (0..65).map(|index| (index.to_string(), 0)).collect();
    assert_eq!(complete_entry(many).to_bytes(), Err(EntryError::TooManyPairs { field: "counts", count: 65 }));
}

#[test]
fn entries_at_all_their_limits_fit() {
    // The characters that JSON makes longest: each becomes two bytes.
    let text = |bytes| "\"".repeat(bytes);
    let full = Opening {
        actor: text(2048),
        via: Some(text(2048)),
        action: text(64),
        resource: text(256),
        question: Some("f".repeat(128)),
        purpose: Some(text(256)),
        case_number: Some(text(256)),
        reason: Some("\n".repeat(4096)),
    };
    assert!(open_entry(full).to_bytes().unwrap().len() < 19 * 1024);
    let key = |index| format!("{}{}", "\\".repeat(62), char::from(b'0' + index)) + "\"";
    let full = Completion {
        outcome: Outcome::Abandoned,
        ruling: Some(Ruling {
            decision: Decision::Allow,
            rule: text(512),
            policy: "f".repeat(128),
            obligations: (0..64).map(|index| (key(index), text(128))).collect(),
        }),
        decided_on: (0..15).map(|index| (key(index), text(480))).collect(),
        counts: (0..64).map(|index| (key(index), u64::MAX)).collect(),
        detail: Some(text(512)),
    };
    assert!(complete_entry(full).to_bytes().unwrap().len() < 62 * 1024);
}

#[test]
fn entries_from_before_decisions_could_be_rehearsed_are_read() {
    let older = Completion { decided_on: BTreeMap::new(), ..completion() };
    let bytes = complete_entry(older.clone()).to_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("decided_on"));
    assert_eq!(Entry::from_bytes(&bytes), Ok(complete_entry(older)));
}

#[test]
fn what_was_decided_on_is_bounded_as_a_whole() {
    let mut wordy = completion();
    wordy.decided_on = (0..20).map(|index| (format!("subject.{index}"), "x".repeat(500))).collect();
    let error = complete_entry(wordy).to_bytes().unwrap_err();
    assert!(matches!(error, EntryError::TooLong { field: "decided_on", limit: DECIDED_ON_LIMIT_BYTES, .. }));
}

#[test]
fn ids_are_random() {
    assert_ne!(EntryId::random().unwrap(), EntryId::random().unwrap());
}

proptest! {
    #[test]
    fn any_text_either_survives_or_is_refused(reason in "\\PC{0,40}", case in ".{0,40}") {
        let opening = Opening { reason: Some(reason), case_number: Some(case), ..opening() };
        let entry = open_entry(opening);
        if let Ok(bytes) = entry.to_bytes() {
            prop_assert_eq!(Entry::from_bytes(&bytes), Ok(entry));
        }
    }

    #[test]
    fn reading_noise_never_panics(noise: Vec<u8>) {
        prop_assert!(Entry::from_bytes(&noise).is_err());
    }
}
