//! An answer as JSON for scripts and as tables for people.

use chrono::{Days, NaiveDate};
use sallyport_proto::{
    common::v1::{Coverage, Outcome},
    gateway::v1::Band,
    node::v1::{DeskAnswer, DeskMatch},
};
use serde_json::{Value, json};

use crate::terminal;

/// The answer as one JSON object; its fields are a promise to scripts.
pub(crate) fn to_json(answer: &DeskAnswer) -> Value {
    json!({
        "question_id": answer.question_id,
        "subject": answer.subject,
        "matches": answer.matches.iter().map(match_json).collect::<Vec<_>>(),
        "subjects_matched": answer.subjects_matched,
        "coverage": answer.coverage.iter().map(coverage_json).collect::<Vec<_>>(),
        "elapsed_ms": answer.elapsed_ms,
    })
}

fn match_json(found: &DeskMatch) -> Value {
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
    })
}

fn coverage_json(coverage: &Coverage) -> Value {
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
    if answer.matches.is_empty() {
        println!("No subject is held by enough data sets.");
    } else {
        print_matches(answer);
    }
    print_coverage(&answer.coverage);
    println!(
        "{} subjects matched; the best {} are shown. Question {} took {} ms.",
        answer.subjects_matched,
        answer.matches.len(),
        terminal::line(answer.question_id.get(..12).unwrap_or_default()),
        answer.elapsed_ms
    );
}

/// Where the band of others stands, which only a ranking by relation has.
const OTHERS_COLUMN: usize = 4;

fn print_matches(answer: &DeskAnswer) {
    let rows = answer.matches.iter().map(|found| {
        let name = found.label.clone().unwrap_or_else(|| format!("ref {}", found.reference));
        let made_of =
            found.evidence.iter().map(|piece| format!("{} {}", piece.dataset, decimal(piece.strength_thousandths)));
        vec![
            found.rank.to_string(),
            name,
            found.status.clone().unwrap_or_else(|| "-".to_owned()),
            decimal(found.qe_millionths / 1_000),
            found.others.as_ref().map_or_else(|| "-".to_owned(), band),
            made_of.collect::<Vec<_>>().join("  "),
        ]
    });
    let subject = format!("{} (masked)", terminal::line(&answer.subject));
    let mut head = vec!["rank", &subject, "status", "QE", "others", "made of"];
    let mut rows: Vec<Vec<String>> = rows.collect();
    if answer.matches.iter().all(|found| found.others.is_none()) {
        head.remove(OTHERS_COLUMN);
        rows.iter_mut().for_each(|row| drop(row.remove(OTHERS_COLUMN)));
    }
    print_table(&head, rows);
}

fn print_coverage(coverage: &[Coverage]) {
    println!("\nWhat was asked, and what became of it:");
    let rows = coverage.iter().map(|entry| {
        let mut notes = entry.gaps.clone();
        if !entry.explanation.is_empty() {
            notes.insert(0, format!("{} [{}]", entry.explanation, entry.reason));
        }
        vec![
            entry.dataset.clone(),
            outcome(entry).to_owned(),
            entry.rows.to_string(),
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
