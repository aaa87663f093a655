//! Which matches become leads.

use super::*;
use crate::{
    event::{Event, Evidence, What},
    lead::tests::{by, event, plan, raised, sighting},
};

fn ana(at_ms: i64, what: What) -> Event {
    event(at_ms, &by("ana", "commander"), what)
}

fn pursued() -> Lead {
    let lead = raised(100).after(ana(101, What::Assigned { to: "ana".to_owned() })).unwrap();
    lead.after(ana(102, What::Pursued)).unwrap()
}

fn concluded(outcome: Outcome) -> Lead {
    pursued().after(ana(110, What::Concluded { outcome, note: String::new() })).unwrap()
}

fn of(lead: &Lead, sighting: &Sighting, now_ms: i64) -> Standing {
    standing([lead], [], (sighting, &plan()), now_ms)
}

fn newer() -> Sighting {
    let evidence = vec![Evidence { newest_day: 8, ..sighting().evidence.remove(0) }];
    Sighting { evidence, ..sighting() }
}

#[test]
fn an_open_lead_takes_every_match_of_its_cause() {
    let known = Standing::Known("1".to_owned());
    for lead in [raised(100), pursued()] {
        assert_eq!(of(&lead, &newer(), 1_000), known);
        assert_eq!(of(&lead, &Sighting { subject: "other".to_owned(), ..sighting() }, 1_000), Standing::New);
        assert_eq!(of(&lead, &Sighting { watch: Some("v".to_owned()), ..sighting() }, 1_000), Standing::New);
        // Raised by hand, it is of the same cause if the playbook is the same.
        assert_eq!(of(&lead, &Sighting { watch: None, ..sighting() }, 1_000), known);
    }
}

#[test]
fn a_false_match_is_nothing_until_it_expires() {
    let lead = concluded(Outcome::FalseMatch { until_ms: 500 });
    assert_eq!(of(&lead, &newer(), 499), Standing::Suppressed(500));
    assert_eq!(of(&lead, &Sighting { watch: Some("v".to_owned()), ..newer() }, 499), Standing::New);
    // Afterwards only evidence counts that was not ruled on.
    assert_eq!(of(&lead, &sighting(), 500), Standing::Known("1".to_owned()));
    assert_eq!(of(&lead, &newer(), 500), Standing::New);
    let reopened = lead.after(ana(120, What::Reopened { reason: "it was them".to_owned() })).unwrap();
    assert_eq!(of(&reopened, &newer(), 130), Standing::Known("1".to_owned()));
}

#[test]
fn a_closed_lead_is_raised_anew_for_news_alone() {
    let lead = concluded(Outcome::NoFinding);
    assert_eq!(of(&lead, &sighting(), 1_000), Standing::Known("1".to_owned()));
    assert_eq!(of(&lead, &newer(), 1_000), Standing::New);
    let worse = Plan { rank: 1, ..plan() };
    assert_eq!(standing([&lead], [], (&sighting(), &worse), 1_000), Standing::New);
}

#[test]
fn a_lawful_exception_clears_whatever_its_playbook_covers() {
    let confirmed = What::ExceptionConfirmed { exception: "diverted".to_owned(), note: "filed".to_owned() };
    let lead = raised(100).after(ana(110, confirmed)).unwrap();
    assert_eq!(of(&lead, &newer(), 1_109), Standing::Suppressed(1_110));
    let by_another_watch = Sighting { watch: Some("v".to_owned()), ..newer() };
    assert_eq!(of(&lead, &by_another_watch, 1_109), Standing::Suppressed(1_110));
    assert_eq!(of(&lead, &newer(), 1_110), Standing::New);
    let other = Plan { playbook: "other".to_owned(), ..plan() };
    assert_eq!(standing([&lead], [], (&by_another_watch, &other), 1_109), Standing::New);
}

#[test]
fn an_exception_that_is_known_before_keeps_a_lead_from_being_raised() {
    let clearance = Clearance {
        subject_kind: "plate".to_owned(),
        subject: sighting().subject,
        playbook: "corridor".to_owned(),
        exception: "diverted".to_owned(),
        note: "approved".to_owned(),
        by: "com".to_owned(),
        at_ms: 0,
        until_ms: 200,
    };
    let of = |sighting: &Sighting, now_ms| standing([], [&clearance], (sighting, &plan()), now_ms);
    assert_eq!(of(&sighting(), 199), Standing::Suppressed(200));
    assert_eq!(of(&sighting(), 200), Standing::New);
    assert_eq!(of(&Sighting { subject: "other".to_owned(), ..sighting() }, 199), Standing::New);
}
