//! Where a process finds what it proves itself with, and the reading of it.
//!
//! Reads and changes nothing. Everything is read before anything is judged, with a digest over all of
//! it, so that whoever looks again knows whether something changed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::IdentityError;

const MAX_PEM_BYTES: u64 = 1024 * 1024;
/// All lists together.
const MAX_REVOCATIONS_BYTES: u64 = 16 * 1024 * 1024;
/// Lists in one directory.
const MAX_LISTS: usize = 64;

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
    /// The authorities' revocation lists: a file, or a directory with files that end in `.crl` or
    /// `.pem`. Once given they must be current and cover every certificate.
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

/// What the files hold, unjudged.
pub(super) struct FileSet {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) authorities: Vec<u8>,
    pub(super) revocations: Option<Vec<u8>>,
}

impl FileSet {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, IdentityError> {
        Ok(Self {
            certificate: read(&files.certificate, MAX_PEM_BYTES)?,
            key: read_private(&files.key)?,
            authorities: read(&files.authorities, MAX_PEM_BYTES)?,
            revocations: files.revocations.as_deref().map(read_lists).transpose()?,
        })
    }

    /// The same for the same contents, and only for them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &*self.key, &self.authorities].into_iter().chain(&self.revocations) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn read_lists(path: &Path) -> Result<Vec<u8>, IdentityError> {
    if !path.is_dir() {
        return read(path, MAX_REVOCATIONS_BYTES);
    }
    let failed = |error: std::io::Error| IdentityError::Read { path: path.to_owned(), kind: error.kind() };
    let mut lists = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // Drafts, and whatever else is kept beside the lists, end in something else.
        if file.extension().is_some_and(|extension| extension == "crl" || extension == "pem") {
            lists.push(file);
        }
    }
    if lists.len() > MAX_LISTS {
        return Err(IdentityError::Revocations { path: path.to_owned() });
    }
    lists.sort_unstable();
    let mut all = Vec::new();
    for list in lists {
        let left_bytes = MAX_REVOCATIONS_BYTES.saturating_sub(all.len() as u64);
        all.extend(read(&list, left_bytes)?);
        all.push(b'\n');
    }
    Ok(all)
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
