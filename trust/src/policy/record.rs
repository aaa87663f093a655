//! Which version of its signed policy a party has taken last: durable, so that no restart and no restored
//! file brings an older policy back.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bundle::BundleError;

/// The newest version that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Taken {
    pub(super) version: u64,
    /// Hash of the policy's files, in hexadecimal.
    pub(super) policy: String,
}

impl Taken {
    /// What a file records; none when there is no file: no signed policy was in force yet.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, BundleError> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|_| unusable(&"it is damaged")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&error)),
        }
    }

    /// Whether this may follow what was taken before.
    pub(super) fn may_follow(&self, before: Option<&Self>) -> Result<(), BundleError> {
        match before {
            Some(last) if self.version < last.version => {
                Err(BundleError::Rollback { version: self.version, last: last.version })
            }
            Some(last) if self.version == last.version && self.policy != last.policy => {
                Err(BundleError::VersionReused { version: self.version })
            }
            _ => Ok(()),
        }
    }

    /// Writes it down; durable when this returns.
    pub(super) fn write(&self, path: &Path) -> Result<(), BundleError> {
        let text = serde_json::to_string(self).map_err(|error| unusable(&error))?;
        let write = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(directory)?;
            let aside = path.with_extension("new");
            let mut file = File::create(&aside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|error: std::io::Error| unusable(&error))
    }
}

fn unusable(problem: &dyn std::fmt::Display) -> BundleError {
    BundleError::Record(problem.to_string())
}
