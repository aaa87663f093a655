use std::collections::BTreeMap;

use super::super::entry::{Completion, Entry, EntryId, Opening, Phase, Ruling};
use super::*;

/// 2026-01-10T00:00:00Z.
const FROM_MS: i64 = 20_463 * DAY_MS;

/// How an action ended: outcome, decision with its rule, stable reason, scores released.
type Ended = Option<(Outcome, Option<(Decision, &'static str)>, Option<&'static str>, u64)>;

fn action(at_ms: i64, who: &str, what: (&str, &str, Option<&str>), ended: Ended) -> RecordedAction {
    let (action, resource, purpose) = what;
    let opening = Opening {
        actor: format!("spiffe://border.example/{who}"),
        action: action.to_owned(),
        resource: resource.to_owned(),
        purpose: purpose.map(str::to_owned),
        ..Opening::default()
    };
    let id = EntryId::from_bytes([7; 16]);
    let bytes = |phase| Entry::new(at_ms, id, phase).to_bytes().unwrap();
    let completion = ended.map(|(outcome, decided, detail, released)| {
        let ruling = decided.map(|(decision, rule)| Ruling {
            decision,
            rule: rule.to_owned(),
            policy: "00".to_owned(),
            obligations: BTreeMap::new(),
        });
        let counts = (released > 0).then(|| ("released".to_owned(), released)).into_iter().collect();
        let detail = detail.map(str::to_owned);
        (1, bytes(Phase::Complete(Completion { outcome, ruling, decided_on: BTreeMap::new(), counts, detail })))
    });
    RecordedAction::of((0, bytes(Phase::Open(opening))), completion).unwrap()
}

fn report(actions: &[RecordedAction]) -> Report {
    let mut builder = ReportBuilder::new(FROM_MS, FROM_MS + 7 * DAY_MS).unwrap();
    actions.iter().for_each(|action| builder.add(action));
    builder.finish()
}

#[test]
fn the_numbers_by_hand() {
    let (ana, ben) = ("agency/hsi/user/ana", "agency/cbp/user/ben");
    let ask = ("ask", "federation", Some("border-security"));
    let allowed = |released| Some((Outcome::Answered, Some((Decision::Allow, "analysts")), None, released));
    let denied = Some((Outcome::Denied, Some((Decision::Deny, "partners-never-ask")), Some("denied_by_rule"), 0));
    let forged = Some((Outcome::Denied, None, Some("question_wrong_signer"), 0));
    let elsewhere = Some((Outcome::Denied, Some((Decision::Allow, "analysts")), Some("no_rule_allows"), 0));
    let account = ("account", "hsi.calls", Some("border-security"));
    let found = report(&[
        action(FROM_MS - 1, ana, ask, allowed(9)),
        action(FROM_MS, ana, ask, allowed(5)),
        action(FROM_MS + 1, ana, ask, allowed(7)),
        action(FROM_MS + 2, ana, ask, denied),
        action(FROM_MS + 3, ben, ask, denied),
        action(FROM_MS + 4, ben, ask, forged),
        action(FROM_MS + 5, ben, ask, elsewhere),
        action(FROM_MS + 6, ben, ("contribute", "hsi.calls", None), None),
        action(FROM_MS + 7, "gateway", account, allowed(3)),
        action(FROM_MS + 8, "gateway", account, allowed(4)),
        action(FROM_MS + 9, "gateway", account, allowed(0)),
        action(FROM_MS + 10, "agency/hsi/node", ("relay", "to cbp", None), denied),
        action(FROM_MS + 7 * DAY_MS, ana, ask, allowed(9)),
    ]);
    assert_eq!((found.actions, found.still_open, found.not_listed), (11, 1, 0));
    let question = |action: &str, agency: &str, purpose: &str, decision, count| QuestionCount {
        action: action.to_owned(),
        agency: agency.to_owned(),
        purpose: purpose.to_owned(),
        decision,
        count,
    };
    assert_eq!(
        found.questions,
        [
            question("ask", "cbp", "border-security", None, 1),
            question("ask", "cbp", "border-security", Some(Decision::Allow), 1),
            question("ask", "cbp", "border-security", Some(Decision::Deny), 1),
            question("ask", "hsi", "border-security", Some(Decision::Allow), 2),
            question("ask", "hsi", "border-security", Some(Decision::Deny), 1),
            question("contribute", "cbp", "", None, 1),
        ]
    );
    let denial =
        |rule: &str, reason: &str, count| DenialCount { rule: rule.to_owned(), reason: reason.to_owned(), count };
    assert_eq!(
        found.denials,
        [
            denial("", "no_rule_allows", 1),
            denial("", "question_wrong_signer", 1),
            denial("partners-never-ask", "denied_by_rule", 3),
        ]
    );
    let release = |action: &str, resource: &str, answers, scores| ReleaseCount {
        action: action.to_owned(),
        resource: resource.to_owned(),
        answers,
        scores,
    };
    assert_eq!(found.releases, [release("account", "hsi.calls", 2, 7), release("ask", "federation", 2, 12)]);
    assert_eq!((found.unusual.len(), found.unjudged_days), (0, 2), "ana's and ben's first days cannot be judged");
}

#[test]
fn a_day_is_judged_by_the_days_before_the_period_as_well() {
    let ask = ("ask", "federation", None);
    let allowed = Some((Outcome::Answered, Some((Decision::Allow, "analysts")), None, 0));
    let before = (1..=10).flat_map(|day| (0..2).map(move |n| FROM_MS - day * DAY_MS + n));
    let many = (0..20).map(|n| FROM_MS + 2 * DAY_MS + n);
    let builder = ReportBuilder::new(FROM_MS + 5, FROM_MS + 7 * DAY_MS).unwrap();
    assert_eq!(builder.history_from_ms(), FROM_MS - 90 * DAY_MS);
    let mut actions: Vec<_> = before.chain(many).map(|at| action(at, "agency/hsi/user/ana", ask, allowed)).collect();
    // What says of itself that ana asks, and was refused before anybody verified it, is not held against her.
    let claimed = Some((Outcome::Denied, None, Some("question_wrong_signer"), 0));
    actions.extend((0..500).map(|n| action(FROM_MS + 3 * DAY_MS + n, "agency/hsi/user/ana", ask, claimed)));
    let found = report(&actions);
    let [unusual] = &found.unusual[..] else { panic!("{:?}", found.unusual) };
    assert_eq!((unusual.day, unusual.count, unusual.median, unusual.mad), (20_465, 20, 2.0, 0.0));
    // 0.6745 · (20 − 2) / 1.
    assert!((unusual.z - 12.141).abs() < 1e-9);
    assert_eq!(found.actions, 520);
}

#[test]
fn a_full_table_counts_what_it_does_not_list() {
    let line = |n: usize| {
        let purpose = format!("purpose {n}");
        action(FROM_MS, "agency/hsi/user/ana", ("ask", "federation", Some(&purpose)), None)
    };
    let found = report(&(0..LINES_MAX + 3).map(line).collect::<Vec<_>>());
    assert_eq!((found.questions.len(), found.not_listed), (LINES_MAX, 3));
    assert_eq!(found.actions, LINES_MAX as u64 + 3);
}

#[test]
fn a_period_must_be_one() {
    for (from, until) in [(5, 5), (6, 5), (0, 367 * DAY_MS), (-1, 5), (i64::MIN, i64::MAX), (i64::MAX - 1, i64::MAX)] {
        assert_eq!(ReportBuilder::new(from, until).unwrap_err(), ReportError::Period, "{from} {until}");
    }
    assert!(ReportBuilder::new(0, 366 * DAY_MS).is_ok());
}
