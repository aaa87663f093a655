//! What comes out of a decision.
//!
//! A [`Permit`] has no public constructor: whoever holds one was allowed by a policy. Whatever reads
//! data or calls another party asks for a permit in its signature, so that forgetting to authorise
//! does not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::Action;

/// The answer to one [`Request`](super::Request).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision that nobody reads protects nothing"]
pub enum Decision {
    /// It may be done, under the permit's obligations.
    Allow(Permit),
    /// It may not be done.
    Deny(Denial),
    /// It may be done once a person of the owner has released it.
    Hold(Hold),
}

/// Proof that a policy allowed one action on one resource. Only the policy module can make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    pub(super) action: Action,
    pub(super) resource: String,
    pub(super) rules: Vec<String>,
    pub(super) policy_hash: Arc<str>,
    pub(super) obligations: Obligations,
}

impl Permit {
    /// What may be done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// On what: the data set as `AGENCY.NAME`, else `AGENCY:KIND`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Identifier of the first rule, in file order, that allowed it.
    pub fn rule(&self) -> &str {
        self.rules.first().map_or("", String::as_str)
    }

    /// Identifiers of all rules that allowed it, in file order; the obligations combine them.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// Hash of the policy that decided, as in [`PolicyStore::policy_hash`](super::PolicyStore::policy_hash).
    pub fn policy_hash(&self) -> &str {
        &self.policy_hash
    }

    /// What whoever acts on the permit must keep to.
    pub fn obligations(&self) -> Obligations {
        self.obligations
    }
}

/// What an allowed action must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obligations {
    /// Data sets that must hold a subject before anything about it opens; 1 to 16.
    pub minimum_datasets: u32,
    /// Results that may be returned at most; 1 to 10,000.
    pub maximum_results: u32,
    /// Scores are rounded to multiples of this many thousandths; 1 to 1,000.
    pub score_step_thousandths: u32,
    /// Events that a count must have to be told; 1 to 1,000,000.
    pub minimum_cohort: u32,
    /// What is hidden when a value of the own records is shown.
    pub mask: Mask,
}

impl Obligations {
    /// What holds for a rule that states nothing.
    pub const DEFAULT: Self = Self {
        minimum_datasets: 2,
        maximum_results: 100,
        score_step_thousandths: 1,
        minimum_cohort: 10,
        mask: Mask::All,
    };

    /// Field by field the stricter of the two; of two score steps the coarser.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            minimum_datasets: self.minimum_datasets.max(other.minimum_datasets),
            maximum_results: self.maximum_results.min(other.maximum_results),
            score_step_thousandths: self.score_step_thousandths.max(other.score_step_thousandths),
            minimum_cohort: self.minimum_cohort.max(other.minimum_cohort),
            mask: self.mask.max(other.mask),
        }
    }
}

/// What is hidden of a value that is shown, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Nothing.
    None,
    /// The last four characters, as in `1603903XXXX`.
    LastFour,
    /// Everything.
    All,
}

/// A refusal, for the asker and for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Stable reason, one of [`reason`].
    pub reason: &'static str,
    /// The rule that refused, or the one that came nearest to allowing.
    pub rule: Option<String>,
    /// Attributes that the rule needs and the request lacks or has in another type, as
    /// `subject.role`.
    pub missing: Vec<String>,
    /// A sentence or two that say what to change. Names attributes and rules, never the request's
    /// values, and nobody whom a rule names.
    pub explanation: String,
}

/// Stable reasons of a [`Denial`].
pub mod reason {
    /// No rule allows it; the explanation names the nearest.
    pub const NO_RULE_ALLOWS: &str = "no_rule_allows";
    /// A deny rule refuses it.
    pub const DENIED_BY_RULE: &str = "denied_by_rule";
    /// An attribute that the decision needs is absent or of another type.
    pub const MISSING_ATTRIBUTE: &str = "missing_attribute";
    /// The question's minimum of data sets is below the owner's.
    pub const TOO_FEW_DATASETS: &str = "too_few_datasets";
    /// The question wants more results than the owner releases.
    pub const TOO_MANY_RESULTS: &str = "too_many_results";
    /// The evaluator failed or contradicted itself; nothing is allowed then.
    pub const EVALUATION_FAILED: &str = "evaluation_failed";
}

/// In the audit log, beside the obligations of what was held: how many people have released it.
pub(crate) const RELEASES: &str = "releases";
/// And which question they have released.
pub(crate) const RELEASED_QUESTION: &str = "released_question";

/// A request that waits for people of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The first rule, in file order, that asks for a release.
    pub rule: String,
    /// Roles at the owner whose people must release it, and how many different ones of each.
    pub release_by: BTreeMap<String, u32>,
    /// What is permitted once it is released.
    pub(super) permit: Permit,
}

impl Hold {
    /// What an answer must keep to once it is released.
    pub fn obligations(&self) -> Obligations {
        self.permit.obligations
    }

    /// Lets the owner count what the question is about, for its own release officers. Nothing that is
    /// read under it may leave the owner.
    pub fn to_count(&self) -> Permit {
        Permit { action: Action::Release, ..self.permit.clone() }
    }

    /// The permit, when as many different people of every role have released the question as the rules
    /// in force ask for. `released_by` names each with the role that they released it in.
    pub fn released<'a>(&self, released_by: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Permit> {
        let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (person, role) in released_by {
            people.entry(role).or_default().insert(person);
        }
        let enough = |role: &str, needed: u32| people.get(role).map_or(0, BTreeSet::len) >= needed as usize;
        self.release_by.iter().all(|(role, needed)| enough(role, *needed)).then(|| self.permit.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_of_two_is_taken_field_by_field() {
        let obligations = |minimum_datasets, maximum_results, score_step_thousandths, minimum_cohort, mask| {
            Obligations { minimum_datasets, maximum_results, score_step_thousandths, minimum_cohort, mask }
        };
        let mild = obligations(2, 10, 50, 5, Mask::None);
        let other = obligations(3, 500, 1, 20, Mask::LastFour);
        let both = obligations(3, 10, 50, 20, Mask::LastFour);
        assert_eq!(mild.strictest(other), both);
        assert_eq!(other.strictest(mild), both);
        assert_eq!(both.strictest(Obligations::DEFAULT).mask, Mask::All);
    }
}
