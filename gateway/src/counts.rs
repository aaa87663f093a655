//! Questions of counts: rows of equal cells are added up, and neither their names nor their numbers are known
//! here.
//!
//! A part that breaks off leaves nothing in the sums.

use futures::future::join_all;
use sallyport_join::tally::{
    SUM_BYTES, TALLY_ROW_BYTES,
    sum::{Fault, Part, Sums},
};
use sallyport_trust::error::{Kind, Refusal};
use tokio::time::Instant;

use crate::streams::{ContributorStream, Next, broken_format, patience};

/// Sums in one message: about 64 KiB.
const SUMS_AT_A_TIME: usize = 64 * 1024 / SUM_BYTES;

/// Sums on their way, and what the work was.
pub(crate) struct Added {
    pub(crate) sums: Vec<Vec<u8>>,
    pub(crate) count: u64,
    pub(crate) rows: u64,
}

/// Reads every stream at once, and adds up those that came whole.
pub(crate) async fn add_up(streams: &mut [ContributorStream], soft: Instant, hard: Instant) -> Added {
    let reading = streams.iter_mut().map(|stream| read(stream, soft, hard));
    let parts = join_all(reading.collect::<Vec<_>>()).await;
    let (mut sums, mut rows) = (Sums::default(), 0);
    let whole = streams.iter_mut().zip(parts).filter_map(|(stream, part)| Some((stream, part?)));
    let mut whole: Vec<_> = whole.collect();
    // The largest last: where there are too many cells, whoever sent most of them is left out.
    whole.sort_by_key(|(_, part)| part.rows());
    for (stream, part) in whole {
        match sums.add(stream.part, &part) {
            Ok(()) => rows += part.rows(),
            Err(fault) => stream.fail(&refusal(fault)),
        }
    }
    Added { count: sums.count() as u64, rows, sums: sums.pieces(SUMS_AT_A_TIME) }
}

/// A whole part; nothing when it did not open, or broke off.
async fn read(stream: &mut ContributorStream, soft: Instant, hard: Instant) -> Option<Part> {
    let mut part = Part::default();
    if !stream.is_open() {
        return None;
    }
    loop {
        match stream.next(TALLY_ROW_BYTES, patience(soft, hard)).await {
            Next::Rows(rows) => {
                if let Err(fault) = part.take(&rows) {
                    stream.fail(&refusal(fault));
                    return None;
                }
            }
            Next::End => return Some(part),
            Next::Broken => return None,
        }
    }
}

fn refusal(fault: Fault) -> Refusal {
    match fault {
        Fault::TooMany => Refusal::new(Kind::Exhausted, "too_many_cells", format!("With this data set {fault}.")),
        Fault::Cut | Fault::Order | Fault::Part => broken_format(&fault.to_string()),
    }
}
