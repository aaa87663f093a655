//! How tags lie on the disk of the node that made them: fixed records, each with its own checksum, so
//! that a torn end is found and cut. Beside the tags lie the sums of keys that they were made of, in a
//! file of their own. Both are as secret as the epoch's key.

use sha2::{Digest, Sha256};

use super::oprf::{KeySum, POINT_BYTES, Tag};

/// Bytes of a tag's record: subject number (4, little-endian), tag (16), checksum (4).
pub const RECORD_BYTES: usize = 24;
/// Bytes of a sum's record: subject number (4, little-endian), point (32), checksum (4).
pub const SUM_RECORD_BYTES: usize = 40;

/// The record of one subject's tag.
pub fn record(subject: u32, tag: Tag) -> [u8; RECORD_BYTES] {
    sealed(subject, &tag)
}

/// What a tag's record says; nothing when it is torn or damaged.
pub fn read_record(bytes: &[u8]) -> Option<(u32, Tag)> {
    opened::<{ size_of::<Tag>() }, RECORD_BYTES>(bytes)
}

/// The record of one subject's sum of keys.
pub fn sum_record(subject: u32, sum: KeySum) -> [u8; SUM_RECORD_BYTES] {
    sealed(subject, &sum.0)
}

/// What a sum's record says; nothing when it is torn or damaged.
pub fn read_sum_record(bytes: &[u8]) -> Option<(u32, KeySum)> {
    opened::<POINT_BYTES, SUM_RECORD_BYTES>(bytes).map(|(subject, sum)| (subject, KeySum(sum)))
}

fn sealed<const RECORD: usize>(subject: u32, value: &[u8]) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let checked = 4 + value.len();
    record[..4].copy_from_slice(&subject.to_le_bytes());
    record[4..checked].copy_from_slice(value);
    let checksum = Sha256::digest(&record[..checked]);
    record[checked..].copy_from_slice(&checksum[..4]);
    record
}

fn opened<const VALUE: usize, const RECORD: usize>(bytes: &[u8]) -> Option<(u32, [u8; VALUE])> {
    let subject = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let value: [u8; VALUE] = bytes.get(4..4 + VALUE)?.try_into().ok()?;
    (sealed::<RECORD>(subject, &value) == bytes).then_some((subject, value))
}
