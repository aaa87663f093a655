//! Past decisions under another policy.

use super::*;
use crate::audit::{Completion, Decision as Recorded, Entry, EntryId, Opening, Outcome, Phase, Ruling};
use crate::policy::engine::MODEL;
use crate::policy::{Policy, PolicyFiles, Rehearsal, Report};

fn policy(rules: &str) -> Policy {
    let files = PolicyFiles { model: MODEL.to_owned(), rules: rules.to_owned(), schema: None, cases: String::new() };
    Policy::untested(&files).unwrap()
}

/// The two entries of one decision, as a party writes them.
fn decided(policy: &Policy, asked: &Request, at_ms: i64) -> [Entry; 2] {
    let entry = EntryId::random().unwrap();
    let opening = Opening {
        actor: "spiffe://f/agency/hsi/user/rivera".to_owned(),
        action: "contribute".to_owned(),
        resource: "cbp.crossings".to_owned(),
        purpose: Some(asked.context.purpose.clone()),
        ..Opening::default()
    };
    let (decision, rule, obligations) = match policy.decide(asked) {
        Decision::Allow(permit) => {
            let obligations = permit.obligations().written();
            (
                Recorded::Allow,
                permit.rules().join(" "),
                obligations.map(|(name, value)| (name.to_owned(), value)).into(),
            )
        }
        Decision::Deny(denial) => {
            (Recorded::Deny, denial.rule.unwrap_or("default-deny".to_owned()), Default::default())
        }
        Decision::Hold(hold) => (Recorded::Hold, hold.rule, Default::default()),
    };
    let mut completion = Completion::new(Outcome::Answered);
    completion.ruling = Some(Ruling { decision, rule, policy: "ab".to_owned(), obligations });
    completion.decided_on = asked.written().unwrap();
    [Phase::Open(opening), Phase::Complete(completion)].map(|phase| {
        let written = Entry { format: crate::audit::entry::ENTRY_FORMAT, at_ms, entry, phase };
        // As it comes out of a log.
        Entry::from_bytes(&written.to_bytes().unwrap()).unwrap()
    })
}

fn rehearse(policy: &Policy, entries: &[Entry]) -> Report {
    let mut rehearsal = Rehearsal::of(policy, 100, 200);
    entries.iter().for_each(|entry| rehearsal.entry(entry));
    rehearsal.report()
}

fn questions() -> Vec<Request> {
    let asking = |agency: &str, role: &str| Request {
        subject: Attributes::new().with(attribute::AGENCY, agency).with(attribute::ROLE, role),
        ..request()
    };
    vec![asking("hsi", "analyst"), asking("hsi", "analyst"), asking("acme", "analyst"), asking("hsi", "officer")]
}

fn log(policy: &Policy) -> Vec<Entry> {
    questions().iter().flat_map(|asked| decided(policy, asked, 150)).collect()
}

#[test]
fn the_same_policy_decides_again_as_it_did() {
    let policy = policy(&with(
        "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\nsubject = { agency = { equals = \"acme\" } }",
    ));
    let report = rehearse(&policy, &log(&policy));
    assert_eq!((report.decisions, report.unchanged, report.not_rehearsable), (4, 4, 0));
    assert_eq!((report.changes.as_slice(), report.policy.as_str()), (&[][..], policy.hash()));
}

#[test]
fn what_changes_is_told_by_rule_with_counts_and_examples() {
    let then = policy(ALLOW_ANALYSTS);
    let now = policy(
        "[[rule]]\nid = \"officers\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = { role = { equals = \"officer\" } }\n\
         [[rule]]\nid = \"wait\"\neffect = \"hold\"\nrelease_by = \"chief\"\nactions = [\"ask\"]\n\
         subject = { agency = { equals = \"acme\" }, role = { equals = \"analyst\" } }",
    );
    let report = rehearse(&now, &log(&then));
    let told: Vec<_> = report
        .changes
        .iter()
        .map(|change| (change.from, change.to, change.rule_then.as_str(), change.rule_now.as_str(), change.count))
        .collect();
    assert_eq!(
        told,
        [
            ("allow", "deny", "analysts", "default-deny", 2),
            ("allow", "hold", "analysts", "wait", 1),
            ("deny", "allow", "analysts", "officers", 1),
        ]
    );
    let example = &report.changes[0].examples[0];
    assert_eq!(example.actor, "spiffe://f/agency/hsi/user/rivera");
    assert_eq!((example.purpose.as_deref(), example.entry.len()), (Some("counter-narcotics"), 32));
    assert_eq!(report.changes[0].reason, Some("no_rule_allows"));
    assert_eq!((report.decisions, report.unchanged), (4, 0));
}

#[test]
fn other_obligations_are_a_change_too() {
    let now = policy(&format!("{ALLOW_ANALYSTS}obligations = {{ maximum_results = 20, mask = \"last_four\" }}"));
    let report = rehearse(&now, &log(&policy(ALLOW_ANALYSTS)));
    let [change] = report.changes.as_slice() else { panic!("{report:?}") };
    assert_eq!((change.from, change.to, change.count), ("allow", "allow", 3));
    assert_eq!(change.obligations, ["maximum_results was 100, now 20", "mask was all, now last_four"]);
}

#[test]
fn what_people_have_released_was_held() {
    let held = |releases: u32, more: &str| {
        policy(&format!(
            "[[rule]]\nid = \"wait\"\neffect = \"hold\"\nrelease_by = \"chief\"\nactions = [\"ask\"]\n\
             subject = {{ role = {{ equals = \"analyst\" }} }}\n[rule.obligations]\nreleases = {releases}\n{more}"
        ))
    };
    let then = held(2, "");
    let mut entries = decided(&then, &request(), 150);
    let Decision::Hold(hold) = then.decide(&request()) else { panic!("not held") };
    let released = hold.obligations().written().map(|(name, value)| (name.to_owned(), value));
    if let Phase::Complete(completion) = &mut entries[1].phase {
        let ruling = completion.ruling.as_mut().unwrap();
        ruling.decision = Recorded::Allow;
        ruling.obligations.extend(released);
        ruling
            .obligations
            .extend([("releases", "2"), ("released_question", "00ff")].map(|(k, v)| (k.into(), v.into())));
    }
    let same = rehearse(&then, &entries);
    assert_eq!((same.decisions, same.unchanged, same.changes), (1, 1, Vec::new()));
    let told = |now: &Policy| {
        let [change] = <[_; 1]>::try_from(rehearse(now, &entries).changes).unwrap();
        (change.from, change.to, change.obligations)
    };
    assert_eq!(told(&policy(ALLOW_ANALYSTS)), ("hold", "allow", Vec::new()));
    let fewer = ("hold", "hold", vec!["maximum_results was 100, now 20".to_owned()]);
    assert_eq!(told(&held(2, "maximum_results = 20")), fewer);
    assert_eq!(told(&held(1, "")), ("hold", "hold", vec!["releases was 2, now 1".to_owned()]));
}

#[test]
fn what_an_entry_does_not_hold_is_never_guessed() {
    let policy = policy(ALLOW_ANALYSTS);
    let change = |how: fn(&mut Completion)| {
        let mut entries = decided(&policy, &request(), 150);
        if let Phase::Complete(completion) = &mut entries[1].phase {
            how(completion);
        }
        let report = rehearse(&policy, &entries);
        (report.decisions, report.not_rehearsable, report.unchanged)
    };
    assert_eq!(change(|_| {}), (1, 0, 1));
    assert_eq!(change(|completion| completion.decided_on.clear()), (1, 1, 0), "an entry from before");
    assert_eq!(change(|completion| drop(completion.decided_on.remove("action"))), (1, 1, 0));
    assert_eq!(change(|completion| completion.ruling = None), (0, 0, 0), "nothing was decided");
}

#[test]
fn only_the_period_asked_for_is_rehearsed() {
    let policy = policy(ALLOW_ANALYSTS);
    for (at_ms, decisions) in [(99, 0), (100, 1), (199, 1), (200, 0)] {
        assert_eq!(rehearse(&policy, &decided(&policy, &request(), at_ms)).decisions, decisions, "{at_ms}");
    }
    let [_, completion] = decided(&policy, &request(), 150);
    assert_eq!(rehearse(&policy, &[completion]).decisions, 0, "a completion whose opening is not there");
}

#[test]
fn examples_are_few_however_many_decisions_change() {
    let then = policy(ALLOW_ANALYSTS);
    let now = policy(&ALLOW_ANALYSTS.replace("\"analyst\"", "\"officer\""));
    let entries: Vec<_> = (0..50).flat_map(|_| decided(&then, &request(), 150)).collect();
    let report = rehearse(&now, &entries);
    assert_eq!((report.changes[0].count, report.changes[0].examples.len()), (50, crate::policy::EXAMPLES_MAX));
}
