//! Public keys of logs and witnesses as arguments: the key itself, or a file that holds it.

use std::{fmt::Display, path::Path, str::FromStr};

/// Longer files hold no key.
const KEY_FILE_LIMIT_BYTES: u64 = 4 * 1024;

/// A key as it was typed, or the one in the file of that name.
pub(crate) fn given<K: FromStr<Err: Display>>(text: &str) -> Result<K, String> {
    match text.parse() {
        Ok(key) => Ok(key),
        Err(error) if !Path::new(text).exists() => Err(format!("{error}, or the path of a file such as audit.vkey")),
        Err(_) => in_file(Path::new(text)),
    }
}

fn in_file<K: FromStr<Err: Display>>(path: &Path) -> Result<K, String> {
    let unreadable = |problem: &dyn Display| format!("{} cannot be read: {problem}", path.display());
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > KEY_FILE_LIMIT_BYTES {
        return Err(unreadable(&"it is too long for a key"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    text.trim_end().parse().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use sallyport_trust::audit::checkpoint::{Signer, VerifierKey};

    use super::*;

    #[test]
    fn a_key_is_read_from_its_text_and_from_its_file() {
        let (signer, _) = Signer::generate("border.example/hsi").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("audit.vkey");
        std::fs::write(&file, format!("{}\n", signer.verifier())).unwrap();
        for text in [signer.verifier().to_string().as_str(), file.to_str().unwrap()] {
            assert_eq!(given::<VerifierKey>(text).as_ref(), Ok(signer.verifier()));
        }
        std::fs::write(&file, "nonsense").unwrap();
        for text in [file.to_str().unwrap(), directory.path().to_str().unwrap(), "border.example/hsi+00+AA"] {
            assert!(given::<VerifierKey>(text).is_err(), "{text}");
        }
    }
}
