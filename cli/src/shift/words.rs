//! A shift as JSON for scripts and as sentences and tables for people.

use sallyport_proto::{common::v1::Outcome, node::v1::DeskCounts};
use sallyport_shift::{Direction, Shift, Shifts, period};
use serde_json::{Value, json};

use super::Told;
use crate::{
    answer::{coverage_json, print_coverage, print_table},
    budgets, terminal,
};

/// Places that a table shows, at most, beside those that changed or shifted.
const SHOWN: usize = 20;
/// Places or periods that a sentence names, at most.
const NAMED: usize = 6;

/// One JSON object; its fields are a promise to scripts.
pub(super) fn to_json(told: &Told<'_>) -> Value {
    let date = |begin: &i32| period::date(*begin).map(|date| date.to_string());
    let counts = told.answer.counts.clone().unwrap_or_default();
    let shifts = told.shifts.as_ref().ok();
    let places = shifts.map(|shifts| shifts.places.iter().map(|shift| place_json(told, &counts, shift)));
    let empty = shifts.map(|shifts| shifts.empty.iter().filter_map(|&place| date(told.begins.get(place)?)));
    json!({
        "question_id": told.answer.question_id,
        "title": told.asked.question.title,
        "period": told.asked.period.name(),
        "periods": told.begins.iter().map(date).collect::<Vec<_>>(),
        "before": told.asked.before,
        "places": places.map(Iterator::collect::<Vec<_>>).unwrap_or_default(),
        "total_before": shifts.map(|shifts| shifts.total_before),
        "total_after": shifts.map(|shifts| shifts.total_after),
        "empty": empty.map(Iterator::collect::<Vec<_>>).unwrap_or_default(),
        "broken": counts.broken,
        "incomplete": counts.incomplete,
        "unmeasurable": told.shifts.as_ref().err().map(ToString::to_string),
        "coverage": told.answer.coverage.iter().map(coverage_json).collect::<Vec<_>>(),
        "elapsed_ms": told.answer.elapsed_ms,
        "complete_with": Some(&told.answer.complete_with).filter(|id| !id.is_empty()),
    })
}

fn place_json(told: &Told<'_>, counts: &DeskCounts, shift: &Shift) -> Value {
    let series = counts.series.iter().find(|series| series.place == shift.place);
    json!({
        "place": shift.place,
        "changed": told.has_changed(&shift.place),
        "share_before": shift.share_before,
        "share_after": shift.share_after,
        "change": shift.change(),
        "z": shift.z,
        "direction": shift.direction.word(),
        "count_before": shift.count_before,
        "count_after": shift.count_after,
        "partial": shift.partial,
        "counts": series.map(|series| series.counts.as_slice()),
        "kept_back": series.map(|series| series.kept_back.as_slice()),
        "datasets": series.map(|series| series.datasets.as_slice()),
    })
}

/// The answer as a person reads it.
pub(super) fn print(told: &Told<'_>) {
    let (title, before, period) = (&told.asked.question.title, told.asked.before, told.asked.period.name());
    if !title.is_empty() {
        println!("{}", terminal::line(title));
    }
    match &told.shifts {
        Ok(shifts) => {
            println!("Shares of all that was counted: {} against the {before} {period}s before.\n", told.after());
            print_places(told, shifts);
            println!();
            sentences(told, shifts).iter().for_each(|sentence| println!("{}", terminal::line(sentence)));
        }
        Err(error) => println!("Nothing can be said: {error}."),
    }
    print_coverage(&told.answer.coverage);
    budgets::warnings(&told.answer.coverage).iter().for_each(|warning| println!("{}", terminal::line(warning)));
    let id = told.answer.question_id.get(..12).unwrap_or_default();
    println!("Question {} took {} ms.", terminal::line(id), told.answer.elapsed_ms);
}

fn print_places(told: &Told<'_>, shifts: &Shifts) {
    let is_shown = |(rank, shift): &(usize, &Shift)| {
        *rank < SHOWN || shift.direction != Direction::AsBefore || told.has_changed(&shift.place)
    };
    let shown: Vec<&Shift> = shifts.places.iter().enumerate().filter(is_shown).map(|(_, shift)| shift).collect();
    let rows = shown.iter().map(|shift| {
        vec![
            shift.place.clone(),
            percent(shift.share_before),
            percent(shift.share_after),
            shift
                .change()
                .map_or_else(|| format!("{:>8}", "-"), |change| format!("{:>6} %", signed(change * 100.0, 0))),
            format!("{:>6}", signed(shift.z, 1)),
            format!("{:>10}", grouped(shift.count_before)),
            format!("{:>10}", grouped(shift.count_after)),
            shift.direction.word().to_owned(),
            notes(told, shift),
        ]
    });
    let count = |when: &str| format!("{when} a {}", told.asked.period.name());
    let (before, after) = (count("before,"), count("after,"));
    print_table(&["place", "before", "after", "change", "z", &before, &after, "share", ""], rows.collect());
    let rest = shifts.places.len() - shown.len();
    if rest > 0 {
        println!("  {rest} more places are as before; --json has them all.");
    }
}

fn notes(told: &Told<'_>, shift: &Shift) -> String {
    let changed = told.has_changed(&shift.place).then(|| "changed".to_owned());
    let partial = (shift.partial > 0)
        .then(|| format!("{} of {} {}s not whole", shift.partial, told.begins.len(), told.asked.period.name()));
    changed.into_iter().chain(partial).collect::<Vec<_>>().join(", ")
}

fn percent(share: f64) -> String {
    format!("{:>6.2} %", share * 100.0)
}

/// With its sign; what is rounded to 0 has gone neither up nor down.
pub(super) fn signed(number: f64, decimals: usize) -> String {
    let written = format!("{number:+.decimals$}");
    if written.trim_matches(['+', '-', '0', '.']).is_empty() { written.replace(['+', '-'], "") } else { written }
}

/// A whole number in groups of three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn sentences(told: &Told<'_>, shifts: &Shifts) -> Vec<String> {
    let mut told_of = vec![moved(told, shifts)];
    told_of.extend(absent(told, shifts));
    let period = told.asked.period.name();
    let change = if shifts.total_before > 0.0 { shifts.total_after / shifts.total_before - 1.0 } else { 0.0 };
    told_of.push(format!(
        "Counted in all: {} a {period} before (median), {} after ({} %).",
        grouped(shifts.total_before),
        grouped(shifts.total_after),
        signed(change * 100.0, 1)
    ));
    told_of.extend(incomplete(told, shifts));
    told_of
}

/// What the changed places lost or gained, and where it went.
fn moved(told: &Told<'_>, shifts: &Shifts) -> String {
    let changed: Vec<&Shift> = shifts.places.iter().filter(|shift| told.has_changed(&shift.place)).collect();
    let others = |direction: Direction| {
        let mut others: Vec<&Shift> = shifts
            .places
            .iter()
            .filter(|shift| shift.direction == direction && !told.has_changed(&shift.place))
            .collect();
        others.sort_by(|a, b| b.moved().abs().total_cmp(&a.moved().abs()));
        others
    };
    let points = |shift: &&Shift| format!("{} {}", shift.place, signed(shift.moved() * 100.0, 2));
    let list = |shifts: &[&Shift]| {
        let named: Vec<String> = shifts.iter().take(NAMED).map(points).collect();
        let more = shifts.len().saturating_sub(NAMED);
        if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
    };
    let mut parts = Vec::new();
    if !changed.is_empty() {
        let sum: f64 = changed.iter().map(|shift| shift.moved()).sum();
        let verb = if sum < 0.0 { "lost" } else { "gained" };
        parts.push(format!(
            "Where something changed ({}), {verb} {:.2} points of share",
            list(&changed),
            sum.abs() * 100.0
        ));
    }
    for (direction, verb) in [(Direction::Up, "gained"), (Direction::Down, "lost")] {
        let others = others(direction);
        if !others.is_empty() {
            parts.push(format!("other places that {verb}, in points: {}", list(&others)));
        }
    }
    match parts.as_slice() {
        [] => "No place shifted.".to_owned(),
        parts => format!("{}.", parts.join("; ")),
    }
}

/// Changed places of which nothing was told.
fn absent(told: &Told<'_>, shifts: &Shifts) -> Option<String> {
    let is_absent = |place: &&String| !shifts.places.iter().any(|shift| shift.place == **place);
    let absent: Vec<&str> = told.asked.changed.iter().filter(is_absent).map(String::as_str).collect();
    (!absent.is_empty()).then(|| format!("Nothing was told of {}, where something changed.", absent.join(", ")))
}

/// What the numbers do not say.
fn incomplete(told: &Told<'_>, shifts: &Shifts) -> Vec<String> {
    let mut sentences = Vec::new();
    let asked = told.answer.coverage.len();
    let answered = told.answer.coverage.iter().filter(|entry| entry.outcome() == Outcome::Answered).count();
    if answered < asked {
        sentences.push(format!("Shares are of what {answered} of {asked} data sets counted; the rest did not answer."));
    }
    if !shifts.empty.is_empty() {
        let named: Vec<String> = shifts.empty.iter().take(NAMED).map(|&place| told.period(place)).collect();
        sentences.push(format!(
            "{} {}s have no counts at all and take no part, such as {}.",
            shifts.empty.len(),
            told.asked.period.name(),
            named.join(", ")
        ));
    }
    let partly = shifts.places.iter().filter(|shift| shift.partial > 0).count();
    if partly > 0 {
        sentences.push(format!(
            "{partly} places were not told whole in every {}: what was kept back there counts as 0, and z is the \
             smaller of both, with nothing and with the most of it.",
            told.asked.period.name()
        ));
    }
    let incomplete = told.answer.counts.iter().flat_map(|counts| counts.incomplete.iter().map(String::as_str));
    let incomplete: Vec<&str> = incomplete.collect();
    if !incomplete.is_empty() {
        sentences.push(format!(
            "Of {} not all arrived that was sent: do not rely on this answer, and tell the operators of the gateway.",
            incomplete.join(", ")
        ));
    }
    let broken = told.answer.counts.as_ref().map_or(0, |counts| counts.broken);
    if broken > 0 {
        sentences.push(format!(
            "{broken} sums are not what the nodes sent and were left out: tell the operators of the gateway and of the \
             nodes."
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::{grouped, signed};

    #[test]
    fn what_is_rounded_to_nothing_has_no_sign() {
        assert_eq!([-0.04, 0.0, 0.06, -2.34].map(|number| signed(number, 1)), ["0.0", "0.0", "+0.1", "-2.3"]);
        assert_eq!([-0.4, -10.0, 100.0].map(|number| signed(number, 0)), ["0", "-10", "+100"]);
    }

    #[test]
    fn numbers_have_groups_of_three_digits() {
        assert_eq!([0.0, 999.4, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
