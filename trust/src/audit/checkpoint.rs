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

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{Hash, sha256};

/// The longest note that is read, in bytes; room for far more signatures than the 16 that every
/// verifier must accept.
pub const NOTE_LIMIT_BYTES: usize = 64 * 1024;

/// The longest key name or origin, in bytes.
pub const NAME_LIMIT_BYTES: usize = 255;

const ED25519_TYPE: u8 = 0x01;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

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
    fn from_body(body: &str) -> Result<Self, CheckpointError> {
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

/// One signature line of a note.
struct SignatureLine<'a> {
    name: &'a str,
    /// Key id and signature.
    bytes: Vec<u8>,
}

/// Splits a note into the signed text and its signature lines.
fn split_note(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), CheckpointError> {
    let malformed = |problem| CheckpointError::Malformed { problem };
    if note.len() > NOTE_LIMIT_BYTES {
        return Err(malformed("longer than 64 KiB"));
    }
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(malformed("control characters"));
    }
    let end = note.rfind("\n\n").ok_or(malformed("no blank line before the signatures"))?;
    let (body, lines) = (&note[..=end], &note[end + 2..]);
    let lines = lines.strip_suffix('\n').ok_or(malformed("no newline after the signatures"))?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        let line = line.strip_prefix(SIGNATURE_PREFIX).ok_or(malformed("no signature line"))?;
        let (name, signature) = line.split_once(' ').ok_or(malformed("no signature"))?;
        let signature = STANDARD.decode(signature).map_err(|_| malformed("signature is no base64"))?;
        if check_name(name).is_err() || signature.len() < 5 {
            return Err(malformed("signature line"));
        }
        signatures.push(SignatureLine { name, bytes: signature });
    }
    Ok((body, signatures))
}

fn check_name(name: &str) -> Result<(), CheckpointError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_LIMIT_BYTES || name.contains(forbidden) {
        return Err(CheckpointError::Name { name: name.to_owned() });
    }
    Ok(())
}

/// The public key of a log, written as a C2SP "vkey": `NAME+KEYID+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// The key of a name with its 32-byte Ed25519 public key.
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, CheckpointError> {
        check_name(name)?;
        let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &public]);
        let [a, b, c, d, ..] = hash;
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], public })
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Verifies a note signed by this key and reads the checkpoint in it. The checkpoint's origin
    /// has to be the key's name.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], [`CheckpointError::NotSigned`] or
    /// [`CheckpointError::WrongSignature`].
    pub fn verify(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let (body, signatures) = split_note(note)?;
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        let mut signed = false;
        for line in &signatures {
            if let Some((id, signature)) = line.bytes.split_first_chunk()
                && (line.name, *id) == (self.name.as_str(), self.id)
            {
                key.verify(body.as_bytes(), signature)
                    .map_err(|_| CheckpointError::WrongSignature { name: self.name.clone() })?;
                signed = true;
            }
        }
        let checkpoint = Checkpoint::from_body(body)?;
        if !signed || checkpoint.origin != self.name {
            return Err(CheckpointError::NotSigned { name: self.name.clone() });
        }
        Ok(checkpoint)
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CheckpointError::VerifierKey);
        };
        let key = STANDARD.decode(key).map_err(|_| CheckpointError::VerifierKey)?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else {
            return Err(CheckpointError::VerifierKey);
        };
        let public = public.try_into().map_err(|_| CheckpointError::VerifierKey)?;
        let key = Self::new(name, public)?;
        // Only one spelling of a key is accepted, so that two texts that differ are two keys.
        if key.to_string() == text { Ok(key) } else { Err(CheckpointError::VerifierKey) }
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
        check_name(name)?;
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| CheckpointError::Crypto)?;
        Ok((Self::from_pkcs8(name, pkcs8.as_ref())?, pkcs8.as_ref().to_vec()))
    }

    /// Reads a key from its PKCS#8 form, exactly as [`Signer::generate`] returns it.
    ///
    /// # Errors
    /// [`CheckpointError::Name`] or [`CheckpointError::SigningKey`].
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, CheckpointError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| CheckpointError::SigningKey)?;
        // The parser passes over some changed bytes; a key file that was changed is not used.
        let written = pair.to_pkcs8v1().map_err(|_| CheckpointError::SigningKey)?;
        if written.as_ref() != pkcs8 {
            return Err(CheckpointError::SigningKey);
        }
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| CheckpointError::SigningKey)?;
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
        let name = &self.verifier.name;
        let body = Checkpoint { origin: name.clone(), size, root }.body();
        let signature = self.pair.try_sign(body.as_bytes()).map_err(|_| CheckpointError::Crypto)?;
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend_from_slice(signature.as_ref());
        Ok(format!("{body}\n{SIGNATURE_PREFIX}{name} {}\n", STANDARD.encode(bytes)))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

#[cfg(test)]
mod tests;
