//! Attribute-based policy: who may do what, on whose data, for which purpose.
//!
//! A process opens one [`PolicyStore`] and puts a [`Request`] to it before every read of data and
//! every call to another party. The answer is a [`Decision`]: allowed with [`Obligations`], denied
//! with a reason that a person can act on, or held until a person of the owner releases it. Nothing
//! is allowed that no rule allows; a deny rule outweighs every other; an attribute that is missing or
//! of the wrong type never satisfies a condition, and when a deny or a hold rule needs it, the request
//! is denied. When several rules allow, the strictest of all their obligations holds; when several
//! hold, the people whom each of them names must release.
//!
//! The way of a decision: `index → casbin over the few rules of the bucket, whose conditions are
//! compiled Rust → verdict with rule, obligations or explanation`.
//!
//! - `source`, `bundle`, `record`, `store`: where a policy comes from, who signed it, which version was
//!   in force, and what is
//! - `review`, `explain`, `rehearsal`: what is wrong with a policy, why it decides as it does, and what it
//!   would have decided
//!
//! This module never reads a clock, never does I/O while deciding, never lets text of a rule or a
//! request reach casbin's rule language, and never changes a policy in force: it replaces it whole.

mod bundle;
mod cases;
mod condition;
mod decision;
mod engine;
mod explain;
mod files;
mod index;
mod record;
mod rehearsal;
mod request;
mod review;
mod rule;
mod schema;
mod source;
mod store;
mod supply;
mod verdict;
mod written;

#[cfg(test)]
mod tests;

pub use bundle::{BUNDLE_BYTES_MAX, BundleContent, BundleError};
pub use cases::CASES_MAX;
pub use decision::{Decision, Denial, Hold, Mask, Obligations, Permit, reason};
pub(crate) use decision::{RELEASED_QUESTION, RELEASES};
pub use explain::{Explanation, ObligationReading, RuleReading};
pub use files::{FILE_BYTES_MAX, PolicyFiles};
pub use rehearsal::{Change, EXAMPLES_MAX, Example, Rehearsal, Report};
pub use request::{Action, Attributes, Context, Request, VALUE_BYTES_MAX, attribute, kind};
pub use review::{AttributeReading, Finding, Review, Severity};
pub use rule::RULES_MAX;
pub use schema::{CLEARANCES, SENSITIVITIES};
pub(crate) use source::Stamps;
pub use source::{PolicySettings, PolicySettingsError, PolicySource, Prepared, Provenance};
pub use store::{Policy, PolicyStore};
pub use written::ACTION;

use crate::identity::IdentityError;

/// Why a policy is not used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file cannot be read.
    #[error(
        "{file} cannot be read: {source}; a policy needs model.conf (here or one directory up), rules.toml and cases.toml"
    )]
    Unreadable {
        /// Name of the file, without its directory.
        file: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is over [`FILE_BYTES_MAX`], or a bundle over [`BUNDLE_BYTES_MAX`].
    #[error("{file} is too large: a file may have 32 MiB and a bundle 64 MiB; leave out or merge rules")]
    TooLarge {
        /// Name of the file.
        file: &'static str,
    },
    /// A file is no TOML, or holds a word that does not belong there.
    #[error("{file} does not parse: {problem}")]
    Unparsable {
        /// Name of the file.
        file: &'static str,
        /// Place and fault.
        problem: String,
    },
    /// The model would combine rules in another way.
    #[error("model.conf is not the model this program works with; restore the one it came with")]
    ForeignModel,
    /// There are no rules.
    #[error("rules.toml holds no rule, so nothing would be allowed; write at least one [[rule]]")]
    NoRules,
    /// There are no cases.
    #[error("cases.toml holds no case; write at least one [[case]] that shows what the rules are meant to do")]
    NoCases,
    /// More than [`RULES_MAX`] rules, or too many of them for every owner and data set.
    #[error("there are too many rules, or too many of them name no owner and no data set; narrow or merge them")]
    TooManyRules,
    /// More than [`CASES_MAX`] cases.
    #[error("cases.toml holds more than 50,000 cases; leave some out")]
    TooManyCases,
    /// Two rules have the same identifier.
    #[error("two rules have the id `{id}`; rename one")]
    DuplicateRule {
        /// The identifier.
        id: String,
    },
    /// A rule is not well formed.
    #[error("rule `{id}`: {problem}")]
    Rule {
        /// Identifier of the rule.
        id: String,
        /// What is wrong and what to write.
        problem: String,
    },
    /// A case is not well formed, or does not come out as written.
    #[error("case `{name}`: {problem}")]
    Case {
        /// Name of the case.
        name: String,
        /// What is wrong, or what was decided.
        problem: String,
    },
    /// The attribute schema is not well formed.
    #[error("schema.toml: {problem}")]
    Schema {
        /// What is wrong and what to write.
        problem: String,
    },
    /// A bundle is not taken.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A bundle cannot be signed with this key.
    #[error("the policy cannot be signed: {0}")]
    Signing(IdentityError),
    /// The evaluator could not be built.
    #[error("the policy evaluator could not be built: {problem}")]
    Engine {
        /// What the evaluator said.
        problem: String,
    },
}

impl PolicyError {
    /// Stable reason in `snake_case`, for scripts and the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.reason(),
            _ => "policy",
        }
    }
}
