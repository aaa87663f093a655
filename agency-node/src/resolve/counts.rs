//! Sums become counts of places again: this node derives the question's keys as the contributors did.

use std::collections::BTreeMap;

use sallyport_join::tally::{CELLS_MAX, PARTS_MAX, TallyKeys};
use sallyport_proto::{
    common::v1::Outcome,
    gateway::v1::Answer,
    node::v1::{DeskCounts, DeskSeries},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    question::{Question, QuestionId},
};

use crate::{holdings::PLACES_MAX, linkage::epochs::Agreed};

/// Counts by place and period. What is not as the nodes sent it is left out and told.
pub(super) fn opened(
    agreed: &Agreed,
    question: &Question,
    id: QuestionId,
    answer: &Answer,
    sums: &[u8],
) -> Result<DeskCounts, Refusal> {
    let Some(tally) = question.indicators.first().and_then(|indicator| indicator.tally.as_ref()) else {
        return Ok(DeskCounts::default());
    };
    let begins = tally.begins(question.window)?;
    let opened = TallyKeys::derive(&agreed.secret, &id.0).open(sums, answered(answer));
    let mut broken = opened.broken;
    let mut places: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for sum in opened.sums {
        // Nodes count within the question's window.
        let Ok(period) = begins.binary_search(&sum.cell.begin) else {
            broken += 1;
            continue;
        };
        let place = places.entry(sum.cell.place).or_insert_with(|| vec![Told::default(); begins.len()]);
        place[period] = Told { count: sum.count, parts: sum.parts };
        if places.len() > PLACES_MAX {
            return Err(too_many());
        }
    }
    let series = places.into_iter().map(|(place, told)| series(question, answer, place, &told));
    let incomplete = datasets(question, opened.incomplete);
    Ok(DeskCounts { series: series.collect(), begins, broken, incomplete })
}

/// What was told of a cell, and by which parts.
#[derive(Clone, Copy, Default)]
struct Told {
    count: u64,
    parts: u32,
}

fn series(question: &Question, answer: &Answer, place: String, told: &[Told]) -> DeskSeries {
    let ever = told.iter().fold(0, |parts, told| parts | told.parts);
    let kept_back = |told: &Told| {
        let silent = answer.coverage.iter().filter(|entry| {
            let part = entry.indicator as usize;
            is_in(ever, part) && !is_in(told.parts, part)
        });
        silent.map(|entry| u64::from(entry.minimum_cohort.saturating_sub(1))).sum()
    };
    DeskSeries {
        place,
        counts: told.iter().map(|told| told.count).collect(),
        datasets: datasets(question, ever),
        kept_back: told.iter().map(kept_back).collect(),
    }
}

fn is_in(parts: u32, part: usize) -> bool {
    part < PARTS_MAX && parts >> part & 1 == 1
}

fn datasets(question: &Question, parts: u32) -> Vec<String> {
    let asked = question.indicators.iter().enumerate().filter(|(part, _)| is_in(parts, *part));
    asked.map(|(_, indicator)| indicator.dataset.clone()).collect()
}

/// The parts that answered, as bits.
fn answered(answer: &Answer) -> u32 {
    let parts = answer.coverage.iter().filter(|entry| entry.outcome() == Outcome::Answered);
    let parts = parts.map(|entry| entry.indicator).filter(|part| (*part as usize) < PARTS_MAX);
    parts.fold(0, |bits, part| bits | 1 << part)
}

/// Of all data sets together.
pub(crate) fn too_many() -> Refusal {
    Refusal::new(
        Kind::Exhausted,
        "too_many_cells",
        format!(
            "The data sets have more than {PLACES_MAX} places together, or more than {CELLS_MAX} places in periods; ask \
             about longer periods or a shorter time, or narrow the filters."
        ),
    )
}
