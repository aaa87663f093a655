//! Scores: every score from the lowest that raises a lead has one severity and no more.

use super::{check::Report, written::Written};
use crate::qe;

/// The highest score that a playbook may speak of.
const QE_MAX: f64 = 1_000.0;

/// A score in millionths; none when it is no score.
pub(super) fn millionths(qe: f64) -> Option<u32> {
    (0.0..=QE_MAX).contains(&qe).then(|| (qe * 1e6).round() as u32)
}

/// Tells of every gap and overlap.
pub(super) fn check(book: &Written, report: &mut Report<'_>) {
    let raised_from = match book.raise_from_qe.map(millionths) {
        None => 0,
        Some(Some(from)) => from,
        Some(None) => return report.add("", "score_range", "raise_from_qe must lie between 0 and 1000."),
    };
    let mut bands = Vec::new();
    for severity in &book.severity {
        let below = severity.below_qe.map_or(Some(u32::MAX), millionths);
        match (millionths(severity.from_qe), below) {
            (Some(from), Some(below)) if from < below => bands.push((from, below, severity.name.as_str())),
            _ => report.add_at(
                format!("severity `{}`", severity.name),
                "score_range",
                "from_qe and below_qe must lie between 0 and 1000, and from_qe below below_qe.".to_owned(),
            ),
        }
    }
    bands.sort_unstable();
    let mut covered_to = raised_from;
    for (index, &(from, below, name)) in bands.iter().enumerate() {
        if from > covered_to {
            uncovered(report, covered_to, from);
        }
        let before =
            if index == 0 { (raised_from, "what is below raise_from_qe") } else { (covered_to, bands[index - 1].2) };
        if from < before.0 {
            report.add_at(
                format!("severity `{name}`"),
                "scores_covered_twice",
                format!(
                    "Scores from {} to {} also belong to {}; let from_qe be {}.",
                    qe(from),
                    qe(before.0.min(below)),
                    before.1,
                    qe(before.0)
                ),
            );
        }
        covered_to = covered_to.max(below);
    }
    if !bands.is_empty() && covered_to < u32::MAX {
        report.add(
            "",
            "scores_uncovered",
            &format!("No severity has scores from {} up; leave below_qe out of the last one.", qe(covered_to)),
        );
    }
}

fn uncovered(report: &mut Report<'_>, from: u32, below: u32) {
    report.add(
        "",
        "scores_uncovered",
        &format!(
            "No severity has scores from {} to {}; widen one, or say raise_from_qe = {} if such matches need nobody.",
            qe(from),
            qe(below),
            qe(below)
        ),
    );
}
