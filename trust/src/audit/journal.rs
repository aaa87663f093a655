//! The journal: where an entry first becomes durable.
//!
//! Entries are written in batches, each batch one *frame*, each frame followed by one `fdatasync`.
//! A frame that is whole was acknowledged or might have been; a frame that is torn at the end of
//! the last segment never was, and is dropped. Bytes that are wrong with whole frames after them
//! cannot come from a crash, and are never dropped: they are damage.
//!
//! ```text
//! frame   = magic (8) ‖ first index (8) ‖ payload length (4) ‖ payload ‖ SHA-256 of all that (32)
//! payload = the entries, as in an entry bundle
//! ```
//!
//! Segments are files named by the index of their first entry. A segment is deleted when all its
//! entries stand in full, synced tiles.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::merkle::sha256;
use super::tiles::split_bundle;

/// Directory of the segments inside the log's directory.
pub(super) const JOURNAL_DIRECTORY: &str = "journal";

/// Entries are JSON and hold no control characters, so this never occurs inside one.
const MAGIC: &[u8; 8] = b"\0SPJRNL\x01";
const HEADER_BYTES: usize = MAGIC.len() + 8 + 4;
const CHECK_BYTES: usize = 32;

/// A reader of a live log may find a segment deleted between listing and opening it.
const READ_ATTEMPTS: u32 = 8;

/// Why the journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be read.
    #[error("{path} cannot be read ({cause}); make it readable for this process")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A segment does not continue the one before it.
    #[error("the journal lacks entries {missing_from} to {next}, restore them from a backup")]
    Gap {
        /// First entry that is missing.
        missing_from: u64,
        /// First entry of the next segment.
        next: u64,
    },
    /// A frame is wrong, and it is not the torn end of the journal.
    #[error("the journal is wrong at entry {index}, restore it from a backup")]
    Damaged {
        /// The entry at which reading stopped.
        index: u64,
    },
}

/// The name of the segment that starts with an entry.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}")
}

/// The bytes of one frame; `payload` is shorter than 4 GiB.
pub(super) fn encode_frame(first: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len() + CHECK_BYTES);
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    let check = sha256(&[&frame]);
    frame.extend_from_slice(&check);
    frame
}

struct Frame<'a> {
    first: u64,
    entries: Vec<&'a [u8]>,
    bytes: usize,
}

/// The frame at the start of `bytes`, if a whole one is there.
fn frame_at(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (first, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let checked = HEADER_BYTES + length;
    let check: &[u8; CHECK_BYTES] = rest.first_chunk()?;
    if sha256(&[&bytes[..checked]]) != *check {
        return None;
    }
    let entries = split_bundle(payload).ok()?;
    Some(Frame { first: u64::from_be_bytes(*first), entries, bytes: checked + CHECK_BYTES })
}

/// What one segment holds.
struct Scan<'a> {
    entries: Vec<&'a [u8]>,
    /// Length of the whole frames.
    whole_bytes: usize,
}

/// Reads the whole frames of a segment up to its end or to a torn frame.
fn scan(first: u64, bytes: &[u8]) -> Result<Scan<'_>, JournalError> {
    let mut scan = Scan { entries: Vec::new(), whole_bytes: 0 };
    while scan.whole_bytes < bytes.len() {
        let next = first + scan.entries.len() as u64;
        let rest = &bytes[scan.whole_bytes..];
        match frame_at(rest) {
            Some(frame) if frame.first == next => {
                scan.entries.extend(frame.entries);
                scan.whole_bytes += frame.bytes;
            }
            None if !holds_a_frame(&rest[1..]) => break,
            _ => return Err(JournalError::Damaged { index: next }),
        }
    }
    Ok(scan)
}

fn holds_a_frame(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at..].starts_with(MAGIC) && frame_at(&bytes[at..]).is_some())
}

/// Everything that the journal holds.
#[derive(Debug)]
pub(super) struct Journal {
    /// Index of the first entry.
    pub(super) first: u64,
    /// The entries.
    pub(super) entries: Vec<Vec<u8>>,
    /// Index of the first entry of the last segment.
    pub(super) last_segment: u64,
    /// The whole frames of the last segment.
    pub(super) last_segment_bytes: Vec<u8>,
    /// Length of the torn end that belongs to no acknowledged entry.
    pub(super) torn_bytes: u64,
}

impl Journal {
    /// Index after the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entry of an index, if the journal still holds it.
    pub(super) fn entry(&self, index: u64) -> Option<&[u8]> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.entries.get(at).map(Vec::as_slice)
    }
}

fn unreadable(path: &Path, cause: &std::io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), cause: cause.to_string() }
}

/// The first indices of the segments, in order.
pub(super) fn segments(directory: &Path) -> std::io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for file in std::fs::read_dir(directory.join(JOURNAL_DIRECTORY))? {
        let name = file?.file_name();
        let first = name.to_str().and_then(|name| name.parse().ok());
        // Indices stay so small that counting on from one cannot overflow.
        let ours = |first: &u64| *first < 1 << 62 && segment_name(*first).as_str() == name;
        segments.extend(first.filter(ours));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Reads the journal of a log; `None` when it has no segment.
///
/// # Errors
/// A [`JournalError`] that names the entry.
pub(super) fn read(directory: &Path) -> Result<Option<Journal>, JournalError> {
    let mut journal = None;
    for (first, bytes) in load(directory)? {
        journal = Some(continued(journal, first, bytes)?);
    }
    Ok(journal)
}

/// The bytes of all segments, in order.
fn load(directory: &Path) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
    let path = directory.join(JOURNAL_DIRECTORY);
    let mut attempt = 1;
    loop {
        let segments = match segments(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            segments => segments.map_err(|error| unreadable(&path, &error))?,
        };
        let load = |first| Ok((first, std::fs::read(path.join(segment_name(first)))?));
        match segments.into_iter().map(load).collect::<std::io::Result<_>>() {
            Err(error) if error.kind() == ErrorKind::NotFound && attempt < READ_ATTEMPTS => attempt += 1,
            loaded => return loaded.map_err(|error| unreadable(&path, &error)),
        }
    }
}

/// Adds a segment to what was read before it.
fn continued(journal: Option<Journal>, first: u64, mut bytes: Vec<u8>) -> Result<Journal, JournalError> {
    let mut journal = journal.unwrap_or(Journal {
        first,
        entries: Vec::new(),
        last_segment: first,
        last_segment_bytes: Vec::new(),
        torn_bytes: 0,
    });
    if journal.torn_bytes > 0 {
        return Err(JournalError::Damaged { index: journal.end() });
    }
    if journal.end() != first {
        return Err(JournalError::Gap { missing_from: journal.end(), next: first });
    }
    let scan = scan(first, &bytes)?;
    journal.entries.extend(scan.entries.iter().map(|entry| entry.to_vec()));
    let whole_bytes = scan.whole_bytes;
    journal.torn_bytes = (bytes.len() - whole_bytes) as u64;
    bytes.truncate(whole_bytes);
    (journal.last_segment, journal.last_segment_bytes) = (first, bytes);
    Ok(journal)
}

#[cfg(test)]
mod tests {
    use super::super::tiles::append_entry;
    use super::*;

    fn frame(first: u64, entries: &[&str]) -> Vec<u8> {
        let mut payload = Vec::new();
        entries.iter().for_each(|entry| append_entry(&mut payload, entry.as_bytes()).unwrap());
        encode_frame(first, &payload)
    }

    #[test]
    fn cut_anywhere_only_whole_frames_are_read() {
        let frames = [frame(7, &["a", "bc"]), frame(9, &["def"]), frame(10, &["", "g"])];
        let bytes = frames.concat();
        let ends = [0, frames[0].len(), frames[0].len() + frames[1].len(), bytes.len()];
        for cut in 0..=bytes.len() {
            let scan = scan(7, &bytes[..cut]).unwrap();
            let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
            assert_eq!(scan.whole_bytes, ends[whole]);
            assert_eq!(scan.entries.len(), [0, 2, 3, 5][whole]);
        }
    }

    /// Cut short, or with nothing but zeros where data did not reach the disk.
    #[test]
    fn torn_at_every_byte_of_its_last_64_kib_a_journal_keeps_its_whole_frames() {
        let mut journal = Vec::new();
        let mut ends = vec![0];
        for first in 0_u64.. {
            journal.extend(frame(first, &[&"entry ".repeat(60)]));
            ends.push(journal.len());
            if journal.len() > 80 * 1024 {
                break;
            }
        }
        let begin = ends.iter().rposition(|end| *end <= journal.len() - 64 * 1024).unwrap();
        // What lies before is the same for all of them.
        let (offset, first) = (ends[begin], begin as u64);
        for cut in journal.len() - 64 * 1024..=journal.len() {
            let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
            let torn = &journal[offset..cut];
            let found = scan(first, torn).unwrap();
            assert_eq!((found.whole_bytes, found.entries.len()), (ends[whole] - offset, whole - begin), "cut at {cut}");
            let Some(end) = ends.get(whole + 1) else { continue };
            let mut zeroed = torn.to_vec();
            zeroed.resize(end - offset, 0);
            if zeroed == journal[offset..*end] {
                continue; // What is missing is nothing but zeros.
            }
            let found = scan(first, &zeroed).unwrap();
            assert_eq!(found.whole_bytes, ends[whole] - offset, "zeros from {cut}");
        }
    }

    #[test]
    fn a_changed_byte_is_damage_unless_it_is_in_the_last_frame() {
        let (head, tail) = (frame(0, &["first", "second"]), frame(2, &["third"]));
        let bytes = [head.clone(), tail].concat();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            match scan(0, &changed) {
                Ok(scan) => assert!(at >= head.len() && scan.entries.len() == 2, "byte {at}"),
                Err(error) => {
                    assert!(at < head.len(), "byte {at}");
                    assert_eq!(error, JournalError::Damaged { index: 0 });
                }
            }
        }
    }

    #[test]
    fn a_frame_in_the_wrong_place_is_damage() {
        let bytes = [frame(0, &["first"]), frame(5, &["sixth"])].concat();
        assert_eq!(scan(0, &bytes).err(), Some(JournalError::Damaged { index: 1 }));
    }

    #[test]
    fn segments_have_to_follow_each_other() {
        let one = || continued(None, 4, frame(4, &["a", "b"])).unwrap();
        assert_eq!(continued(Some(one()), 6, frame(6, &["c"])).unwrap().entry(6), Some(&b"c"[..]));
        let gap = continued(Some(one()), 7, frame(7, &["c"])).unwrap_err();
        assert_eq!(gap, JournalError::Gap { missing_from: 6, next: 7 });
        let torn = continued(None, 4, frame(4, &["a"])[..20].to_vec()).unwrap();
        assert_eq!((torn.end(), torn.torn_bytes), (4, 20));
        let after = continued(Some(torn), 4, frame(4, &["a"])).unwrap_err();
        assert_eq!(after, JournalError::Damaged { index: 4 });
    }

    #[test]
    fn a_directory_without_segments_has_no_journal() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(directory.path()).unwrap().is_none());
        std::fs::create_dir(directory.path().join(JOURNAL_DIRECTORY)).unwrap();
        std::fs::write(directory.path().join("journal/notes.txt"), "x").unwrap();
        assert!(read(directory.path()).unwrap().is_none());
    }
}
