//! What a decision is asked about: subject, resource, action and context.
//!
//! Attributes arrive as text, because they come from certificates, configuration and signed
//! questions. They are read through typed getters; text that does not fit its type counts as missing
//! and never as a default. Nothing here decides anything.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Bytes of one attribute value, at most; a longer value counts as missing.
pub const VALUE_BYTES_MAX: usize = 500;

/// Names of the attributes that rules may speak of.
///
/// Subject attributes follow the GFIPM/NIEF user attributes where one exists. Rules and cases may use the
/// full formal name as well, in quotes: `"gfipm:2.0:user:EmployerORI" = { present = true }`.
///
/// | here | formal name in GFIPM 2.0 | type |
/// |---|---|---|
/// | `federation_id` | `gfipm:2.0:user:FederationId` (here the SPIFFE ID) | text |
/// | `agency` | none: the agency of the SPIFFE ID | text |
/// | `role` | none: the function the agency gives the person or process | text |
/// | `employer_name` | `gfipm:2.0:user:EmployerName` | text |
/// | `employer_ori` | `gfipm:2.0:user:EmployerORI` | text |
/// | `sworn_law_enforcement_officer` | `gfipm:2.0:user:SwornLawEnforcementOfficerIndicator` | boolean |
/// | `intelligence_analyst` | `gfipm:2.0:user:IntelligenceAnalystIndicator` | boolean |
/// | `28cfr_certification` | `gfipm:2.0:user:28CFRCertificationIndicator` | boolean |
/// | `security_clearance_level` | `gfipm:2.0:user:SecurityClearanceLevelCode` | `none` < `confidential` < `secret` < `top_secret` |
///
/// Resource attributes are `owner` (agency), `dataset` (`AGENCY.NAME`), `sensitivity`
/// (`public` < `official` < `law_enforcement_sensitive`), `pattern` (`AGENCY.NAME`) and `kind`.
pub mod attribute {
    /// SPIFFE ID of the person or process.
    pub const FEDERATION_ID: &str = "federation_id";
    /// Agency that vouches for the subject, such as `hsi`.
    pub const AGENCY: &str = "agency";
    /// Function of the subject: `analyst`, `node`, `gateway`, `auditor`, `feed`, `release_officer` or another.
    pub const ROLE: &str = "role";
    /// Name of the employer.
    pub const EMPLOYER_NAME: &str = "employer_name";
    /// Originating Agency Identifier of the employer.
    pub const EMPLOYER_ORI: &str = "employer_ori";
    /// Whether the person is a sworn officer.
    pub const SWORN_LAW_ENFORCEMENT_OFFICER: &str = "sworn_law_enforcement_officer";
    /// Whether the person is an intelligence analyst.
    pub const INTELLIGENCE_ANALYST: &str = "intelligence_analyst";
    /// Whether the person is certified in 28 CFR Part 23 (criminal intelligence systems).
    pub const CERTIFIED_28CFR: &str = "28cfr_certification";
    /// Clearance of the person.
    pub const SECURITY_CLEARANCE_LEVEL: &str = "security_clearance_level";
    /// Agency that owns the resource.
    pub const OWNER: &str = "owner";
    /// Data set as `AGENCY.NAME`.
    pub const DATASET: &str = "dataset";
    /// Sensitivity of the data set.
    pub const SENSITIVITY: &str = "sensitivity";
    /// Pattern as `AGENCY.NAME`, whatever its version.
    pub const PATTERN: &str = "pattern";
    /// What sort of resource it is; see [`kind`](super::kind).
    pub const KIND: &str = "kind";
}

/// Values of the resource attribute `kind`.
pub mod kind {
    /// Records of an agency; the attribute `dataset` is then required.
    pub const DATASET: &str = "dataset";
    /// Where and when records of an agency were, for a question about the same place; the attribute `dataset` is
    /// then required. A kind of its own, so that no rule about data sets allows it unsaid.
    pub const PLACES: &str = "places";
    /// How many events an agency's data set has, by place and period; the attribute `dataset` is then required. A
    /// kind of its own, so that no rule about data sets allows it unsaid.
    pub const COUNTS: &str = "counts";
    /// Putting a question to the other parties.
    pub const FEDERATION: &str = "federation";
    /// Epoch keys, epoch secrets and tag evaluation.
    pub const LINKAGE: &str = "linkage";
    /// The audit log, and the accounting of disclosures.
    pub const AUDIT: &str = "audit";
    /// Descriptions of data sets.
    pub const CATALOG: &str = "catalog";
    /// Named, versioned questions that an agency publishes.
    pub const PATTERN: &str = "pattern";
    /// Questions that wait for release; the attribute `dataset` says what they ask.
    pub const RELEASE: &str = "release";
    /// Matches that people of the agency must act on; the attribute `pattern` says what found them, if a
    /// pattern did.
    pub const LEAD: &str = "lead";
    /// Positions that a partner sends; the attribute `dataset` says into which data set.
    pub const FEED: &str = "feed";
    /// Every kind; a request of another is denied.
    pub const ALL: [&str; 11] =
        [DATASET, PLACES, COUNTS, FEDERATION, LINKAGE, AUDIT, CATALOG, PATTERN, RELEASE, LEAD, FEED];
}

/// Attributes of a subject or a resource, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same attributes and one more; a second value for a name replaces the first.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The text of an attribute; none when it is absent, empty or over [`VALUE_BYTES_MAX`].
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).and_then(usable)
    }

    /// The truth of a boolean attribute: `true`, `false`, `1` or `0`, in any case. Else none.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "1" => Some(true),
            "0" => Some(false),
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// Rank of an attribute in `levels`, lowest first; none when its text is no such level.
    pub fn rank(&self, name: &str, levels: &[&str]) -> Option<usize> {
        let text = self.text(name)?;
        levels.iter().position(|level| *level == text)
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A text value that may take part in a decision.
pub(super) fn usable(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= VALUE_BYTES_MAX).then_some(text)
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Rank all subjects of a data set by evidence, or put such a question through one's own node.
    Ask,
    /// The same, narrowed to subjects that the asker already knows.
    LookUp,
    /// At the gateway: carry an agency's question to the others and join the answers.
    Federate,
    /// At the gateway: pass sealed messages between two nodes.
    Relay,
    /// Evaluate a peer's blinded identifiers under the own epoch key.
    Evaluate,
    /// Agree on an epoch secret with a peer.
    Agree,
    /// Read the own data sets to compute tags, and ask peers for their evaluations.
    Tag,
    /// Read the descriptions of data sets.
    Catalog,
    /// Receive the keys of released rows for the accounting of disclosures.
    Account,
    /// Read the audit log.
    Audit,
    /// Sign a pattern for the own agency and put it in the catalog.
    Publish,
    /// Find a pattern in its owner's catalog and ask it.
    RunPattern,
    /// Read questions that a rule holds for the owner, and grant or refuse them.
    Release,
    /// Read what was disclosed of one subject of the own data.
    Disclosures,
    /// Decide about the own node's epochs and members.
    Operate,
    /// Read leads of the own agency.
    Leads,
    /// Raise leads, take them in hand, record what comes of them.
    Pursue,
    /// Let a question stand, whose matches become leads.
    Arm,
    /// Send positions into a feed, and see which of them were refused.
    Contribute,
}

impl Action {
    /// Stable text, as in rules and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Ask => "ask",
            Action::LookUp => "look_up",
            Action::Federate => "federate",
            Action::Relay => "relay",
            Action::Evaluate => "evaluate",
            Action::Agree => "agree",
            Action::Tag => "tag",
            Action::Catalog => "catalog",
            Action::Account => "account",
            Action::Audit => "audit",
            Action::Publish => "publish",
            Action::RunPattern => "run_pattern",
            Action::Release => "release",
            Action::Disclosures => "disclosures",
            Action::Operate => "operate",
            Action::Leads => "leads",
            Action::Pursue => "pursue",
            Action::Arm => "arm",
            Action::Contribute => "contribute",
        }
    }

    /// Whether the context's minimum of data sets and number of results take part in the decision.
    pub const fn is_question(self) -> bool {
        matches!(self, Action::Ask | Action::LookUp | Action::Federate)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The circumstances of a request. An empty text and a zero count as missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Authorised purpose, in the words policies know.
    pub purpose: String,
    /// Case the request belongs to.
    pub case_number: String,
    /// Why, in the asker's words.
    pub reason: String,
    /// Type of identifier that the question's subjects are known by, such as `phone`; `counts` when it is about
    /// none.
    pub subject_type: String,
    /// Data sets that must hold a subject before anything about it opens; 0 outside of questions.
    pub minimum_datasets: u32,
    /// Results wanted at most; 0 outside of questions.
    pub top: u32,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
}

/// Everything a decision depends on besides the policy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks; see [`attribute`].
    pub subject: Attributes,
    /// What it concerns. `owner` and `kind` are required, and `dataset` when the kind is a data set.
    pub resource: Attributes,
    /// What is to be done.
    pub action: Action,
    /// Purpose, case and the like.
    pub context: Context,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_arrive_in_four_spellings_and_nothing_else() {
        let flag = |value: &str| Attributes::new().with("x", value).flag("x");
        for value in ["true", "TRUE", "1"] {
            assert_eq!(flag(value), Some(true), "{value}");
        }
        for value in ["false", "False", "0"] {
            assert_eq!(flag(value), Some(false), "{value}");
        }
        for value in ["yes", "", " true", "2", "01"] {
            assert_eq!(flag(value), None, "{value}");
        }
    }

    #[test]
    fn empty_and_oversized_values_are_missing() {
        let attributes = Attributes::new().with("a", "").with("b", "x".repeat(VALUE_BYTES_MAX + 1));
        assert_eq!((attributes.text("a"), attributes.text("b"), attributes.text("c")), (None, None, None));
    }
}
