//! The way of a held question, moment by moment.

use super::*;

const ASKER: &str = "spiffe://f/agency/hsi/user/rivera";
const NOVAK: &str = "spiffe://f/agency/cbp/user/novak";
const SILVA: &str = "spiffe://f/agency/cbp/user/silva";
const OFFICER: &str = "release_officer";
const HOUR_MS: i64 = 3_600_000;

fn waiting(releases: u32) -> HeldQuestion {
    HeldQuestion {
        id: "0011223344556677".to_owned(),
        question: QuestionId([1; 32]),
        context: [2; 32],
        pattern: [3; 32],
        asked: Asked {
            agency: "hsi".to_owned(),
            asker: Asker::from([(attribute::FEDERATION_ID.to_owned(), ASKER.to_owned())]),
            purpose: "missing-person".to_owned(),
            case_number: "C-1".to_owned(),
            reason: "why".to_owned(),
            dataset: "cbp.crossings".to_owned(),
            subject: "phone".to_owned(),
            looked_up: 1,
            identifiers: 1,
            minimum_datasets: 2,
            top: 20,
        },
        parts: Vec::new(),
        rule: "wait".to_owned(),
        release_by: BTreeMap::from([(OFFICER.to_owned(), releases)]),
        maximum_results: 20,
        score_step_thousandths: 1,
        minimum_cohort: 10,
        asked_at_ms: 0,
        expires_at_ms: WAITING_MS,
        decisions: Vec::new(),
        used_by: None,
    }
}

fn by(officer: &str, verdict: Verdict, at_ms: i64) -> Decision {
    Decision { officer: officer.to_owned(), role: OFFICER.to_owned(), verdict, reason: "because".to_owned(), at_ms }
}

fn reason(decided: Result<HeldQuestion, Refusal>) -> String {
    decided.unwrap_err().reason
}

#[test]
fn a_grant_for_one_answer_is_used_by_one_question() {
    let held = waiting(1);
    assert_eq!(held.state(0), State::Waiting);
    assert_eq!(reason(held.clone().used(QuestionId([9; 32]), 0)), "held");
    let granted = held.decided(by(NOVAK, Verdict::Once, 10)).unwrap();
    assert_eq!(granted.state(10), State::Granted);
    let used = granted.used(QuestionId([9; 32]), 20).unwrap();
    assert_eq!(used.state(20), State::Used);
    assert_eq!(reason(used.clone().used(QuestionId([8; 32]), 21)), "held");
    // Another part of the same question may still come, for as long as the question is fresh.
    assert_eq!(used.clone().used(QuestionId([9; 32]), 21).unwrap(), used);
    assert_eq!(used.state(20 + USED_MS), State::Expired);
}

#[test]
fn a_standing_grant_ends_when_it_says() {
    let until_ms = 10 + 8 * HOUR_MS;
    let granted = waiting(1).decided(by(NOVAK, Verdict::UntilMs(until_ms), 10)).unwrap();
    for question in 1..4 {
        assert_eq!(granted.clone().used(QuestionId([question; 32]), until_ms - 1).unwrap(), granted);
    }
    assert_eq!(granted.state(until_ms - 1), State::Standing(until_ms));
    assert_eq!(granted.state(until_ms), State::Expired);
    assert_eq!(reason(granted.used(QuestionId([1; 32]), until_ms)), "held");
    for until_ms in [10, 9, i64::MIN, 11 + STANDING_MAX_MS, i64::MAX] {
        assert_eq!(reason(waiting(1).decided(by(NOVAK, Verdict::UntilMs(until_ms), 10))), "release_until");
    }
}

#[test]
fn two_persons_are_two_different_persons() {
    let one = waiting(2).decided(by(NOVAK, Verdict::UntilMs(HOUR_MS), 1)).unwrap();
    assert_eq!((one.state(1), one.granted(OFFICER)), (State::Waiting, 1));
    assert_eq!(reason(one.clone().decided(by(NOVAK, Verdict::Once, 2))), "release_twice");
    assert_eq!(reason(one.clone().used(QuestionId([9; 32]), 2)), "held");
    // Of two grants the stricter holds.
    let both = one.clone().decided(by(SILVA, Verdict::Once, 2)).unwrap();
    assert_eq!(both.state(2), State::Granted);
    let both = one.decided(by(SILVA, Verdict::UntilMs(2 * HOUR_MS), 2)).unwrap();
    assert_eq!(both.state(2), State::Standing(HOUR_MS));
}

#[test]
fn every_role_that_a_rule_names_must_agree() {
    let mut held = waiting(1);
    held.release_by.insert("privacy_officer".to_owned(), 1);
    let one = held.decided(by(NOVAK, Verdict::Once, 1)).unwrap();
    assert_eq!(one.state(1), State::Waiting);
    let privacy = Decision { role: "privacy_officer".to_owned(), ..by(SILVA, Verdict::Once, 2) };
    assert_eq!(one.decided(privacy).unwrap().state(2), State::Granted);
}

#[test]
fn one_refusal_refuses_whenever_it_comes_before_the_use() {
    let refuse = |held: HeldQuestion| held.decided(by(SILVA, Verdict::Refuse, 5)).unwrap();
    let one_of_two = waiting(2).decided(by(NOVAK, Verdict::Once, 1)).unwrap();
    let granted = waiting(1).decided(by(NOVAK, Verdict::Once, 1)).unwrap();
    let standing = waiting(1).decided(by(NOVAK, Verdict::UntilMs(HOUR_MS), 1)).unwrap();
    for held in [waiting(1), one_of_two, granted.clone(), standing] {
        let refused = refuse(held);
        assert_eq!(refused.state(5), State::Refused);
        assert_eq!(refused.refusal().unwrap().reason, "because");
        assert_eq!(reason(refused.clone().used(QuestionId([9; 32]), 6)), "held");
        assert_eq!(reason(refused.clone().decided(by(NOVAK, Verdict::Once, 6))), "release_decided");
        assert_eq!(refused.state(5 + WAITING_MS), State::Expired);
    }
    // Who granted may change their mind.
    assert_eq!(granted.clone().decided(by(NOVAK, Verdict::Refuse, 2)).unwrap().state(2), State::Refused);
    let used = granted.used(QuestionId([9; 32]), 2).unwrap();
    assert_eq!(reason(used.decided(by(SILVA, Verdict::Refuse, 3))), "release_decided");
}

#[test]
fn nobody_decides_about_their_own_question_or_in_another_role() {
    for verdict in [Verdict::Once, Verdict::UntilMs(HOUR_MS), Verdict::Refuse] {
        assert_eq!(reason(waiting(1).decided(by(ASKER, verdict, 1))), "self_release");
        let analyst = Decision { role: "analyst".to_owned(), ..by(NOVAK, verdict, 1) };
        assert_eq!(reason(waiting(1).decided(analyst)), "release_role");
    }
}

#[test]
fn what_nobody_decides_about_expires_and_a_decision_waits_for_the_asker() {
    let held = waiting(1);
    assert_eq!((held.state(WAITING_MS - 1), held.state(WAITING_MS)), (State::Waiting, State::Expired));
    assert_eq!(reason(held.clone().decided(by(NOVAK, Verdict::Once, WAITING_MS))), "release_decided");
    let granted = held.decided(by(NOVAK, Verdict::Once, WAITING_MS - 1)).unwrap();
    assert_eq!(granted.state(2 * WAITING_MS - 2), State::Granted);
    assert_eq!(granted.state(2 * WAITING_MS - 1), State::Expired);
}

#[test]
fn stricter_rules_ask_for_more_people_and_remember_who_agreed() {
    let granted = waiting(1).decided(by(NOVAK, Verdict::Once, 1)).unwrap();
    let two = BTreeMap::from([(OFFICER.to_owned(), 2)]);
    let waits = granted.needing(("stricter", &two), Obligations::DEFAULT, 5);
    assert_eq!((waits.state(5), waits.granted(OFFICER), waits.rule.as_str()), (State::Waiting, 1, "stricter"));
    assert_eq!(waits.decided(by(SILVA, Verdict::Once, 6)).unwrap().state(6), State::Granted);
}
