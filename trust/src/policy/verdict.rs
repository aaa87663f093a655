//! From casbin's yes or no to a decision that a person can read.
//!
//! Casbin says nothing about a default denial; here every refusal names the rule, what is missing or
//! what does not hold. An allowance is checked against the same compiled rules before a permit is
//! made, and obligations of all rules that allow are combined to the strictest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decision::reason;
use super::engine::{Engine, denies};
use super::index::Speaking;
use super::request::{attribute, kind};
use super::rule::{Effect, Outcome, Rule, is_name, owner_of};
use super::schema::Facts;
use super::{Decision, Denial, Hold, Obligations, Permit, Request};
use crate::question::COUNTS;

/// Rules that are compared to find the one that came nearest, at most twice.
const COMPARED_MAX: usize = 32;

/// Decides one request.
pub(super) fn decide(engine: &Engine, policy_hash: &Arc<str>, request: &Request) -> Decision {
    let target = match Target::of(request) {
        Ok(target) => target,
        Err(denial) => return Decision::Deny(denial),
    };
    let Some(speaking) = engine.index().find(request.action, target.owner, target.dataset) else {
        return Decision::Deny(no_rule_speaks(request, &target));
    };
    let facts = Arc::new(Facts::of(request));
    let bucket = speaking.bucket(&facts);
    // Without a rule that could allow or deny it, there is nothing to ask casbin.
    let allowed = if bucket.rules.is_empty() { Some(false) } else { engine.enforce(bucket, &facts) };
    let judged: Vec<Judged<'_>> =
        engine.rules(bucket).map(|rule| Judged { rule, outcome: rule.outcome(&facts) }).collect();
    let refused = judged.iter().any(|judged| denies(judged.rule.effect, judged.outcome));
    let granted = judged.iter().any(Judged::grants);
    match allowed {
        Some(true) if granted && !refused => grant(&judged, policy_hash, request, &target),
        Some(false) if refused => Decision::Deny(refusal(&judged, &facts)),
        Some(false) if !granted => Decision::Deny(default_denial(engine, speaking, &facts, request, &target)),
        _ => Decision::Deny(evaluation_failed()),
    }
}

/// What a request is about; without it no index can be asked.
pub(super) struct Target<'a> {
    pub(super) owner: &'a str,
    pub(super) dataset: Option<&'a str>,
    kind: &'a str,
}

impl<'a> Target<'a> {
    /// A rule that names an owner or a data set cannot be passed by leaving the name out or by
    /// spelling it in another way: such a request is denied before any rule is read.
    pub(super) fn of(request: &'a Request) -> Result<Self, Denial> {
        let named = |name| request.resource.text(name).filter(|text| is_name(text));
        let dataset = named(attribute::DATASET);
        let kind = named(attribute::KIND).filter(|kind| kind::ALL.contains(kind));
        match (named(attribute::OWNER), kind) {
            (None, _) => Err(incomplete(attribute::OWNER)),
            (_, None) => Err(incomplete(attribute::KIND)),
            (Some(owner), Some(kind)) => {
                let given = request.resource.iter().any(|(name, _)| name == attribute::DATASET);
                let of_dataset = [kind::DATASET, kind::PLACES, kind::COUNTS].contains(&kind);
                if (given || of_dataset) && dataset.and_then(owner_of) != Some(owner) {
                    return Err(incomplete(attribute::DATASET));
                }
                Ok(Self { owner, dataset, kind })
            }
        }
    }

    fn name(&self) -> String {
        self.dataset.map_or_else(|| format!("{}:{}", self.owner, self.kind), str::to_owned)
    }
}

struct Judged<'a> {
    rule: &'a Rule,
    outcome: Outcome,
}

impl Judged<'_> {
    fn grants(&self) -> bool {
        self.outcome == Outcome::Met && self.rule.effect != Effect::Deny
    }
}

fn grant(judged: &[Judged<'_>], policy_hash: &Arc<str>, request: &Request, target: &Target<'_>) -> Decision {
    let granting: Vec<&Rule> = judged.iter().filter(|judged| judged.grants()).map(|judged| judged.rule).collect();
    if request.action.is_question()
        && let Some(denial) = violated(&granting, request)
    {
        return Decision::Deny(denial);
    }
    let Some(obligations) = granting.iter().map(|rule| rule.obligations).reduce(Obligations::strictest) else {
        return Decision::Deny(evaluation_failed());
    };
    let permit = Permit {
        action: request.action,
        resource: target.name(),
        rules: granting.iter().map(|rule| rule.id.clone()).collect(),
        policy_hash: Arc::clone(policy_hash),
        obligations,
    };
    match granting.iter().find(|rule| rule.effect == Effect::Hold) {
        Some(first) => Decision::Hold(Hold { rule: first.id.clone(), release_by: release_by(&granting), permit }),
        None => Decision::Allow(permit),
    }
}

/// Everybody whom a hold rule names, as many of each role as the strictest rule asks for.
fn release_by(granting: &[&Rule]) -> BTreeMap<String, u32> {
    let mut needed: BTreeMap<String, u32> = BTreeMap::new();
    for rule in granting.iter().filter(|rule| rule.effect == Effect::Hold) {
        let releases = needed.entry(rule.release_by.clone()).or_default();
        *releases = rule.releases.max(*releases);
    }
    needed
}

/// The obligation that the question itself breaks, if any.
fn violated(granting: &[&Rule], request: &Request) -> Option<Denial> {
    let (wanted, top) = (request.context.minimum_datasets, request.context.top);
    let strict = granting.iter().max_by_key(|rule| rule.obligations.minimum_datasets)?;
    let minimum = strict.obligations.minimum_datasets;
    // Counts open nothing about any subject.
    if wanted < minimum && request.context.subject_type != COUNTS {
        return Some(Denial {
            reason: reason::TOO_FEW_DATASETS,
            rule: Some(strict.id.clone()),
            missing: Vec::new(),
            explanation: format!(
                "Rule `{}` opens a subject only when at least {minimum} data sets hold it, and the question asks for \
                 {wanted}. Set its minimum of data sets to {minimum} or more.",
                strict.id
            ),
        });
    }
    let tight = granting.iter().min_by_key(|rule| rule.obligations.maximum_results)?;
    let maximum = tight.obligations.maximum_results;
    (top == 0 || top > maximum).then(|| Denial {
        reason: reason::TOO_MANY_RESULTS,
        rule: Some(tight.id.clone()),
        missing: Vec::new(),
        explanation: format!(
            "Rule `{}` releases 1 to {maximum} results, and the question asks for {top}. Ask for the top {maximum} or \
             fewer.",
            tight.id
        ),
    })
}

/// A deny rule stands against the request, or a deny or hold rule cannot be judged.
fn refusal(judged: &[Judged<'_>], facts: &Facts) -> Denial {
    let met = judged.iter().find(|judged| judged.rule.effect == Effect::Deny && judged.outcome == Outcome::Met);
    if let Some(Judged { rule, .. }) = met {
        return Denial {
            reason: reason::DENIED_BY_RULE,
            rule: Some(rule.id.clone()),
            missing: Vec::new(),
            explanation: format!("Rule `{}` forbids this. Only the owner's security officer can change it.", rule.id),
        };
    }
    let Some(unknown) = judged.iter().find(|judged| denies(judged.rule.effect, judged.outcome)) else {
        return evaluation_failed();
    };
    let missing = missing(unknown.rule, facts);
    Denial {
        reason: reason::MISSING_ATTRIBUTE,
        rule: Some(unknown.rule.id.clone()),
        explanation: format!(
            "Rule `{}` must be able to read {} before anything is allowed. Have your agency supply it.",
            unknown.rule.id,
            missing.join(", ")
        ),
        missing,
    }
}

/// No rule allows it: names the rule that came nearest. That is one written for the asker's agency and
/// role if there is any, then the one with the fewest faults, then the first. Of very many rules, those
/// are compared that the request had judged and the first [`COMPARED_MAX`].
fn default_denial(
    engine: &Engine,
    speaking: &Speaking,
    facts: &Facts,
    request: &Request,
    target: &Target<'_>,
) -> Denial {
    let compared = speaking.bucket(facts).rules.iter().take(COMPARED_MAX);
    let compared = compared.chain(speaking.rules.iter().take(COMPARED_MAX)).copied();
    let nearest = compared
        .filter_map(|position| Some((position, engine.rule(position)?)))
        .filter(|(_, rule)| rule.effect != Effect::Deny)
        .min_by_key(|(position, rule)| (distance(rule, facts), *position))
        .map(|(_, rule)| rule);
    let Some(rule) = nearest else { return no_rule_speaks(request, target) };
    let faults: Vec<String> = rule
        .conditions
        .iter()
        .filter(|condition| condition.holds(facts) != Some(true))
        .map(|condition| {
            let absent = if condition.holds(facts).is_none() { " (it is missing or not of its type)" } else { "" };
            format!("{}{absent}", condition.describe_to_asker())
        })
        .collect();
    let reason =
        if rule.outcome(facts) == Outcome::Unknown { reason::MISSING_ATTRIBUTE } else { reason::NO_RULE_ALLOWS };
    Denial {
        reason,
        rule: Some(rule.id.clone()),
        missing: missing(rule, facts),
        explanation: format!(
            "No rule allows {} on {}. Nearest is rule `{}`: {}.",
            request.action,
            target.name(),
            rule.id,
            faults.join("; ")
        ),
    }
}

/// How far a rule is from holding: faults in whom it is written for, then all faults.
pub(super) fn distance(rule: &Rule, facts: &Facts) -> (usize, usize) {
    rule.conditions.iter().fold((0, 0), |(addressing, all), condition| match condition.holds(facts) {
        Some(true) => (addressing, all),
        _ => (addressing + usize::from(condition.addresses()), all + 1),
    })
}

/// Full names of what a rule asks for and the request lacks.
pub(super) fn missing(rule: &Rule, facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = rule.conditions.iter().flat_map(|condition| condition.missing(facts)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn no_rule_speaks(request: &Request, target: &Target<'_>) -> Denial {
    Denial {
        reason: reason::NO_RULE_ALLOWS,
        rule: None,
        missing: Vec::new(),
        explanation: format!(
            "No rule allows anyone {} on {}. Check the name; if it is right, its owner has to write a rule.",
            request.action,
            target.name()
        ),
    }
}

fn incomplete(name: &str) -> Denial {
    Denial {
        reason: reason::MISSING_ATTRIBUTE,
        rule: None,
        missing: vec![format!("resource.{name}")],
        explanation: format!(
            "The request must name resource.{name} in its exact form: an owner such as cbp, a data set such as \
             cbp.crossings, a kind such as dataset."
        ),
    }
}

fn evaluation_failed() -> Denial {
    Denial {
        reason: reason::EVALUATION_FAILED,
        rule: None,
        missing: Vec::new(),
        explanation: "The policy could not be evaluated, so nothing is allowed. Tell the operator of this process."
            .to_owned(),
    }
}
