//! Where a person's node and certificate are: `people.toml`.

use std::path::{Path, PathBuf};

use sallyport_trust::identity::TlsFiles;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// People of one or more agencies, as the command line knows them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct People {
    pub(crate) person: Vec<Person>,
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
        let people: People = toml::from_str(&text)
            .map_err(|error| Failure::input("people_file", format!("{}: {error}", self.people.display())))?;
        let known: Vec<String> = people.person.iter().map(|person| person.name.clone()).collect();
        let mut person = people.person.into_iter().find(|person| person.name == self.name).ok_or_else(|| {
            Failure::input(
                "person_unknown",
                format!("nobody is called `{}` there; known: {}", self.name, known.join(", ")),
            )
        })?;
        person.tls.anchor(self.people.parent().unwrap_or(Path::new(".")));
        Ok(person)
    }
}
