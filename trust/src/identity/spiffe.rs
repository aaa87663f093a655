//! Names of the parties, as SPIFFE IDs.
//!
//! A party's role is read from the one URI in its certificate and from nowhere else. The parser is
//! strict: what it accepts has exactly one spelling, so names can be compared byte by byte. It never
//! guesses, trims or changes case.
//!
//! Source: the SPIFFE-ID specification (trust domain and path), narrowed to five forms of path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SCHEME: &str = "spiffe://";
const MAX_NAME_BYTES: usize = 63;
const MAX_FEDERATION_BYTES: usize = 253;

/// What a party is, with the names that belong to that role.
///
/// Every name is 1 to 63 characters of `a-z`, `0-9` and `-`, and begins and ends with a letter or
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An agency's own process: `agency/AGENCY/node`.
    Node {
        /// The agency it speaks for.
        agency: String,
    },
    /// The process that plans, joins and scores: `gateway`.
    Gateway,
    /// A person at an agency: `agency/AGENCY/user/NAME`.
    User {
        /// The agency that vouches for the person.
        agency: String,
        /// The person's name within the agency.
        name: String,
    },
    /// An industry partner's feed: `partner/PARTNER/feed`.
    Feed {
        /// The partner that sends the positions.
        partner: String,
    },
    /// Someone who reads audit logs: `auditor/NAME`.
    Auditor {
        /// The auditor's name within the federation.
        name: String,
    },
}

/// A party's name: the federation that issued it and its role there.
///
/// Text form: `spiffe://FEDERATION/` and the path of the [`Role`]. A value read from text is always
/// valid; one put together field by field should go through [`SpiffeId::new`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    /// The federation, written like a lower-case DNS name of at most 253 characters.
    pub federation: String,
    /// What the party is.
    pub role: Role,
}

/// Why a text is not the name of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// The scheme or the path is none of the known forms.
    #[error(
        "not the name of a party: write spiffe://FEDERATION/gateway, /agency/AGENCY/node, \
         /agency/AGENCY/user/NAME, /partner/PARTNER/feed or /auditor/NAME"
    )]
    Form,
    /// The federation is not written like a lower-case DNS name.
    #[error(
        "the federation must look like a lower-case DNS name of at most 253 characters, such as \
         border.example"
    )]
    Federation,
    /// One of the names holds other characters, or is empty or too long.
    #[error(
        "a name must be 1 to 63 characters of a-z, 0-9 and '-', and begin and end with a letter \
         or digit"
    )]
    Name,
}

impl SpiffeId {
    /// A name put together from its parts.
    ///
    /// # Errors
    /// [`SpiffeIdError`] if the federation or a name within the role is not in its strict form.
    pub fn new(federation: &str, role: Role) -> Result<Self, SpiffeIdError> {
        let id = Self { federation: federation.to_owned(), role };
        let read: Self = id.to_string().parse()?;
        // A name that smuggles in a slash would read back as another party.
        if read == id { Ok(read) } else { Err(SpiffeIdError::Name) }
    }

    /// The agency that a node or a person belongs to; none for the other roles.
    pub fn agency(&self) -> Option<&str> {
        match &self.role {
            Role::Node { agency } | Role::User { agency, .. } => Some(agency),
            Role::Gateway | Role::Feed { .. } | Role::Auditor { .. } => None,
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/", self.federation)?;
        match &self.role {
            Role::Node { agency } => write!(f, "agency/{agency}/node"),
            Role::Gateway => f.write_str("gateway"),
            Role::User { agency, name } => write!(f, "agency/{agency}/user/{name}"),
            Role::Feed { partner } => write!(f, "partner/{partner}/feed"),
            Role::Auditor { name } => write!(f, "auditor/{name}"),
        }
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Form)?;
        let (federation, path) = rest.split_once('/').ok_or(SpiffeIdError::Form)?;
        if !is_federation(federation) {
            return Err(SpiffeIdError::Federation);
        }
        // No form has more than four segments, so a longer path stays in the last one and fails.
        let segments: Vec<&str> = path.splitn(5, '/').collect();
        let role = match segments.as_slice() {
            ["gateway"] => Role::Gateway,
            ["agency", agency, "node"] => Role::Node { agency: name(agency)? },
            ["agency", agency, "user", person] => Role::User { agency: name(agency)?, name: name(person)? },
            ["partner", partner, "feed"] => Role::Feed { partner: name(partner)? },
            ["auditor", person] => Role::Auditor { name: name(person)? },
            _ => return Err(SpiffeIdError::Form),
        };
        Ok(Self { federation: federation.to_owned(), role })
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.to_string()
    }
}

fn name(text: &str) -> Result<String, SpiffeIdError> {
    if is_label(text) { Ok(text.to_owned()) } else { Err(SpiffeIdError::Name) }
}

fn is_label(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_federation(text: &str) -> bool {
    text.len() <= MAX_FEDERATION_BYTES && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in [
            "spiffe://border.example/gateway",
            "spiffe://border.example/agency/hsi/node",
            "spiffe://border.example/agency/hsi/user/rivera",
            "spiffe://border.example/partner/acme-2/feed",
            "spiffe://b/auditor/ng",
        ] {
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(SpiffeId::new(&id.federation, id.role.clone()), Ok(id));
        }
    }

    #[test]
    fn only_nodes_and_people_belong_to_an_agency() {
        let agency = |text: &str| -> Option<String> { text.parse::<SpiffeId>().unwrap().agency().map(str::to_owned) };
        assert_eq!(agency("spiffe://f/agency/cbp/node").as_deref(), Some("cbp"));
        assert_eq!(agency("spiffe://f/agency/hsi/user/rivera").as_deref(), Some("hsi"));
        assert_eq!(agency("spiffe://f/partner/acme/feed"), None);
        assert_eq!(agency("spiffe://f/gateway"), None);
    }

    #[test]
    fn other_spellings_are_refused() {
        use SpiffeIdError::{Federation, Form, Name};
        let long = format!("spiffe://f/auditor/{}", "a".repeat(64));
        let wide = format!("spiffe://{}/gateway", "abcdefg.".repeat(32) + "a");
        for (text, error) in [
            ("", Form),
            ("https://f/gateway", Form),
            ("SPIFFE://f/gateway", Form),
            ("spiffe://f", Form),
            ("spiffe://f/", Form),
            ("spiffe://f/gateway/", Form),
            ("spiffe://f/gateway?x=1", Form),
            ("spiffe://f/agency/hsi", Form),
            ("spiffe://f/agency/hsi/node/extra", Form),
            ("spiffe://f/agency/hsi/user/a/b", Form),
            ("spiffe://f//gateway", Form),
            ("spiffe:///gateway", Federation),
            ("spiffe://F/gateway", Federation),
            ("spiffe://f:443/gateway", Federation),
            ("spiffe://u@f/gateway", Federation),
            ("spiffe://f..g/gateway", Federation),
            ("spiffe://f./gateway", Federation),
            (wide.as_str(), Federation),
            ("spiffe://f/agency/HSI/node", Name),
            ("spiffe://f/agency//node", Name),
            ("spiffe://f/agency/../node", Name),
            ("spiffe://f/agency/h%73i/node", Name),
            ("spiffe://f/agency/-hsi/node", Name),
            ("spiffe://f/auditor/ng\n", Name),
            (long.as_str(), Name),
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_name_cannot_smuggle_in_a_path() {
        let role = Role::Auditor { name: "x/node".to_owned() };
        assert!(SpiffeId::new("f", role).is_err());
        assert!(SpiffeId::new("f/agency/hsi/node", Role::Gateway).is_err());
    }
}
