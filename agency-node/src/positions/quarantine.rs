//! Points that were refused, kept so that their sender can find the fault.

use std::path::Path;

use sallyport_feed::RefusedPoint;
use serde::{Deserialize, Serialize};

use super::{
    batch::{BATCH_LIMIT_POINTS, Placed},
    cursor::Cursor,
    error::StoreError,
    journal::segments,
};

/// A refused point of a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its number, above 0 and growing; numbers in between are of other feeds, or were never given.
    pub number: u64,
    /// When it came, in milliseconds since 1970.
    pub received_ms: i64,
    /// Its stream.
    pub stream: String,
    /// Its batch in the stream.
    pub sequence: u64,
    /// The point and why it was refused.
    pub point: RefusedPoint,
}

/// The refused points of a batch, numbered.
pub(super) fn of(placed: &Placed) -> impl Iterator<Item = Quarantined> {
    let batch = &placed.batch;
    // A batch holds fewer points than there are numbers for each place.
    let first = placed.place * BATCH_LIMIT_POINTS as u64 + 1;
    (first..).zip(&batch.refused).map(|(number, point)| Quarantined {
        number,
        received_ms: batch.received_ms,
        stream: batch.stream.clone(),
        sequence: batch.sequence,
        point: point.clone(),
    })
}

/// Refused points of a feed with numbers above `after`.
pub(super) fn read(
    journal: &Path,
    end: u64,
    feed: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Quarantined>, StoreError> {
    let first = segments(journal)?.first().copied().unwrap_or(0);
    let mut cursor = Cursor::new(journal, first.max(after / BATCH_LIMIT_POINTS as u64));
    let mut found = Vec::new();
    while found.len() < limit && cursor.place() < end {
        for placed in cursor.read(end)?.iter().filter(|placed| placed.batch.feed == feed) {
            found.extend(of(placed).filter(|point| point.number > after));
        }
    }
    found.truncate(limit);
    Ok(found)
}
