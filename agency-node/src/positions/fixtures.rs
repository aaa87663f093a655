//! What the tests of this module share.

use std::path::Path;

use chrono::DateTime;
use sallyport_feed::Position;
use sallyport_trust::clock::Clock;

use super::{Settings, Store, batch::Batch};

/// 2026-11-24T00:00:00Z.
pub(super) const MIDNIGHT_MS: i64 = 1_795_478_400_000;

pub(super) fn position(number: i64) -> Position {
    Position {
        device: format!("truck-{}", number.rem_euclid(10)),
        at_ms: MIDNIGHT_MS + number * 1000,
        latitude: 27.5 + number as f64 / 1e4,
        longitude: -99.5,
        speed_mps: Some(20.0),
        heading_deg: None,
        accuracy_m: Some(5.0),
        seal: None,
    }
}

pub(super) fn batch(feed: &str, stream: &str, sequence: u64, positions: i64) -> Batch {
    Batch {
        feed: feed.to_owned(),
        stream: stream.to_owned(),
        sequence,
        received_ms: MIDNIGHT_MS,
        positions: (0..positions).map(|number| position(sequence as i64 * 1000 + number)).collect(),
        refused: Vec::new(),
    }
}

pub(super) fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp_millis(MIDNIGHT_MS).unwrap())
}

pub(super) fn open(directory: &Path) -> Store {
    Store::open(directory, Settings::default(), clock()).unwrap()
}
