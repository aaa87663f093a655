//! Opening a log: first run, clean start, or the morning after a crash.
//!
//! What counts is the journal together with the full tiles before it; everything else is derived
//! from them again. Opening never makes a log fit: where the files disagree with the checkpoint
//! that was signed last, it refuses. It reads only the right edge of the tree; the whole is for
//! [`super::verify_directory`].

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, SignedCheckpoint, Signer, VerifierKey};
use super::disk::{
    JournalFile, TileFiles, TileStorage, create_private_directory, is_open_to_others, partial_widths, read_if_there,
    read_tile,
};
use super::entry::Entry;
use super::error::AuditError;
use super::journal::{self, JOURNAL_DIRECTORY, Journal, segment_name};
use super::proofs::Proofs;
use super::tiles::{TILE_WIDTH, TileId, TileTree, decode_hashes, narrowed};

/// The signed promise of the log.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";
/// The newest checkpoint that enough witnesses have cosigned, with their signatures.
pub(super) const COSIGNED_FILE: &str = "cosigned";
/// Keys of the log and of the witnesses that have cosigned it, as they state them under their certificates.
pub const KEYS_FILE: &str = "keys.json";
/// A checkpoint of this log that a witness holds and this log did not lead to: the witness's name on the
/// first line, then the note.
pub(super) const CONTRADICTION_FILE: &str = "contradiction";
/// The log's public key as a "vkey", one line.
pub(super) const VERIFIER_FILE: &str = "audit.vkey";
/// The log's private key, PKCS#8.
pub(super) const KEY_FILE: &str = "audit.key";
const LOCK_FILE: &str = "lock";

/// A log ready to be written.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) directory: PathBuf,
    /// Held as long as the log is open.
    pub(super) lock: File,
    pub(super) signer: Signer,
    pub(super) tree: TileTree,
    pub(super) journal: JournalFile,
    /// Length of the journal's last segment.
    pub(super) segment_bytes: u64,
    /// Time of the newest entry, if there is one.
    pub(super) newest_at_ms: Option<i64>,
    /// Time of the first entry, if there is one.
    pub(super) first_at_ms: Option<i64>,
    pub(super) cosigned: Option<SignedCheckpoint>,
}

/// Opens the log in a directory, or starts one.
pub(super) fn recover(directory: &Path, origin: &str) -> Result<Recovered, AuditError> {
    let at = |error: io::Error| AuditError::io(directory, &error);
    create_private_directory(directory).map_err(at)?;
    let lock = lock(directory)?;
    let mut files = TileFiles::new(directory);
    let note = read_if_there(&directory.join(CHECKPOINT_FILE)).map_err(at)?;
    let signer = signing_key(directory, origin, &mut files, note.is_some())?;
    let published = note.map(|note| verified(&note, signer.verifier())).transpose()?;
    let journal = match journal::read(directory)? {
        Some(journal) => journal,
        None if published.is_none() => first_segment(&mut files).map_err(at)?,
        None => return Err(damaged("the journal is missing")),
    };
    let tree = replay(directory, published.as_ref(), &journal)?;
    let newest_at_ms = newest(&journal)?;
    repair_edge(directory, &tree, &mut files).map_err(at)?;
    let size = published.map_or(0, |checkpoint| checkpoint.size);
    still_contradicted(directory, signer.verifier(), size)?;
    let first_at_ms = first(directory, &journal, size)?;
    let cosigned = read_if_there(&directory.join(COSIGNED_FILE)).map_err(at)?;
    let cosigned = cosigned.and_then(|note| own(&note, signer.verifier()));
    let segment = rewrite_last_segment(directory, &journal, &mut files).map_err(at)?;
    let segment_bytes = journal.last_segment_bytes.len() as u64;
    let (directory, journal) = (directory.to_owned(), segment);
    Ok(Recovered { directory, lock, signer, tree, journal, segment_bytes, newest_at_ms, first_at_ms, cosigned })
}

/// A cosigned checkpoint that cannot be read is as good as none: witnesses are asked again anyway.
fn own(note: &[u8], key: &VerifierKey) -> Option<SignedCheckpoint> {
    let note = String::from_utf8(note.to_vec()).ok()?;
    let size = key.verify(&note).ok()?.size;
    Some(SignedCheckpoint { size, note })
}

/// Refuses a log that a witness has contradicted, until the entries that the witness has seen are back.
fn still_contradicted(directory: &Path, key: &VerifierKey, own: u64) -> Result<(), AuditError> {
    let path = directory.join(CONTRADICTION_FILE);
    let at = |error: io::Error| AuditError::io(&path, &error);
    let Some(text) = read_if_there(&path).map_err(at)? else { return Ok(()) };
    let text = String::from_utf8_lossy(&text);
    let (witness, note) = text.split_once('\n').ok_or_else(|| damaged("the file `contradiction` cannot be read"))?;
    let held = key.verify(note)?;
    if held.size > own || Proofs::new(directory, own).root_at(held.size)? != held.root {
        return Err(AuditError::Contradicted { witness: witness.to_owned(), held: held.size, own });
    }
    tracing::warn!(witness, held = held.size, "the audit log holds again what its witness has seen");
    std::fs::remove_file(&path).map_err(at)
}

/// The time of the first entry.
fn first(directory: &Path, journal: &Journal, published: u64) -> Result<Option<i64>, AuditError> {
    let first = match journal.entry(0) {
        Some(entry) => entry.to_vec(),
        None if published == 0 => return Ok(None),
        None => Proofs::new(directory, published).entry(0)?,
    };
    Ok(Some(Entry::from_bytes(&first)?.at_ms))
}

fn damaged(problem: &str) -> AuditError {
    AuditError::Damaged { problem: problem.to_owned() }
}

fn lock(directory: &Path) -> Result<File, AuditError> {
    let path = directory.join(LOCK_FILE);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| AuditError::io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(AuditError::io(&path, &error)),
    }
}

/// Reads the signing key; makes one at the first run and never again.
fn signing_key(directory: &Path, origin: &str, files: &mut TileFiles, published: bool) -> Result<Signer, AuditError> {
    let path = directory.join(KEY_FILE);
    let at = |error: io::Error| AuditError::io(&path, &error);
    let refused = |problem| AuditError::Key { path: path.clone(), problem };
    let signer = match read_if_there(&path).map_err(at)? {
        Some(_) if is_open_to_others(&path).map_err(at)? => {
            return Err(refused("can be read by others; check who did, then chmod 600"));
        }
        Some(pkcs8) => Signer::from_pkcs8(origin, &pkcs8)?,
        None if published => {
            return Err(refused("is missing; restore it, or start a new log in a new directory"));
        }
        None => {
            let (signer, pkcs8) = Signer::generate(origin)?;
            files.put_synced(KEY_FILE, &pkcs8).map_err(at)?;
            signer
        }
    };
    let expected = format!("{}\n", signer.verifier());
    match read_if_there(&directory.join(VERIFIER_FILE)).map_err(at)? {
        Some(found) if found == expected.as_bytes() => {}
        Some(found) => {
            let found = String::from_utf8_lossy(&found).trim_end().to_owned();
            return Err(AuditError::OtherLog { found, expected: expected.trim_end().to_owned() });
        }
        None => files.put_synced(VERIFIER_FILE, expected.as_bytes()).map_err(at)?,
    }
    files.sync_names().map_err(at)?;
    Ok(signer)
}

fn verified(note: &[u8], key: &VerifierKey) -> Result<Checkpoint, AuditError> {
    let note = std::str::from_utf8(note).map_err(|_| damaged("the checkpoint is not text"))?;
    Ok(key.verify(note)?)
}

fn segment_path(first: u64) -> String {
    format!("{JOURNAL_DIRECTORY}/{}", segment_name(first))
}

fn first_segment(files: &mut TileFiles) -> io::Result<Journal> {
    files.put_synced(&segment_path(0), &[])?;
    files.sync_names()?;
    Ok(Journal { first: 0, entries: Vec::new(), last_segment: 0, last_segment_bytes: Vec::new(), torn_bytes: 0 })
}

/// Grows the tree from the full tiles before the journal and the entries in it, and compares it
/// with the published checkpoint on the way.
fn replay(directory: &Path, published: Option<&Checkpoint>, journal: &Journal) -> Result<TileTree, AuditError> {
    let sealed = journal.first.next_multiple_of(TILE_WIDTH);
    let size = match published {
        Some(checkpoint) => checkpoint.size,
        None if journal.end() == 0 => 0,
        None => return Err(damaged("the checkpoint is missing")),
    };
    if size > journal.end() {
        return Err(AuditError::Truncated { published: size, held: journal.end() });
    }
    if size < sealed {
        return Err(damaged("the checkpoint is older than the journal"));
    }
    let mut tree = TileTree::resume(sealed, |tile| {
        let bytes = read_tile(directory, tile).map_err(|error| AuditError::io(directory, &error))?;
        let bytes = bytes.ok_or_else(|| damaged(&format!("{tile} is missing")))?;
        Ok::<_, AuditError>(decode_hashes(&bytes)?)
    })?;
    let disagrees = |tree: &TileTree| {
        published.is_some_and(|checkpoint| checkpoint.size == tree.size() && checkpoint.root != tree.root())
    };
    let skipped = (sealed - journal.first) as usize;
    for entry in journal.entries.iter().skip(skipped) {
        if disagrees(&tree) {
            return Err(AuditError::Disagrees { size });
        }
        tree.push(entry)?;
    }
    if disagrees(&tree) { Err(AuditError::Disagrees { size }) } else { Ok(tree) }
}

/// The newest time in the journal. A segment is deleted only when a later one holds an entry, so
/// this is the time of the whole log but for the tolerance of the writer.
fn newest(journal: &Journal) -> Result<Option<i64>, AuditError> {
    let mut newest = None;
    for entry in &journal.entries {
        newest = newest.max(Some(Entry::from_bytes(entry)?.at_ms));
    }
    Ok(newest)
}

/// Partial tiles are written without waiting for the disk, so a power failure can spoil them, also
/// those of older checkpoints: write again what is not what the tree says.
fn repair_edge(directory: &Path, tree: &TileTree, files: &mut TileFiles) -> io::Result<()> {
    for (edge, bytes) in tree.edge() {
        for width in partial_widths(directory, edge.kind, edge.index)? {
            let path = TileId { width, ..edge }.path();
            match narrowed(edge.kind, &bytes, width) {
                Some(right) if std::fs::read(directory.join(&path))? == right => {}
                Some(right) => files.put(&path, right)?,
                None => std::fs::remove_file(directory.join(&path))?,
            }
        }
    }
    Ok(())
}

/// After a failed write the system may show bytes that never reached the disk: what was read is
/// written anew, without a torn end.
fn rewrite_last_segment(directory: &Path, journal: &Journal, files: &mut TileFiles) -> io::Result<JournalFile> {
    if journal.torn_bytes > 0 {
        tracing::warn!(
            bytes = journal.torn_bytes,
            "the audit journal had a torn end that belongs to no acknowledged entry; dropped"
        );
    }
    files.put_synced(&segment_path(journal.last_segment), &journal.last_segment_bytes)?;
    files.sync_names()?;
    JournalFile::open(directory, journal.last_segment)
}
