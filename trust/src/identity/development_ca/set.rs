//! The certificates of a whole demonstration in one call.

use std::path::Path;

use super::{DevelopmentCa, DevelopmentCaError, Issued, Validity};
use crate::clock::Clock;
use crate::identity::spiffe::{Role, SpiffeId};

const SET_DAYS: i64 = 365;

/// The parties of a demonstration.
#[derive(Debug, Clone, Copy)]
pub struct DevelopmentSet<'a> {
    /// The federation's name.
    pub federation: &'a str,
    /// Agencies; each gets a node.
    pub agencies: &'a [&'a str],
    /// People, as (agency, name).
    pub users: &'a [(&'a str, &'a str)],
    /// Auditors.
    pub auditors: &'a [&'a str],
    /// Industry partners; each gets a feed.
    pub partners: &'a [&'a str],
}

impl DevelopmentSet<'_> {
    fn roles(&self) -> impl Iterator<Item = Role> {
        let node = |agency: &&str| Role::Node { agency: (*agency).to_owned() };
        let user =
            |(agency, name): &(&str, &str)| Role::User { agency: (*agency).to_owned(), name: (*name).to_owned() };
        let auditor = |name: &&str| Role::Auditor { name: (*name).to_owned() };
        let feed = |partner: &&str| Role::Feed { partner: (*partner).to_owned() };
        std::iter::once(Role::Gateway)
            .chain(self.agencies.iter().map(node))
            .chain(self.users.iter().map(user))
            .chain(self.auditors.iter().map(auditor))
            .chain(self.partners.iter().map(feed))
    }
}

/// Makes the authority and everything that a demonstration of one federation needs in `directory`: the
/// gateway, a node for each agency, and the people, auditors and partners, each valid for a year.
///
/// Files are named by [`file_name`]. Running it again changes nothing that still serves.
///
/// # Errors
/// [`DevelopmentCaError`] at the first certificate that cannot be made.
pub fn development_set(
    directory: &Path,
    set: &DevelopmentSet<'_>,
    clock: Clock,
) -> Result<Vec<Issued>, DevelopmentCaError> {
    let validity = Validity::days(clock.now(), SET_DAYS);
    let authority = DevelopmentCa::create_or_open(directory, clock)?;
    set.roles()
        .map(|role| {
            let id =
                SpiffeId::new(set.federation, role).map_err(|error| DevelopmentCaError::Invalid(error.to_string()))?;
            authority.issue(&id, &file_name(&id), validity)
        })
        .collect()
}

/// The name without extension that [`development_set`] gives to a party's files: the path of its
/// SPIFFE ID with `-` for `/`, such as `agency-hsi-user-rivera`.
pub fn file_name(id: &SpiffeId) -> String {
    match &id.role {
        Role::Gateway => "gateway".to_owned(),
        Role::Node { agency } => format!("agency-{agency}-node"),
        Role::User { agency, name } => format!("agency-{agency}-user-{name}"),
        Role::Feed { partner } => format!("partner-{partner}-feed"),
        Role::Auditor { name } => format!("auditor-{name}"),
    }
}
