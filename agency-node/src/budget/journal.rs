//! Where a use becomes durable: one line each, with its own checksum, appended and synced.
//!
//! A last line that is torn was never acknowledged and is cut. Anything else that is wrong is damage,
//! and the node does not start: it will not give back what it cannot read. After a write that failed
//! nothing is taken any more until the node has started again and has read what is there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{about::About, disk};

/// Characters of a checksum.
const CHECK: usize = 8;

/// One use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Use {
    Question { at_ms: i64, person: String, agency: String, purpose: String },
    Scores { at_ms: i64, of: Vec<About> },
}

/// The open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    failed: bool,
    appended: usize,
}

impl Journal {
    /// Opens the journal and reads what it holds.
    ///
    /// # Errors
    /// When it cannot be read or written, or is damaged.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Use>)> {
        let file = disk::open_to_append(path)?;
        let bytes = fs::read(path)?;
        let (uses, whole) = read(&bytes)?;
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        Ok((Self { path: path.to_owned(), file, failed: false, appended: 0 }, uses))
    }

    /// Writes a use down; it is durable when this returns.
    pub(super) fn append(&mut self, used: &Use) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed; free the disk and start the node again"));
        }
        let line = line(used)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        self.failed = written.is_err();
        self.appended += 1;
        written
    }

    /// Lines since it was opened or written anew.
    pub(super) fn appended(&self) -> usize {
        self.appended
    }

    /// Keeps only these uses; a crash leaves the journal as it was or as it is to be.
    pub(super) fn retain(&mut self, keep: impl Fn(&Use) -> bool) -> io::Result<()> {
        let (mut uses, _) = read(&fs::read(&self.path)?)?;
        let all = uses.len();
        uses.retain(keep);
        if uses.len() < all {
            let lines = uses.iter().map(line).collect::<io::Result<String>>()?;
            disk::replace(&self.path, lines.as_bytes())?;
            self.file = disk::open_to_append(&self.path)?;
        }
        self.appended = 0;
        Ok(())
    }
}

#[cfg(test)]
impl Journal {
    /// From now on the disk is full.
    pub(super) fn fail_for_test(&mut self) -> File {
        let full = File::options().write(true).open("/dev/full");
        std::mem::replace(&mut self.file, full.unwrap())
    }
}

fn line(used: &Use) -> io::Result<String> {
    let text = serde_json::to_string(used)?;
    Ok(format!("{} {text}\n", check(&text)))
}

fn check(text: &str) -> String {
    Sha256::digest(text).iter().take(CHECK / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// The uses, and the length of the whole lines.
fn read(bytes: &[u8]) -> io::Result<(Vec<Use>, usize)> {
    let (mut uses, mut whole) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match read_line(line) {
            Some(used) => uses.push(used),
            None if whole + line.len() == bytes.len() && is_torn(line) => break,
            None => return Err(disk::damaged("the journal of budgets")),
        }
        whole += line.len();
    }
    Ok((uses, whole))
}

/// True for a line that a crash may have left: its end is missing, or a part that no disk has got, which
/// reads as zeros.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

fn read_line(line: &[u8]) -> Option<Use> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (told, text) = line.split_once(' ')?;
    if told != check(text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::IdentifierType;

    fn question(at_ms: i64) -> Use {
        Use::Question { at_ms, person: "p".to_owned(), agency: "a".to_owned(), purpose: "why\n\"now\"".to_owned() }
    }

    fn scores(at_ms: i64) -> Use {
        Use::Scores { at_ms, of: vec![About::Subject(IdentifierType::Phone, 3), About::Record(9)] }
    }

    #[test]
    fn what_was_acknowledged_survives_a_crash_at_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let mut lengths = Vec::new();
        for used in [question(1), scores(2), question(3)] {
            journal.append(&used).unwrap();
            lengths.push(fs::metadata(&path).unwrap().len() as usize);
        }
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, uses) = Journal::open(&path).unwrap();
            let whole = lengths.iter().filter(|length| **length <= cut).count();
            assert_eq!(uses, [question(1), scores(2), question(3)][..whole], "cut at {cut}");
            // What comes after a torn end can be read.
            journal.append(&question(4)).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), whole + 1);
        }
    }

    #[test]
    fn a_changed_byte_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&question(1)).unwrap();
        journal.append(&question(2)).unwrap();
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            fs::write(&path, &changed).unwrap();
            let read = Journal::open(&path).map(|(_, uses)| uses);
            if at + 1 < bytes.len() {
                assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData, "byte {at}");
            } else {
                assert_eq!(read.unwrap(), [question(1)], "without its last line feed a line is torn");
            }
        }
        // Blocks of the last line that did not reach the disk.
        let last = bytes.len() - 10;
        let zeroed = [&bytes[..last], &[0; 9], b"\n"].concat();
        fs::write(&path, zeroed).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [question(1)]);
    }

    #[test]
    fn after_a_failed_write_nothing_is_taken_until_the_journal_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&question(1)).unwrap();
        let sound = journal.fail_for_test();
        assert!(journal.append(&question(2)).is_err());
        journal.file = sound;
        assert!(journal.append(&question(3)).is_err());
        assert_eq!(Journal::open(&path).unwrap().1, [question(1)]);
    }

    #[test]
    fn a_rewritten_journal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uses");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&question(1)).unwrap();
        journal.append(&scores(2)).unwrap();
        journal.retain(|used| *used == scores(2)).unwrap();
        journal.append(&question(3)).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [scores(2), question(3)]);
        // A rewriting that a crash cut off leaves what was there.
        fs::write(path.with_extension("new"), "half a li").unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [scores(2), question(3)]);
    }
}
