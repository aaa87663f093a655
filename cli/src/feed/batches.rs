//! A file or stream cut into batches.

use std::{
    borrow::Cow,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use sallyport_feed::{Position, Reading, Reason, Record, Seal, format::ReadError};
use sallyport_proto::feed::v1::{Position as WirePosition, Seal as WireSeal};
use tokio::sync::mpsc;

/// Records that are read ahead.
const RECORDS_AHEAD: usize = 4096;
/// Batches that are cut ahead.
const BATCHES_AHEAD: usize = 2;

/// What comes out of a file, in its order.
pub(super) enum Item {
    /// Positions to send.
    Batch(Batch),
    /// A record that cannot be sent.
    Refused { number: u64, reason: Reason, why: Cow<'static, str> },
    /// A record that rightly holds no position.
    Other,
    /// The rest cannot be read.
    Failed(ReadError),
}

/// Positions that go together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) positions: Vec<WirePosition>,
    /// The record of each position.
    pub(super) numbers: Vec<u64>,
}

/// How batches are cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Positions in a batch.
    pub(super) size: usize,
    /// A batch that is not full goes when nothing came for this long; none for a file.
    pub(super) patience: Option<Duration>,
}

/// Reads on threads of its own, as far ahead as there is room.
pub(super) fn cut(
    reader: impl Iterator<Item = Result<Record, ReadError>> + Send + 'static,
    cut: Cut,
) -> mpsc::Receiver<Item> {
    let (read, records) = sync_channel(RECORDS_AHEAD);
    let (items, taken) = mpsc::channel(BATCHES_AHEAD);
    thread::spawn(move || {
        for record in reader {
            let last = record.is_err();
            if read.send(record).is_err() || last {
                return;
            }
        }
    });
    thread::spawn(move || {
        // Nobody wants more when the receiver is gone.
        let _ = cut_records(&records, cut, &items);
    });
    taken
}

struct NobodyListens;

fn cut_records(
    records: &Receiver<Result<Record, ReadError>>,
    cut: Cut,
    items: &mpsc::Sender<Item>,
) -> Result<(), NobodyListens> {
    let give = |item| items.blocking_send(item).map_err(|_| NobodyListens);
    let mut batch = Batch::default();
    loop {
        let record = match cut.patience {
            Some(patience) if !batch.positions.is_empty() => records.recv_timeout(patience),
            _ => records.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let full = match record {
            Ok(Ok(Record { number, reading: Reading::Position(position) })) => {
                batch.positions.push(wire(position));
                batch.numbers.push(number);
                batch.positions.len() >= cut.size
            }
            Ok(Ok(Record { number, reading: Reading::Refused { reason, why } })) => {
                give(Item::Refused { number, reason, why })?;
                false
            }
            Ok(Ok(Record { reading: Reading::Other, .. })) => {
                give(Item::Other)?;
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                if !batch.positions.is_empty() {
                    give(Item::Batch(batch))?;
                }
                return match record {
                    Ok(Err(error)) => give(Item::Failed(error)),
                    _ => Ok(()),
                };
            }
        };
        if full {
            give(Item::Batch(std::mem::take(&mut batch)))?;
        }
    }
}

fn wire(position: Position) -> WirePosition {
    let seal = match position.seal {
        None => WireSeal::Unspecified,
        Some(Seal::Intact) => WireSeal::Intact,
        Some(Seal::Opened) => WireSeal::Opened,
        Some(Seal::Broken) => WireSeal::Broken,
    };
    WirePosition {
        device: position.device,
        at_ms: position.at_ms,
        latitude: position.latitude,
        longitude: position.longitude,
        speed_mps: position.speed_mps,
        heading_deg: position.heading_deg,
        accuracy_m: position.accuracy_m,
        seal: seal.into(),
    }
}
