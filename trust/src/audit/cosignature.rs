//! Cosignatures of witnesses: C2SP tlog-cosignature v1, with Ed25519.
//!
//! A cosignature says that, at its time, the largest consistent tree that the witness has seen of a
//! log has this root. It stands as one more signature line under the log's own checkpoint:
//!
//! ```text
//! signed = "cosignature/v1\n" ‖ "time " seconds "\n" ‖ body of the checkpoint
//! line   = "— " name " " base64(key id (4) ‖ seconds (8, big-endian) ‖ signature (64))
//! ```
//!
//! Pure: whether a checkpoint deserves one is decided in [`super::witness`].

use std::collections::BTreeSet;

use aws_lc_rs::signature::Ed25519KeyPair;

use super::checkpoint::CheckpointError;
use super::note::{self, NamedKey, Note};

/// Type of a timestamped Ed25519 cosignature in key ids and verifier keys.
const COSIGNATURE_TYPE: u8 = 0x04;

fn message(time_s: u64, body: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{body}").into_bytes()
}

/// Names that stand under a note, but for the log's own, each once. Whether they have signed it is for
/// [`CosignerKey::cosigned_at`].
///
/// # Errors
/// [`CheckpointError::Malformed`].
pub(super) fn names(note: &str, log: &str) -> Result<Vec<String>, CheckpointError> {
    let note = Note::split(note)?;
    let names: BTreeSet<&str> = note.names().filter(|name| *name != log).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The public key of a witness, written as a C2SP "vkey" of type 0x04.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignerKey(NamedKey);

impl CosignerKey {
    /// The key of a name with its 32-byte Ed25519 public key.
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, CheckpointError> {
        NamedKey::new(COSIGNATURE_TYPE, name, public).map(Self)
    }

    /// The name of the witness.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// When this witness cosigned a note, in seconds since 1970-01-01T00:00:00Z; the newest time
    /// when it did so more than once, and `None` when it did not. Lines by other keys are passed over.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], or [`CheckpointError::WrongSignature`] when a line claims to
    /// be this witness's and is not.
    pub fn cosigned_at(&self, note: &str) -> Result<Option<u64>, CheckpointError> {
        let note = Note::split(note)?;
        let mut newest = None;
        for bytes in self.0.signatures(&note) {
            let wrong = || CheckpointError::WrongSignature { name: self.name().to_owned() };
            let (time, signature) = bytes.split_first_chunk().ok_or_else(wrong)?;
            let time_s = u64::from_be_bytes(*time);
            if i64::try_from(time_s).is_err() {
                return Err(wrong());
            }
            self.0.check(&message(time_s, note.body), signature)?;
            newest = newest.max(Some(time_s));
        }
        Ok(newest)
    }
}

impl std::fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for CosignerKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedKey::parse(COSIGNATURE_TYPE, text).map(Self)
    }
}

/// The private key of a witness. It signs nothing but cosignatures.
pub struct Cosigner {
    pair: Ed25519KeyPair,
    key: CosignerKey,
}

impl Cosigner {
    /// Makes a new key; returns it with its PKCS#8 (RFC 8410) form for keeping.
    ///
    /// # Errors
    /// [`CheckpointError::Name`] or [`CheckpointError::Crypto`].
    pub fn generate(name: &str) -> Result<(Self, Vec<u8>), CheckpointError> {
        let pkcs8 = note::generate_pair(name)?;
        Ok((Self::from_pkcs8(name, &pkcs8)?, pkcs8))
    }

    /// Reads a key from its PKCS#8 form, exactly as [`Cosigner::generate`] returns it.
    ///
    /// # Errors
    /// [`CheckpointError::Name`] or [`CheckpointError::SigningKey`].
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, CheckpointError> {
        let (pair, public) = note::read_pair(pkcs8)?;
        Ok(Self { pair, key: CosignerKey::new(name, public)? })
    }

    /// The public half.
    pub fn key(&self) -> &CosignerKey {
        &self.key
    }

    /// The signature line under a note, ended by a newline. `time_s` counts seconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] or [`CheckpointError::Crypto`].
    pub fn cosign(&self, note: &str, time_s: u64) -> Result<String, CheckpointError> {
        let body = Note::split(note)?.body;
        let signature = self.pair.try_sign(&message(time_s, body)).map_err(|_| CheckpointError::Crypto)?;
        Ok(self.key.0.line(&[&time_s.to_be_bytes(), signature.as_ref()].concat()))
    }
}

impl std::fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cosigner({})", self.key)
    }
}

#[cfg(test)]
mod tests;
