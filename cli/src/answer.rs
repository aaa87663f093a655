//! An answer as JSON for scripts and as tables for people.

use chrono::{Days, NaiveDate};
use sallyport_proto::{
    common::v1::{Coverage, Outcome},
    gateway::v1::Band,
    node::v1::{AskedPattern, DeskAnswer, DeskComparison, DeskMatch, DeskRecord},
};
use serde_json::{Value, json};

use crate::{budgets, people::As, terminal};

/// The answer as one JSON object; its fields are a promise to scripts.
pub(crate) fn to_json(answer: &DeskAnswer) -> Value {
    json!({
        "question_id": answer.question_id,
        "subject": answer.subject,
        "matches": answer.matches.iter().map(|found| match_json(answer, found)).collect::<Vec<_>>(),
        "subjects_matched": answer.subjects_matched,
        "comparisons": answer.comparisons.iter().map(comparison_json).collect::<Vec<_>>(),
        "coverage": answer.coverage.iter().map(coverage_json).collect::<Vec<_>>(),
        "elapsed_ms": answer.elapsed_ms,
        "complete_with": Some(&answer.complete_with).filter(|id| !id.is_empty()),
        "pattern": answer.pattern.as_ref().map(pattern_json),
    })
}

fn pattern_json(pattern: &AskedPattern) -> Value {
    json!({
        "name": pattern.name,
        "looks_for": pattern.looks_for,
        "minimum_qe": f64::from(pattern.minimum_qe_millionths) / 1e6,
        "below_minimum_qe": pattern.below_minimum_qe,
    })
}

fn match_json(answer: &DeskAnswer, found: &DeskMatch) -> Value {
    let evidence = found.evidence.iter().map(|piece| {
        json!({
            "dataset": piece.dataset,
            "strength": f64::from(piece.strength_thousandths) / 1e3,
            "newest": day(Some(piece.newest_day).filter(|&day| day > 0)),
        })
    });
    json!({
        "rank": found.rank,
        "ref": found.reference,
        "label": found.label,
        "status": found.status,
        "qe": thousandths(found.qe_millionths),
        "evidence": evidence.collect::<Vec<_>>(),
        "others": found.others.as_ref().map(band),
        // The other side of the events, where that is what is ranked.
        "object": answer.ranks_objects.then(|| name(found)),
        "connected_by": found.connected_by,
        "link": found.link_thousandths.map(|thousandths| f64::from(thousandths) / 1e3),
        "records": found.records.iter().map(record_json).collect::<Vec<_>>(),
    })
}

fn record_json(record: &DeskRecord) -> Value {
    json!({
        "dataset": record.dataset,
        "ref": record.reference,
        "bond": f64::from(record.bond_thousandths) / 1e3,
        "label": record.label,
    })
}

fn comparison_json(told: &DeskComparison) -> Value {
    json!({
        "left": told.left,
        "right": told.right,
        "threshold": f64::from(told.threshold_thousandths) / 1e3,
        "expected_precision": f64::from(told.precision_thousandths) / 1e3,
        "expected_recall": f64::from(told.recall_thousandths) / 1e3,
    })
}

/// The masked label, or the reference of what this agency does not hold.
fn name(found: &DeskMatch) -> String {
    found.label.clone().unwrap_or_else(|| format!("ref {}", found.reference))
}

pub(crate) fn coverage_json(coverage: &Coverage) -> Value {
    json!({
        "dataset": coverage.dataset,
        "outcome": outcome(coverage),
        "reason": coverage.reason,
        "explanation": coverage.explanation,
        "rows": coverage.rows,
        "untagged": coverage.untagged,
        "unusable": coverage.unusable,
        "newest": day(coverage.newest_day),
        "gaps": coverage.gaps,
        "over_budget": coverage.over_budget,
        "minimum_cohort": Some(coverage.minimum_cohort).filter(|&least| least > 0),
        "withheld": coverage.withheld,
        "repeated": coverage.repeated,
        "contradicting": coverage.contradicting,
        "budgets": coverage.budgets.iter().map(budgets::to_json).collect::<Vec<_>>(),
    })
}

/// `2-4`, or `100+`.
fn band(band: &Band) -> String {
    match (band.at_least, band.at_most) {
        (at_least, 0) => format!("{at_least}+"),
        (at_least, at_most) if at_least == at_most => at_least.to_string(),
        (at_least, at_most) => format!("{at_least}-{at_most}"),
    }
}

/// QE to three decimals, cut rather than rounded up.
fn thousandths(millionths: u32) -> f64 {
    f64::from(millionths / 1_000) / 1e3
}

fn outcome(coverage: &Coverage) -> &'static str {
    match coverage.outcome() {
        Outcome::Answered => "answered",
        Outcome::Denied => "denied",
        Outcome::Held => "held",
        Outcome::TimedOut => "timed_out",
        Outcome::Unavailable | Outcome::Unspecified => "unavailable",
    }
}

/// A day since 1970 as a date.
pub(crate) fn day(day: Option<u32>) -> Option<String> {
    let date = NaiveDate::default().checked_add_days(Days::new(u64::from(day?)))?;
    Some(date.to_string())
}

/// The answer as a person reads it.
pub(crate) fn print(answer: &DeskAnswer) {
    if let Some(pattern) = &answer.pattern {
        println!("{}: {}", terminal::line(&pattern.name), terminal::line(&pattern.looks_for));
    }
    let below = answer.pattern.as_ref().filter(|pattern| pattern.below_minimum_qe > 0);
    if answer.counts.is_some() {
        println!("These are counts; `sallyport shift FILE --complete ID` says how they shifted.");
    } else if !answer.matches.is_empty() {
        print_matches(answer);
    } else if below.is_none() {
        println!("{}", nothing_matched(&answer.coverage));
    }
    if let Some(pattern) = below {
        let minimum = decimal(pattern.minimum_qe_millionths / 1_000);
        println!("{} matches below the pattern's QE of {minimum} are not shown.", pattern.below_minimum_qe);
    }
    print_comparisons(&answer.comparisons);
    print_coverage(&answer.coverage);
    budgets::warnings(&answer.coverage).iter().for_each(|warning| println!("{}", terminal::line(warning)));
    println!(
        "{} subjects matched; the best {} are shown. Question {} took {} ms.",
        answer.subjects_matched,
        answer.matches.len(),
        terminal::line(answer.question_id.get(..12).unwrap_or_default()),
        answer.elapsed_ms
    );
}

/// Nobody found is not the same as nobody asked.
fn nothing_matched(coverage: &[Coverage]) -> String {
    let answered = coverage.iter().filter(|entry| entry.outcome() == Outcome::Answered).count();
    match answered {
        0 => "Nobody answered this question, so it says nothing of anyone; the table says why.".to_owned(),
        _ if answered < coverage.len() => format!(
            "No subject is held by enough of the {answered} data sets that answered, of {} that were asked.",
            coverage.len()
        ),
        _ => "No subject is held by enough data sets.".to_owned(),
    }
}

/// What to do about an answer of which an owner holds a part.
pub(crate) fn print_what_is_held(answer: &DeskAnswer, who: &As) {
    if answer.complete_with.is_empty() {
        return;
    }
    let who = terminal::line(&who.words());
    println!(
        "\nPeople of the owners decide about what is held. `sallyport held {who}` tells when they have; complete the \
         answer then:\n  sallyport ask --complete {} {who}",
        terminal::line(&answer.complete_with)
    );
}

/// A column of the table: its head, and what stands in it of a match, if anything.
type Column<'a> = (&'a str, fn(&DeskMatch) -> Option<String>);

fn print_matches(answer: &DeskAnswer) {
    let subject = match (answer.ranks_objects, terminal::line(&answer.subject)) {
        (true, subject) => format!("contact {subject} (masked)"),
        (false, subject) => format!("{subject} (masked)"),
    };
    let columns: [Column<'_>; 8] = [
        ("rank", |found| Some(found.rank.to_string())),
        (&subject, |found| Some(name(found))),
        ("status", |found| found.status.clone()),
        ("QE", |found| Some(decimal(found.qe_millionths / 1_000))),
        ("others", |found| found.others.as_ref().map(band)),
        ("link", |found| found.link_thousandths.map(decimal)),
        ("connected by", |found| Some(found.connected_by.join(", ")).filter(|names| !names.is_empty())),
        ("made of", |found| Some(made_of(found))),
    ];
    // What no match has needs no column; a status that nobody has is worth knowing.
    let has =
        |(head, cell): &&Column<'_>| *head == "status" || answer.matches.iter().any(|found| cell(found).is_some());
    let shown: Vec<&Column<'_>> = columns.iter().filter(has).collect();
    let head: Vec<&str> = shown.iter().map(|(head, _)| *head).collect();
    let cell = |found: &DeskMatch, column: &Column<'_>| column.1(found).unwrap_or_else(|| "-".to_owned());
    let rows = answer.matches.iter().map(|found| shown.iter().map(|column| cell(found, column)).collect());
    print_table(&head, rows.collect());
}

fn made_of(found: &DeskMatch) -> String {
    let pieces =
        found.evidence.iter().map(|piece| format!("{} {}", piece.dataset, decimal(piece.strength_thousandths)));
    pieces.collect::<Vec<_>>().join("  ")
}

/// Persons are linked by what they agree in: how surely, and what that is expected to cost.
fn print_comparisons(comparisons: &[DeskComparison]) {
    for told in comparisons {
        println!(
            "\nPersons of {} and {} are linked from a probability of {} on; of these links {} are expected to be\n\
             right, and {} of all that there are to be found.",
            terminal::line(&told.left),
            terminal::line(&told.right),
            decimal(told.threshold_thousandths),
            percent(told.precision_thousandths),
            percent(told.recall_thousandths)
        );
    }
}

fn percent(thousandths: u32) -> String {
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

pub(crate) fn print_coverage(coverage: &[Coverage]) {
    println!("\nWhat was asked, and what became of it:");
    let rows = coverage.iter().map(|entry| {
        let mut notes = entry.gaps.clone();
        if !entry.explanation.is_empty() {
            notes.insert(0, format!("{} [{}]", entry.explanation, entry.reason));
        }
        if entry.over_budget > 0 {
            notes.push(format!("{} subjects of the owner are over their budget and were left out", entry.over_budget));
        }
        notes.extend(of_counts(entry));
        vec![
            entry.dataset.clone(),
            outcome(entry).to_owned(),
            // How many rows are counted says how many events there are.
            if entry.minimum_cohort > 0 { "-".to_owned() } else { entry.rows.to_string() },
            entry.untagged.to_string(),
            entry.unusable.to_string(),
            day(entry.newest_day).unwrap_or_else(|| "-".to_owned()),
            notes.join("; "),
        ]
    });
    print_table(
        &["data set", "outcome", "rows", "untagged", "unusable", "newest", "not recorded, or why not"],
        rows.collect(),
    );
}

/// What was not counted, and why.
fn of_counts(entry: &Coverage) -> impl Iterator<Item = String> {
    let told = [
        (entry.withheld, format!("places in periods with fewer than {} events were not told", entry.minimum_cohort)),
        (entry.repeated, "rows that say again what others say were counted once".to_owned()),
        (entry.contradicting, "rows that contradict each other were not counted".to_owned()),
    ];
    told.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("up to {number} {what}"))
}

fn decimal(thousandths: u32) -> String {
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// A table with columns as wide as they must be; each cell is one line.
pub(crate) fn print_table(head: &[&str], rows: Vec<Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| terminal::line(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        println!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(head.to_vec());
    line(widths.iter().map(|&width| &"────────────────────────────────────────"[..(width * 3).min(120)]).collect());
    rows.iter().for_each(|row| line(row.iter().map(String::as_str).collect()));
}
