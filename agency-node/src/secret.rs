//! The node's own secrets: 32 random bytes each, made at the first start and never replaced.

use std::{fs, io, path::Path};

use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::disk;

/// Reads the secret that is kept in `state` under this name, or makes it.
///
/// # Errors
/// When it can be neither read nor written, or is not 32 bytes long.
pub(crate) fn open(state: &Path, name: &str) -> io::Result<Zeroizing<[u8; 32]>> {
    let path = state.join(name);
    match fs::read(&path).map(Zeroizing::new) {
        Ok(bytes) => bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| disk::damaged(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(state)?;
            let secret = random()?;
            disk::replace(&path, secret.as_slice())?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Fresh random bytes of the machine.
pub(crate) fn random() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    TryRng::try_fill_bytes(&mut SysRng, secret.as_mut_slice()).map_err(io::Error::other)?;
    Ok(secret)
}
