//! Which keys a party's log and its cosignatures have, said under the party's identity.
//!
//! A log's key is not believed because it came first: the first checkpoint of a log has to come with
//! this statement, signed by the party's certificate. From then on the key is pinned, and no statement
//! exchanges it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::origin;
use crate::audit::checkpoint::VerifierKey;
use crate::audit::cosignature::CosignerKey;
use crate::error::Refusal;
use crate::identity::{Anchors, Identity, Signature, SigningPurpose, SpiffeId};
use crate::question::check_freshness;

const KEYS: SigningPurpose = SigningPurpose::new("audit keys");
const HEAD: &str = "sallyport audit keys v1";

/// The public keys of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyKeys {
    /// Verifies checkpoints of its log.
    pub log: VerifierKey,
    /// Verifies its cosignatures under others' checkpoints.
    pub cosigner: CosignerKey,
}

/// A party's keys under its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Kept", try_from = "Kept")]
pub struct SignedKeys {
    /// The keys and the moment of signing, as text.
    pub statement: String,
    /// By the party's node or gateway certificate.
    pub signature: Signature,
}

impl SignedKeys {
    /// States the own keys at a moment, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`Identity::sign`].
    pub fn sign(identity: &Identity, keys: &PartyKeys, issued_at_ms: i64) -> Result<Self, Refusal> {
        let statement = format!("{HEAD}\nlog {}\ncosigner {}\nissued {issued_at_ms}\n", keys.log, keys.cosigner);
        let signature = identity.sign(KEYS, statement.as_bytes())?;
        Ok(Self { statement, signature })
    }

    /// The keys of `party`, if it signed this itself within the last minutes.
    ///
    /// # Errors
    /// `audit_keys_unusable`, `audit_keys_wrong_signer`, or why the signature or its age is refused.
    pub fn verify(&self, identity: &Identity, party: &SpiffeId, now_ms: i64) -> Result<PartyKeys, Refusal> {
        let signer = identity.verify(KEYS, self.statement.as_bytes(), &self.signature)?;
        let (keys, issued_at_ms) = self.read()?;
        check_freshness(issued_at_ms, now_ms)?;
        keys.of(&signer, party)
    }

    /// The keys of `party`, if it signed this itself at any time.
    ///
    /// # Errors
    /// As [`SignedKeys::verify`], but for the age.
    pub fn verify_past(&self, identity: &Identity, party: &SpiffeId) -> Result<PartyKeys, Refusal> {
        let (keys, issued_at_ms) = self.read()?;
        let signer = identity.verify_then(KEYS, self.statement.as_bytes(), &self.signature, issued_at_ms)?;
        keys.of(&signer, party)
    }

    /// Whose keys these are, for somebody outside of the federation: the certificate is judged as of
    /// the moment that the statement names.
    ///
    /// # Errors
    /// As [`SignedKeys::verify`], but for the age.
    pub fn verify_outside(&self, anchors: &Anchors) -> Result<(SpiffeId, PartyKeys), Refusal> {
        let (keys, issued_at_ms) = self.read()?;
        let signer = anchors.verify_then(KEYS, self.statement.as_bytes(), &self.signature, issued_at_ms)?;
        let keys = keys.of(&signer, &signer)?;
        Ok((signer, keys))
    }

    /// The keys, whoever states them, and the moment of signing.
    ///
    /// # Errors
    /// `audit_keys_unusable`.
    pub fn read(&self) -> Result<(PartyKeys, i64), Refusal> {
        let mut lines = self.statement.strip_suffix('\n').unwrap_or_default().split('\n');
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name));
        let read = (|| {
            field(HEAD).filter(|rest| rest.is_empty())?;
            let log = field("log ")?.parse().ok()?;
            let cosigner = field("cosigner ")?.parse().ok()?;
            let issued_at_ms = field("issued ")?.parse().ok()?;
            Some((PartyKeys { log, cosigner }, issued_at_ms))
        })();
        let unusable = || Refusal::bad_input("audit_keys_unusable", "The statement of audit keys cannot be read.");
        read.filter(|_| lines.next().is_none()).ok_or_else(unusable)
    }
}

impl PartyKeys {
    fn of(self, signer: &SpiffeId, party: &SpiffeId) -> Result<Self, Refusal> {
        let name = origin(party);
        let named = |key: &str| name.as_deref() == Some(key);
        if signer != party || !named(self.log.name()) || !named(self.cosigner.name()) {
            return Err(Refusal::denied(
                "audit_keys_wrong_signer",
                "A party states the keys of its own audit log, under its own name, and nobody else's.",
            ));
        }
        Ok(self)
    }
}

/// How signed keys are kept and handed on as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    statement: String,
    certificates: Vec<String>,
    scheme: u16,
    signature: String,
}

impl From<SignedKeys> for Kept {
    fn from(keys: SignedKeys) -> Self {
        Self {
            statement: keys.statement,
            certificates: keys.signature.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
            scheme: keys.signature.scheme,
            signature: STANDARD.encode(keys.signature.signature),
        }
    }
}

impl TryFrom<Kept> for SignedKeys {
    type Error = base64::DecodeError;

    fn try_from(kept: Kept) -> Result<Self, Self::Error> {
        let certificates = kept.certificates.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>()?;
        let signature = STANDARD.decode(kept.signature)?;
        let signature = Signature { certificates, scheme: kept.scheme, signature };
        Ok(Self { statement: kept.statement, signature })
    }
}
