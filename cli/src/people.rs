//! Where a person's node and certificate are: `people.toml`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sallyport_trust::identity::TlsFiles;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// People of one or more agencies, as the command line knows them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct People {
    #[serde(default)]
    pub(crate) person: Vec<Person>,
    #[serde(default)]
    pub(crate) auditor: Vec<Auditor>,
    #[serde(default)]
    pub(crate) feed: Vec<Feed>,
}

/// One person.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) agency: String,
    /// `HOST:PORT` of the agency's node.
    pub(crate) node: String,
    pub(crate) tls: TlsFiles,
}

/// Someone who reads audit logs.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auditor {
    pub(crate) name: String,
    /// `HOST:PORT` of the gateway, as `gateway`, and of nodes, by their agency.
    pub(crate) places: BTreeMap<String, String>,
    pub(crate) tls: TlsFiles,
}

/// A partner's system that sends positions.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    pub(crate) name: String,
    /// The agency whose node it sends to.
    pub(crate) agency: String,
    /// `HOST:PORT` of that node.
    pub(crate) node: String,
    pub(crate) tls: TlsFiles,
}

/// How a command says who asks.
#[derive(clap::Args)]
pub(crate) struct As {
    /// Who asks: a name from the people file.
    #[arg(long = "as", value_name = "USER")]
    name: String,
    /// File that says where people's nodes and certificates are.
    #[arg(long, value_name = "FILE", default_value = "demo/people.toml", env = "SALLYPORT_PEOPLE")]
    people: PathBuf,
}

impl As {
    pub(crate) fn new(name: &str, people: &Path) -> Self {
        Self { name: name.to_owned(), people: people.to_owned() }
    }

    /// The person meant.
    pub(crate) fn person(&self) -> Result<Person, Failure> {
        let people = self.read()?.person;
        let known = people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(", ");
        let person = people.iter().find(|person| person.name == self.name).cloned();
        let mut person = person.ok_or_else(|| self.unknown("person_unknown", "nobody", &known))?;
        person.tls.anchor(self.folder());
        Ok(person)
    }

    /// The auditor meant.
    pub(crate) fn auditor(&self) -> Result<Auditor, Failure> {
        let auditors = self.read()?.auditor;
        let known = auditors.iter().map(|auditor| auditor.name.as_str()).collect::<Vec<_>>().join(", ");
        let auditor = auditors.iter().find(|auditor| auditor.name == self.name).cloned();
        let mut auditor = auditor.ok_or_else(|| self.unknown("auditor_unknown", "no auditor", &known))?;
        auditor.tls.anchor(self.folder());
        Ok(auditor)
    }

    /// The feed meant.
    pub(crate) fn feed(&self) -> Result<Feed, Failure> {
        let feeds = self.read()?.feed;
        let known = feeds.iter().map(|feed| feed.name.as_str()).collect::<Vec<_>>().join(", ");
        let feed = feeds.iter().find(|feed| feed.name == self.name).cloned();
        let mut feed = feed.ok_or_else(|| self.unknown("feed_unknown", "no feed", &known))?;
        feed.tls.anchor(self.folder());
        Ok(feed)
    }

    fn read(&self) -> Result<People, Failure> {
        let text = std::fs::read_to_string(&self.people).map_err(|error| {
            Failure::input(
                "people_file",
                format!(
                    "{} cannot be read ({}); name another with --people, or run `sallyport demo --keep` first",
                    self.people.display(),
                    error.kind()
                ),
            )
        })?;
        toml::from_str(&text)
            .map_err(|error| Failure::input("people_file", format!("{}: {error}", self.people.display())))
    }

    fn unknown(&self, reason: &str, who: &str, known: &str) -> Failure {
        Failure::input(reason, format!("{who} is called `{}` there; known: {known}", self.name))
    }

    fn folder(&self) -> &Path {
        self.people.parent().unwrap_or(Path::new("."))
    }
}
