//! Keys of disclosures, in files by the second at which they expire.
//!
//! A file begins with a salt; its entries are wrapped under a key that HKDF (RFC 5869) derives from the
//! node's secret, the salt and the file's name. To erase is to overwrite the salt, so that no entry can
//! be unwrapped any more, and then to remove the file: a crash between the two leaves nothing to read.
//!
//! ```text
//! file  = salt (32) ‖ entries
//! entry = handle (16) ‖ nonce (12) ‖ AES-256-GCM(key (32) ‖ day (4) ‖ offset (8) ‖ bytes (4)) (64)
//! ```
//!
//! The handle is a keyed digest of whom the disclosure is about: entries of one subject are found without
//! unwrapping the others. It ends with the file, as it depends on the salt.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{about::About, disk, secret};

/// Seals one disclosure.
pub(super) type Key = Zeroizing<[u8; 32]>;

const SALT: usize = 32;
const HANDLE: usize = 16;
const PLACE: usize = 4 + 8 + 4;
const ENTRY: usize = HANDLE + NONCE_LEN + 32 + PLACE + 16;
/// Where keys are that never expire.
const WITHOUT_END: &str = "without-end";

/// Where a sealed disclosure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Days since 1970: the file.
    pub(super) day: u32,
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

/// The files.
pub(super) struct KeyFiles {
    directory: PathBuf,
    secret: Key,
}

impl KeyFiles {
    pub(super) fn open(directory: &Path, secret: Key) -> io::Result<Self> {
        disk::create_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), secret })
    }

    /// Keeps keys until `expiry_s`; durable when this returns.
    pub(super) fn append(&self, expiry_s: Option<u64>, entries: &[(About, &Key, Place)]) -> io::Result<()> {
        let name = expiry_s.map_or_else(|| WITHOUT_END.to_owned(), |expiry_s| expiry_s.to_string());
        let path = self.directory.join(&name);
        if !path.exists() {
            disk::replace(&path, secret::random()?.as_slice())?;
        }
        let mut file = disk::open_to_append(&path)?;
        let mut salt = [0; SALT];
        file.read_exact(&mut salt)?;
        // What a crash tore was never relied on.
        let length = file.metadata()?.len();
        file.set_len(length - (length - SALT as u64) % ENTRY as u64)?;
        let wrap = Wrap::new(&self.secret, &salt, &name)?;
        let new = entries.iter().map(|entry| wrap.entry(entry)).collect::<io::Result<Vec<_>>>()?;
        file.write_all(&new.concat())?;
        file.sync_data()
    }

    /// Keys of disclosures about this subject that have not expired.
    pub(super) fn of(&self, about: About, now_ms: i64) -> io::Result<Vec<(Key, Place)>> {
        let due = self.due(now_ms)?;
        let mut found = Vec::new();
        for name in self.names()?.into_iter().filter(|name| !due.contains(name)) {
            let bytes = match fs::read(self.directory.join(&name)) {
                // Erased in this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let Some((salt, entries)) = bytes.split_at_checked(SALT) else { continue };
            let wrap = Wrap::new(&self.secret, salt, &name)?;
            let handle = wrap.handle(about)?;
            let own = entries.chunks_exact(ENTRY).filter(|entry| entry.starts_with(&handle));
            found.extend(own.map(|entry| wrap.open(entry)).collect::<io::Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory)?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()?;
        names.retain(|name| name == WITHOUT_END || name.parse::<u64>().is_ok());
        names.sort_unstable();
        Ok(names)
    }

    /// Names of the files whose time has come.
    pub(super) fn due(&self, now_ms: i64) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        let now_s = u64::try_from(now_ms / 1_000).unwrap_or_default();
        names.retain(|name| name.parse::<u64>().is_ok_and(|expiry_s| expiry_s <= now_s));
        Ok(names)
    }

    /// Destroys the files whose time has come, and says how many keys were in them.
    pub(super) fn erase_due(&self, now_ms: i64) -> io::Result<u64> {
        let mut erased = 0;
        for name in self.due(now_ms)? {
            let path = self.directory.join(&name);
            erased += fs::metadata(&path)?.len().saturating_sub(SALT as u64) / ENTRY as u64;
            destroy_salt(&path)?;
            disk::remove(&path)?;
        }
        Ok(erased)
    }
}

/// Overwrites what every entry of the file depends on; durable when this returns.
pub(super) fn destroy_salt(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&[0; SALT])?;
    file.sync_all()
}

/// Wraps and unwraps the entries of one file.
struct Wrap {
    aead: RandomizedNonceKey,
    handles: Hkdf<Sha256>,
}

impl Wrap {
    fn new(secret: &Key, salt: &[u8], name: &str) -> io::Result<Self> {
        let file = Hkdf::<Sha256>::new(Some(salt), secret.as_slice());
        let mut key = Zeroizing::new([0; 32]);
        file.expand_multi_info(&[b"sallyport disclosures v1 ", name.as_bytes()], key.as_mut_slice())
            .map_err(io::Error::other)?;
        let aead = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(io::Error::other)?;
        Ok(Self { aead, handles: file })
    }

    fn handle(&self, about: About) -> io::Result<[u8; HANDLE]> {
        let mut handle = [0; HANDLE];
        self.handles
            .expand_multi_info(&[b"sallyport disclosures about v1 ", about.to_string().as_bytes()], &mut handle)
            .map_err(io::Error::other)?;
        Ok(handle)
    }

    fn entry(&self, (about, key, place): &(About, &Key, Place)) -> io::Result<Vec<u8>> {
        let handle = self.handle(*about)?;
        let mut wrapped = Zeroizing::new(Vec::with_capacity(ENTRY));
        wrapped.extend_from_slice(key.as_slice());
        wrapped.extend_from_slice(&place.day.to_be_bytes());
        wrapped.extend_from_slice(&place.offset.to_be_bytes());
        wrapped.extend_from_slice(&place.bytes.to_be_bytes());
        let nonce = self.aead.seal_in_place_append_tag(Aad::from(handle), &mut *wrapped).map_err(io::Error::other)?;
        Ok([&handle[..], nonce.as_ref(), &wrapped].concat())
    }

    fn open(&self, entry: &[u8]) -> io::Result<(Key, Place)> {
        let damaged = || disk::damaged("a file of disclosures' keys");
        let (handle, rest) = entry.split_at(HANDLE);
        let (nonce, wrapped) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut wrapped = Zeroizing::new(wrapped.to_vec());
        let plain = self.aead.open_in_place(nonce, Aad::from(handle), &mut wrapped).map_err(|_| damaged())?;
        let (key, rest) = plain.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (day, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (offset, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let bytes = rest.first_chunk().ok_or_else(damaged)?;
        let place = Place {
            day: u32::from_be_bytes(*day),
            offset: u64::from_be_bytes(*offset),
            bytes: u32::from_be_bytes(*bytes),
        };
        Ok((Zeroizing::new(*key), place))
    }
}
