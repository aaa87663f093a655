//! One action as an auditor sees it: its opening, and its completion once there is one.
//!
//! Pure. An action keeps the bytes of its entries as they stand in the log, so whoever receives one can
//! hash them and check the proofs.

use super::entry::{Completion, Decision, Entry, EntryError, EntryId, Opening, Outcome, Phase};
use crate::identity::{Role, SpiffeId};

/// One half of an action, with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<T> {
    /// Index of the entry.
    pub index: u64,
    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// The entry as it stands in the log.
    pub bytes: Vec<u8>,
    /// What it says.
    pub said: T,
}

/// An opening with its completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAction {
    /// The name that both halves share.
    pub id: EntryId,
    /// What was known before the work.
    pub opening: Recorded<Opening>,
    /// What was known after it; none while the work goes on, or when a crash cut it off.
    pub completion: Option<Recorded<Completion>>,
}

/// Why entries are not the two halves of one action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// An entry cannot be understood.
    #[error("entry {index}: {cause}")]
    Entry {
        /// Index of the entry.
        index: u64,
        /// What is wrong with it.
        cause: EntryError,
    },
    /// The entries do not belong together.
    #[error("entry {index} is not the half of an action that was expected there; verify the log")]
    OtherHalf {
        /// Index of the entry.
        index: u64,
    },
}

impl RecordedAction {
    /// Puts an action together from the bytes of its entries.
    ///
    /// # Errors
    /// [`ActionError`] when an entry cannot be read, is the wrong half or of another action.
    pub fn of(opening: (u64, Vec<u8>), completion: Option<(u64, Vec<u8>)>) -> Result<Self, ActionError> {
        let (index, bytes) = opening;
        let entry = read(index, &bytes)?;
        let Phase::Open(said) = entry.phase else { return Err(ActionError::OtherHalf { index }) };
        let opening = Recorded { index, at_ms: entry.at_ms, bytes, said };
        let id = entry.entry;
        let completion = completion.map(|(index, bytes)| completion_of(id, index, bytes)).transpose()?;
        Ok(Self { id, opening, completion })
    }

    /// How it ended; none for an action that has no completion.
    pub fn outcome(&self) -> Option<Outcome> {
        self.completion.as_ref().map(|completion| completion.said.outcome)
    }

    /// What the policy decided, when it came to that.
    pub fn decision(&self) -> Option<Decision> {
        let ruling = self.completion.as_ref()?.said.ruling.as_ref()?;
        Some(ruling.decision)
    }

    /// The rules that decided, as they are written down; empty when it did not come to that.
    pub fn rule(&self) -> &str {
        let ruling = self.completion.as_ref().and_then(|completion| completion.said.ruling.as_ref());
        ruling.map_or("", |ruling| &ruling.rule)
    }

    /// The stable reason why it ended so; empty when there is none.
    pub fn detail(&self) -> &str {
        self.completion.as_ref().and_then(|completion| completion.said.detail.as_deref()).unwrap_or_default()
    }

    /// Length of its entries.
    pub fn bytes(&self) -> usize {
        self.opening.bytes.len() + self.completion.as_ref().map_or(0, |completion| completion.bytes.len())
    }

    /// The agency that the actor belongs to; none for the gateway, auditors and whoever has no name.
    pub fn agency(&self) -> Option<String> {
        agency_of(&self.opening.said.actor)
    }
}

fn completion_of(id: EntryId, index: u64, bytes: Vec<u8>) -> Result<Recorded<Completion>, ActionError> {
    let entry = read(index, &bytes)?;
    match entry.phase {
        Phase::Complete(said) if entry.entry == id => Ok(Recorded { index, at_ms: entry.at_ms, bytes, said }),
        _ => Err(ActionError::OtherHalf { index }),
    }
}

fn read(index: u64, bytes: &[u8]) -> Result<Entry, ActionError> {
    Entry::from_bytes(bytes).map_err(|cause| ActionError::Entry { index, cause })
}

/// The agency in an actor's SPIFFE ID.
pub(super) fn agency_of(actor: &str) -> Option<String> {
    actor.parse::<SpiffeId>().ok()?.agency().map(str::to_owned)
}

/// Whether an actor is the person meant: by the whole SPIFFE ID, or by the name at its end.
pub(super) fn is_person(actor: &str, wanted: &str) -> bool {
    let named = || match actor.parse::<SpiffeId>() {
        Ok(SpiffeId { role: Role::User { name, .. } | Role::Auditor { name }, .. }) => {
            name.eq_ignore_ascii_case(wanted)
        }
        _ => false,
    };
    actor == wanted || named()
}
