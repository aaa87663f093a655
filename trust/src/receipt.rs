//! Receipts: what proves to anyone, offline, that a question stands in a party's audit log.
//!
//! A receipt is a C2SP tlog-proof of the entry that completed the question, so that programs of third
//! parties can check it. Its extra data hold what they need for that and people want to read: both
//! entries themselves, the opening's own proof, and the keys of the log and its witnesses under their
//! identities.
//!
//! Pure: it neither asks anyone nor reads a clock. It proves what a log holds, not that it is true.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::audit::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use crate::audit::cosignature::CosignerKey;
use crate::audit::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::audit::{Completion, Entry, Opening, Phase};
use crate::witnessing::SignedKeys;

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// The longest receipt that is read, in bytes.
pub const RECEIPT_LIMIT_BYTES: usize = 1024 * 1024;

/// A receipt that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry that the question was opened with.
    pub opening: Logged,
    /// The entry that it was completed with.
    pub completion: Logged,
    /// The checkpoint that covers both, with the cosignatures of witnesses.
    pub note: String,
    /// Keys of the log and of its witnesses, under their identities.
    pub keys: Vec<SignedKeys>,
}

/// An entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// From 0.
    pub index: u64,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Inclusion proof under the checkpoint.
    pub proof: Vec<Hash>,
}

/// Why a receipt is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text is no receipt.
    #[error("this is no receipt ({0}); take the file as `sallyport ask --receipt` wrote it")]
    Malformed(&'static str),
    /// The checkpoint or a cosignature is wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An entry does not stand where the receipt says.
    #[error("the {0} does not stand in the log where the receipt says; the receipt was changed")]
    NotLogged(&'static str),
    /// The two entries are not of one question.
    #[error("the two entries are not the opening and the completion of one question; the receipt was changed")]
    NotOneQuestion,
    /// None of the witnesses has cosigned the checkpoint.
    #[error("no witness has cosigned the checkpoint; ask for the receipt again, or name its witnesses' keys")]
    NotWitnessed,
}

/// What a receipt was found to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// When the question was opened, by the log's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub opened_at_ms: i64,
    /// Who asked what, why.
    pub opening: Opening,
    /// When it was completed.
    pub completed_at_ms: i64,
    /// How it ended and what was decided.
    pub completion: Completion,
    /// The checkpoint that covers both entries.
    pub checkpoint: Checkpoint,
    /// Names of the witnesses that have cosigned it, and when, in seconds since 1970-01-01T00:00:00Z.
    pub witnesses: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    completion: String,
    opening: OpeningProof,
    keys: Vec<SignedKeys>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningProof {
    index: u64,
    entry: String,
    proof: Vec<String>,
}

impl Receipt {
    /// Checks everything against keys that the caller trusts for this log and its witnesses. Without
    /// witnesses' keys, cosignatures are not looked at.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn check(&self, log: &VerifierKey, witnesses: &[CosignerKey]) -> Result<Proven, ReceiptError> {
        let checkpoint = log.verify(&self.note)?;
        let mut cosigned = Vec::new();
        for key in witnesses {
            let time_s = key.cosigned_at(&self.note)?;
            cosigned.extend(time_s.map(|time_s| (key.name().to_owned(), time_s)));
        }
        if cosigned.is_empty() && !witnesses.is_empty() {
            return Err(ReceiptError::NotWitnessed);
        }
        let opened = self.opening.check("opening", &checkpoint)?;
        let completed = self.completion.check("completion", &checkpoint)?;
        match (opened.phase, completed.phase) {
            (Phase::Open(opening), Phase::Complete(completion))
                if opened.entry == completed.entry && self.opening.index < self.completion.index =>
            {
                Ok(Proven {
                    opened_at_ms: opened.at_ms,
                    opening,
                    completed_at_ms: completed.at_ms,
                    completion,
                    checkpoint,
                    witnesses: cosigned,
                })
            }
            _ => Err(ReceiptError::NotOneQuestion),
        }
    }
}

impl Logged {
    fn check(&self, what: &'static str, checkpoint: &Checkpoint) -> Result<Entry, ReceiptError> {
        let leaf = leaf_hash(&self.entry);
        verify_inclusion(&leaf, self.index, checkpoint.size, &self.proof, &checkpoint.root)
            .map_err(|_| ReceiptError::NotLogged(what))?;
        Entry::from_bytes(&self.entry).map_err(|_| ReceiptError::NotLogged(what))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.entry).into_owned()
    }
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let opening = OpeningProof {
            index: self.opening.index,
            entry: self.opening.text(),
            proof: self.opening.proof.iter().map(ToString::to_string).collect(),
        };
        let extra = Extra { completion: self.completion.text(), opening, keys: self.keys.clone() };
        let extra = serde_json::to_vec(&extra).map_err(|_| std::fmt::Error)?;
        writeln!(f, "{HEAD}\nextra {}\nindex {}", STANDARD.encode(extra), self.completion.index)?;
        self.completion.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

impl std::str::FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = ReceiptError::Malformed;
        if text.len() > RECEIPT_LIMIT_BYTES {
            return Err(malformed("longer than 1 MiB"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEAD) {
            return Err(malformed("another first line"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(malformed("no extra data"))?;
        let extra = STANDARD.decode(extra).map_err(|_| malformed("the extra data are no base64"))?;
        let extra: Extra = serde_json::from_slice(&extra).map_err(|_| malformed("the extra data are unknown"))?;
        let index_text = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("no index"))?;
        let index: u64 = index_text.parse().map_err(|_| malformed("the index is no number"))?;
        if index.to_string() != index_text {
            return Err(malformed("the index is not in its shortest form"));
        }
        let opening = Logged {
            index: extra.opening.index,
            entry: extra.opening.entry.into_bytes(),
            proof: hashes(extra.opening.proof.iter().map(String::as_str))?,
        };
        let completion = Logged { index, entry: extra.completion.into_bytes(), proof: hashes(lines)? };
        Ok(Self { opening, completion, note: note.to_owned(), keys: extra.keys })
    }
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, ReceiptError> {
    let hash = |line: &str| Some(Hash(STANDARD.decode(line).ok()?.try_into().ok()?));
    lines.map(|line| hash(line).ok_or(ReceiptError::Malformed("a hash cannot be read"))).collect()
}
