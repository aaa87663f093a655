//! Verifying others' statements without an identity of one's own: an auditor with the federation's
//! authorities and nothing else.
//!
//! It looks at no revocation list, and at certificates as they stood at a moment of the past. It
//! belongs to no federation: each certificate says its own.

use std::path::Path;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::authorities::{Authorities, Leaf, Purpose};
use super::spiffe::SpiffeId;
use super::statement::{Signature, SigningPurpose, verify_with};
use super::{IdentityError, tls};

/// A federation's authorities, as somebody outside of it holds them.
pub struct Anchors {
    authorities: Authorities,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Anchors {
    /// Reads the authorities from a PEM file.
    ///
    /// # Errors
    /// [`IdentityError::Authorities`].
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        let unusable = || IdentityError::Authorities { path: path.to_owned() };
        let algorithms = tls::provider().signature_verification_algorithms;
        let anchors = CertificateDer::pem_file_iter(path).map_err(|_| unusable())?;
        let anchors: Vec<_> = anchors.collect::<Result<_, _>>().map_err(|_| unusable())?;
        let authorities = Authorities::new(&anchors, &[], algorithms).ok_or_else(unusable)?;
        Ok(Self { authorities, algorithms })
    }

    /// Verifies a signature as of a moment, in milliseconds since 1970-01-01T00:00:00Z, and tells whose
    /// it is.
    ///
    /// # Errors
    /// [`IdentityError::Refused`], as [`super::Identity::verify`].
    pub fn verify_then(
        &self,
        purpose: SigningPurpose,
        message: &[u8],
        signature: &Signature,
        at_ms: i64,
    ) -> Result<SpiffeId, IdentityError> {
        let judge = |leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]| {
            let federation = Leaf::read(leaf)?.id.federation;
            self.authorities.verify(leaf, others, Purpose::Client, &federation, tls::moment(at_ms))
        };
        Ok(verify_with(&self.algorithms, judge, purpose, message, signature)?)
    }
}
