//! The corridors as they lie in their directory, read again when a file changes. What is unclear is never used: those
//! read before stay in force. A node does not start with such.

use std::{
    io,
    path::{Path, PathBuf},
};

use sallyport_track::{CORRIDORS_MAX, Corridors, FILE_BYTES_MAX};
use sallyport_trust::operator_file::{Stamps, read_text};

/// The corridors in force.
pub(super) struct Designated {
    pub(super) corridors: Corridors,
    directory: PathBuf,
    /// Of what was read last, whether or not it could be used.
    read: Stamps,
    /// As of the last look.
    seen: Stamps,
}

impl Designated {
    /// Reads every corridor.
    ///
    /// # Errors
    /// A corridor that is unclear, files that cannot be read, or none at all.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let stamps = stamps(directory)?;
        let corridors = load(&stamps)?;
        if corridors.is_empty() {
            let problem = "it holds no corridor (*.geojson); add one, or leave [tracks] out";
            return Err(at(directory, &io::Error::other(problem)));
        }
        Ok(Self { corridors, directory: directory.to_owned(), read: stamps.clone(), seen: stamps })
    }

    /// Reads them again if a file has changed. Files that change between two looks are not read yet: somebody is
    /// writing them, and a corridor that is away for a moment would end every trip on it.
    pub(super) fn refresh(&mut self) {
        let stamps = match stamps(&self.directory) {
            Ok(stamps) => stamps,
            Err(error) => return tracing::warn!(%error, "the corridors cannot be looked at; those of before stay"),
        };
        let is_settled = std::mem::replace(&mut self.seen, stamps.clone()) == stamps;
        if !is_settled || stamps == self.read {
            return;
        }
        match load(&stamps) {
            Ok(corridors) => {
                tracing::info!(corridors = corridors.len(), "corridors read");
                self.corridors = corridors;
            }
            Err(error) => tracing::warn!(%error, "the corridors of before stay in force"),
        }
        self.read = stamps;
    }
}

fn stamps(directory: &Path) -> io::Result<Stamps> {
    Stamps::of(directory, "geojson", CORRIDORS_MAX).map_err(|error| at(directory, &error))
}

fn load(stamps: &Stamps) -> io::Result<Corridors> {
    let mut files = Vec::new();
    for path in stamps.paths() {
        let text = read_text(path, FILE_BYTES_MAX as u64).map_err(|error| at(path, &error))?;
        files.push((path.display().to_string(), text));
    }
    let texts = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    Corridors::load(texts).map_err(io::Error::other)
}

fn at(path: &Path, problem: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OWN: &str = include_str!("../../../policies/corridors/laredo-detroit.geojson");

    #[test]
    fn a_corridor_file_that_is_cut_within_a_character_is_too_large_and_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("accents.geojson"), "\u{e9}".repeat(FILE_BYTES_MAX)).unwrap();
        let told = Designated::open(directory.path()).err().unwrap().to_string();
        assert!(told.contains("larger than 2 MiB"), "{told}");
    }

    #[test]
    fn a_directory_without_corridors_measures_nothing_and_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("README.md"), "no corridor").unwrap();
        let told = Designated::open(directory.path()).err().unwrap().to_string();
        assert!(told.ends_with("add one, or leave [tracks] out"), "{told}");
    }

    #[test]
    fn corridors_are_read_again_once_their_files_stand_still_and_unclear_ones_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (own, other) = (directory.path().join("own.geojson"), directory.path().join("other.geojson"));
        fs::write(&own, OWN).unwrap();
        let mut designated = Designated::open(directory.path()).unwrap();
        fs::write(&other, OWN.replace("\"laredo-detroit\"", "\"laredo-detroit-2\"")).unwrap();
        designated.refresh();
        assert_eq!(designated.corridors.len(), 1, "it may not be whole yet");
        designated.refresh();
        assert_eq!(designated.corridors.len(), 2);
        // The same name twice is unclear.
        fs::write(&other, OWN).unwrap();
        designated.refresh();
        designated.refresh();
        assert_eq!(designated.corridors.len(), 2);
        fs::remove_file(&other).unwrap();
        designated.refresh();
        designated.refresh();
        assert_eq!(designated.corridors.len(), 1);
    }
}
