//! Signed checkpoints: C2SP tlog-checkpoint inside a C2SP signed note, with Ed25519.
//!
//! ```text
//! sallyport.example/agency/hsi
//! 4096
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — sallyport.example/agency/hsi Az3grlgtzPICa5OS8npVmf1Myq/5…
//! ```
//!
//! Pure: keys come in as bytes, notes go out as text. A signature by a key that is not known is
//! passed over, as the format demands, so that witnesses may add theirs to the same note; one by a
//! known key that does not verify spoils the whole note.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;
use super::note::{self, NAME_LIMIT_BYTES, NamedKey, Note};

const ED25519_TYPE: u8 = 0x01;

/// Why a checkpoint or a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The name cannot stand in a note.
    #[error(
        "{name:?} cannot name a log; use 1 to {NAME_LIMIT_BYTES} bytes without spaces, plus signs \
         or control characters, such as sallyport.example/agency/hsi"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// The note does not have the form of a checkpoint.
    #[error("the checkpoint is malformed ({problem}); restore the file from the log's owner")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// No signature by the expected key.
    #[error("the checkpoint is not signed by {name}; verify with the key of the log that wrote it")]
    NotSigned {
        /// Name of the expected key.
        name: String,
    },
    /// A signature by the expected key is wrong.
    #[error("the signature of {name} under the checkpoint is wrong; the checkpoint was changed")]
    WrongSignature {
        /// Name of the expected key.
        name: String,
    },
    /// The verifier key text is malformed.
    #[error("the verifier key is malformed; expected NAME+KEYID+BASE64 on one line")]
    VerifierKey,
    /// The private key cannot be read.
    #[error("the signing key is no Ed25519 key in PKCS#8; restore it from a backup")]
    SigningKey,
    /// The cryptographic library failed.
    #[error("the cryptographic library could not make a key or a signature; try again")]
    Crypto,
}

/// What a log promises: these entries, under this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Unique name of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree at that size.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines, each ended by a newline.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text that is signed. Extension lines are passed over.
    pub(super) fn from_body(body: &str) -> Result<Self, CheckpointError> {
        let malformed = |problem| CheckpointError::Malformed { problem };
        let mut lines = body.strip_suffix('\n').ok_or(malformed("no final newline"))?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let origin = line().ok_or(malformed("no origin"))?.to_owned();
        let size_text = line().ok_or(malformed("no size"))?;
        let root_text = line().ok_or(malformed("no root hash"))?;
        let size: u64 = size_text.parse().map_err(|_| malformed("size is no number"))?;
        if size.to_string() != size_text {
            return Err(malformed("size is not in its shortest form"));
        }
        let root = STANDARD.decode(root_text).map_err(|_| malformed("root hash is no base64"))?;
        let root = root.try_into().map_err(|_| malformed("root hash is not 32 bytes"))?;
        if lines.any(str::is_empty) {
            return Err(malformed("empty extension line"));
        }
        Ok(Self { origin, size, root: Hash(root) })
    }
}

/// A checkpoint under its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Number of entries.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

impl SignedCheckpoint {
    /// Whether this is `first` with more signatures after its own.
    pub(super) fn continues(&self, first: &Self) -> bool {
        self.note.starts_with(&first.note)
    }
}

/// Signs checkpoints; an interface, so that tests can let it fail.
pub(super) trait SignCheckpoint: Send + 'static {
    /// The signed note of a tree.
    fn sign(&mut self, size: u64, root: Hash) -> Result<String, CheckpointError>;
}

impl SignCheckpoint for Signer {
    fn sign(&mut self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        Signer::sign(self, size, root)
    }
}

/// The public key of a log, written as a C2SP "vkey": `NAME+KEYID+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey(NamedKey);

impl VerifierKey {
    /// The key of a name with its 32-byte Ed25519 public key.
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, CheckpointError> {
        NamedKey::new(ED25519_TYPE, name, public).map(Self)
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Verifies a note signed by this key and reads the checkpoint in it. The checkpoint's origin
    /// has to be the key's name.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], [`CheckpointError::NotSigned`] or
    /// [`CheckpointError::WrongSignature`].
    pub fn verify(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let note = Note::split(note)?;
        let mut signed = false;
        for signature in self.0.signatures(&note) {
            self.0.check(note.body.as_bytes(), signature)?;
            signed = true;
        }
        let checkpoint = Checkpoint::from_body(note.body)?;
        if !signed || checkpoint.origin != self.name() {
            return Err(CheckpointError::NotSigned { name: self.name().to_owned() });
        }
        Ok(checkpoint)
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedKey::parse(ED25519_TYPE, text).map(Self)
    }
}

/// The private key of a log.
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl Signer {
    /// Makes a new key; returns it with its PKCS#8 (RFC 8410) form for keeping.
    ///
    /// # Errors
    /// [`CheckpointError::Name`] or [`CheckpointError::Crypto`].
    pub fn generate(name: &str) -> Result<(Self, Vec<u8>), CheckpointError> {
        let pkcs8 = note::generate_pair(name)?;
        Ok((Self::from_pkcs8(name, &pkcs8)?, pkcs8))
    }

    /// Reads a key from its PKCS#8 form, exactly as [`Signer::generate`] returns it.
    ///
    /// # Errors
    /// [`CheckpointError::Name`] or [`CheckpointError::SigningKey`].
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, CheckpointError> {
        let (pair, public) = note::read_pair(pkcs8)?;
        Ok(Self { verifier: VerifierKey::new(name, public)?, pair })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signed note of a tree, under this key's name as its origin.
    ///
    /// # Errors
    /// [`CheckpointError::Crypto`].
    pub fn sign(&self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        let body = Checkpoint { origin: self.verifier.name().to_owned(), size, root }.body();
        let signature = self.pair.try_sign(body.as_bytes()).map_err(|_| CheckpointError::Crypto)?;
        Ok(format!("{body}\n{}", self.verifier.0.line(signature.as_ref())))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

#[cfg(test)]
mod tests;
