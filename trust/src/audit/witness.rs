//! What a witness answers to a log that asks for its cosignature: C2SP tlog-witness, `add-checkpoint`.
//!
//! ```text
//! old 20852014
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=        consistency proof, any number of lines
//!
//! example.com/log                                    the checkpoint
//! …
//! ```
//!
//! Pure: [`judge`] is handed what the witness holds and changes nothing. Whoever calls it must keep
//! the checkpoint durably *before* cosigning, and let nobody in between: judging and keeping are one
//! step for each log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use super::merkle::{Hash, empty_root, verify_consistency};
use super::note::Note;

/// Most lines of a consistency proof.
const PROOF_LIMIT_LINES: usize = 63;

/// A log's request for a cosignature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness is thought to hold; 0 when it holds none.
    pub old: u64,
    /// Consistency proof from the old size to the checkpoint's (RFC 6962 section 2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint, with its signatures.
    pub note: String,
}

impl std::fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

impl std::str::FromStr for AddCheckpoint {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, note) = text.split_once("\n\n").ok_or(Refused::Malformed)?;
        let mut lines = head.split('\n');
        let old_text = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(Refused::Malformed)?;
        let old: u64 = old_text.parse().map_err(|_| Refused::Malformed)?;
        if old.to_string() != old_text {
            return Err(Refused::Malformed);
        }
        let mut proof = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).map_err(|_| Refused::Malformed)?;
            proof.push(Hash(hash.try_into().map_err(|_| Refused::Malformed)?));
        }
        if proof.len() > PROOF_LIMIT_LINES {
            return Err(Refused::Malformed);
        }
        Ok(Self { old, proof, note: note.to_owned() })
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The request is not in its form, or its old size exceeds the checkpoint's.
    #[error("the request is malformed")]
    Malformed,
    /// No signature by the key that the witness knows for this log.
    #[error("the checkpoint is not signed by the key that is known for this log")]
    NotSigned,
    /// The witness does not watch this log.
    #[error("this log is not watched here")]
    UnknownLog,
    /// The witness holds a checkpoint of another size than the request says.
    #[error("the witness holds a checkpoint of another size")]
    OtherSize,
    /// The witness holds a larger checkpoint than the one that was offered: the log was rolled back or
    /// truncated.
    #[error("the witness holds a larger checkpoint of this log")]
    Behind,
    /// The witness holds another tree of the same size: the log has two histories.
    #[error("the witness holds another tree of the same size")]
    Forked,
    /// The proof does not lead from the held tree to the offered one.
    #[error("the checkpoint is not proved to continue what the witness holds")]
    Inconsistent,
}

impl Refused {
    /// The HTTP status that tlog-witness gives to this outcome; a cosignature has 200.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NotSigned => 403,
            Self::UnknownLog => 404,
            Self::OtherSize | Self::Behind | Self::Forked => 409,
            Self::Inconsistent => 422,
        }
    }

    /// The stable reason of what speaks against the log itself; `None` for what can happen to an
    /// honest one.
    pub fn accusation(self) -> Option<&'static str> {
        match self {
            Self::NotSigned => Some("checkpoint_not_signed"),
            Self::Behind => Some("checkpoint_behind"),
            Self::Forked => Some("checkpoint_forked"),
            Self::Inconsistent => Some("checkpoint_inconsistent"),
            Self::Malformed | Self::UnknownLog | Self::OtherSize => None,
        }
    }
}

/// Decides whether a log's new checkpoint may be cosigned: signed by the log's key, and proved to
/// continue `held`, the newest one that the witness has cosigned. Returns the checkpoint to keep.
///
/// # Errors
/// [`Refused`], checked in the order of tlog-witness.
pub fn judge(request: &AddCheckpoint, key: &VerifierKey, held: Option<&Checkpoint>) -> Result<Checkpoint, Refused> {
    let claimed = Note::split(&request.note).and_then(|note| Checkpoint::from_body(note.body));
    if claimed.map_err(|_| Refused::Malformed)?.origin != key.name() {
        return Err(Refused::UnknownLog);
    }
    let offered = key.verify(&request.note).map_err(|error| match error {
        CheckpointError::NotSigned { .. } | CheckpointError::WrongSignature { .. } => Refused::NotSigned,
        _ => Refused::Malformed,
    })?;
    if request.old > offered.size {
        return Err(Refused::Malformed);
    }
    let (size, root) = held.map_or((0, empty_root()), |held| (held.size, held.root));
    if offered.size < size {
        return Err(Refused::Behind);
    }
    if offered.size == size && offered.root != root {
        return Err(Refused::Forked);
    }
    if request.old != size {
        return Err(Refused::OtherSize);
    }
    verify_consistency(size, &root, offered.size, &offered.root, &request.proof).map_err(|_| Refused::Inconsistent)?;
    Ok(offered)
}

#[cfg(test)]
mod tests;
