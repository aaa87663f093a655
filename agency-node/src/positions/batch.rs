//! One batch of a stream, and the bytes in which it lies in the journal.
//!
//! On disk a batch is a protobuf message, so that fields can be added later. Groups of batches have a useful
//! property: the bytes of two groups, one after the other, are the group of both.

use prost::Message;
use sallyport_feed::{
    Position, Reason, RefusedPoint, Seal,
    position::{DEVICE_MAX, is_device},
};

use super::error::StoreError;

/// Points, accepted and refused, that one batch may hold.
pub const BATCH_LIMIT_POINTS: usize = 10_000;
/// Bytes that one batch may have in the journal.
pub const BATCH_LIMIT_BYTES: usize = 2 * 1024 * 1024;
/// Positions are of 1970 to 2199: what judges them is stricter, and days beyond have no partition.
const AT_LIMIT_MS: i64 = 7_258_118_400_000;

/// One batch of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The feed, as the node's configuration names it.
    pub feed: String,
    /// The stream within the feed, as its sender names it.
    pub stream: String,
    /// Number of the batch in its stream, from 1.
    pub sequence: u64,
    /// When the node received it, in milliseconds since 1970.
    pub received_ms: i64,
    /// The positions that were accepted.
    pub positions: Vec<Position>,
    /// The points that were refused.
    pub refused: Vec<RefusedPoint>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Number of its last batch.
    pub sequence: u64,
    /// Points of all its batches, accepted and refused; none of a stream that was begun before they were counted.
    pub points: Option<u64>,
}

/// A durable batch and its place in the order of all batches.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Batches that became durable before it.
    pub place: u64,
    /// The batch.
    pub batch: Batch,
}

impl Batch {
    /// The bytes of a group that holds this batch alone.
    ///
    /// # Errors
    /// When a name, a position or the size is not what the store holds.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        if !is_name(&self.feed) || !is_name(&self.stream) {
            return Err(StoreError::Name);
        }
        if self.positions.len() + self.refused.len() > BATCH_LIMIT_POINTS {
            return Err(StoreError::TooLarge);
        }
        if !self.positions.iter().all(can_be_held) {
            return Err(StoreError::Position);
        }
        let bytes = Group { streams: Vec::new(), batches: vec![StoredBatch::from(self)] }.encode_to_vec();
        if bytes.len() > BATCH_LIMIT_BYTES { Err(StoreError::TooLarge) } else { Ok(bytes) }
    }
}

/// Whether a feed or a stream may be named like this; names of feeds are also names of directories.
pub(super) fn is_name(name: &str) -> bool {
    is_device(name) && !name.starts_with('.')
}

/// Whether a position can be written down and found again; whether it is plausible others have judged.
fn can_be_held(position: &Position) -> bool {
    is_device(&position.device)
        && (0..AT_LIMIT_MS).contains(&position.at_ms)
        && (-90.0..=90.0).contains(&position.latitude)
        && (-180.0..=180.0).contains(&position.longitude)
}

/// What one frame of the journal holds: how far streams have come, or batches.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Group {
    #[prost(message, repeated, tag = "1")]
    pub(super) streams: Vec<StoredStream>,
    #[prost(message, repeated, tag = "2")]
    pub(super) batches: Vec<StoredBatch>,
}

/// How far one stream has come.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredStream {
    #[prost(string, tag = "1")]
    pub(super) feed: String,
    #[prost(string, tag = "2")]
    pub(super) stream: String,
    #[prost(uint64, tag = "3")]
    pub(super) sequence: u64,
    #[prost(int64, tag = "4")]
    pub(super) received_ms: i64,
    /// Points of all its batches; none of a stream that was begun before they were counted.
    #[prost(uint64, optional, tag = "5")]
    pub(super) points: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredBatch {
    #[prost(string, tag = "1")]
    pub(super) feed: String,
    #[prost(string, tag = "2")]
    pub(super) stream: String,
    #[prost(uint64, tag = "3")]
    pub(super) sequence: u64,
    #[prost(int64, tag = "4")]
    pub(super) received_ms: i64,
    #[prost(message, repeated, tag = "5")]
    positions: Vec<StoredPosition>,
    #[prost(message, repeated, tag = "6")]
    refused: Vec<StoredRefusal>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPosition {
    #[prost(string, tag = "1")]
    device: String,
    #[prost(int64, tag = "2")]
    at_ms: i64,
    #[prost(double, tag = "3")]
    latitude: f64,
    #[prost(double, tag = "4")]
    longitude: f64,
    #[prost(float, optional, tag = "5")]
    speed_mps: Option<f32>,
    #[prost(float, optional, tag = "6")]
    heading_deg: Option<f32>,
    #[prost(float, optional, tag = "7")]
    accuracy_m: Option<f32>,
    #[prost(string, optional, tag = "8")]
    seal: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredRefusal {
    #[prost(uint32, tag = "1")]
    index: u32,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    device: String,
    #[prost(int64, tag = "4")]
    at_ms: i64,
    #[prost(double, optional, tag = "5")]
    latitude: Option<f64>,
    #[prost(double, optional, tag = "6")]
    longitude: Option<f64>,
}

impl StoredBatch {
    /// Points, accepted and refused.
    pub(super) fn points(&self) -> u64 {
        (self.positions.len() + self.refused.len()) as u64
    }
}

impl From<&Batch> for StoredBatch {
    fn from(batch: &Batch) -> Self {
        Self {
            feed: batch.feed.clone(),
            stream: batch.stream.clone(),
            sequence: batch.sequence,
            received_ms: batch.received_ms,
            positions: batch.positions.iter().map(StoredPosition::from).collect(),
            refused: batch.refused.iter().map(StoredRefusal::from).collect(),
        }
    }
}

impl From<&Position> for StoredPosition {
    fn from(position: &Position) -> Self {
        Self {
            device: position.device.clone(),
            at_ms: position.at_ms,
            latitude: position.latitude,
            longitude: position.longitude,
            speed_mps: position.speed_mps,
            heading_deg: position.heading_deg,
            accuracy_m: position.accuracy_m,
            seal: position.seal.map(|seal| seal.as_str().to_owned()),
        }
    }
}

impl From<&RefusedPoint> for StoredRefusal {
    fn from(refused: &RefusedPoint) -> Self {
        let end = refused.device.floor_char_boundary(DEVICE_MAX);
        Self {
            index: refused.index,
            reason: refused.reason.as_str().to_owned(),
            device: refused.device.get(..end).unwrap_or_default().to_owned(),
            at_ms: refused.at_ms,
            latitude: refused.latitude,
            longitude: refused.longitude,
        }
    }
}

impl From<StoredBatch> for Batch {
    fn from(stored: StoredBatch) -> Self {
        Self {
            feed: stored.feed,
            stream: stored.stream,
            sequence: stored.sequence,
            received_ms: stored.received_ms,
            positions: stored.positions.into_iter().map(Position::from).collect(),
            refused: stored.refused.into_iter().map(RefusedPoint::from).collect(),
        }
    }
}

impl From<StoredPosition> for Position {
    fn from(stored: StoredPosition) -> Self {
        Self {
            device: stored.device,
            at_ms: stored.at_ms,
            latitude: stored.latitude,
            longitude: stored.longitude,
            speed_mps: stored.speed_mps,
            heading_deg: stored.heading_deg,
            accuracy_m: stored.accuracy_m,
            seal: stored.seal.as_deref().and_then(Seal::from_word),
        }
    }
}

impl From<StoredRefusal> for RefusedPoint {
    fn from(stored: StoredRefusal) -> Self {
        Self {
            index: stored.index,
            // A reason of a later version of this program is none that this one can name.
            reason: Reason::from_word(&stored.reason).unwrap_or(Reason::Unreadable),
            device: stored.device,
            at_ms: stored.at_ms,
            latitude: stored.latitude,
            longitude: stored.longitude,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{batch, position};
    use super::*;

    #[test]
    fn a_batch_comes_back_from_its_bytes_and_groups_join() {
        let mut first = batch("gps", "a", 1, 2);
        first.positions[1].seal = Some(Seal::Broken);
        first.positions[1].speed_mps = Some(0.0);
        first.refused.push(RefusedPoint::new(7, Reason::Swapped, &position(9)));
        let second = batch("gps", "b", 9, 1);
        let bytes = [first.encode().unwrap(), second.encode().unwrap()].concat();
        let group = Group::decode(bytes.as_slice()).unwrap();
        let batches: Vec<Batch> = group.batches.into_iter().map(Batch::from).collect();
        assert_eq!(batches, [first, second]);
    }

    #[test]
    fn what_the_store_cannot_hold_is_refused_before_it_is_written() {
        let with = |change: fn(&mut Batch)| {
            let mut batch = batch("gps", "a", 1, 1);
            change(&mut batch);
            batch.encode().unwrap_err()
        };
        assert_eq!(with(|batch| batch.feed = "../up".to_owned()), StoreError::Name);
        assert_eq!(with(|batch| batch.feed = "..".to_owned()), StoreError::Name);
        assert_eq!(with(|batch| batch.stream = String::new()), StoreError::Name);
        assert_eq!(with(|batch| batch.positions[0].at_ms = -1), StoreError::Position);
        assert_eq!(with(|batch| batch.positions[0].at_ms = AT_LIMIT_MS), StoreError::Position);
        assert_eq!(with(|batch| batch.positions[0].latitude = f64::NAN), StoreError::Position);
        assert_eq!(with(|batch| batch.positions[0].longitude = 180.1), StoreError::Position);
        assert_eq!(with(|batch| batch.positions[0].device = "a b".to_owned()), StoreError::Position);
        assert_eq!(with(|batch| batch.positions = vec![position(1); BATCH_LIMIT_POINTS + 1]), StoreError::TooLarge);
    }
}
