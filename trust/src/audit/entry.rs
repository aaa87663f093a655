//! What an entry of the audit log holds, and its one byte form.
//!
//! An entry is compact JSON with its fields in the order written here and nothing else: the same
//! entry has the same bytes everywhere, and a field that is not known is refused. An entry says who
//! did what, why, on which data set, and what was decided; it **never names a subject**: there is no
//! field for an identifier, a tag or a score. `purpose`, `case_number` and `reason` are words of the
//! person who asked, kept as they were given.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::tiles::ENTRY_LIMIT_BYTES;

/// The version of the form written here.
pub const ENTRY_FORMAT: u32 = 1;

/// Most pairs in `obligations` or in `counts`.
pub const PAIRS_LIMIT: usize = 64;

/// Longest key of `obligations`, `decided_on` and `counts`, in bytes.
pub const KEY_LIMIT_BYTES: usize = 64;

/// All of `decided_on` together, in bytes.
pub const DECIDED_ON_LIMIT_BYTES: usize = 8 * 1024;

/// Why an entry cannot be written or was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A text is too long.
    #[error("{field} is {bytes} bytes long and at most {limit} can be recorded; shorten it")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// A text that must say something is empty.
    #[error("{field} is empty and has to be recorded; fill it in or leave it out")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A text holds control characters other than a tab or a line feed.
    #[error("{field} holds control characters, which cannot be recorded; remove them")]
    ControlCharacters {
        /// The field.
        field: &'static str,
    },
    /// A digest is not in lower-case hexadecimal.
    #[error("{field} must be written in lower-case hexadecimal digits")]
    NotHex {
        /// The field.
        field: &'static str,
    },
    /// Too many pairs in a map.
    #[error("{field} has {count} pairs and at most {PAIRS_LIMIT} can be recorded; leave some out")]
    TooManyPairs {
        /// The field.
        field: &'static str,
        /// Number of pairs.
        count: usize,
    },
    /// The bytes are not an entry of this version.
    #[error("not an audit entry of format {ENTRY_FORMAT} ({problem}); a newer version of this program may read it")]
    Malformed {
        /// What the parser found, without any content of the entry.
        problem: String,
    },
    /// The bytes say what an entry says, but not in its one form.
    #[error("the entry is not in canonical form; it was not written by this program")]
    NotCanonical,
    /// The entry as a whole does not fit.
    #[error("the entry is {bytes} bytes long and at most {ENTRY_LIMIT_BYTES} can be recorded")]
    Oversized {
        /// Its length.
        bytes: usize,
    },
    /// No random identifier could be made.
    #[error("the system gave no random numbers; try again")]
    NoRandomness,
}

/// The random name that ties a completion to its opening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId([u8; 16]);

impl EntryId {
    /// A fresh name from the system's random numbers.
    ///
    /// # Errors
    /// [`EntryError::NoRandomness`].
    pub fn random() -> Result<Self, EntryError> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| EntryError::NoRandomness)?;
        Ok(Self(id))
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::str::FromStr for EntryId {
    type Err = EntryError;

    /// Reads the 32 hexadecimal digits that [`Display`](std::fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !is_hex(text) {
            return Err(EntryError::NotHex { field: "entry" });
        }
        let id = u128::from_str_radix(text, 16).map_err(|_| EntryError::NotHex { field: "entry" })?;
        Ok(Self(id.to_be_bytes()))
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EntryId({self})")
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("an entry id has 32 hexadecimal digits"))
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Version of the form: [`ENTRY_FORMAT`].
    pub format: u32,
    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z, by the clock of the writer.
    pub at_ms: i64,
    /// Shared by an opening and its completion.
    pub entry: EntryId,
    /// What it records.
    pub phase: Phase,
}

/// Which half of an action an entry records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Written before the work begins.
    Open(Opening),
    /// Written before the answer leaves.
    Complete(Completion),
}

/// What is known before the work begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// SPIFFE ID of the person or the process on whose behalf the work is done.
    pub actor: String,
    /// SPIFFE ID of the peer that brought the request, when that is not the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// What is to be done, in `snake_case`, such as `ask` or `evaluate_tags`.
    pub action: String,
    /// What it is done to: the name of a data set, or `question`.
    pub resource: String,
    /// Digest of the signed question, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Authorised purpose that was stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Case number that was stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_number: Option<String>,
    /// Reason that was stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is known when the work has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// What the policy decided, when it came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// The attributes of asker, resource and circumstances that it was decided on, by full name, so that
    /// the decision can be rehearsed. Empty in older entries, and where it cannot be written down whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decided_on: BTreeMap<String, String>,
    /// How much was read, sent, matched and the like, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Stable reason in `snake_case` why it ended so, or the digest of what was written down elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Completion {
    /// A completion that says only how the work ended.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, ruling: None, decided_on: BTreeMap::new(), counts: BTreeMap::new(), detail: None }
    }
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The work was done and its result was released.
    Answered,
    /// The policy, or a check before it, refused.
    Denied,
    /// It waits for the owner's consent.
    Held,
    /// It could not be done.
    Failed,
    /// The asker withdrew.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// The work was dropped without saying how it ended.
    Abandoned,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] =
        [Self::Answered, Self::Denied, Self::Held, Self::Failed, Self::Cancelled, Self::TimedOut, Self::Abandoned];

    /// The word that stands in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What the policy decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// The rule that decided, or the name of the default.
    pub rule: String,
    /// Hash of the policy in force, in hexadecimal.
    pub policy: String,
    /// What the decision demands, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub obligations: BTreeMap<String, String>,
}

/// A decision of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may be done, under the obligations.
    Allow,
    /// It may not be done.
    Deny,
    /// The owner has to consent first.
    Hold,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Hold];

    /// The word that stands in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hold => "hold",
        }
    }
}

impl Entry {
    pub(super) fn new(at_ms: i64, entry: EntryId, phase: Phase) -> Self {
        Self { format: ENTRY_FORMAT, at_ms, entry, phase }
    }

    /// The one byte form of the entry, at most [`ENTRY_LIMIT_BYTES`].
    ///
    /// # Errors
    /// An [`EntryError`] that names the field to change.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let malformed = |error: serde_json::Error| EntryError::Malformed { problem: error.to_string() };
        let bytes = serde_json::to_vec(self).map_err(malformed)?;
        if bytes.len() > ENTRY_LIMIT_BYTES {
            return Err(EntryError::Oversized { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an entry and checks that these are its canonical bytes.
    ///
    /// # Errors
    /// [`EntryError::Malformed`], [`EntryError::NotCanonical`], or the limit that it breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        // The category alone: the parser's own words can quote the entry.
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| EntryError::Malformed {
            problem: format!("{:?} error at column {}", error.classify(), error.column()),
        })?;
        if entry.format != ENTRY_FORMAT {
            let problem = format!("it has format {}", entry.format);
            return Err(EntryError::Malformed { problem });
        }
        if entry.to_bytes()? == bytes { Ok(entry) } else { Err(EntryError::NotCanonical) }
    }

    fn check(&self) -> Result<(), EntryError> {
        match &self.phase {
            Phase::Open(opening) => opening.check(),
            Phase::Complete(completion) => completion.check(),
        }
    }
}

// Without control characters JSON at most doubles a text, so an opening at all its limits takes
// under 19 KiB and a completion under 62 KiB.
impl Opening {
    fn check(&self) -> Result<(), EntryError> {
        required("actor", &self.actor, 2048)?;
        optional("via", &self.via, 2048)?;
        required("action", &self.action, 64)?;
        required("resource", &self.resource, 256)?;
        optional("question", &self.question, 128)?;
        hex("question", self.question.as_deref().unwrap_or_default())?;
        optional("purpose", &self.purpose, 256)?;
        optional("case_number", &self.case_number, 256)?;
        optional("reason", &self.reason, 4096)
    }
}

impl Completion {
    fn check(&self) -> Result<(), EntryError> {
        keys("counts", &self.counts)?;
        optional("detail", &self.detail, 512)?;
        keys("decided_on", &self.decided_on)?;
        self.decided_on.values().try_for_each(|value| text("decided_on", value, 512))?;
        let bytes = self.decided_on.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > DECIDED_ON_LIMIT_BYTES {
            return Err(EntryError::TooLong { field: "decided_on", bytes, limit: DECIDED_ON_LIMIT_BYTES });
        }
        let Some(ruling) = &self.ruling else { return Ok(()) };
        required("rule", &ruling.rule, 512)?;
        required("policy", &ruling.policy, 128)?;
        hex("policy", &ruling.policy)?;
        keys("obligations", &ruling.obligations)?;
        ruling.obligations.values().try_for_each(|value| text("obligations", value, 128))
    }
}

fn text(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    if value.len() > limit {
        return Err(EntryError::TooLong { field, bytes: value.len(), limit });
    }
    if value.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return Err(EntryError::ControlCharacters { field });
    }
    Ok(())
}

fn required(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    if value.is_empty() {
        return Err(EntryError::Empty { field });
    }
    text(field, value, limit)
}

fn optional(field: &'static str, value: &Option<String>, limit: usize) -> Result<(), EntryError> {
    value.as_deref().map_or(Ok(()), |value| required(field, value, limit))
}

fn keys<V>(field: &'static str, map: &BTreeMap<String, V>) -> Result<(), EntryError> {
    if map.len() > PAIRS_LIMIT {
        return Err(EntryError::TooManyPairs { field, count: map.len() });
    }
    map.keys().try_for_each(|key| required(field, key, KEY_LIMIT_BYTES))
}

fn hex(field: &'static str, value: &str) -> Result<(), EntryError> {
    if is_hex(value) { Ok(()) } else { Err(EntryError::NotHex { field }) }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
