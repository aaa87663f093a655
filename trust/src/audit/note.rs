//! C2SP signed notes: a text, a blank line, signatures under it, and the named keys that make them.
//!
//! Pure. What a text means, and what exactly is signed, is for [`super::checkpoint`] and
//! [`super::cosignature`].

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::CheckpointError;
use super::merkle::sha256;

/// The longest note that is read, in bytes; room for far more signatures than the 16 that every
/// verifier must accept.
pub const NOTE_LIMIT_BYTES: usize = 64 * 1024;

/// The longest key name or origin, in bytes.
pub const NAME_LIMIT_BYTES: usize = 255;

const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A note taken apart.
pub(super) struct Note<'a> {
    /// The text that is signed, final newline included.
    pub(super) body: &'a str,
    signatures: Vec<SignatureLine<'a>>,
}

struct SignatureLine<'a> {
    name: &'a str,
    /// Key id and signature.
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note into the signed text and its signature lines.
    pub(super) fn split(note: &'a str) -> Result<Self, CheckpointError> {
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
        Ok(Self { body, signatures })
    }

    /// The names before its signatures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.signatures.iter().map(|line| line.name)
    }
}

fn check_name(name: &str) -> Result<(), CheckpointError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_LIMIT_BYTES || name.contains(forbidden) {
        return Err(CheckpointError::Name { name: name.to_owned() });
    }
    Ok(())
}

/// An Ed25519 public key with its name and the type of signatures that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedKey {
    kind: u8,
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl NamedKey {
    pub(super) fn new(kind: u8, name: &str, public: [u8; 32]) -> Result<Self, CheckpointError> {
        check_name(name)?;
        let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind], &public]);
        Ok(Self { kind, name: name.to_owned(), id: [a, b, c, d], public })
    }

    /// Reads a "vkey" of one type: `NAME+KEYID+BASE64`.
    pub(super) fn parse(kind: u8, text: &str) -> Result<Self, CheckpointError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CheckpointError::VerifierKey);
        };
        let key = STANDARD.decode(key).map_err(|_| CheckpointError::VerifierKey)?;
        let public = key.split_first().filter(|(first, _)| **first == kind).map(|(_, public)| public);
        let public = public.and_then(|public| public.try_into().ok()).ok_or(CheckpointError::VerifierKey)?;
        let key = Self::new(kind, name, public)?;
        // Only one spelling of a key is accepted, so that two texts that differ are two keys.
        if key.to_string() == text { Ok(key) } else { Err(CheckpointError::VerifierKey) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The signatures of a note that claim to be by this key.
    pub(super) fn signatures<'n>(&self, note: &'n Note<'_>) -> impl Iterator<Item = &'n [u8]> {
        note.signatures.iter().filter_map(|line| {
            let (id, signature) = line.bytes.split_first_chunk()?;
            ((line.name, *id) == (self.name.as_str(), self.id)).then_some(signature)
        })
    }

    /// # Errors
    /// [`CheckpointError::WrongSignature`].
    pub(super) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), CheckpointError> {
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        key.verify(message, signature).map_err(|_| CheckpointError::WrongSignature { name: self.name.clone() })
    }

    /// The line that a signature by this key makes under a note.
    pub(super) fn line(&self, signature: &[u8]) -> String {
        let bytes = [&self.id, signature].concat();
        format!("{SIGNATURE_PREFIX}{} {}\n", self.name, STANDARD.encode(bytes))
    }
}

impl std::fmt::Display for NamedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![self.kind];
        key.extend_from_slice(&self.public);
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

/// A new private key for a name, in PKCS#8 (RFC 8410).
pub(super) fn generate_pair(name: &str) -> Result<Vec<u8>, CheckpointError> {
    check_name(name)?;
    let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| CheckpointError::Crypto)?;
    Ok(pkcs8.as_ref().to_vec())
}

/// Reads a private key exactly as [`generate_pair`] returns it; with its public half.
pub(super) fn read_pair(pkcs8: &[u8]) -> Result<(Ed25519KeyPair, [u8; 32]), CheckpointError> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| CheckpointError::SigningKey)?;
    // The parser passes over some changed bytes; a key file that was changed is not used.
    let written = pair.to_pkcs8v1().map_err(|_| CheckpointError::SigningKey)?;
    if written.as_ref() != pkcs8 {
        return Err(CheckpointError::SigningKey);
    }
    let public = pair.public_key().as_ref().try_into().map_err(|_| CheckpointError::SigningKey)?;
    Ok((pair, public))
}
