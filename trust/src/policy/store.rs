//! The policy in force: read from a directory, tested, swapped in whole.
//!
//! A process starts with a policy that is complete and passes its own cases, or not at all. A reload
//! builds the new policy aside; whatever goes wrong, the old one stays in force.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::cases::CaseTable;
use super::engine::{self, Engine};
use super::rule::RuleBook;
use super::{Decision, PolicyError, Request, verdict};

/// Bytes of one policy file, at most.
pub const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

const MODEL_FILE: &str = "model.conf";
const RULES_FILE: &str = "rules.toml";
const CASES_FILE: &str = "cases.toml";

/// The policy of one process.
pub struct PolicyStore {
    directory: PathBuf,
    current: ArcSwap<Policy>,
}

impl PolicyStore {
    /// Loads `rules.toml` and `cases.toml` from a directory, and `model.conf` from it or else from
    /// its parent. Blocks on reading the files and on running the cases.
    ///
    /// # Errors
    /// A [`PolicyError`] that names the file, rule or case and what to change.
    pub fn open(directory: &Path) -> Result<Self, PolicyError> {
        let policy = Policy::compile(&Files::read(directory)?)?;
        Ok(Self { directory: directory.to_owned(), current: ArcSwap::from_pointee(policy) })
    }

    /// Loads the directory again and puts it in force. Decisions meanwhile are made by the old
    /// policy; each is made by one policy as a whole.
    ///
    /// # Errors
    /// As [`open`](Self::open); the old policy then stays in force.
    pub fn reload(&self) -> Result<(), PolicyError> {
        let policy = Policy::compile(&Files::read(&self.directory)?)?;
        self.current.store(Arc::new(policy));
        Ok(())
    }

    /// Decides one request. Does no I/O, reads no clock; the same request and policy give the same
    /// decision.
    pub fn decide(&self, request: &Request) -> Decision {
        self.current.load().decide(request)
    }

    /// SHA-256 over the files of the policy in force, as 64 hexadecimal digits.
    pub fn policy_hash(&self) -> String {
        self.current.load().hash.as_ref().to_owned()
    }
}

impl std::fmt::Debug for PolicyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyStore").field("policy_hash", &self.policy_hash()).finish_non_exhaustive()
    }
}

/// The texts of a policy.
pub(super) struct Files {
    pub(super) model: String,
    pub(super) rules: String,
    pub(super) cases: String,
}

impl Files {
    fn read(directory: &Path) -> Result<Self, PolicyError> {
        let own_model = directory.join(MODEL_FILE);
        let model = match directory.parent() {
            Some(parent) if !own_model.exists() => parent.join(MODEL_FILE),
            _ => own_model,
        };
        Ok(Self {
            model: read(MODEL_FILE, &model)?,
            rules: read(RULES_FILE, &directory.join(RULES_FILE))?,
            cases: read(CASES_FILE, &directory.join(CASES_FILE))?,
        })
    }

    /// Each file goes in with its name and length, so that nothing can move between files unseen.
    fn hash(&self) -> Arc<str> {
        let mut hasher = Sha256::new();
        for (name, text) in [(MODEL_FILE, &self.model), (RULES_FILE, &self.rules), (CASES_FILE, &self.cases)] {
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

fn read(file: &'static str, path: &Path) -> Result<String, PolicyError> {
    let unreadable = |source| PolicyError::Unreadable { file, source };
    let mut text = String::new();
    let opened = File::open(path).map_err(unreadable)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(PolicyError::TooLarge { file });
    }
    Ok(text)
}

/// One loaded policy; never changed after it is built.
pub(super) struct Policy {
    engine: Engine,
    hash: Arc<str>,
}

impl Policy {
    /// Checks the texts, builds the evaluator and runs the cases.
    pub(super) fn compile(files: &Files) -> Result<Self, PolicyError> {
        if !engine::is_expected_model(&files.model) {
            return Err(PolicyError::ForeignModel);
        }
        let cases = CaseTable::parse(&files.cases)?;
        let policy = Self { engine: Engine::build(RuleBook::parse(&files.rules)?)?, hash: files.hash() };
        cases.run(|request| policy.decide(request))?;
        Ok(policy)
    }

    pub(super) fn decide(&self, request: &Request) -> Decision {
        verdict::decide(&self.engine, &self.hash, request)
    }
}
