//! `[tracks]` in the node's configuration: which corridors tracks are measured against, and who hears of it.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sallyport_track::{Corridors, FILE_BYTES_MAX};
use serde::Deserialize;

use crate::dataset::Sensitivity;

/// How tracks are measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackSettings {
    /// A directory of corridors, `*.geojson`, relative to the configuration's folder; read at a start.
    pub corridors: PathBuf,
    /// Who may see that there are track events.
    #[serde(default = "default_sensitivity")]
    pub sensitivity: Sensitivity,
    /// Agencies whose nodes are told that there are new ones, never whose.
    #[serde(default)]
    pub news_to: Vec<String>,
    /// How long an event is kept, in days.
    #[serde(default = "default_retention_days")]
    pub retention_days: u32,
}

fn default_sensitivity() -> Sensitivity {
    Sensitivity::LawEnforcementSensitive
}

fn default_retention_days() -> u32 {
    90
}

impl TrackSettings {
    pub(crate) fn anchor(&mut self, folder: &Path) {
        self.corridors = folder.join(&self.corridors);
    }

    /// Reads every corridor.
    pub(super) fn read(&self) -> io::Result<Corridors> {
        let at =
            |path: &Path, problem: &dyn std::fmt::Display| io::Error::other(format!("{}: {problem}", path.display()));
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.corridors).map_err(|error| at(&self.corridors, &error))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "geojson") {
                let text = corridor_text(&path).map_err(|error| at(&path, &error))?;
                files.push((path.display().to_string(), text));
            }
        }
        files.sort();
        let texts = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        Corridors::load(texts).map_err(io::Error::other)
    }
}

/// The text of a corridor's file, and no more of it than shows that it is too large, which parsing then says.
///
/// # Errors
/// When the file cannot be read, or is no UTF-8.
pub fn corridor_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        // The cut may go through a character.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refused(directory: &Path) -> String {
        let mut settings: TrackSettings = toml::from_str("corridors = \".\"").unwrap();
        settings.anchor(directory);
        settings.read().unwrap_err().to_string()
    }

    #[test]
    fn a_corridor_file_without_end_is_refused_and_not_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        symlink("/dev/zero", directory.path().join("zero.geojson")).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("larger than 2 MiB"), "{told}");
    }

    #[test]
    fn a_corridor_file_that_is_cut_within_a_character_is_too_large_and_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("accents.geojson"), "\u{e9}".repeat(FILE_BYTES_MAX)).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("larger than 2 MiB"), "{told}");
    }

    #[test]
    fn a_corridor_file_of_other_bytes_than_text_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("bytes.geojson"), [0xff, 0xfe]).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("utf-8"), "{told}");
    }
}
