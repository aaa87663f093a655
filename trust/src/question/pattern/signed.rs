//! A pattern under its owner's signature: all that is needed to believe it, in one file that can be
//! passed on by any means.
//!
//! Signed is `agency ‖ 0x00 ‖ text`: neither part can hold a zero byte, so they cannot trade bytes.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use sallyport_proto::common::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{Pattern, PatternName};
use crate::{
    error::{Kind, Refusal},
    identity::{Identity, Reason, Role, Signature, SigningPurpose},
};

/// What a pattern's signature is for; part of the signed bytes.
const SIGNED_AS: SigningPurpose = SigningPurpose::new("pattern");
/// First line of a signed file's content, for people and for versions to come.
const FORMAT: &str = "sallyport pattern v1";
/// Bytes of a signed file, at most.
pub const PATTERN_FILE_BYTES_MAX: usize = 128 * 1024;

/// A pattern's text and who published it; not believed before [`verify`](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPattern {
    agency: String,
    text: String,
    signature: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedFile {
    format: String,
    agency: String,
    pattern: String,
    /// In base64, as all bytes.
    certificates: Vec<String>,
    scheme: u16,
    signature: String,
}

impl SignedPattern {
    /// Signs a sound pattern as the node of `agency`.
    ///
    /// # Errors
    /// When the pattern is unsound or the identity cannot sign.
    pub fn sign(identity: &Identity, agency: &str, text: &str) -> Result<Self, Refusal> {
        Pattern::parse(agency, text)?;
        let signature = identity
            .sign(SIGNED_AS, &signed_bytes(agency, text))
            .map_err(|error| Refusal::internal("signing_failed", &error))?;
        Ok(Self { agency: agency.to_owned(), text: text.to_owned(), signature })
    }

    /// The pattern, once its signature holds at this moment and is that of its owner's node.
    ///
    /// # Errors
    /// `pattern_expired`, `pattern_signature` or `pattern_owner`, or what is wrong with its text.
    pub fn verify(&self, identity: &Identity) -> Result<Pattern, Refusal> {
        let signer = identity.verify(SIGNED_AS, &signed_bytes(&self.agency, &self.text), &self.signature);
        let signer = signer.map_err(|error| match error.reason() {
            Some(Reason::CertificateExpired) => Refusal::new(
                Kind::Unauthenticated,
                "pattern_expired",
                "The certificate that the pattern was signed with has expired: take it from its owner's catalog, where \
                 it is signed anew.",
            ),
            reason => Refusal::new(
                Kind::Unauthenticated,
                "pattern_signature",
                format!(
                    "The pattern's signature does not hold ({}): get it from its owner again.",
                    reason.map_or("unreadable", Reason::as_str)
                ),
            ),
        })?;
        if signer.role != (Role::Node { agency: self.agency.clone() }) {
            return Err(Refusal::denied("pattern_owner", "The pattern is not signed by the node of its owner."));
        }
        Pattern::parse(&self.agency, &self.text)
    }

    /// The pattern that this says to be; whoever acts on it must [`verify`](Self::verify).
    pub fn claimed(&self) -> Option<Pattern> {
        Pattern::parse(&self.agency, &self.text).ok()
    }

    /// The one among `listed` that `name` means: the newest, when it names no version.
    ///
    /// # Errors
    /// `pattern_unknown`, or `pattern_version` with the versions that are listed.
    pub fn choose(listed: impl IntoIterator<Item = Self>, name: &PatternName) -> Result<Self, Refusal> {
        let mut versions: BTreeMap<u32, Self> = listed
            .into_iter()
            .filter_map(|signed| Some((signed.claimed()?, signed)))
            .filter(|(pattern, _)| pattern.name().unversioned() == name.unversioned())
            .map(|(pattern, signed)| (pattern.version(), signed))
            .collect();
        let Some(newest) = versions.keys().next_back().copied() else {
            let (agency, name) = (&name.agency, &name.name);
            let message = format!("{agency} lists no pattern `{name}` to you: there is none, or its policy keeps it.");
            return Err(Refusal::new(Kind::NotFound, "pattern_unknown", message));
        };
        versions.remove(&name.version.unwrap_or(newest)).ok_or_else(|| {
            let listed: Vec<String> = versions.keys().map(u32::to_string).collect();
            let message = format!("{name} is not listed; of this pattern there are versions {}.", listed.join(", "));
            Refusal::new(Kind::NotFound, "pattern_version", message)
        })
    }

    /// The pattern's file as its author wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The agency that it says it is of.
    pub fn agency(&self) -> &str {
        &self.agency
    }

    /// The signed file.
    ///
    /// # Errors
    /// `pattern_unwritable`, which no text causes.
    pub fn to_json(&self) -> Result<String, Refusal> {
        let file = SignedFile {
            format: FORMAT.to_owned(),
            agency: self.agency.clone(),
            pattern: self.text.clone(),
            certificates: self.signature.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
            scheme: self.signature.scheme,
            signature: STANDARD.encode(&self.signature.signature),
        };
        let json = serde_json::to_string_pretty(&file);
        json.map(|json| json + "\n").map_err(|error| Refusal::internal("pattern_unwritable", &error))
    }

    /// Reads a signed file.
    ///
    /// # Errors
    /// `pattern_file` when it is none.
    pub fn from_json(json: &str) -> Result<Self, Refusal> {
        let unreadable = |what: &str| {
            Refusal::bad_input("pattern_file", format!("The file is no signed pattern of a known format: {what}."))
        };
        if json.len() > PATTERN_FILE_BYTES_MAX {
            return Err(unreadable("it is larger than 128 KiB"));
        }
        let file: SignedFile = serde_json::from_str(json).map_err(|error| unreadable(&error.to_string()))?;
        if file.format != FORMAT {
            return Err(unreadable("its `format` is another"));
        }
        let bytes = |text: &String| STANDARD.decode(text).map_err(|_| unreadable("bytes are not in base64"));
        let signature = Signature {
            certificates: file.certificates.iter().map(bytes).collect::<Result<_, _>>()?,
            scheme: file.scheme,
            signature: bytes(&file.signature)?,
        };
        Ok(Self { agency: file.agency, text: file.pattern, signature })
    }
}

impl From<SignedPattern> for pb::SignedPattern {
    fn from(pattern: SignedPattern) -> Self {
        Self { agency: pattern.agency, text: pattern.text, signature: Some(pattern.signature.into()) }
    }
}

impl TryFrom<pb::SignedPattern> for SignedPattern {
    type Error = Refusal;

    fn try_from(pattern: pb::SignedPattern) -> Result<Self, Refusal> {
        let signature = pattern.signature.ok_or_else(|| {
            Refusal::new(
                Kind::Unauthenticated,
                "pattern_signature",
                "The pattern is not signed: get it from its owner.",
            )
        })?;
        Ok(Self { agency: pattern.agency, text: pattern.text, signature: signature.try_into()? })
    }
}

fn signed_bytes(agency: &str, text: &str) -> Vec<u8> {
    [agency.as_bytes(), &[0], text.as_bytes()].concat()
}
