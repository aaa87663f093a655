//! What a party knows of the others' logs, in one file for each of them.
//!
//! A file holds the pinned keys and the newest checkpoint that was cosigned. It is replaced in one
//! durable step before a cosignature leaves, under a lock for that party, so that judging and keeping
//! are one. Nothing here is ever forgotten: to let a party begin a new log, its witnesses' operators
//! remove its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::keys::{PartyKeys, SignedKeys};
use crate::audit::AuditError;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::cosignature::Cosigner;
use crate::audit::disk::{create_private_directory, is_open_to_others, read_if_there, replace_private};
use crate::identity::{Role, SpiffeId};

const COSIGNER_FILE: &str = "cosigner.key";

/// What is known of every other party.
#[derive(Debug)]
pub(super) struct Memory {
    directory: PathBuf,
    slots: RwLock<Slots>,
}

type Slots = BTreeMap<SpiffeId, Arc<Mutex<Slot>>>;

/// What is known of one party, and where it is kept.
#[derive(Debug)]
pub(super) struct Slot {
    path: PathBuf,
    known: Option<Known>,
    /// What was last held against it in this process, so that a repetition is not written down again.
    pub(super) accused: Option<(&'static str, String)>,
}

/// Pinned keys, and the newest checkpoint that was cosigned.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) keys: PartyKeys,
    pub(super) signed: SignedKeys,
    pub(super) held: Option<(Checkpoint, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: SignedKeys,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
}

impl Memory {
    /// Reads what is known of these parties; makes the directory at the first start.
    pub(super) fn open(directory: &Path, parties: &[SpiffeId]) -> Result<Self, AuditError> {
        create_private_directory(directory).map_err(|error| unusable(directory, &error))?;
        let memory = Self { directory: directory.to_owned(), slots: RwLock::default() };
        memory.expect(parties)?;
        Ok(memory)
    }

    /// Takes these parties from now on; what is known of one that is none of them any more stays in its
    /// file.
    ///
    /// # Errors
    /// [`AuditError`] when a file cannot be used: the parties stay as they were.
    pub(super) fn expect(&self, parties: &[SpiffeId]) -> Result<(), AuditError> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = |party: &SpiffeId| match slots.get(party) {
            Some(slot) => Ok(slot.clone()),
            None => Slot::open(&self.directory, party).map(|slot| Arc::new(Mutex::new(slot))),
        };
        let expected = parties.iter().map(|party| Ok((party.clone(), slot(party)?)));
        let expected = expected.collect::<Result<Slots, AuditError>>()?;
        *slots = expected;
        Ok(())
    }

    /// What is known of a party; `None` when it is none of ours.
    pub(super) fn of(&self, party: &SpiffeId) -> Option<Arc<Mutex<Slot>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(party).cloned()
    }

    pub(super) fn parties(&self) -> Vec<SpiffeId> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// The slot, for as long as the guard is held.
pub(super) fn locked(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // What a panicking thread left is what stands in the file.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn open(directory: &Path, party: &SpiffeId) -> Result<Self, AuditError> {
        let name = match &party.role {
            Role::Node { agency } => format!("node-{agency}.json"),
            _ => "gateway.json".to_owned(),
        };
        let path = directory.join(name);
        let bytes = read_if_there(&path).map_err(|error| unusable(&path, &error))?;
        let damaged = || AuditError::Damaged { problem: format!("{} cannot be read", path.display()) };
        let known = bytes.map(|bytes| Known::read(&bytes).ok_or_else(damaged)).transpose()?;
        Ok(Self { path, known, accused: None })
    }

    pub(super) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Keeps what is known from now on; durable on return.
    pub(super) fn keep(&mut self, known: Known) -> std::io::Result<()> {
        let held = known.held.as_ref().map(|(_, note)| note.clone());
        let bytes = serde_json::to_vec_pretty(&File { keys: known.signed.clone(), held })?;
        replace_private(&self.path, &bytes)?;
        self.known = Some(known);
        Ok(())
    }
}

impl Known {
    fn read(bytes: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(bytes).ok()?;
        // The signature was verified when the keys were pinned; its certificate may have expired since.
        let (keys, _) = file.keys.read().ok()?;
        let held = match file.held {
            Some(note) => Some((keys.log.verify(&note).ok()?, note)),
            None => None,
        };
        Some(Self { keys, signed: file.keys, held })
    }
}

/// Reads the key that cosigns; makes one at the first start.
pub(super) fn cosigner(directory: &Path, name: &str) -> Result<Cosigner, AuditError> {
    let path = directory.join(COSIGNER_FILE);
    let at = |error: std::io::Error| unusable(&path, &error);
    match read_if_there(&path).map_err(at)? {
        Some(_) if is_open_to_others(&path).map_err(at)? => {
            Err(AuditError::Key { path, problem: "can be read by others; check who did, then chmod 600" })
        }
        Some(pkcs8) => Ok(Cosigner::from_pkcs8(name, &pkcs8)?),
        None => {
            let (cosigner, pkcs8) = Cosigner::generate(name)?;
            replace_private(&path, &pkcs8).map_err(at)?;
            Ok(cosigner)
        }
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> AuditError {
    AuditError::Directory { path: path.to_owned(), cause: error.to_string() }
}
