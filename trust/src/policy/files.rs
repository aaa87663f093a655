//! The texts that make a policy: model, rules, cases and, if there is one, the attribute schema.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::bundle::SignedBundle;
use super::cases::CaseTable;
use super::{PolicyError, Request};
use crate::operator_file;

/// Bytes of one policy file, at most.
pub const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

pub(super) const MODEL_FILE: &str = "model.conf";
pub(super) const RULES_FILE: &str = "rules.toml";
pub(super) const SCHEMA_FILE: &str = "schema.toml";
pub(super) const CASES_FILE: &str = "cases.toml";

/// The texts of a policy, read and not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFiles {
    pub(super) model: String,
    pub(super) rules: String,
    /// What the party's requests can carry; without it, every attribute that there is.
    pub(super) schema: Option<String>,
    pub(super) cases: String,
}

impl PolicyFiles {
    /// Reads a directory, or the content of a bundle **without judging its signature**: for whoever
    /// checks or explains a policy. A process reads its own through a
    /// [`PolicySource`](super::PolicySource).
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file and what to do.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        if path.is_dir() { Self::read_directory(path) } else { Ok(SignedBundle::read(path)?.claimed()?.files) }
    }

    /// The party that a bundle says it is for, **without judging its signature**; a directory does not say.
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file and what to do.
    pub fn party(path: &Path) -> Result<Option<String>, PolicyError> {
        if path.is_dir() { Ok(None) } else { Ok(Some(SignedBundle::read(path)?.claimed()?.party)) }
    }

    /// `rules.toml` and `cases.toml` from the directory; `model.conf` and `schema.toml` from it or else
    /// from its parent.
    pub(super) fn read_directory(directory: &Path) -> Result<Self, PolicyError> {
        let [model, rules, schema, cases] = paths(directory);
        Ok(Self {
            model: read(MODEL_FILE, &model)?,
            rules: read(RULES_FILE, &rules)?,
            schema: if schema.exists() { Some(read(SCHEMA_FILE, &schema)?) } else { None },
            cases: read(CASES_FILE, &cases)?,
        })
    }

    /// The request of a case of the policy's own table.
    ///
    /// # Errors
    /// [`PolicyError::Case`] when there is no such case, or what makes the table unfit.
    pub fn case(&self, name: &str) -> Result<Request, PolicyError> {
        let no_such = || PolicyError::Case { name: name.to_owned(), problem: "there is no such case".to_owned() };
        CaseTable::parse(&self.cases)?.request(name).cloned().ok_or_else(no_such)
    }

    /// SHA-256 in hexadecimal. Each file goes in with its name and length, so that nothing can move
    /// between files unseen.
    pub(super) fn hash(&self) -> Arc<str> {
        let mut hasher = Sha256::new();
        let always = [(MODEL_FILE, &self.model), (RULES_FILE, &self.rules), (CASES_FILE, &self.cases)];
        let schema = self.schema.iter().map(|schema| (SCHEMA_FILE, schema));
        for (name, text) in always.into_iter().chain(schema) {
            hasher.update(name.as_bytes());
            hasher.update([0]);
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        let digest = hasher.finalize();
        let hex = digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        hex.into()
    }
}

/// Where model, rules, schema and cases of a directory are.
pub(super) fn paths(directory: &Path) -> [PathBuf; 4] {
    let here_or_above = |file: &str| match directory.parent() {
        Some(parent) if !directory.join(file).exists() => parent.join(file),
        _ => directory.join(file),
    };
    [here_or_above(MODEL_FILE), directory.join(RULES_FILE), here_or_above(SCHEMA_FILE), directory.join(CASES_FILE)]
}

fn read(file: &'static str, path: &Path) -> Result<String, PolicyError> {
    read_text(file, path, FILE_BYTES_MAX)
}

/// The text of a file of at most `limit_bytes`.
pub(super) fn read_text(file: &'static str, path: &Path, limit_bytes: u64) -> Result<String, PolicyError> {
    let unreadable = |source| PolicyError::Unreadable { file, source };
    let text = operator_file::read_text(path, limit_bytes).map_err(unreadable)?;
    if text.len() as u64 > limit_bytes {
        return Err(PolicyError::TooLarge { file });
    }
    Ok(text)
}
