//! Who acts: a person, or whoever has a role.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A person of the agency, or everybody with a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// By the name in their certificate.
    Person(String),
    /// By the role that the agency vouches for.
    Role(String),
}

impl Who {
    /// Whether the actor is meant.
    pub fn is(&self, actor: &Actor) -> bool {
        match self {
            Self::Person(name) => *name == actor.name,
            Self::Role(role) => *role == actor.role,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Role(role) => write!(f, "any {role}"),
        }
    }
}

/// Whoever does something with a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Name of the person, or of the watch that raised it.
    pub name: String,
    /// Role at the moment of the act; empty for a watch.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
}

/// The people of an agency: names and roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People(BTreeMap<String, String>);

impl People {
    /// Whether there is a person of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names of everybody who is meant.
    pub fn names(&self, who: &Who) -> Vec<&str> {
        let meant = |name: &str, role: &str| match who {
            Who::Person(person) => person == name,
            Who::Role(wanted) => wanted == role,
        };
        self.0.iter().filter(|(name, role)| meant(name, role)).map(|(name, _)| name.as_str()).collect()
    }
}

impl<N: Into<String>, R: Into<String>> FromIterator<(N, R)> for People {
    fn from_iter<I: IntoIterator<Item = (N, R)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, role)| (name.into(), role.into())).collect())
    }
}
