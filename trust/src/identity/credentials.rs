//! What a process proves itself with, read from files and judged before anything is done with it.
//!
//! Reads four files and changes none. A key that others may read, a certificate without a SPIFFE ID, a
//! chain that its own authorities would not accept: each stops the start with a sentence that says
//! what to do.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::IdentityError;
use super::authorities::{Authorities, Leaf, MAX_CHAIN, Purpose};
use super::reason::Reason;
use super::spiffe::SpiffeId;

const MAX_PEM_BYTES: u64 = 1024 * 1024;
const MAX_REVOCATIONS_BYTES: u64 = 16 * 1024 * 1024;

/// Where a process finds what it proves itself with. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key (PKCS #8), readable by the process's own user alone.
    pub key: PathBuf,
    /// The federation's authorities.
    pub authorities: PathBuf,
    /// The authorities' revocation lists. Once given they must be current and cover every certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<PathBuf>,
}

impl TlsFiles {
    /// Takes relative paths as relative to `folder`.
    pub fn anchor(&mut self, folder: &Path) {
        for path in
            [&mut self.certificate, &mut self.key, &mut self.authorities].into_iter().chain(&mut self.revocations)
        {
            *path = folder.join(&*path);
        }
    }
}

/// A key with its certificate, and whom to believe.
pub(super) struct Credentials {
    pub(super) own: Leaf,
    pub(super) key: Arc<CertifiedKey>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    authorities: Authorities,
}

impl Credentials {
    pub(super) fn load(files: &TlsFiles, provider: &CryptoProvider, now: UnixTime) -> Result<Self, IdentityError> {
        let authorities = load_authorities(files, provider.signature_verification_algorithms)?;
        let chain = read_chain(&files.certificate)?;
        let key = read_key(&files.key, provider)?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|_| IdentityError::KeyMismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        })?;
        let own = judge_own(&key.cert, &authorities, now)
            .map_err(|reason| IdentityError::OwnCertificate { path: files.certificate.clone(), reason })?;
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { own, key: Arc::new(key), algorithms, authorities })
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
}

/// Every party connects or signs, so every certificate must pass as a client's.
fn judge_own(chain: &[CertificateDer<'_>], authorities: &Authorities, now: UnixTime) -> Result<Leaf, Reason> {
    let (leaf, intermediates) = chain.split_first().ok_or(Reason::CertificateMissing)?;
    let federation = Leaf::read(leaf)?.id.federation;
    authorities.verify(leaf, intermediates, Purpose::Client, &federation, now)
}

fn load_authorities(files: &TlsFiles, algorithms: WebPkiSupportedAlgorithms) -> Result<Authorities, IdentityError> {
    let path = &files.authorities;
    let pem = read(path, MAX_PEM_BYTES)?;
    let anchors: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| IdentityError::Authorities { path: path.clone() })?;
    let lists = match &files.revocations {
        Some(path) => read_revocations(path)?,
        None => Vec::new(),
    };
    // Anchors first, so that a bad list is not reported as a bad anchor.
    Authorities::new(&anchors, &[], algorithms).ok_or_else(|| IdentityError::Authorities { path: path.clone() })?;
    Authorities::new(&anchors, &lists, algorithms)
        .ok_or_else(|| IdentityError::Revocations { path: files.revocations.clone().unwrap_or_default() })
}

fn read_revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, IdentityError> {
    let pem = read(path, MAX_REVOCATIONS_BYTES)?;
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| IdentityError::Revocations { path: path.to_owned() })?;
    // An empty file would switch revocation off, which only leaving the setting out may do.
    if lists.is_empty() {
        return Err(IdentityError::Revocations { path: path.to_owned() });
    }
    Ok(lists)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem = read(path, MAX_PEM_BYTES)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| IdentityError::Certificate { path: path.to_owned() })?;
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return Err(IdentityError::Certificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn read_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn rustls::sign::SigningKey>, IdentityError> {
    let unusable = || IdentityError::Key { path: path.to_owned() };
    let pem = read_private(path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
    provider.key_provider.load_private_key(key).map_err(|_| unusable())
}

/// Reads a file that nobody but its owner may read.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let file = open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Asked of the open file, so that it cannot be exchanged between the check and the reading.
        let metadata =
            file.metadata().map_err(|error| IdentityError::Read { path: path.to_owned(), kind: error.kind() })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(IdentityError::KeyExposed { path: path.to_owned() });
        }
    }
    Ok(Zeroizing::new(read_open(file, path, MAX_PEM_BYTES)?))
}

fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, IdentityError> {
    read_open(open(path)?, path, limit_bytes)
}

fn open(path: &Path) -> Result<File, IdentityError> {
    File::open(path).map_err(|error| IdentityError::Read { path: path.to_owned(), kind: error.kind() })
}

fn read_open(file: File, path: &Path, limit_bytes: u64) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| IdentityError::Read { path: path.to_owned(), kind: error.kind() })?;
    if bytes.len() as u64 > limit_bytes {
        return Err(IdentityError::TooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}
