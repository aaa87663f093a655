//! The authority's directory: files that appear whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SerialNumber};
use zeroize::Zeroizing;

use super::DevelopmentCaError;
use crate::identity::tls::provider;

const SERIAL_BYTES: usize = 16;

pub(super) fn make_directory(path: &Path) -> Result<(), DevelopmentCaError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| failed(path, &error))
}

/// The key in `path`, or a new one put there. Whoever comes second finds the first one's key.
pub(super) fn key_or_new(path: &Path) -> Result<KeyPair, DevelopmentCaError> {
    if let Some(key) = key_if_there(path)? {
        return Ok(key);
    }
    let key = new_key()?;
    let draft = write_draft(path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
    // Unlike a rename, a link never takes the place of a file that is there.
    let linked = fs::hard_link(&draft, path);
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            key_if_there(path)?.ok_or_else(|| failed(path, &ErrorKind::NotFound.into()))
        }
        Err(error) => Err(failed(path, &error)),
    }
}

fn new_key() -> Result<KeyPair, DevelopmentCaError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// A new key in the place of the one in `path`.
pub(super) fn replace_key(path: &Path) -> Result<KeyPair, DevelopmentCaError> {
    let key = new_key()?;
    write(path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
    Ok(key)
}

pub(super) fn key_if_there(path: &Path) -> Result<Option<KeyPair>, DevelopmentCaError> {
    let Some(pem) = read_if_there(path)?.map(Zeroizing::new) else { return Ok(None) };
    let foreign = || DevelopmentCaError::Foreign { path: path.to_owned() };
    let pem = std::str::from_utf8(&pem).map_err(|_| foreign())?;
    let key = KeyPair::from_pem(pem).map_err(|_| foreign())?;
    if key.is_compatible(&PKCS_ECDSA_P256_SHA256) { Ok(Some(key)) } else { Err(foreign()) }
}

pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, DevelopmentCaError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Writes or replaces a file in one step, so that a reader never finds half of it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), DevelopmentCaError> {
    let draft = write_draft(path, bytes)?;
    fs::rename(&draft, path).map_err(|error| failed(path, &error))
}

fn write_draft(path: &Path, bytes: &[u8]) -> Result<PathBuf, DevelopmentCaError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.draft", SerialHex(&random_serial()?)));
    let draft = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| failed(path, &error))?;
    Ok(draft)
}

/// A positive number of 16 bytes without a leading zero, so it has one encoding only.
pub(super) fn random_serial() -> Result<SerialNumber, DevelopmentCaError> {
    let mut bytes = [0; SERIAL_BYTES];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| DevelopmentCaError::Invalid("the machine gives no random bytes".to_owned()))?;
    bytes[0] = 0x40 | (bytes[0] & 0x3f);
    Ok(SerialNumber::from_slice(&bytes))
}

struct SerialHex<'a>(&'a SerialNumber);

impl std::fmt::Display for SerialHex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn failed(path: &Path, error: &io::Error) -> DevelopmentCaError {
    DevelopmentCaError::File { path: path.to_owned(), kind: error.kind() }
}
