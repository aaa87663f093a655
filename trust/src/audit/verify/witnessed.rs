//! What its witnesses have left beside a log: the newest checkpoint that they have cosigned, and a
//! checkpoint that speaks against it.
//!
//! The log must lead to both. Whose the cosignatures are is for whoever has the witnesses' keys.

use std::path::Path;

use super::{VerifyError, unreadable};
use crate::audit::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use crate::audit::cosignature::{self, CosignerKey};
use crate::audit::disk::read_if_there;
use crate::audit::proofs::Proofs;
use crate::audit::recovery::{CONTRADICTION_FILE, COSIGNED_FILE};

/// The newest checkpoint of a log that enough witnesses have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// What it promises.
    pub checkpoint: Checkpoint,
    /// Who is said to have cosigned it, by the names under it.
    pub names: Vec<String>,
    note: String,
}

impl Cosigned {
    /// When a witness cosigned, in seconds since 1970-01-01T00:00:00Z; `None` when it did not.
    ///
    /// # Errors
    /// [`CheckpointError::WrongSignature`] when a line claims to be this witness's and is not.
    pub fn by(&self, witness: &CosignerKey) -> Result<Option<u64>, CheckpointError> {
        witness.cosigned_at(&self.note)
    }
}

/// The cosigned checkpoint, under the log's own signature; `None` when nobody has ever cosigned.
pub(super) fn read(directory: &Path, key: &VerifierKey) -> Result<Option<Cosigned>, VerifyError> {
    let Some(note) = text(directory, COSIGNED_FILE)? else { return Ok(None) };
    let wrong = |cause| VerifyError::Cosigned { cause };
    let checkpoint = key.verify(&note).map_err(wrong)?;
    let names = cosignature::names(&note, key.name()).map_err(wrong)?;
    if names.is_empty() {
        return Err(wrong(CheckpointError::Malformed { problem: "no witness has signed it" }));
    }
    Ok(Some(Cosigned { checkpoint, names, note }))
}

/// Checks that a good log leads to what witnesses have seen of it.
pub(super) fn check(
    directory: &Path,
    key: &VerifierKey,
    entries: u64,
    cosigned: Option<&Cosigned>,
) -> Result<(), VerifyError> {
    if let Some(text) = text(directory, CONTRADICTION_FILE)? {
        let malformed = CheckpointError::Malformed { problem: "`contradiction` does not begin with a witness" };
        let (witness, note) = text.split_once('\n').ok_or(malformed)?;
        let held = key.verify(note)?;
        if !leads_to(directory, entries, &held)? {
            return Err(VerifyError::Contradicted { witness: witness.to_owned(), held: held.size, entries });
        }
    }
    match cosigned {
        Some(Cosigned { checkpoint, .. }) if !leads_to(directory, entries, checkpoint)? => {
            Err(VerifyError::NotAsCosigned { cosigned: checkpoint.size, entries })
        }
        _ => Ok(()),
    }
}

/// Whether the first entries of a log are those of a checkpoint.
fn leads_to(directory: &Path, entries: u64, checkpoint: &Checkpoint) -> Result<bool, VerifyError> {
    if checkpoint.size > entries {
        return Ok(false);
    }
    let root = Proofs::new(directory, entries).root_at(checkpoint.size);
    root.map(|root| root == checkpoint.root).map_err(|error| VerifyError::Tiles { cause: error.to_string() })
}

fn text(directory: &Path, name: &str) -> Result<Option<String>, VerifyError> {
    let path = directory.join(name);
    let bytes = read_if_there(&path).map_err(|error| unreadable(&path, &error))?;
    let not_text = |_| CheckpointError::Malformed { problem: "it is not text" };
    Ok(bytes.map(String::from_utf8).transpose().map_err(not_text)?)
}
