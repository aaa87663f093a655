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
    let (opened, mut broken) = TallyKeys::derive(&agreed.secret, &id.0).open(sums, answered(answer));
    let mut places: BTreeMap<String, (Vec<u64>, u32)> = BTreeMap::new();
    for sum in opened {
        // Nodes count within the question's window.
        let Ok(period) = begins.binary_search(&sum.cell.begin) else {
            broken += 1;
            continue;
        };
        let (counts, parts) = places.entry(sum.cell.place).or_insert_with(|| (vec![0; begins.len()], 0));
        counts[period] = sum.count;
        *parts |= sum.parts;
        if places.len() > PLACES_MAX {
            return Err(too_many());
        }
    }
    let datasets = |parts: u32| {
        let in_it = question.indicators.iter().enumerate().filter(|(part, _)| parts >> part & 1 == 1);
        in_it.map(|(_, indicator)| indicator.dataset.clone()).collect()
    };
    let series =
        places.into_iter().map(|(place, (counts, parts))| DeskSeries { place, counts, datasets: datasets(parts) });
    Ok(DeskCounts { series: series.collect(), begins, broken })
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
