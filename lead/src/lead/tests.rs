//! The life of a lead by known answers, and properties over random lives.

use proptest::prelude::*;

use super::*;
use crate::{clock, event::Evidence, people::Who, playbook::Step};

pub(crate) fn plan() -> Plan {
    Plan {
        playbook: "corridor".to_owned(),
        title: "t".to_owned(),
        severity: "low".to_owned(),
        rank: 0,
        who: Who::Role("analyst".to_owned()),
        steps: vec!["look".to_owned()],
        acknowledge_ms: 10,
        pursue_ms: 30,
        conclude_ms: Some(100),
        chain: vec![
            Step { to: Who::Role("commander".to_owned()), after_ms: 5 },
            Step { to: Who::Person("dir".to_owned()), after_ms: 20 },
        ],
        exceptions: vec![Exception {
            name: "diverted".to_owned(),
            title: "t".to_owned(),
            check: "c".to_owned(),
            confirmed_by: vec![Who::Role("commander".to_owned())],
            clears_ms: 1_000,
        }],
    }
}

pub(crate) fn sighting() -> Sighting {
    Sighting {
        watch: Some("w".to_owned()),
        pattern: None,
        question: "00".to_owned(),
        subject_kind: "plate".to_owned(),
        subject: "US-TX-ABC123".to_owned(),
        qe_millionths: 1_414_213,
        evidence: vec![Evidence { dataset: "cbp.bonds".to_owned(), strength_thousandths: 1_000, newest_day: 7 }],
    }
}

pub(crate) fn by(name: &str, role: &str) -> Actor {
    Actor { name: name.to_owned(), role: role.to_owned() }
}

pub(crate) fn event(at_ms: i64, by: &Actor, what: What) -> Event {
    Event { at_ms, by: by.clone(), what }
}

pub(crate) fn raised(at_ms: i64) -> Lead {
    let what = What::Raised { sighting: sighting(), plan: Box::new(plan()) };
    Lead::begin("1", event(at_ms, &by("w", ""), what)).unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn assigned(to: &str) -> What {
    What::Assigned { to: text(to) }
}

fn concluded(outcome: Outcome) -> What {
    What::Concluded { outcome, note: String::new() }
}

fn seizure(amount: f64) -> Outcome {
    Outcome::Seizure { what: text("cocaine"), amount, unit: text("kg") }
}

#[test]
fn a_lead_goes_from_raising_to_its_outcome() {
    let ana = by("ana", "analyst");
    let mut lead = raised(0);
    assert_eq!(lead.state, State::Raised);
    lead = lead.after(event(1, &ana, assigned("ana"))).unwrap();
    assert_eq!((lead.state, lead.owner.as_deref()), (State::Assigned, Some("ana")));
    lead = lead.after(event(2, &ana, What::Pursued)).unwrap();
    // Handed over, it is still pursued.
    lead = lead.after(event(3, &ana, assigned("bo"))).unwrap();
    assert_eq!((lead.state, lead.owner.as_deref()), (State::Pursued, Some("bo")));
    assert_eq!(lead.after(event(4, &ana, concluded(seizure(4.5)))), Err(Invalid::NotOwner(text("bo"))));
    lead = lead.after(event(4, &by("bo", "analyst"), concluded(seizure(4.5)))).unwrap();
    assert_eq!((lead.state, &lead.outcome), (State::Concluded, &Some(seizure(4.5))));
    assert_eq!(lead.round.ended_ms, Some(4));
    lead = lead.after(event(5, &ana, What::Reopened { reason: text("more came up") })).unwrap();
    assert_eq!((lead.state, lead.owner.as_deref(), &lead.outcome), (State::Raised, None, &None));
    assert_eq!((lead.round.number, lead.round.began_ms, lead.history().len()), (1, 5, 6));
}

#[test]
fn what_cannot_happen_is_refused_with_its_reason() {
    let ana = by("ana", "analyst");
    let commander = by("com", "commander");
    let assigned_to_ana = raised(0).after(event(1, &ana, assigned("ana"))).unwrap();
    let pursued = assigned_to_ana.after(event(2, &ana, What::Pursued)).unwrap();
    let over = pursued.after(event(3, &ana, concluded(Outcome::NoFinding))).unwrap();
    let confirm = |name: &str| What::ExceptionConfirmed { exception: text(name), note: text("filed at noon") };
    let cases: [(&Lead, &Actor, What, &str); 20] = [
        (&raised(0), &ana, What::Pursued, "lead_not_assigned"),
        (&raised(0), &ana, What::Declined { reason: text("r") }, "lead_not_assigned"),
        (&raised(0), &ana, concluded(Outcome::NoFinding), "lead_not_assigned"),
        (&raised(0), &ana, assigned(" "), "lead_text"),
        (&raised(0), &ana, What::Raised { sighting: sighting(), plan: Box::new(plan()) }, "lead_history"),
        (&raised(0), &ana, confirm("diverted"), "exception_not_yours"),
        (&raised(0), &commander, confirm("other"), "exception_unknown"),
        (&raised(0), &ana, What::Reopened { reason: text("r") }, "lead_open"),
        (&assigned_to_ana, &commander, What::Pursued, "lead_not_yours"),
        (&assigned_to_ana, &ana, What::Declined { reason: text("two\nlines") }, "lead_text"),
        (&assigned_to_ana, &ana, concluded(seizure(1.0)), "lead_not_pursued"),
        (&pursued, &ana, What::Pursued, "lead_already_pursued"),
        (&pursued, &ana, What::Declined { reason: text("r") }, "lead_already_pursued"),
        (&pursued, &ana, concluded(seizure(f64::NAN)), "outcome_amount"),
        (&pursued, &ana, concluded(seizure(1e300)), "outcome_amount"),
        (&pursued, &ana, concluded(Outcome::Arrest { people: 0 }), "outcome_amount"),
        (&pursued, &ana, concluded(Outcome::FalseMatch { until_ms: 9 }), "false_match_until"),
        (&pursued, &ana, concluded(Outcome::Referred { to: "x".repeat(1_001) }), "lead_text"),
        (&over, &ana, assigned("ana"), "lead_closed"),
        (&over, &commander, confirm("diverted"), "lead_closed"),
    ];
    for (lead, actor, what, expected) in cases {
        let name = what.name();
        let refused = lead.after(event(9, actor, what)).unwrap_err();
        assert_eq!(refused.reason(), expected, "{name}");
        assert!(!refused.to_string().is_empty());
    }
    assert_eq!(pursued.after(event(1, &ana, What::Noted { text: text("n") })), Err(Invalid::Backwards));
    let elsewhere = Sighting { subject: text("other"), ..sighting() };
    let seen = What::SeenAgain { sighting: elsewhere, plan: None };
    assert_eq!(pursued.after(event(9, &ana, seen)), Err(Invalid::OtherSubject));
    assert_eq!(Lead::replay("1", []), Err(Invalid::Beginning));
    assert!(over.after(event(9, &ana, What::Noted { text: text("a note is always taken") })).is_ok());
}

#[test]
fn a_confirmed_exception_clears_and_a_rejected_one_is_remembered() {
    let commander = by("com", "commander");
    let rejected = What::ExceptionRejected { exception: text("diverted"), note: text("nothing filed") };
    let lead = raised(0).after(event(1, &commander, rejected)).unwrap();
    assert_eq!((lead.state, lead.exceptions["diverted"].confirmed), (State::Raised, false));
    let confirmed = What::ExceptionConfirmed { exception: text("diverted"), note: text("filed late") };
    let lead = lead.after(event(2, &commander, confirmed)).unwrap();
    assert_eq!((lead.state, lead.exceptions["diverted"].until_ms), (State::Cleared, 1_002));
}

#[test]
fn notes_never_keep_a_lead_from_its_outcome() {
    let ana = by("ana", "analyst");
    let mut lead = raised(0);
    let note = || What::Noted { text: text("n") };
    while lead.history().len() < REMARKS_MAX {
        lead.apply(event(1, &ana, note())).unwrap();
    }
    assert_eq!(lead.after(event(1, &ana, note())), Err(Invalid::Full));
    for what in [assigned("ana"), What::Pursued, concluded(Outcome::NoFinding)] {
        lead.apply(event(2, &ana, what)).unwrap();
    }
}

pub(crate) fn actors() -> impl Strategy<Value = Actor> {
    prop_oneof![Just(by("ana", "analyst")), Just(by("com", "commander")), Just(by("w", ""))]
}

fn happenings() -> impl Strategy<Value = What> {
    let name = || prop_oneof![Just(text("ana")), Just(text("com")), Just(String::new())];
    prop_oneof![
        name().prop_map(|to| What::Assigned { to }),
        Just(What::Pursued),
        name().prop_map(|reason| What::Declined { reason }),
        name().prop_map(|text| What::Noted { text }),
        Just(What::ExceptionConfirmed { exception: text("diverted"), note: text("n") }),
        Just(What::ExceptionRejected { exception: text("diverted"), note: text("n") }),
        Just(concluded(Outcome::NoFinding)),
        (-50_i64..5_000).prop_map(|until_ms| concluded(Outcome::FalseMatch { until_ms })),
        (0_u32..2).prop_map(|people| concluded(Outcome::Arrest { people })),
        name().prop_map(|reason| What::Reopened { reason }),
        (0_u32..3, any::<bool>()).prop_map(|(rank, worse)| What::SeenAgain {
            sighting: sighting(),
            plan: worse.then(|| Box::new(Plan { rank, ..plan() })),
        }),
    ]
}

/// Lives of leads: what happened, and how long after the event before.
pub(crate) fn lives() -> impl Strategy<Value = Vec<(i64, Actor, What)>> {
    proptest::collection::vec((-2_i64..40, actors(), happenings()), 0..40)
}

/// Every lead on the way of a life; what is refused is left out.
pub(crate) fn live(life: Vec<(i64, Actor, What)>) -> Vec<Lead> {
    let mut leads = vec![raised(100)];
    for (later_ms, actor, what) in life {
        let lead = leads.last().unwrap();
        let at_ms = lead.changed_ms() + later_ms;
        leads.extend(lead.after(event(at_ms, &actor, what)).ok());
    }
    leads
}

fn assert_valid(lead: &Lead) {
    let round = &lead.round;
    assert_eq!(lead.state.is_open(), round.ended_ms.is_none(), "{lead:?}");
    assert_eq!(lead.state == State::Concluded, lead.outcome.is_some(), "{lead:?}");
    assert_eq!(lead.state == State::Cleared, lead.exceptions.values().any(|verdict| verdict.confirmed), "{lead:?}");
    match lead.state {
        State::Raised => assert!(lead.owner.is_none() && round.acknowledged_ms.is_none(), "{lead:?}"),
        State::Assigned => assert!(lead.owner.is_some() && round.pursued_ms.is_none(), "{lead:?}"),
        State::Pursued => assert!(lead.owner.is_some() && round.pursued_ms.is_some(), "{lead:?}"),
        State::Unpursued | State::Concluded => assert!(lead.owner.is_some(), "{lead:?}"),
        State::Cleared => {}
    }
    let needs_pursuit = matches!(lead.outcome, Some(Outcome::Arrest { .. } | Outcome::NoFinding));
    assert!(!needs_pursuit || round.pursued_ms.is_some(), "{lead:?}");
    let times = [Some(round.began_ms), round.acknowledged_ms, round.pursued_ms, round.ended_ms];
    assert!(times.into_iter().flatten().is_sorted(), "{lead:?}");
}

proptest! {
    #[test]
    fn replaying_the_events_gives_the_same_lead(life in lives()) {
        let lead = live(life).pop().unwrap();
        prop_assert_eq!(Lead::replay("1", lead.history().to_vec()), Ok(lead));
    }

    #[test]
    fn no_life_leads_to_an_invalid_state(life in lives()) {
        live(life).iter().for_each(assert_valid);
    }

    /// What the clocks said is never taken back by time; by an event only when a new round begins.
    #[test]
    fn clocks_only_go_forward(life in lives(), now_ms in 0_i64..2_000, later_ms in 0_i64..2_000) {
        for pair in live(life).windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let then_ms = now_ms + later_ms;
            prop_assert!(clock::level(before, now_ms) <= clock::level(before, then_ms));
            let told = clock::notices(before, now_ms);
            let later = clock::notices(before, then_ms);
            prop_assert!(told.iter().all(|notice| later.contains(notice)));
            let moment_ms = after.changed_ms();
            if before.round.number == after.round.number {
                prop_assert_eq!(clock::level(before, moment_ms), clock::level(after, moment_ms));
            }
            if !after.state.is_open() {
                prop_assert_eq!(clock::level(after, i64::MAX), clock::level(after, moment_ms));
            }
        }
    }
}
