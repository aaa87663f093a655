//! This node's part in a question of counts: cells with enough events, hidden and sealed.

use std::sync::Arc;

use sallyport_join::{
    keys::EpochSecret,
    tally::{Cell, PARTS_MAX, TALLY_ROW_BYTES, TallyKeys},
};
use sallyport_proto::node::v1::Preamble;
use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{Indicator, OpenedQuestion, Tally, Window},
};

use crate::{
    contribute::{MESSAGE_BYTES, Rows, Told, preamble, rows_message},
    dataset::Dataset,
    holdings::Counting,
    node::Node,
};

const DAY_MS: i64 = 86_400_000;

/// The cells that leave.
pub(crate) struct Counts {
    pub(crate) cells: Vec<(Cell, u64)>,
}

/// Counts, keeps back cells with fewer events than the owner's policy lets be told, and says how many.
pub(crate) async fn count(
    node: &Arc<Node>,
    question: &OpenedQuestion,
    (indicator, tally): (&Indicator, &Tally),
    permit: &Permit,
) -> Result<(Preamble, Counts), Refusal> {
    if question.indicators.keys().any(|part| *part >= PARTS_MAX) {
        return Err(Refusal::bad_input("counts_parts", format!("A question counts in {PARTS_MAX} data sets at most.")));
    }
    let window = question.header.window.and(indicator.window);
    tally.begins(window)?;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let counted =
        node.holdings.count(permit, &dataset.name, &Counting { tally, window, filter: &indicator.filter }).await?;
    let manifest = node.holdings.manifest(&dataset.name).unwrap_or_default();
    let minimum_cohort = permit.obligations().minimum_cohort;
    // A filter can leave so few rows that their number is what is kept back: what is told beside the cells is told
    // in steps of the least count, and how many rows there are, or when the newest was, is not.
    let coarse = |number: u64| number.div_ceil(u64::from(minimum_cohort.max(1))) * u64::from(minimum_cohort.max(1));
    let told = Told {
        unusable: coarse(counted.unusable) + manifest.unreadable + manifest.bad_times,
        unrecorded: unrecorded(dataset, window),
        ..Told::default()
    };
    let mut preamble = preamble(dataset, told, permit);
    let (cells, withheld): (Vec<_>, Vec<_>) =
        counted.cells.into_iter().partition(|(_, count)| *count >= u64::from(minimum_cohort));
    if let Some(coverage) = &mut preamble.coverage {
        coverage.minimum_cohort = minimum_cohort;
        coverage.withheld = coarse(withheld.len() as u64);
        coverage.repeated = coarse(counted.repeated);
        coverage.contradicting = coarse(counted.contradicting);
    }
    Ok((preamble, Counts { cells }))
}

/// Days of the window in which the owner says that nothing was recorded.
fn unrecorded(dataset: &Dataset, window: Window) -> Option<String> {
    let (from_ms, until_ms) = window.from_ms.zip(window.until_ms)?;
    let days = (until_ms - from_ms - dataset.coverage.recorded_ms(from_ms, until_ms)) / DAY_MS;
    (days > 0).then(|| format!("{days} days of the window were not recorded"))
}

impl Counts {
    /// Seals, as fast as the gateway takes the rows; how many there were.
    pub(crate) fn stream(self, secret: &EpochSecret, question: &[u8; 32], part: u8, rows: &Rows) -> u64 {
        let sealed = TallyKeys::derive(secret, question).seal(part, &self.cells);
        for piece in sealed.chunks(MESSAGE_BYTES / TALLY_ROW_BYTES * TALLY_ROW_BYTES) {
            if rows.blocking_send(Ok(rows_message(piece.to_vec()))).is_err() {
                break;
            }
        }
        (sealed.len() / TALLY_ROW_BYTES) as u64
    }
}
