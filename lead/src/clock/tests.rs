//! Known answers of clocks: a lead raised at 100 with 10 to acknowledge, 30 to pursue, and a chain that
//! goes on 5 and 20 later.

use super::*;
use crate::{
    event::{Outcome, What},
    lead::tests::{by, event, raised},
};

fn told(lead: &Lead, now_ms: i64) -> Vec<(String, i64, String)> {
    notices(lead, now_ms).into_iter().map(|notice| (notice.key, notice.at_ms, notice.to.to_string())).collect()
}

fn row(key: &str, at_ms: i64, to: &str) -> (String, i64, String) {
    (key.to_owned(), at_ms, to.to_owned())
}

#[test]
fn nobody_acts_and_it_goes_up_the_chain() {
    let lead = raised(100);
    let levels: Vec<u32> = [100, 114, 115, 134, 135, 155, 1_000].map(|now_ms| level(&lead, now_ms)).into();
    assert_eq!(levels, [0, 0, 1, 1, 2, 2, 2]);
    assert_eq!(told(&lead, 99), []);
    assert_eq!(
        told(&lead, 140),
        [
            row("0-raised", 100, "any analyst"),
            row("0-acknowledge-0", 110, "any analyst"),
            row("0-acknowledge-1", 115, "any commander"),
            row("0-pursue-0", 130, "any analyst"),
            row("0-acknowledge-2", 135, "dir"),
            row("0-pursue-1", 135, "any commander"),
        ]
    );
}

#[test]
fn a_clock_that_stopped_late_stays_where_it_was() {
    let ana = by("ana", "analyst");
    let assigned = |to: &str| What::Assigned { to: to.to_owned() };
    let lead = raised(100).after(event(117, &by("com", "commander"), assigned("ana"))).unwrap();
    assert_eq!((level(&lead, 129), level(&lead, 1_000)), (1, 2));
    assert_eq!(
        told(&lead, 130)[2..],
        [row("0-acknowledge-1", 115, "any commander"), row("assigned-1", 117, "ana"), row("0-pursue-0", 130, "ana")]
    );
    let lead = lead.after(event(131, &ana, What::Pursued)).unwrap();
    assert_eq!(level(&lead, 230), 1);
    assert!(deadlines(&lead)[1].is_missed(1_000) && !deadlines(&lead)[2].is_missed(230));
    assert_eq!(told(&lead, 231).last(), Some(&row("0-conclude-0", 231, "ana")));
    let over = What::Concluded { outcome: Outcome::NoFinding, note: String::new() };
    let lead = lead.after(event(200, &ana, over)).unwrap();
    assert_eq!(told(&lead, 10_000).len(), 5);
    let lead = lead.after(event(300, &ana, What::Reopened { reason: "r".to_owned() })).unwrap();
    assert_eq!((level(&lead, 300), told(&lead, 300)), (0, vec![row("1-raised", 300, "any analyst")]));
}

#[test]
fn a_more_severe_match_begins_the_clocks_again() {
    let ana = by("ana", "analyst");
    let lead = raised(100).after(event(105, &ana, What::Assigned { to: "ana".to_owned() })).unwrap();
    let worse = Box::new(crate::playbook::Plan { rank: 1, pursue_ms: 12, ..lead.plan.clone() });
    let seen = What::SeenAgain { sighting: lead.sighting.clone(), plan: Some(worse) };
    let lead = lead.after(event(120, &by("w", ""), seen)).unwrap();
    let dues: Vec<(Clock, i64, Option<i64>)> =
        deadlines(&lead).iter().map(|deadline| (deadline.clock, deadline.due_ms, deadline.stopped_ms)).collect();
    assert_eq!(dues, [(Clock::Acknowledge, 130, Some(120)), (Clock::Pursue, 132, None)]);
    assert_eq!(told(&lead, 120), [row("1-raised", 120, "any analyst")]);
}
