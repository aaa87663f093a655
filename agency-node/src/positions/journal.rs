//! The journal: where a batch first becomes durable.
//!
//! Batches that arrive together are written as one *frame*, followed by one `fdatasync`. A frame that is whole
//! was acknowledged or might have been; a frame that is torn at the end of the last segment never was, and is
//! dropped. Bytes that are wrong with whole frames after them cannot come from a crash, and are never dropped:
//! they are damage.
//!
//! ```text
//! frame   = magic (8) ‖ place of the first batch (8) ‖ payload length (4) ‖ payload ‖ SHA-256 of all that (32)
//! payload = a group, protobuf
//! ```
//!
//! Segments are files named by the place of their first batch. Each begins with a frame that holds no batch:
//! it says how far every stream had come, so the segments before it are not needed to go on.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use prost::Message;
use sha2::{Digest, Sha256};

use super::{batch::Group, error::StoreError};

/// A batch that could hold this would be refused: it is no text, and numbers have other lengths.
const MAGIC: &[u8; 8] = b"\0SPPOSN\x01";
const HEADER_BYTES: usize = MAGIC.len() + 8 + 4;
const CHECK_BYTES: usize = 32;
/// A frame holds what one group gathers, or how far all streams have come.
pub(super) const PAYLOAD_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Name of the segment that starts with a place.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}")
}

/// The first places of the segments, in order.
pub(super) fn segments(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let at = |error: io::Error| StoreError::files(directory, &error);
    let mut segments = Vec::new();
    for file in fs::read_dir(directory).map_err(at)? {
        let name = file.map_err(at)?.file_name();
        let first = name.to_str().and_then(|name| name.parse().ok());
        // Places stay so small that counting on from one cannot overflow.
        segments.extend(first.filter(|first: &u64| *first < 1 << 62 && segment_name(*first).as_str() == name));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The bytes of one frame.
pub(super) fn encode_frame(place: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len() + CHECK_BYTES);
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&place.to_be_bytes());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    let check = Sha256::digest(&frame);
    frame.extend_from_slice(&check);
    frame
}

/// A whole frame.
#[derive(Debug)]
pub(super) struct Frame {
    /// Place of its first batch.
    pub(super) place: u64,
    /// What it holds.
    pub(super) group: Group,
    /// Its length.
    pub(super) bytes: usize,
}

/// The frame at the start of what is read; `None` when no whole one is there.
pub(super) fn read_frame(from: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut frame = vec![0; HEADER_BYTES];
    if !fill(from, &mut frame)? {
        return Ok(None);
    }
    let Some((place, length)) = header(&frame) else { return Ok(None) };
    let mut rest = vec![0; length + CHECK_BYTES];
    if !fill(from, &mut rest)? {
        return Ok(None);
    }
    let (payload, check) = rest.split_at(length);
    frame.extend_from_slice(payload);
    if Sha256::digest(&frame).as_slice() != check {
        return Ok(None);
    }
    let bytes = frame.len() + CHECK_BYTES;
    Ok(Group::decode(payload).ok().map(|group| Frame { place, group, bytes }))
}

/// Place and payload length.
fn header(bytes: &[u8]) -> Option<(u64, usize)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (place, rest) = rest.split_first_chunk()?;
    let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
    (length <= PAYLOAD_LIMIT_BYTES).then_some((u64::from_be_bytes(*place), length))
}

/// Reads until the buffer is full; false when there is less.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The last segment, read after a crash.
#[derive(Debug)]
pub(super) struct Tail {
    /// Place of the segment's first batch.
    pub(super) first: u64,
    /// Its whole frames.
    pub(super) groups: Vec<Group>,
    /// The bytes of those.
    pub(super) bytes: Vec<u8>,
    /// Length of the torn end that belongs to no acknowledged batch.
    pub(super) torn_bytes: usize,
    /// Place after the last batch.
    pub(super) end: u64,
}

/// Reads the last segment; `None` when there is no segment.
///
/// # Errors
/// When it cannot be read, or is damaged elsewhere than at its end.
pub(super) fn read_tail(directory: &Path) -> Result<Option<Tail>, StoreError> {
    let Some(first) = segments(directory)?.last().copied() else { return Ok(None) };
    let path: PathBuf = directory.join(segment_name(first));
    let bytes = fs::read(&path).map_err(|error| StoreError::files(&path, &error))?;
    scan(first, bytes).map(Some)
}

fn scan(first: u64, mut bytes: Vec<u8>) -> Result<Tail, StoreError> {
    let mut tail = Tail { first, groups: Vec::new(), bytes: Vec::new(), torn_bytes: 0, end: first };
    let mut whole = 0;
    while whole < bytes.len() {
        let rest = &bytes[whole..];
        match frame_at(rest) {
            Some(frame) if frame.place == tail.end => {
                whole += frame.bytes;
                tail.end += frame.group.batches.len() as u64;
                tail.groups.push(frame.group);
            }
            None if !holds_a_frame(&rest[1..]) => break,
            _ => return Err(StoreError::Damaged(format!("the journal is wrong at place {}", tail.end))),
        }
    }
    tail.torn_bytes = bytes.len() - whole;
    bytes.truncate(whole);
    tail.bytes = bytes;
    Ok(tail)
}

fn frame_at(mut bytes: &[u8]) -> Option<Frame> {
    // Only of a whole frame is memory taken.
    let (_, length) = header(bytes.get(..HEADER_BYTES)?)?;
    let whole = bytes.len() >= HEADER_BYTES + length + CHECK_BYTES;
    if whole { read_frame(&mut bytes).ok().flatten() } else { None }
}

fn holds_a_frame(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at..].starts_with(MAGIC) && frame_at(&bytes[at..]).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::batch;
    use super::*;

    fn frame(place: u64, batches: u64) -> Vec<u8> {
        let payload: Vec<u8> = (0..batches).flat_map(|n| batch("f", "s", place + n, 1).encode().unwrap()).collect();
        encode_frame(place, &payload)
    }

    #[test]
    fn cut_anywhere_only_whole_frames_are_read() {
        let frames = [frame(7, 0), frame(7, 2), frame(9, 1)];
        let bytes = frames.concat();
        let ends = [0, frames[0].len(), frames[0].len() + frames[1].len(), bytes.len()];
        for cut in 0..=bytes.len() {
            let tail = scan(7, bytes[..cut].to_vec()).unwrap();
            let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
            assert_eq!((tail.bytes.len(), tail.torn_bytes), (ends[whole], cut - ends[whole]));
            assert_eq!(tail.end, [7, 7, 9, 10][whole]);
        }
    }

    #[test]
    fn a_changed_byte_is_damage_unless_it_is_in_the_last_frame() {
        let (head, last) = (frame(0, 2), frame(2, 1));
        let bytes = [head.clone(), last].concat();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            match scan(0, changed) {
                Ok(tail) => assert!(at >= head.len() && tail.end == 2, "byte {at}"),
                Err(error) => assert!(at < head.len() && matches!(error, StoreError::Damaged(_)), "byte {at}"),
            }
        }
    }

    #[test]
    fn a_frame_in_the_wrong_place_is_damage() {
        assert!(matches!(scan(0, [frame(0, 1), frame(5, 1)].concat()), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn a_length_that_no_frame_has_takes_no_memory() {
        let mut bytes = frame(0, 1);
        bytes[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(read_frame(&mut bytes.as_slice()).unwrap().is_none());
    }
}
