//! `[tracks]` in the node's configuration: which corridors tracks are measured against, and who hears of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sallyport_track::{Corridors, FILE_BYTES_MAX};
use sallyport_trust::operator_file::read_text;
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
                let text = read_text(&path, FILE_BYTES_MAX as u64).map_err(|error| at(&path, &error))?;
                files.push((path.display().to_string(), text));
            }
        }
        files.sort();
        let texts = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        Corridors::load(texts).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(directory: &Path) -> String {
        let mut settings: TrackSettings = toml::from_str("corridors = \".\"").unwrap();
        settings.anchor(directory);
        settings.read().unwrap_err().to_string()
    }

    #[test]
    fn a_corridor_file_that_is_cut_within_a_character_is_too_large_and_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("accents.geojson"), "\u{e9}".repeat(FILE_BYTES_MAX)).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("larger than 2 MiB"), "{told}");
    }
}
