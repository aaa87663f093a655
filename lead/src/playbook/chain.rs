//! Escalations: each names the next, none leads back, and each goes to somebody new.

use std::collections::BTreeSet;

use super::{
    check::Report,
    plan::Step,
    written::{Escalation, Severity, Written},
};
use crate::people::{People, Who};

/// The escalations from this name on, until the last or the first that was met before.
fn walk<'a>(book: &'a Written, first: &str) -> (Vec<&'a Escalation>, End<'a>) {
    let mut met: Vec<&Escalation> = Vec::new();
    let mut next = book.escalation.iter().find(|escalation| escalation.name == first);
    while let Some(escalation) = next {
        if met.iter().any(|earlier| earlier.name == escalation.name) {
            return (met, End::Circle);
        }
        met.push(escalation);
        let Some(then) = &escalation.then else { return (met, End::Last) };
        next = book.escalation.iter().find(|other| other.name == *then);
        if next.is_none() {
            return (met, End::Unknown(then));
        }
    }
    (met, End::Last)
}

enum End<'a> {
    Last,
    Circle,
    Unknown(&'a str),
}

/// The chain that a severity escalates along.
pub(super) fn steps(book: &Written, severity: &Severity) -> Vec<Step> {
    let Some(first) = &severity.escalation else { return Vec::new() };
    let (met, _end) = walk(book, first);
    met.iter().map(|escalation| Step { to: escalation.to.clone(), after_ms: escalation.after.ms() }).collect()
}

/// Tells of circles, names that nothing has, and escalations that nothing leads to.
pub(super) fn check(book: &Written, report: &mut Report<'_>) {
    let mut circles = BTreeSet::new();
    for escalation in &book.escalation {
        let place = format!("escalation `{}`", escalation.name);
        report.who(&place, &escalation.to);
        let (met, end) = walk(book, &escalation.name);
        match end {
            End::Circle if circles.is_disjoint(&met.iter().map(|met| met.name.as_str()).collect()) => {
                circles.extend(met.iter().map(|met| met.name.as_str()));
                let names: Vec<&str> = met.iter().map(|met| met.name.as_str()).collect();
                report.add_at(
                    place,
                    "escalation_circle",
                    format!("{} lead back to each other; the last of them must have no `then`.", names.join(", ")),
                );
            }
            End::Unknown(then) if met.len() == 1 => report.add_at(place, "escalation_unknown", unknown(then)),
            _ => {}
        }
        let named = |name: &Option<String>| name.as_deref() == Some(&escalation.name);
        let is_used = book.severity.iter().any(|severity| named(&severity.escalation))
            || book.escalation.iter().any(|other| named(&other.then));
        if !is_used {
            report.add_at(
                format!("escalation `{}`", escalation.name),
                "escalation_unused",
                "Nothing escalates to it; name it in a severity or take it out.".to_owned(),
            );
        }
    }
}

/// Tells whether a severity's deadlines lead to people who were not told before.
pub(super) fn check_of(book: &Written, severity: &Severity, people: Option<&People>, report: &mut Report<'_>) {
    let place = format!("severity `{}`", severity.name);
    let Some(first) = &severity.escalation else {
        return report.add_at(
            place,
            "deadline_without_escalation",
            "A deadline that passes must go to somebody: escalation = \"NAME\" of an [[escalation]].".to_owned(),
        );
    };
    if !book.escalation.iter().any(|escalation| escalation.name == *first) {
        return report.add_at(place, "escalation_unknown", unknown(first));
    }
    let mut told: Vec<&Who> = severity.who.iter().collect();
    for escalation in walk(book, first).0 {
        if told.contains(&&escalation.to) || nobody_new(&escalation.to, &told, people) {
            report.add_at(
                place.clone(),
                "escalation_to_nobody_new",
                format!(
                    "`{}` goes to {}, who had it before and did not act; name somebody else.",
                    escalation.name, escalation.to
                ),
            );
        }
        told.push(&escalation.to);
    }
}

fn nobody_new(to: &Who, told: &[&Who], people: Option<&People>) -> bool {
    let Some(people) = people else { return false };
    let before: BTreeSet<&str> = told.iter().flat_map(|who| people.names(who)).collect();
    let names = people.names(to);
    !names.is_empty() && names.iter().all(|name| before.contains(name))
}

fn unknown(name: &str) -> String {
    format!("There is no escalation `{name}`; write [[escalation]] name = \"{name}\" with `to` and `after`.")
}
