//! Why a policy decides a request as it does, in words: for whoever writes rules.
//!
//! A refusal names the nearest rule; an explanation reads all rules that speak of the request, however
//! many they are. It repeats nothing of the request's values.

use std::sync::Arc;

use serde::Serialize;

use super::decision::reason;
use super::engine::denies;
use super::rule::{Effect, Outcome, Rule};
use super::schema::Facts;
use super::store::Policy;
use super::verdict::{distance, missing};
use super::{Decision, Mask, Obligations, Request};

/// Near misses that are told, at most.
const NEAREST_MAX: usize = 5;

/// A decision and what it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `allow`, `deny` or `hold`.
    pub decision: &'static str,
    /// Stable reason of a denial.
    pub reason: Option<&'static str>,
    /// The decision in a sentence, as the asker is told a denial.
    pub sentence: String,
    /// Rules that decided: that allow, hold or stand against it.
    pub deciding: Vec<RuleReading>,
    /// What an allowed or held action must keep to, and which rules say so.
    pub obligations: Vec<ObligationReading>,
    /// Rules that would allow or hold it but for what they miss, nearest first.
    pub nearest: Vec<RuleReading>,
    /// Attributes that a rule asks for and the request lacks or has in another type.
    pub missing: Vec<String>,
    /// Hash of the policy.
    pub policy: String,
}

/// How one rule reads a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReading {
    /// Its identifier.
    pub id: String,
    /// `allow`, `deny` or `hold`.
    pub effect: &'static str,
    /// `met`, `unmet` or `unknown`.
    pub outcome: &'static str,
    /// Conditions that do not hold, or cannot be judged, in words.
    pub failing: Vec<String>,
    /// Attributes that it asks for and the request lacks or has in another type.
    pub missing: Vec<String>,
}

/// One obligation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObligationReading {
    /// Its name in rules.
    pub name: &'static str,
    /// Its value in rules.
    pub value: String,
    /// The rules that are as strict.
    pub rules: Vec<String>,
}

impl Decision {
    /// Rules that made the decision, in file order; none for a denial by default.
    pub(super) fn deciding_rules(&self) -> Vec<&str> {
        match self {
            Decision::Allow(permit) => permit.rules().iter().map(String::as_str).collect(),
            Decision::Hold(hold) => vec![&hold.rule],
            Decision::Deny(denial) => {
                let decided = [reason::DENIED_BY_RULE, reason::TOO_FEW_DATASETS, reason::TOO_MANY_RESULTS]
                    .contains(&denial.reason);
                denial.rule.as_deref().filter(|_| decided).into_iter().collect()
            }
        }
    }
}

impl Policy {
    /// Decides a request and says why.
    pub fn explain(&self, request: &Request) -> Explanation {
        let decision = self.decide(request);
        let facts = Arc::new(Facts::of(request));
        let speaking = self.speaking_rules(request);
        let read = |rule: &&Rule| (rule.outcome(&facts), reading(rule, &facts));
        let against = |rule: &&&Rule| denies(rule.effect, rule.outcome(&facts));
        let grants = |rule: &&&Rule| rule.effect != Effect::Deny && rule.outcome(&facts) == Outcome::Met;
        let granting: Vec<&Rule> = speaking.iter().filter(grants).copied().collect();
        let refusing: Vec<&Rule> = speaking.iter().filter(against).copied().collect();
        let mut misses: Vec<&Rule> =
            speaking.iter().filter(|rule| rule.effect != Effect::Deny && !grants(rule)).copied().collect();
        misses.sort_by_key(|rule| distance(rule, &facts));
        misses.truncate(NEAREST_MAX);
        let deciding = if refusing.is_empty() { &granting } else { &refusing };
        let nearest = if granting.is_empty() { &misses[..] } else { &[] };
        let (verdict, reason, sentence) = told(&decision);
        let mut missing: Vec<String> =
            deciding.iter().chain(nearest).flat_map(|rule| super::verdict::missing(rule, &facts)).collect();
        missing.sort_unstable();
        missing.dedup();
        Explanation {
            decision: verdict,
            reason,
            sentence,
            deciding: deciding.iter().map(|rule| read(rule).1).collect(),
            obligations: if refusing.is_empty() { obligations(&granting) } else { Vec::new() },
            nearest: nearest.iter().map(|rule| read(rule).1).collect(),
            missing,
            policy: self.hash().to_owned(),
        }
    }

    /// All rules that speak of the request's action, owner and data set, in file order.
    fn speaking_rules(&self, request: &Request) -> Vec<&Rule> {
        let Ok(target) = super::verdict::Target::of(request) else { return Vec::new() };
        let speaking = self.engine.index().find(request.action, target.owner, target.dataset);
        let positions = speaking.map_or(&[][..], |speaking| &speaking.rules);
        positions.iter().filter_map(|position| self.engine.rule(*position)).collect()
    }
}

fn told(decision: &Decision) -> (&'static str, Option<&'static str>, String) {
    match decision {
        Decision::Allow(permit) => ("allow", None, format!("Allowed by {}.", permit.rules().join(", "))),
        Decision::Hold(hold) => ("hold", None, format!("Held by rule `{}` until it is released.", hold.rule)),
        Decision::Deny(denial) => ("deny", Some(denial.reason), denial.explanation.clone()),
    }
}

fn reading(rule: &Rule, facts: &Facts) -> RuleReading {
    let failing = rule.conditions.iter().filter_map(|condition| match condition.holds(facts) {
        Some(true) => None,
        Some(false) => Some(condition.describe()),
        None => Some(format!("{} (it is missing or not of its type)", condition.describe())),
    });
    RuleReading {
        id: rule.id.clone(),
        effect: rule.effect.as_str(),
        outcome: match rule.outcome(facts) {
            Outcome::Met => "met",
            Outcome::Unmet => "unmet",
            Outcome::Unknown => "unknown",
        },
        failing: failing.collect(),
        missing: missing(rule, facts),
    }
}

/// The strictest of each obligation and the rules that ask for it.
fn obligations(granting: &[&Rule]) -> Vec<ObligationReading> {
    let Some(strictest) = granting.iter().map(|rule| rule.obligations).reduce(Obligations::strictest) else {
        return Vec::new();
    };
    strictest
        .written()
        .into_iter()
        .enumerate()
        .map(|(place, (name, value))| {
            let as_strict = |rule: &&&Rule| rule.obligations.written()[place].1 == value;
            let rules = granting.iter().filter(as_strict).map(|rule| rule.id.clone()).collect();
            ObligationReading { name, value, rules }
        })
        .collect()
}

impl Obligations {
    /// By name, as in rules and in the audit log.
    pub fn written(&self) -> [(&'static str, String); 5] {
        let mask = match self.mask {
            Mask::None => "none",
            Mask::LastFour => "last_four",
            Mask::All => "all",
        };
        [
            ("minimum_datasets", self.minimum_datasets.to_string()),
            ("maximum_results", self.maximum_results.to_string()),
            ("score_step_thousandths", self.score_step_thousandths.to_string()),
            ("minimum_cohort", self.minimum_cohort.to_string()),
            ("mask", mask.to_owned()),
        ]
    }
}
