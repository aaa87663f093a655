//! Statements signed with a party's identity: what stays provable after the connection has closed.
//!
//! A signature carries its certificate chain, so that whoever holds the federation's authorities can
//! verify it, now or out of an audit log. It covers the purpose it was made for, so a signature made
//! for one purpose is worth nothing for another. Who may sign what is the caller's decision: a user's
//! certificate signs as well as a node's, and [`Identity::verify`] tells whose it was.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

use super::authorities::{Leaf, MAX_CERTIFICATE_BYTES, MAX_CHAIN, Purpose};
use super::reason::Reason;
use super::spiffe::SpiffeId;
use super::{Identity, IdentityError, tls};

const DOMAIN: &[u8] = b"sallyport signature v1";
const MAX_SIGNATURE_BYTES: usize = 8 * 1024;
/// In order of preference; one hash and one curve each, as in TLS 1.3 (RFC 8446, 4.2.3).
const SCHEMES: &[SignatureScheme] =
    &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ED25519];

/// What a signature is for; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningPurpose(&'static str);

impl SigningPurpose {
    /// A purpose with its stable name. Meant for constants, where a bad name stops the build.
    ///
    /// # Panics
    /// If the name is empty or holds a zero byte, which separates the parts of what is signed.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "a signing purpose needs a name");
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] != 0, "a signing purpose holds no zero byte");
            at += 1;
        }
        Self(name)
    }
}

/// A signature with what is needed to verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signer's chain in DER, leaf first, without the authority: 1 to 4, each at most 8 KiB.
    pub certificates: Vec<Vec<u8>>,
    /// TLS SignatureScheme (RFC 8446, 4.2.3): 0x0403, 0x0503 or 0x0807.
    pub scheme: u16,
    /// The signature in the encoding of that scheme, at most 8 KiB.
    pub signature: Vec<u8>,
}

impl Identity {
    /// Signs `message` for `purpose`: over `"sallyport signature v1" ‖ 0x00 ‖ purpose ‖ 0x00 ‖ message`.
    ///
    /// # Errors
    /// [`IdentityError::Tls`] if the key can make none of the accepted signatures.
    pub fn sign(&self, purpose: SigningPurpose, message: &[u8]) -> Result<Signature, IdentityError> {
        let credentials = self.live.load();
        let signer = credentials
            .key
            .key
            .choose_scheme(SCHEMES)
            .ok_or_else(|| IdentityError::Tls("no signature scheme in common".to_owned()))?;
        let signature =
            signer.sign(&signed_bytes(purpose, message)).map_err(|error| IdentityError::Tls(error.to_string()))?;
        Ok(Signature {
            certificates: credentials.key.cert.iter().map(|der| der.to_vec()).collect(),
            scheme: signer.scheme().into(),
            signature,
        })
    }

    /// Verifies a signature at this moment and tells whose it is.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] with the [`Reason`]: too large, a certificate that this federation
    /// does not accept now, or a signature that does not fit purpose, message and certificate.
    pub fn verify(
        &self,
        purpose: SigningPurpose,
        message: &[u8],
        signature: &Signature,
    ) -> Result<SpiffeId, IdentityError> {
        self.verify_at(purpose, message, signature, tls::unix_time(&self.clock))
    }

    /// The same for a moment of the past, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`Identity::verify`].
    pub fn verify_then(
        &self,
        purpose: SigningPurpose,
        message: &[u8],
        signature: &Signature,
        at_ms: i64,
    ) -> Result<SpiffeId, IdentityError> {
        self.verify_at(purpose, message, signature, tls::moment(at_ms))
    }

    fn verify_at(
        &self,
        purpose: SigningPurpose,
        message: &[u8],
        signature: &Signature,
        at: UnixTime,
    ) -> Result<SpiffeId, IdentityError> {
        let credentials = self.live.load();
        let judge = |leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]| {
            credentials.verify(leaf, others, Purpose::Client, at)
        };
        Ok(verify_with(&credentials.algorithms, judge, purpose, message, signature)?)
    }
}

/// Verifies a signature whose certificates `judge` accepts.
pub(super) fn verify_with(
    algorithms: &WebPkiSupportedAlgorithms,
    judge: impl FnOnce(&CertificateDer<'_>, &[CertificateDer<'_>]) -> Result<Leaf, Reason>,
    purpose: SigningPurpose,
    message: &[u8],
    signature: &Signature,
) -> Result<SpiffeId, Reason> {
    check_sizes(signature)?;
    let chain: Vec<CertificateDer<'_>> =
        signature.certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let (leaf, intermediates) = chain.split_first().ok_or(Reason::CertificateMissing)?;
    let signer = judge(leaf, intermediates)?;
    let scheme = SignatureScheme::from(signature.scheme);
    let algorithm = SCHEMES
        .contains(&scheme)
        .then(|| algorithms.mapping.iter().find(|(known, _)| *known == scheme))
        .flatten()
        .and_then(|(_, algorithms)| algorithms.first())
        .ok_or(Reason::SignatureInvalid)?;
    EndEntityCert::try_from(leaf)
        .and_then(|certificate| {
            certificate.verify_signature(*algorithm, &signed_bytes(purpose, message), &signature.signature)
        })
        .map_err(|_| Reason::SignatureInvalid)?;
    Ok(signer.id)
}

fn check_sizes(signature: &Signature) -> Result<(), Reason> {
    let fits = signature.certificates.len() <= MAX_CHAIN
        && signature.certificates.iter().all(|der| der.len() <= MAX_CERTIFICATE_BYTES)
        && signature.signature.len() <= MAX_SIGNATURE_BYTES;
    if fits { Ok(()) } else { Err(Reason::StatementTooLarge) }
}

fn signed_bytes(purpose: SigningPurpose, message: &[u8]) -> Vec<u8> {
    [DOMAIN, &[0], purpose.0.as_bytes(), &[0], message].concat()
}
