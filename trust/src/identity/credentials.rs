//! What a process proves itself with, judged before anything is done with it.
//!
//! A key that others may read, a certificate without a SPIFFE ID, a chain that its own authorities
//! would not accept: each stops the start with a sentence that says what to do.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;

use super::IdentityError;
use super::authorities::{Authorities, Leaf, MAX_CHAIN, Purpose};
use super::reason::Reason;
use super::spiffe::{Role, SpiffeId};
use super::tls_files::{FileSet, TlsFiles};

/// A key with its certificate, and whom to believe.
pub(super) struct Credentials {
    pub(super) own: Leaf,
    pub(super) key: Arc<CertifiedKey>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Of the files that all of this was read from.
    pub(super) digest: [u8; 32],
    pub(super) authorities: Authorities,
}

impl Credentials {
    /// Takes the files apart; whether this federation would accept the certificate now is another
    /// question: see [`Credentials::judge_own`].
    pub(super) fn parse(files: &TlsFiles, set: &FileSet, provider: &CryptoProvider) -> Result<Self, IdentityError> {
        let algorithms = provider.signature_verification_algorithms;
        let authorities = parse_authorities(files, set, algorithms)?;
        let chain = parse_chain(&files.certificate, &set.certificate)?;
        let key = parse_key(&files.key, &set.key, provider)?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|_| IdentityError::KeyMismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        })?;
        let own = key.cert.first().ok_or(Reason::CertificateMissing).and_then(Leaf::read);
        let own = own.map_err(|reason| IdentityError::OwnCertificate { path: files.certificate.clone(), reason })?;
        Ok(Self { own, key: Arc::new(key), algorithms, digest: set.digest(), authorities })
    }

    pub(super) fn id(&self) -> &SpiffeId {
        &self.own.id
    }

    /// Judges a peer's chain by this federation's authorities.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<Leaf, Reason> {
        let federation = &self.own.id.federation;
        self.authorities.verify(leaf, intermediates, purpose, federation, now)
    }

    /// Judges the own certificate as the others will. Every party connects or signs, so every one must
    /// pass as a client's; who listens needs a server's as well.
    pub(super) fn judge_own(&self, now: UnixTime) -> Result<(), Reason> {
        let (leaf, intermediates) = self.key.cert.split_first().ok_or(Reason::CertificateMissing)?;
        self.verify(leaf, intermediates, Purpose::Client, now)?;
        match self.own.id.role {
            Role::Node { .. } | Role::Gateway => self.verify(leaf, intermediates, Purpose::Server, now).map(drop),
            Role::User { .. } | Role::Feed { .. } | Role::Auditor { .. } => Ok(()),
        }
    }
}

fn parse_authorities(
    files: &TlsFiles,
    set: &FileSet,
    algorithms: WebPkiSupportedAlgorithms,
) -> Result<Authorities, IdentityError> {
    let unusable = || IdentityError::Authorities { path: files.authorities.clone() };
    let anchors: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(&set.authorities).collect::<Result<_, _>>().map_err(|_| unusable())?;
    let bad_lists = || IdentityError::Revocations { path: files.revocations.clone().unwrap_or_default() };
    let lists = match &set.revocations {
        Some(pem) => parse_lists(pem).ok_or_else(bad_lists)?,
        None => Vec::new(),
    };
    // Anchors first, so that a bad list is not reported as a bad anchor.
    Authorities::new(&anchors, &[], algorithms).ok_or_else(unusable)?;
    Authorities::new(&anchors, &lists, algorithms).ok_or_else(bad_lists)
}

/// An empty file would switch revocation off, which only leaving the setting out may do.
fn parse_lists(pem: &[u8]) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!lists.is_empty()).then_some(lists)
}

fn parse_chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let unusable = || IdentityError::Certificate { path: path.to_owned() };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| unusable())?;
    if chain.is_empty() || chain.len() > MAX_CHAIN { Err(unusable()) } else { Ok(chain) }
}

fn parse_key(
    path: &Path,
    pem: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<dyn rustls::sign::SigningKey>, IdentityError> {
    let unusable = || IdentityError::Key { path: path.to_owned() };
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| unusable())?;
    provider.key_provider.load_private_key(key).map_err(|_| unusable())
}
