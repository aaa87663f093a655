//! Sealed disclosures, appended to one file a day and never changed.
//!
//! AES-256-GCM (NIST SP 800-38D) under a key that seals nothing else. In the file each is
//! `length (4) ‖ nonce (12) ‖ ciphertext with its tag`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::keys::{Key, Place};
use crate::{disk, secret};

const LENGTH: usize = 4;

/// A fresh key and the sealed bytes.
pub(super) fn seal(plain: &[u8]) -> io::Result<(Key, Vec<u8>)> {
    let key = secret::random()?;
    let mut sealed = plain.to_vec();
    let sealing = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(io::Error::other)?;
    let nonce = sealing.seal_in_place_append_tag(Aad::empty(), &mut sealed).map_err(io::Error::other)?;
    let length = u32::try_from(NONCE_LEN + sealed.len()).map_err(io::Error::other)?;
    let bytes = [&length.to_be_bytes()[..], nonce.as_ref(), &sealed].concat();
    Ok((key, bytes))
}

fn open(key: &Key, bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = bytes.get(LENGTH..).and_then(|rest| rest.split_at_checked(NONCE_LEN)).ok_or_else(damaged)?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opening = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(io::Error::other)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let plain = opening.open_in_place(nonce, Aad::empty(), &mut sealed).map_err(|_| damaged())?.len();
    sealed.truncate(plain);
    Ok(sealed)
}

pub(super) fn damaged() -> io::Error {
    disk::damaged("a file of disclosures")
}

/// The files.
pub(super) struct Segments(PathBuf);

impl Segments {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        disk::create_directory(directory)?;
        Ok(Self(directory.to_owned()))
    }

    fn path(&self, day: u32) -> PathBuf {
        self.0.join(day.to_string())
    }

    /// Appends whole sealed disclosures; durable when this returns. Where the first one begins.
    ///
    /// Bytes that a crash left behind the last one are no harm: whoever looks for a disclosure is told
    /// where it is.
    pub(super) fn append(&self, day: u32, bytes: &[u8]) -> io::Result<u64> {
        let mut file = disk::open_to_append(&self.path(day))?;
        let from = file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)?;
        file.sync_data()?;
        Ok(from)
    }

    /// Opens one.
    pub(super) fn read(&self, place: &Place, key: &Key) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut file = File::open(self.path(place.day))?;
        file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = vec![0; place.bytes as usize];
        file.read_exact(&mut bytes).map_err(|_| damaged())?;
        open(key, &bytes)
    }
}
