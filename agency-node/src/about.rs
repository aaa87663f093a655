//! Whom a released row was about, by numbers that mean something at this node alone.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    holdings::RecordKey,
    identifier::{IdentifierType, UnknownIdentifierType},
};

/// A subject of this node's own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum About {
    /// Whoever has an identifier, by the type and the subject's number, which never changes.
    Subject(IdentifierType, u32),
    /// A person whom only a name, a date or a place describes: a digest over the numbers of these.
    Record(u128),
}

impl About {
    /// Everyone whom a person's record names: by each of its identifiers, or else as described.
    pub(crate) fn record(dataset: &str, keys: &[RecordKey]) -> Vec<Self> {
        let identifiers = keys.iter().filter(|key| key.identifier_type() != IdentifierType::PersonKey);
        let named: Vec<Self> = identifiers.map(|key| Self::Subject(key.identifier_type(), key.number)).collect();
        if !named.is_empty() {
            return named;
        }
        let mut digest = Sha256::new_with_prefix(dataset);
        keys.iter().for_each(|key| {
            digest.update([0, key.kind]);
            digest.update(key.number.to_be_bytes());
        });
        let mut first = [0; 16];
        first.copy_from_slice(&digest.finalize()[..16]);
        vec![Self::Record(u128::from_be_bytes(first))]
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(kind, number) => write!(f, "{kind} {number}"),
            Self::Record(digest) => write!(f, "record {digest:032x}"),
        }
    }
}

impl From<About> for String {
    fn from(about: About) -> Self {
        about.to_string()
    }
}

impl FromStr for About {
    type Err = UnknownIdentifierType;

    fn from_str(text: &str) -> Result<Self, UnknownIdentifierType> {
        match text.split_once(' ').ok_or(UnknownIdentifierType)? {
            ("record", digest) => u128::from_str_radix(digest, 16).map(Self::Record).map_err(|_| UnknownIdentifierType),
            (kind, number) => Ok(Self::Subject(kind.parse()?, number.parse().map_err(|_| UnknownIdentifierType)?)),
        }
    }
}

impl TryFrom<String> for About {
    type Error = UnknownIdentifierType;

    fn try_from(text: String) -> Result<Self, UnknownIdentifierType> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_it_is_about_survives_being_written_down() {
        for about in [About::Subject(IdentifierType::Phone, 17), About::Record(7), About::Record(u128::MAX)] {
            assert_eq!(about.to_string().parse::<About>().unwrap(), about);
        }
        for wrong in ["", "phone", "phone x", "person_key 3", "record zz", "phone -1"] {
            assert!(wrong.parse::<About>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_record_is_known_by_its_identifiers_or_else_by_what_describes_it() {
        // Kinds of names and dates come before those of identifiers, see `join::entity`.
        let name = RecordKey { kind: 1, number: 5 };
        let phone = RecordKey { kind: sallyport_join::entity::IDENTIFIER_KINDS_FROM, number: 3 };
        assert_eq!(About::record("a.b", &[name, phone]), [About::Subject(IdentifierType::Phone, 3)]);
        let described = |dataset, number| About::record(dataset, &[RecordKey { kind: 1, number }]);
        assert_eq!(described("a.b", 5), described("a.b", 5));
        assert_ne!(described("a.b", 5), described("a.b", 6));
        assert_ne!(described("a.b", 5), described("a.c", 5));
    }
}
