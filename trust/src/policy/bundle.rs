//! A policy in one signed, versioned file.
//!
//! A bundle is JSON: a text that holds party, version, model, rules, schema and cases, and a signature
//! over exactly that text. It is worth something only to the party that it names, only when somebody
//! signed it whom that party's configuration names, and only once: a version is never given to two
//! contents, and no party goes back to an older one. Nothing of the content is looked at before the
//! signature holds.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::files::{PolicyFiles, read_text};
use crate::identity::{Identity, IdentityError, Reason, Signature, SigningPurpose, SpiffeId};

/// Bytes of a bundle, at most.
pub const BUNDLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const PURPOSE: SigningPurpose = SigningPurpose::new("policy bundle");
const FORMAT: &str = "sallyport policy bundle v1";
/// Its name in errors: the path is the operator's own.
const BUNDLE_FILE: &str = "the policy bundle";

/// Why a bundle is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is no bundle of this version, or is larger than one may be.
    #[error("it is not a policy bundle that this program reads ({0}); make one with `sallyport policy sign`")]
    Malformed(String),
    /// The signature does not fit what the bundle holds.
    #[error("its signature does not fit its content: it was changed after it was signed; get it again from its signer")]
    Tampered,
    /// The signer's certificate is not accepted here, now.
    #[error("its signer's certificate is refused. {0}")]
    UnknownSigner(Reason),
    /// The signer may not sign this party's policy.
    #[error("{0} may not sign this party's policy; have it signed by one of `[policy] signers`, or add that name")]
    WrongSigner(SpiffeId),
    /// It was made for somebody else.
    #[error("it is the policy of `{0}`; use the one that was signed for this party")]
    OtherParty(String),
    /// A newer one was in force.
    #[error("it has version {version}, and version {last} was in force here; sign it again with a higher version")]
    Rollback {
        /// What the bundle says.
        version: u64,
        /// The highest version that this party has taken.
        last: u64,
    },
    /// The same version was given to another content.
    #[error("version {version} was in force here with other content; sign it again with a higher version")]
    VersionReused {
        /// What both say.
        version: u64,
    },
    /// The configuration wants a signed policy and names a directory.
    #[error("`[policy] signers` asks for a signed policy, and `policies` is a directory; name a bundle")]
    Required,
    /// The configuration names a bundle and nobody who may sign it.
    #[error("`policies` is a bundle, and `[policy] signers` names nobody; name who may sign this party's policy")]
    NoSigners,
    /// What is known of the last version cannot be read or written.
    #[error("the record of the last version cannot be used ({0}); restore it, or ask the security officer")]
    Record(String),
}

impl BundleError {
    /// Stable reason in `snake_case`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "policy_bundle_malformed",
            Self::Tampered => "policy_bundle_tampered",
            Self::UnknownSigner(_) => "policy_signer_unknown",
            Self::WrongSigner(_) => "policy_signer_not_allowed",
            Self::OtherParty(_) => "policy_bundle_other_party",
            Self::Rollback { .. } => "policy_bundle_rollback",
            Self::VersionReused { .. } => "policy_version_reused",
            Self::Required => "policy_bundle_required",
            Self::NoSigners => "policy_signers_missing",
            Self::Record(_) => "policy_record_unusable",
        }
    }
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleContent {
    /// The party whose policy it is: an agency's short name, or `gateway`.
    pub party: String,
    /// Grows with every change, from 1.
    pub version: u64,
    /// The texts of the policy.
    pub files: PolicyFiles,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    party: String,
    version: u64,
    model: String,
    rules: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    cases: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: String,
    content: String,
    signature: WrittenSignature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSignature {
    certificates: Vec<String>,
    scheme: u16,
    signature: String,
}

/// A bundle as it was read: a text and a signature that nobody has judged yet.
pub(super) struct SignedBundle {
    content: String,
    signature: Signature,
}

impl BundleContent {
    /// Signs the policy as `identity`, which the party's configuration must name; the text of the
    /// bundle's file.
    ///
    /// # Errors
    /// Whatever makes the policy unfit to be loaded, its cases included: it is not signed then.
    pub fn sign(self, identity: &Identity) -> Result<String, PolicyError> {
        if self.version == 0 {
            return Err(BundleError::Malformed("versions begin at 1".to_owned()).into());
        }
        super::store::Policy::compile(&self.files)?;
        let PolicyFiles { model, rules, schema, cases } = self.files;
        let content = Content { party: self.party, version: self.version, model, rules, schema, cases };
        let content = serde_json::to_string(&content).map_err(malformed)?;
        let signature = identity.sign(PURPOSE, content.as_bytes()).map_err(PolicyError::Signing)?;
        let signature = WrittenSignature {
            certificates: signature.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
            scheme: signature.scheme,
            signature: STANDARD.encode(signature.signature),
        };
        let envelope = Envelope { format: FORMAT.to_owned(), content, signature };
        let text = serde_json::to_string_pretty(&envelope).map_err(malformed)?;
        if text.len() as u64 > BUNDLE_BYTES_MAX {
            return Err(PolicyError::TooLarge { file: BUNDLE_FILE });
        }
        Ok(text + "\n")
    }
}

impl SignedBundle {
    pub(super) fn read(path: &Path) -> Result<Self, PolicyError> {
        Ok(Self::parse(&read_text(BUNDLE_FILE, path, BUNDLE_BYTES_MAX)?)?)
    }

    pub(super) fn parse(text: &str) -> Result<Self, BundleError> {
        let envelope: Envelope = serde_json::from_str(text).map_err(malformed)?;
        if envelope.format != FORMAT {
            return Err(BundleError::Malformed("it is of another format".to_owned()));
        }
        let bytes = |text: &String| {
            STANDARD.decode(text).map_err(|_| BundleError::Malformed("its signature is no base64".to_owned()))
        };
        let signature = Signature {
            certificates: envelope.signature.certificates.iter().map(bytes).collect::<Result<_, _>>()?,
            scheme: envelope.signature.scheme,
            signature: bytes(&envelope.signature.signature)?,
        };
        Ok(Self { content: envelope.content, signature })
    }

    /// What the bundle claims to hold.
    pub(super) fn claimed(&self) -> Result<BundleContent, BundleError> {
        let Content { party, version, model, rules, schema, cases } =
            serde_json::from_str(&self.content).map_err(malformed)?;
        if version == 0 {
            return Err(BundleError::Malformed("versions begin at 1".to_owned()));
        }
        Ok(BundleContent { party, version, files: PolicyFiles { model, rules, schema, cases } })
    }

    /// What it holds and who signed it, when that is one of `signers` and it was made for `party`.
    pub(super) fn verify(
        &self,
        identity: &Identity,
        signers: &[SpiffeId],
        party: &str,
    ) -> Result<(BundleContent, SpiffeId), BundleError> {
        let signer =
            identity.verify(PURPOSE, self.content.as_bytes(), &self.signature).map_err(|error| match error {
                IdentityError::Refused(Reason::SignatureInvalid) => BundleError::Tampered,
                IdentityError::Refused(reason) => BundleError::UnknownSigner(reason),
                other => BundleError::Malformed(other.to_string()),
            })?;
        if !signers.contains(&signer) {
            return Err(BundleError::WrongSigner(signer));
        }
        let content = self.claimed()?;
        if content.party != party {
            return Err(BundleError::OtherParty(content.party));
        }
        Ok((content, signer))
    }
}

/// The place of the fault alone: the parser's own words can quote the file.
fn malformed(error: serde_json::Error) -> BundleError {
    BundleError::Malformed(format!("{:?} error in line {}", error.classify(), error.line()))
}
