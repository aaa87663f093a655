//! The closed list of attributes, their types, and a request's attributes read as those types.
//!
//! A rule that names anything else is refused when the policy is loaded. A request's attribute that
//! does not fit its type is missing: there is no default and no guess.

use chrono::DateTime;

use super::Request;
use super::request::{attribute, usable};

/// Sensitivities of a data set, lowest first.
pub const SENSITIVITIES: &[&str] = &["public", "official", "law_enforcement_sensitive"];
/// Clearances of a person, lowest first.
pub const CLEARANCES: &[&str] = &["none", "confidential", "secret", "top_secret"];

/// Which part of a request an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Subject,
    Resource,
    Context,
}

impl Part {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Part::Subject => "subject",
            Part::Resource => "resource",
            Part::Context => "context",
        }
    }
}

/// How an attribute's text is read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Compared byte by byte.
    Text,
    /// True or false.
    Flag,
    /// One of ordered words, lowest first.
    Level(&'static [&'static str]),
    /// A whole number.
    Number,
    /// A moment, in milliseconds since 1970.
    Time,
}

/// One attribute that rules may speak of.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) part: Part,
    pub(super) name: &'static str,
    pub(super) kind: Type,
}

impl Attribute {
    /// The full formal name of the GFIPM user attribute that this is, which rules and cases may use as
    /// well. From the GFIPM Metadata Specification 2.0, as in the attribute registry of NIEF.
    pub(super) fn formal_name(&self) -> Option<&'static str> {
        let name = match (self.part, self.name) {
            (Part::Subject, attribute::FEDERATION_ID) => "gfipm:2.0:user:FederationId",
            (Part::Subject, attribute::EMPLOYER_NAME) => "gfipm:2.0:user:EmployerName",
            (Part::Subject, attribute::EMPLOYER_ORI) => "gfipm:2.0:user:EmployerORI",
            (Part::Subject, attribute::SWORN_LAW_ENFORCEMENT_OFFICER) => {
                "gfipm:2.0:user:SwornLawEnforcementOfficerIndicator"
            }
            (Part::Subject, attribute::INTELLIGENCE_ANALYST) => "gfipm:2.0:user:IntelligenceAnalystIndicator",
            (Part::Subject, attribute::CERTIFIED_28CFR) => "gfipm:2.0:user:28CFRCertificationIndicator",
            (Part::Subject, attribute::SECURITY_CLEARANCE_LEVEL) => "gfipm:2.0:user:SecurityClearanceLevelCode",
            _ => return None,
        };
        Some(name)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.formal_name() == Some(name)
    }
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.part.as_str(), self.name)
    }
}

const fn subject(name: &'static str, kind: Type) -> Attribute {
    Attribute { part: Part::Subject, name, kind }
}

const fn resource(name: &'static str, kind: Type) -> Attribute {
    Attribute { part: Part::Resource, name, kind }
}

const fn context(name: &'static str, kind: Type) -> Attribute {
    Attribute { part: Part::Context, name, kind }
}

/// Every attribute; conditions and [`Facts`] refer to them by position.
pub(super) static ATTRIBUTES: [Attribute; 21] = [
    subject(attribute::FEDERATION_ID, Type::Text),
    subject(attribute::AGENCY, Type::Text),
    subject(attribute::ROLE, Type::Text),
    subject(attribute::EMPLOYER_NAME, Type::Text),
    subject(attribute::EMPLOYER_ORI, Type::Text),
    subject(attribute::SWORN_LAW_ENFORCEMENT_OFFICER, Type::Flag),
    subject(attribute::INTELLIGENCE_ANALYST, Type::Flag),
    subject(attribute::CERTIFIED_28CFR, Type::Flag),
    subject(attribute::SECURITY_CLEARANCE_LEVEL, Type::Level(CLEARANCES)),
    resource(attribute::OWNER, Type::Text),
    resource(attribute::DATASET, Type::Text),
    resource(attribute::SENSITIVITY, Type::Level(SENSITIVITIES)),
    resource(attribute::PATTERN, Type::Text),
    resource(attribute::KIND, Type::Text),
    context("purpose", Type::Text),
    context("case_number", Type::Text),
    context("reason", Type::Text),
    context("subject_type", Type::Text),
    context("minimum_datasets", Type::Number),
    context("top", Type::Number),
    context("time", Type::Time),
];

/// Position of an attribute in [`ATTRIBUTES`], by its name here or its formal name.
pub(super) fn position(part: Part, name: &str) -> Option<usize> {
    ATTRIBUTES.iter().position(|attribute| attribute.part == part && attribute.is_called(name))
}

/// Position of an attribute by its full name, such as `resource.owner`.
pub(super) fn position_of(full_name: &str) -> Option<usize> {
    let (part, name) = full_name.split_once('.')?;
    ATTRIBUTES.iter().position(|attribute| attribute.part.as_str() == part && attribute.is_called(name))
}

/// A value of an attribute, in the attribute's type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    Text(String),
    Flag(bool),
    /// Rank of a level, a number or a time: whatever has an order. 64 bits, in Rust: the rule
    /// language has only 32.
    Ordered(i64),
}

/// A request's attributes, typed, by position in [`ATTRIBUTES`].
#[derive(Debug)]
pub(super) struct Facts(Vec<Option<Fact>>);

impl Facts {
    pub(super) fn of(request: &Request) -> Self {
        Self(ATTRIBUTES.iter().map(|attribute| read(attribute, request)).collect())
    }

    pub(super) fn get(&self, position: usize) -> Option<&Fact> {
        self.0.get(position)?.as_ref()
    }
}

fn read(attribute: &Attribute, request: &Request) -> Option<Fact> {
    let attributes = match attribute.part {
        Part::Subject => &request.subject,
        Part::Resource => &request.resource,
        Part::Context => return read_context(attribute.name, request),
    };
    match attribute.kind {
        Type::Text => attributes.text(attribute.name).map(text),
        Type::Flag => attributes.flag(attribute.name).map(Fact::Flag),
        Type::Level(levels) => {
            attributes.rank(attribute.name, levels).and_then(|rank| i64::try_from(rank).ok()).map(Fact::Ordered)
        }
        Type::Number | Type::Time => None,
    }
}

fn read_context(name: &str, request: &Request) -> Option<Fact> {
    let context = &request.context;
    match name {
        "purpose" => usable(&context.purpose).map(text),
        "case_number" => usable(&context.case_number).map(text),
        "reason" => usable(&context.reason).map(text),
        "subject_type" => usable(&context.subject_type).map(text),
        "minimum_datasets" => positive(context.minimum_datasets.into()),
        "top" => positive(context.top.into()),
        "time" => positive(context.at_ms),
        _ => None,
    }
}

/// Zero is what a forgotten field holds: it counts as missing, never as a small number.
fn positive(number: i64) -> Option<Fact> {
    (number > 0).then_some(Fact::Ordered(number))
}

fn text(value: &str) -> Fact {
    Fact::Text(value.to_owned())
}

/// Milliseconds since 1970 of an RFC 3339 time with its offset.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}
