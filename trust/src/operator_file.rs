//! Text files that an operator keeps: policies, playbooks, corridors. Never read further than shows that one is too
//! large, and not when they are no files: a pipe or a device would hold up whoever reads it. Looked at before it is
//! opened, so this is for mistakes; whoever may replace the file may do worse.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The files of a directory as they were seen last: equal as long as none was added, removed or written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(Vec<(PathBuf, u64, SystemTime)>);

impl Stamps {
    /// Name, length and moment of the last change of the directory's files with this extension, by name; of so many
    /// files at most and one more.
    ///
    /// # Errors
    /// When the directory or one of the files cannot be looked at.
    pub fn of(directory: &Path, extension: &str, files_max: usize) -> io::Result<Self> {
        let mut stamps = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) && stamps.len() <= files_max {
                let about = fs::metadata(&path)?;
                stamps.push((path, about.len(), about.modified()?));
            }
        }
        stamps.sort_unstable();
        Ok(Self(stamps))
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, ..)| path.as_path())
    }
}

/// The text of a file. One that is larger than `limit_bytes` comes cut, and longer than that: so whoever reads it
/// compares the lengths.
///
/// # Errors
/// When there is no such file or it cannot be read, is no regular file, or is no UTF-8.
pub fn read_text(path: &Path, limit_bytes: u64) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        // The cut may go through a character, whose replacement is no shorter.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> io::Result<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), bytes).unwrap();
        read_text(&directory.path().join(name), 8)
    }

    #[test]
    fn what_fits_comes_whole_and_what_does_not_is_longer_than_the_limit() {
        assert_eq!(read("text", b"12345678").unwrap(), "12345678");
        assert!(read("text", b"123456789abcdef").unwrap().len() > 8);
        for accents in ["\u{e9}".repeat(9), format!("1234567{}", "\u{1f69a}".repeat(3))] {
            assert!(read("text", accents.as_bytes()).unwrap().len() > 8);
        }
    }

    #[test]
    fn stamps_differ_when_a_file_comes_goes_or_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let stamps = || Stamps::of(directory.path(), "toml", 10).unwrap();
        let empty = stamps();
        fs::write(file("b.toml"), "1").unwrap();
        fs::write(file("a.toml"), "1").unwrap();
        let two = stamps();
        assert_eq!(two.paths().collect::<Vec<_>>(), [file("a.toml"), file("b.toml")]);
        fs::write(file("note.md"), "no matter").unwrap();
        assert_eq!(stamps(), two);
        fs::write(file("a.toml"), "12").unwrap();
        assert_ne!(stamps(), two);
        fs::remove_file(file("a.toml")).unwrap();
        fs::remove_file(file("b.toml")).unwrap();
        assert_eq!(stamps(), empty);
        assert!(Stamps::of(&file("none"), "toml", 10).is_err());
    }

    #[test]
    fn other_bytes_than_text_and_what_is_no_file_are_refused() {
        assert_eq!(read("text", &[0xff, 0xfe]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let directory = tempfile::tempdir().unwrap();
        let zero = directory.path().join("zero");
        symlink("/dev/zero", &zero).unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [zero.as_path(), pipe.as_path(), directory.path()] {
            assert_eq!(read_text(path, 8).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
    }
}
