//! Where a process gets its policy from: a plain directory, or a bundle that one of its signers signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::bundle::{BundleError, SignedBundle};
use super::files::{PolicyFiles, paths};
use super::record::Taken;
use super::store::Policy;
use crate::identity::{Identity, LimitsError, Role, SpiffeId};

/// `[policy]` in a process's TOML; every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// Who may sign this party's policy: nodes and people of agencies. When it names anyone, only a
    /// signed bundle is taken.
    pub signers: Vec<SpiffeId>,
    /// How often the policy's files are looked at for a change: 1 to 3,600 s.
    pub check_every_s: u64,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { signers: Vec::new(), check_every_s: 5 }
    }
}

/// What is wrong with `[policy]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicySettingsError {
    /// A number is out of range.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Somebody is named who signs no policy.
    #[error("`signers` names {0}; only a node or a person of {1} can sign this policy")]
    Signer(SpiffeId, String),
}

impl PolicySettings {
    /// Checks every field; `agency` is the one whose policy it is, if it is an agency's.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self, agency: Option<&str>) -> Result<(), PolicySettingsError> {
        if !(1..=3_600).contains(&self.check_every_s) {
            return Err(LimitsError { field: "check_every_s", least: 1, most: 3_600 }.into());
        }
        let may_sign = |signer: &&SpiffeId| {
            let signs = matches!(signer.role, Role::Node { .. } | Role::User { .. });
            signs && agency.is_none_or(|agency| signer.agency() == Some(agency))
        };
        match self.signers.iter().find(|signer| !may_sign(signer)) {
            Some(signer) => {
                let whose = agency.map_or_else(|| "an agency".to_owned(), |agency| format!("agency {agency}"));
                Err(PolicySettingsError::Signer(signer.clone(), whose))
            }
            None => Ok(()),
        }
    }
}

/// Where the policy of one process is, and what is asked of it.
pub struct PolicySource {
    path: PathBuf,
    signed: Option<SignedBy>,
}

struct SignedBy {
    signers: Vec<SpiffeId>,
    party: String,
    record: PathBuf,
    identity: Arc<Identity>,
}

/// What is known of how a policy came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Version of the bundle; none for a directory.
    pub version: Option<u64>,
    /// Who signed the bundle.
    pub signer: Option<SpiffeId>,
}

/// A policy that was read, judged and tested, and is not in force yet.
pub struct Prepared {
    pub(super) policy: Policy,
    pub(super) provenance: Provenance,
}

impl Prepared {
    /// SHA-256 over the policy's files, in hexadecimal.
    pub fn policy_hash(&self) -> &str {
        self.policy.hash()
    }

    /// How it came.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

/// When each of a policy's files was changed and how long it is; none for one that is not there.
pub(crate) type Stamps = Vec<Option<(SystemTime, u64)>>;

impl PolicySource {
    /// A plain directory: for development, and for whoever guards the directory otherwise.
    pub fn directory(path: &Path) -> Self {
        Self { path: path.to_owned(), signed: None }
    }

    /// As configured. `party` is the agency's short name or `gateway`; in the file `record` stands the
    /// newest version that was in force.
    pub fn configured(
        path: &Path,
        settings: &PolicySettings,
        party: &str,
        record: PathBuf,
        identity: Arc<Identity>,
    ) -> Self {
        let signed = SignedBy { signers: settings.signers.clone(), party: party.to_owned(), record, identity };
        Self { path: path.to_owned(), signed: (!settings.signers.is_empty()).then_some(signed) }
    }

    /// Reads, judges and tests what is there now. Changes nothing; blocks.
    ///
    /// # Errors
    /// A [`PolicyError`] with a stable reason.
    pub fn prepare(&self) -> Result<Prepared, PolicyError> {
        let Some(signed) = &self.signed else {
            if self.path.is_file() {
                return Err(BundleError::NoSigners.into());
            }
            let files = PolicyFiles::read_directory(&self.path)?;
            return Ok(Prepared { policy: Policy::compile(&files)?, provenance: Provenance::default() });
        };
        if self.path.is_dir() {
            return Err(BundleError::Required.into());
        }
        let bundle = SignedBundle::read(&self.path)?;
        let (content, signer) = bundle.verify(&signed.identity, &signed.signers, &signed.party)?;
        let taken = Taken { version: content.version, policy: content.files.hash().to_string() };
        taken.may_follow(Taken::read(&signed.record)?.as_ref())?;
        let policy = Policy::compile(&content.files)?;
        Ok(Prepared { policy, provenance: Provenance { version: Some(content.version), signer: Some(signer) } })
    }

    /// Writes down that a prepared policy comes into force, before it does.
    pub(super) fn record(&self, prepared: &Prepared) -> Result<(), PolicyError> {
        let (Some(signed), Some(version)) = (&self.signed, prepared.provenance.version) else { return Ok(()) };
        let taken = Taken { version, policy: prepared.policy_hash().to_owned() };
        let before = Taken::read(&signed.record)?;
        taken.may_follow(before.as_ref())?;
        if before.as_ref() == Some(&taken) {
            return Ok(());
        }
        Ok(taken.write(&signed.record)?)
    }

    /// Changes whenever a file of the policy does, as far as the file system tells.
    pub(crate) fn stamps(&self) -> Stamps {
        let files = if self.path.is_dir() { paths(&self.path).to_vec() } else { vec![self.path.clone()] };
        let stamp = |path: PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        files.into_iter().map(stamp).collect()
    }
}
