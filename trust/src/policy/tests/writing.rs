//! Requests as they stand in audit entries.

use proptest::prelude::*;

use super::*;
use crate::policy::VALUE_BYTES_MAX;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,12}", "\\PC{0,40}"]
}

fn attributes(names: &'static [&'static str]) -> impl Strategy<Value = Attributes> {
    proptest::collection::vec((proptest::sample::select(names), text()), 0..6)
        .prop_map(|pairs| pairs.into_iter().collect())
}

fn requests() -> impl Strategy<Value = Request> {
    let context = (text(), text(), text(), any::<u32>(), any::<u32>(), 0..4_000_000_000_000_i64);
    let subject = attributes(&[attribute::AGENCY, attribute::ROLE, attribute::CERTIFIED_28CFR]);
    let resource = attributes(&[attribute::OWNER, attribute::DATASET, attribute::SENSITIVITY, attribute::KIND]);
    (subject, resource, context).prop_map(|(subject, resource, (purpose, case_number, reason, least, top, at_ms))| {
        let subject_type = "phone".to_owned();
        let context = Context { purpose, case_number, reason, subject_type, minimum_datasets: least, top, at_ms };
        Request { subject, resource, action: Action::LookUp, context }
    })
}

proptest! {
    #[test]
    fn what_is_written_down_is_read_back_as_it_was(request in requests()) {
        let written = request.written().unwrap();
        prop_assert_eq!(Request::from_written(&written), Ok(request));
    }

    #[test]
    fn reading_noise_never_panics(noise in proptest::collection::btree_map(".{0,20}", ".{0,20}", 0..5)) {
        let _ = Request::from_written(&noise);
    }
}

#[test]
fn what_cannot_be_written_down_whole_is_not_written_down() {
    let with_role = |role: String| Request { subject: analyst().with(attribute::ROLE, role), ..request() };
    assert!(with_role("x".repeat(VALUE_BYTES_MAX)).written().is_some());
    assert_eq!(with_role("x".repeat(VALUE_BYTES_MAX + 1)).written(), None);
    assert_eq!(with_role("\u{1b}[2J".to_owned()).written(), None);
    let wordy: Attributes = crate::policy::schema::ATTRIBUTES
        .iter()
        .filter(|attribute| attribute.part.as_str() == "subject")
        .map(|attribute| (attribute.name, "x".repeat(VALUE_BYTES_MAX)))
        .collect();
    let reason = |length: usize| Context { reason: "x".repeat(length), ..context() };
    let whole = Request { subject: wordy, context: reason(400), ..request() };
    assert!(whole.written().is_some());
}

#[test]
fn attributes_that_no_rule_can_speak_of_are_left_out() {
    let asked = Request { subject: analyst().with("shoe_size", "44"), ..request() };
    let written = asked.written().unwrap();
    assert!(!format!("{written:?}").contains("shoe_size"));
    assert_eq!(Request::from_written(&written), Ok(request()));
}

#[test]
fn what_is_wrong_with_a_written_request_is_named() {
    let read = |name: &str, value: &str| {
        let mut written = request().written().unwrap();
        written.insert(name.to_owned(), value.to_owned());
        Request::from_written(&written).unwrap_err()
    };
    assert!(read("action", "read").contains("unknown variant"));
    assert!(read("subject.rank", "1").contains("`subject.rank`"));
    assert!(read("role", "1").contains("`role`"));
    assert!(read("context.top", "-1").contains("whole number"));
    assert!(read("context.time", "yesterday").contains("offset"));
    assert!(Request::from_written(&Default::default()).unwrap_err().contains("no action"));
}
