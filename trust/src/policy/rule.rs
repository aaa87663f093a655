//! Rules as an owner writes them, checked and compiled as a whole.
//!
//! A rule file that holds one mistake is refused entirely: there are no skipped rules and no
//! defaults for words that are not understood.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use serde::Deserialize;
use toml::Table;

use super::condition::Condition;
use super::schema::{Facts, Part};
use super::{Action, Mask, Obligations, PolicyError};

/// Rules in one policy, at most.
pub const RULES_MAX: usize = 50_000;
/// People who must release one question, at most.
const RELEASES_MAX: u32 = 5;
/// Bytes of a name of a rule, an owner or a data set, at most.
pub(super) const NAME_BYTES_MAX: usize = 100;

/// What a rule does when its conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    Allow,
    Deny,
    Hold,
}

impl Effect {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
            Effect::Hold => "hold",
        }
    }
}

/// How a rule's conditions came out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All hold.
    Met,
    /// At least one does not hold, whatever the others are.
    Unmet,
    /// None fails, but at least one cannot be known.
    Unknown,
}

/// What a rule is about; the index finds rules by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Resources of every owner.
    Everything,
    /// All resources of these agencies.
    Owners(Vec<String>),
    /// These data sets, as `AGENCY.NAME`.
    Datasets(Vec<String>),
}

impl Scope {
    /// The agencies that it names.
    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Everything => &[],
            Self::Owners(names) | Self::Datasets(names) => &names[..],
        };
        names.iter().map(|name| owner_of(name).unwrap_or(name))
    }
}

/// One compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) effect: Effect,
    pub(super) actions: Vec<Action>,
    pub(super) scope: Scope,
    pub(super) conditions: Vec<Condition>,
    pub(super) obligations: Obligations,
    /// Who may release what a hold rule holds; empty for other effects.
    pub(super) release_by: String,
    /// How many different ones of them must.
    pub(super) releases: u32,
}

impl Rule {
    /// Strong Kleene conjunction: a condition that fails outweighs one that is unknown.
    pub(super) fn outcome(&self, facts: &Facts) -> Outcome {
        let mut outcome = Outcome::Met;
        for condition in &self.conditions {
            match condition.holds(facts) {
                Some(true) => {}
                Some(false) => return Outcome::Unmet,
                None => outcome = Outcome::Unknown,
            }
        }
        outcome
    }
}

/// All rules of a policy, in file order and by identifier.
#[derive(Debug)]
pub(super) struct RuleBook {
    rules: Vec<Rule>,
    by_id: HashMap<String, usize>,
}

impl RuleBook {
    /// Reads a rule file.
    ///
    /// # Errors
    /// Whatever makes the file unfit, with the rule and what to change.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: RuleFile = toml::from_str(text)
            .map_err(|error| PolicyError::Unparsable { file: "rules.toml", problem: error.to_string() })?;
        if file.rule.is_empty() {
            return Err(PolicyError::NoRules);
        }
        if file.rule.len() > RULES_MAX {
            return Err(PolicyError::TooManyRules);
        }
        let mut book = Self { rules: Vec::with_capacity(file.rule.len()), by_id: HashMap::new() };
        for written in file.rule {
            let id = written.id.clone();
            if book.by_id.insert(id.clone(), book.rules.len()).is_some() {
                return Err(PolicyError::DuplicateRule { id });
            }
            book.rules.push(written.compile().map_err(|problem| PolicyError::Rule { id, problem })?);
        }
        Ok(book)
    }

    /// What is wrong with each single rule of a file that is not taken; none when the file as a whole is
    /// at fault.
    pub(super) fn faults(text: &str) -> Vec<PolicyError> {
        let Ok(file) = toml::from_str::<RuleFile>(text) else { return Vec::new() };
        let mut ids = HashSet::new();
        let fault = |written: WrittenRule| {
            let id = written.id.clone();
            if !ids.insert(id.clone()) {
                return Some(PolicyError::DuplicateRule { id });
            }
            written.compile().err().map(|problem| PolicyError::Rule { id, problem })
        };
        file.rule.into_iter().filter_map(fault).collect()
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn at(&self, position: usize) -> Option<&Rule> {
        self.rules.get(position)
    }

    pub(super) fn named(&self, id: &str) -> Option<&Rule> {
        self.at(*self.by_id.get(id)?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    rule: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    id: String,
    effect: Effect,
    actions: Vec<Action>,
    owners: Option<Vec<String>>,
    datasets: Option<Vec<String>>,
    #[serde(default)]
    subject: Table,
    #[serde(default)]
    resource: Table,
    #[serde(default)]
    context: Table,
    obligations: Option<WrittenObligations>,
    release_by: Option<String>,
}

impl WrittenRule {
    fn compile(self) -> Result<Rule, String> {
        if !is_name(&self.id) {
            return Err("an id is 1 to 100 of a-z, 0-9, `-`, `_` and `.`".to_owned());
        }
        if self.actions.is_empty() {
            return Err("name at least one action".to_owned());
        }
        if self.effect != Effect::Deny && self.subject.is_empty() {
            return Err("say whom it allows: at least one condition under [rule.subject]".to_owned());
        }
        if self.effect == Effect::Deny && self.obligations.is_some() {
            return Err("a deny rule has no obligations".to_owned());
        }
        let release_by = match (self.effect, self.release_by) {
            (Effect::Hold, Some(role)) if is_name(&role) => role,
            (Effect::Hold, _) => return Err("say who may release it: release_by = \"release_officer\"".to_owned()),
            (_, None) => String::new(),
            (_, Some(_)) => return Err("only a hold rule has `release_by`".to_owned()),
        };
        let obligations = self.obligations.unwrap_or_default();
        if self.effect != Effect::Hold && obligations.releases.is_some() {
            return Err("only a hold rule has `releases`: how many of `release_by` must agree".to_owned());
        }
        if let Some(name) = ["owner", "dataset"].into_iter().find(|name| self.resource.contains_key(*name)) {
            return Err(format!("name it as `{name}s = [ … ]` beside `actions`, not under [rule.resource]"));
        }
        let mut conditions = Condition::parse_all(Part::Subject, &self.subject)?;
        conditions.extend(Condition::parse_all(Part::Resource, &self.resource)?);
        conditions.extend(Condition::parse_all(Part::Context, &self.context)?);
        let mut actions = self.actions;
        actions.sort_by_key(|action| action.as_str());
        actions.dedup();
        Ok(Rule {
            id: self.id,
            effect: self.effect,
            actions,
            scope: scope(self.owners, self.datasets)?,
            conditions,
            obligations: obligations.complete()?,
            release_by,
            releases: within("releases", obligations.releases, 1, 1..=RELEASES_MAX)?,
        })
    }
}

fn scope(owners: Option<Vec<String>>, datasets: Option<Vec<String>>) -> Result<Scope, String> {
    let (names, dotted) = match (&owners, &datasets) {
        (None, None) => return Ok(Scope::Everything),
        (Some(names), None) => (names, false),
        (None, Some(names)) => (names, true),
        (Some(_), Some(_)) => {
            return Err("name owners or datasets, not both: a data set's name says its owner".to_owned());
        }
    };
    if names.is_empty() || names.len() > 1_000 {
        return Err("a list of owners or datasets has 1 to 1,000 names; leave it out to mean all".to_owned());
    }
    for name in names {
        let fits = if dotted { owner_of(name).is_some() } else { is_name(name) && !name.contains('.') };
        if !fits {
            let form =
                if dotted { "AGENCY.NAME, such as cbp.crossings" } else { "an agency's short name, such as cbp" };
            return Err(format!("`{name}` is not {form}"));
        }
    }
    Ok(match (owners, datasets) {
        (Some(owners), _) => Scope::Owners(owners),
        (_, Some(datasets)) => Scope::Datasets(datasets),
        (None, None) => Scope::Everything,
    })
}

/// The agency that a data set's name `AGENCY.NAME` begins with; none when it is no such name.
pub(super) fn owner_of(dataset: &str) -> Option<&str> {
    let (owner, name) = dataset.split_once('.')?;
    (is_name(dataset) && !owner.is_empty() && !name.is_empty()).then_some(owner)
}

pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Obligations as written; what is left out is [`Obligations::DEFAULT`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenObligations {
    pub(super) minimum_datasets: Option<u32>,
    pub(super) maximum_results: Option<u32>,
    pub(super) score_step_thousandths: Option<u32>,
    pub(super) minimum_cohort: Option<u32>,
    pub(super) mask: Option<Mask>,
    /// Hold rules only: how many different people must release.
    pub(super) releases: Option<u32>,
}

impl WrittenObligations {
    fn complete(&self) -> Result<Obligations, String> {
        let default = Obligations::DEFAULT;
        Ok(Obligations {
            minimum_datasets: within("minimum_datasets", self.minimum_datasets, default.minimum_datasets, 1..=16)?,
            maximum_results: within("maximum_results", self.maximum_results, default.maximum_results, 1..=10_000)?,
            score_step_thousandths: within(
                "score_step_thousandths",
                self.score_step_thousandths,
                default.score_step_thousandths,
                1..=1_000,
            )?,
            minimum_cohort: within("minimum_cohort", self.minimum_cohort, default.minimum_cohort, 1..=1_000_000)?,
            mask: self.mask.unwrap_or(default.mask),
        })
    }
}

fn within(name: &str, written: Option<u32>, default: u32, range: RangeInclusive<u32>) -> Result<u32, String> {
    let value = written.unwrap_or(default);
    if range.contains(&value) { Ok(value) } else { Err(format!("{name} must be {} to {}", range.start(), range.end())) }
}
