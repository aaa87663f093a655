//! The gateway's TOML: strict, checked whole before a port is bound, paths relative to the file.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use sallyport_trust::{
    auditing::Auditor,
    identity::{ConnectSettings, Limits, LimitsError, TlsFiles},
    life,
    policy::{PolicySettings, PolicySettingsError},
    witnessing::{WitnessError, WitnessSettings},
};
use serde::Deserialize;

/// Settings of one gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that this was read from.
    #[serde(skip)]
    pub source: PathBuf,
    /// `HOST:PORT` to listen on.
    pub listen: String,
    /// Where the audit log is kept; made at the first start.
    pub audit: PathBuf,
    /// Directory of the policy's rules and cases, or a signed bundle of them.
    pub policies: PathBuf,
    /// Who may sign the policy, and how often its files are looked at.
    #[serde(default)]
    pub policy: PolicySettings,
    /// Certificate, key and authorities.
    pub tls: TlsFiles,
    /// How they are watched over.
    #[serde(default)]
    pub certificates: life::Settings,
    /// Limits of the listener.
    #[serde(default)]
    pub limits: Limits,
    /// How nodes are connected to.
    #[serde(default)]
    pub connect: ConnectSettings,
    /// Who cosigns this gateway's audit log.
    #[serde(default)]
    pub witnesses: WitnessSettings,
    /// The nodes of the federation.
    pub node: Vec<NodeAddress>,
    /// Auditors of whom the gateway knows more than their name.
    #[serde(default)]
    pub auditor: Vec<Auditor>,
}

/// Where an agency's node is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAddress {
    /// The agency, as its certificate names it.
    pub agency: String,
    /// `HOST:PORT`.
    pub address: String,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read ({kind}): check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },
    /// The text is no valid configuration.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// A limit is out of range.
    #[error("[limits]: {0}")]
    Limits(#[from] LimitsError),
    /// What is said of the policy cannot be.
    #[error("[policy]: {0}")]
    Policy(#[from] PolicySettingsError),
    /// A setting of the audit log's witnesses is out of range.
    #[error("[witnesses]: {0}")]
    Witnesses(#[from] WitnessError),
    /// The watch over certificates is out of range.
    #[error("[certificates]: {0}")]
    Certificates(LimitsError),
    /// An agency stands in the file twice.
    #[error("[[node]] names the agency {0} twice: keep one")]
    TwiceNamed(String),
    /// An auditor stands in the file twice.
    #[error("[[auditor]] names {0} twice: keep one")]
    AuditorTwice(String),
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), kind: error.kind() })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        config.source = path.to_owned();
        config.anchor(path.parent().unwrap_or(Path::new(".")));
        config.limits.validate()?;
        config.policy.validate(None)?;
        config.witnesses.validate(config.node.len())?;
        config.certificates.validate().map_err(ConfigError::Certificates)?;
        let mut agencies = BTreeSet::new();
        if let Some(twice) = config.node.iter().find(|node| !agencies.insert(&node.agency)) {
            return Err(ConfigError::TwiceNamed(twice.agency.clone()));
        }
        match Auditor::named_twice(&config.auditor) {
            Some(twice) => Err(ConfigError::AuditorTwice(twice.to_owned())),
            None => Ok(config),
        }
    }

    /// Where the newest version of the signed policy that was in force is written down: beside the log.
    pub(crate) fn policy_record(&self) -> PathBuf {
        let mut name = self.audit.file_name().unwrap_or_default().to_owned();
        name.push("-policy.json");
        self.audit.with_file_name(name)
    }

    fn anchor(&mut self, folder: &Path) {
        for path in [&mut self.audit, &mut self.policies] {
            *path = folder.join(&*path);
        }
        self.tls.anchor(folder);
    }
}
