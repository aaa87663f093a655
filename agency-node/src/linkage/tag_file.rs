//! How tags lie on the disk of the node that made them: fixed records, each with its own checksum, so
//! that a torn end is found and cut. A tag file is as secret as the epoch's key.

use sha2::{Digest, Sha256};

use super::oprf::Tag;

/// Bytes of a record: subject number (4, little-endian), tag (16), checksum (4).
pub const RECORD_BYTES: usize = 24;

/// The record of one subject's tag.
pub fn record(subject: u32, tag: Tag) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..4].copy_from_slice(&subject.to_le_bytes());
    record[4..20].copy_from_slice(&tag);
    let checksum = Sha256::digest(&record[..20]);
    record[20..].copy_from_slice(&checksum[..4]);
    record
}

/// What a record says; nothing when it is torn or damaged.
pub fn read_record(bytes: &[u8]) -> Option<(u32, Tag)> {
    let subject = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let tag: Tag = bytes.get(4..20)?.try_into().ok()?;
    (record(subject, tag) == bytes).then_some((subject, tag))
}
