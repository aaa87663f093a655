//! The node's TOML: strict, checked whole before a port is bound, paths relative to the file.

use std::{
    collections::BTreeMap,
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

use crate::{
    books::KEPT_BY_LAW,
    budget::{self, Budget},
    dataset::{Dataset, DatasetError},
    feed::{self, FeedSettings, FeedSettingsError},
    leads::LeadSettings,
    period::Period,
    tracks::TrackSettings,
};

/// Settings of one node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The agency, as the node's certificate names it.
    pub agency: String,
    /// `HOST:PORT` to listen on.
    pub listen: String,
    /// `HOST:PORT` of the gateway.
    pub gateway: String,
    /// Where the node keeps prepared data, tags, keys and its audit log; made at the first start.
    pub state: PathBuf,
    /// Directory of the policy's rules and cases, or a signed bundle of them.
    pub policies: PathBuf,
    /// Who may sign the policy, and how often its files are looked at.
    #[serde(default)]
    pub policy: PolicySettings,
    /// Country of phone numbers that are looked up without a country code, such as `US`.
    #[serde(default)]
    pub country: Option<String>,
    /// Epoch and members.
    pub federation: Federation,
    /// Certificate, key and authorities.
    pub tls: TlsFiles,
    /// How they are watched over.
    #[serde(default)]
    pub certificates: life::Settings,
    /// Limits of the listener.
    #[serde(default)]
    pub limits: Limits,
    /// How the gateway is connected to.
    #[serde(default)]
    pub connect: ConnectSettings,
    /// Who cosigns this node's audit log.
    #[serde(default)]
    pub witnesses: WitnessSettings,
    /// The agency's people, by the name in their certificates.
    #[serde(default)]
    pub person: Vec<Person>,
    /// Auditors of whom the node knows more than their name.
    #[serde(default)]
    pub auditor: Vec<Auditor>,
    /// The agency's data sets.
    #[serde(default)]
    pub dataset: Vec<Dataset>,
    /// Partners that send positions.
    #[serde(default)]
    pub feed: Vec<FeedSettings>,
    /// How positions are kept.
    #[serde(default)]
    pub positions: crate::positions::Settings,
    /// What the node gives away at most; without any there is no limit but those of policies.
    #[serde(default)]
    pub budget: Vec<Budget>,
    /// How disclosures are accounted for.
    #[serde(default)]
    pub disclosures: Disclosures,
    /// What the positions of feeds are measured against; without it tracks are kept and not measured.
    pub tracks: Option<TrackSettings>,
    /// Where playbooks are, and how people are told of leads.
    #[serde(default)]
    pub leads: LeadSettings,
}

/// The accounting of disclosures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disclosures {
    /// How long a disclosure is kept at least; longer where the record that it is of is kept longer.
    pub keep: Period,
}

impl Default for Disclosures {
    fn default() -> Self {
        Self { keep: KEPT_BY_LAW }
    }
}

/// The federation as this node knows it; every node must be told the same.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// Number of the epoch.
    pub epoch: u64,
    /// Agencies whose nodes take part, this one included.
    pub members: Vec<String>,
    /// Evaluations that each other node may ask for in the epoch.
    #[serde(default = "default_quota")]
    pub evaluations_per_node: u64,
}

/// A person of the agency and what the agency vouches for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// As in `spiffe://…/user/NAME`.
    pub name: String,
    /// Attributes that policies decide by.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

fn default_quota() -> u64 {
    50_000_000
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
    /// The members are not what they must be.
    #[error("[federation] members: name each agency once, at least two, and {0} among them")]
    Members(String),
    /// A person stands in the file twice.
    #[error("[[person]] names {0} twice: keep one")]
    PersonTwice(String),
    /// Budgets are not what they must be.
    #[error("[[budget]]: {0}")]
    Budget(&'static str),
    /// Track events would be kept for no time, or for ever.
    #[error("[tracks] `retention_days` is 1 to 3,650")]
    TrackRetention,
    /// News for somebody who is no member would reach nobody.
    #[error("`news_to` names `{0}`, which is none of the federation's members; correct the name")]
    NewsTo(String),
    /// Tracks of no positions.
    #[error("[tracks] measures the positions of feeds: add a [[feed]], or leave it out")]
    TracksWithoutFeed,
    /// A data set of a feed needs the feed.
    #[error("data set {dataset} is of the feed {feed}, which no [[feed]] of this node names")]
    FeedUnknown {
        /// The data set.
        dataset: String,
        /// What it names.
        feed: String,
    },
    /// What is said of leads cannot be.
    #[error("[leads] {0}")]
    Leads(&'static str),
    /// An auditor stands in the file twice.
    #[error("[[auditor]] names {0} twice: keep one")]
    AuditorTwice(String),
    /// Feeds are not what they must be.
    #[error("[[feed]] {0}")]
    Feed(#[from] FeedSettingsError),
    /// A data set is described wrongly.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
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
        config.anchor(path.parent().unwrap_or(Path::new(".")));
        config.validate()?;
        Ok(config)
    }

    fn anchor(&mut self, folder: &Path) {
        for path in [&mut self.state, &mut self.policies] {
            *path = folder.join(&*path);
        }
        self.tls.anchor(folder);
        self.leads.anchor(folder);
        self.tracks.iter_mut().for_each(|tracks| tracks.anchor(folder));
        for file in self.dataset.iter_mut().flat_map(|dataset| &mut dataset.files) {
            *file = folder.join(&*file);
        }
    }

    fn validate(&mut self) -> Result<(), ConfigError> {
        self.limits.validate()?;
        self.policy.validate(Some(&self.agency))?;
        self.certificates.validate().map_err(ConfigError::Certificates)?;
        let members = &mut self.federation.members;
        let named = members.len();
        members.sort_unstable();
        members.dedup();
        if members.len() != named || named < 2 || !members.contains(&self.agency) {
            return Err(ConfigError::Members(self.agency.clone()));
        }
        // Every other member, and the gateway.
        self.witnesses.validate(named)?;
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = self.person.iter().find(|person| !names.insert(&person.name)) {
            return Err(ConfigError::PersonTwice(twice.name.clone()));
        }
        budget::validate(&self.budget, self.disclosures.keep).map_err(ConfigError::Budget)?;
        self.leads.validate().map_err(ConfigError::Leads)?;
        feed::validate(&self.agency, &self.feed)?;
        for dataset in &self.dataset {
            let unknown = dataset.feed.as_ref().filter(|&name| self.feed.iter().all(|feed| feed.name != *name));
            if let Some(feed) = unknown {
                return Err(ConfigError::FeedUnknown { dataset: dataset.name.clone(), feed: feed.clone() });
            }
        }
        self.validate_tracks()?;
        if let Some(twice) = Auditor::named_twice(&self.auditor) {
            return Err(ConfigError::AuditorTwice(twice.to_owned()));
        }
        Ok(crate::dataset::validate(&self.agency, &self.dataset)?)
    }

    fn validate_tracks(&self) -> Result<(), ConfigError> {
        if self.tracks.is_some() && self.feed.is_empty() {
            return Err(ConfigError::TracksWithoutFeed);
        }
        if self.tracks.as_ref().is_some_and(|tracks| !(1..=3_650).contains(&tracks.retention_days)) {
            return Err(ConfigError::TrackRetention);
        }
        let of_datasets = self.dataset.iter().map(|dataset| &dataset.news_to);
        let mut told = of_datasets.chain(self.tracks.iter().map(|tracks| &tracks.news_to)).flatten();
        match told.find(|agency| !self.federation.members.contains(agency)) {
            Some(stranger) => Err(ConfigError::NewsTo(stranger.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(feeds: &str, datasets: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.toml");
        let text = format!(
            "agency = \"acme\"\nlisten = \"x\"\ngateway = \"x\"\nstate = \"s\"\npolicies = \"p\"\n\
             [federation]\nepoch = 1\nmembers = [\"acme\", \"cbp\"]\n\
             [tls]\ncertificate = \"c\"\nkey = \"k\"\nauthorities = \"a\"\n{feeds}{datasets}"
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn what_is_made_of_positions_needs_the_feed_that_they_come_from() {
        let feed = |name: &str| format!("[[feed]]\nname = \"{name}\"\npartner = \"acme\"\ndevices = [\"A-*\"]\n");
        let dataset = "[[dataset]]\nname = \"acme.places\"\nfeed = \"acme.positions\"\nsensitivity = \"official\"\n\
             [[dataset.identifier]]\nname = \"truck\"\ncolumn = \"device\"\ntype = \"device\"\n";
        read(&feed("acme.positions"), dataset).unwrap();
        for feeds in [String::new(), feed("acme.yard")] {
            let told = read(&feeds, dataset).unwrap_err().to_string();
            assert!(told.contains("acme.places") && told.contains("acme.positions"), "{told}");
        }
        let tracks = "[tracks]\ncorridors = \"c\"\n";
        assert!(matches!(read("", tracks), Err(ConfigError::TracksWithoutFeed)));
        read(&feed("acme.positions"), tracks).unwrap();
        let with = |line: &str| read(&feed("acme.positions"), &format!("{tracks}{line}\n"));
        with("retention_days = 3650\nnews_to = [\"acme\"]").unwrap();
        assert!(matches!(with("retention_days = 0"), Err(ConfigError::TrackRetention)));
        assert!(matches!(with("news_to = [\"nosuch\"]"), Err(ConfigError::NewsTo(name)) if name == "nosuch"));
    }
}
