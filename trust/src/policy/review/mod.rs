//! What is wrong with a policy before anybody is refused by it: rules that can never decide, rules that
//! others leave nothing to, conditions on what nobody supplies, rules that no case shows at work.
//!
//! Pure, and cautious: what is reported as unreachable or covered is so for every request; what cannot
//! be shown from the rules alone is not reported.

mod cover;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cases::CaseTable;
use super::request::Action;
use super::rule::{Effect, RuleBook};
use super::schema::{self, ATTRIBUTES, Part, Type};
use super::store::Policy;
use super::supply::{SuppliedBy, Supply};
use super::{PolicyError, PolicyFiles};
use cover::{Read, Rules};
use values::Values;

/// More rules judged for one request than this are told of: a decision then takes about 50 µs.
const JUDGED_MAX: usize = 200;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy cannot be used, or does certainly not do what it says.
    Error,
    /// It works, and something in it does nothing or cannot be shown to work.
    Warning,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What sort of finding, in `snake_case`.
    pub kind: &'static str,
    /// The rule or the case, if it is about one.
    pub rule: Option<String>,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// An attribute that rules may speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributeReading {
    /// Full name, such as `subject.employer_ori`.
    pub name: String,
    /// `text`, `boolean`, `level`, `number` or `time`.
    pub r#type: &'static str,
    /// Its formal name in GFIPM, which rules may use as well.
    pub gfipm: Option<&'static str>,
    /// Where the schema says that it comes from; none when it does not say.
    pub from: Option<SuppliedBy>,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Hash of the policy's files.
    pub policy: String,
    /// How many rules there are; zero when they cannot be read.
    pub rules: usize,
    /// How many cases there are; zero when they cannot be read.
    pub cases: usize,
    /// What was found, errors first, then in the order of the rules.
    pub findings: Vec<Finding>,
    /// What rules may speak of.
    pub attributes: Vec<AttributeReading>,
}

impl Review {
    /// Whether the policy should not be used.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl PolicyFiles {
    /// Reviews the policy.
    pub fn review(&self) -> Review {
        let mut findings = Findings(Vec::new());
        let supply = self.schema.as_deref().map(Supply::parse).transpose();
        let supply = supply.map_err(|error| findings.does_not_load(&error)).ok().flatten();
        let cases = CaseTable::parse(&self.cases).map_err(|error| findings.does_not_load(&error)).ok();
        let policy = Policy::untested(self).map_err(|error| self.tell_all(error, &mut findings)).ok();
        if let Some(policy) = &policy {
            findings.review(policy, cases.as_ref(), supply.as_ref());
        }
        findings.0.sort_by_key(|finding| finding.severity);
        Review {
            policy: self.hash().to_string(),
            rules: policy.map_or(0, |policy| policy.engine.book().rules().len()),
            cases: cases.map_or(0, |cases| cases.len()),
            findings: findings.0,
            attributes: ATTRIBUTES.iter().enumerate().map(|(at, _)| reading(at, supply.as_ref())).collect(),
        }
    }

    /// Loading ends at the first fault; a review tells of every rule that has one.
    fn tell_all(&self, first: PolicyError, findings: &mut Findings) {
        let faults = RuleBook::faults(&self.rules);
        if faults.is_empty() {
            findings.does_not_load(&first);
        }
        faults.iter().for_each(|fault| findings.does_not_load(fault));
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, kind: &'static str, rule: Option<&str>, sentence: String) {
        self.0.push(Finding { severity, kind, rule: rule.map(str::to_owned), sentence });
    }

    fn does_not_load(&mut self, error: &PolicyError) {
        let (kind, rule) = match error {
            PolicyError::Rule { id, .. } | PolicyError::DuplicateRule { id } => ("rule_malformed", Some(id.as_str())),
            PolicyError::Case { .. } => ("case_malformed", None),
            PolicyError::Schema { .. } => ("schema_malformed", None),
            _ => ("does_not_load", None),
        };
        let told = self.0.iter().any(|finding| finding.sentence == error.to_string());
        if !told {
            self.add(Severity::Error, kind, rule, error.to_string());
        }
    }

    fn review(&mut self, policy: &Policy, cases: Option<&CaseTable>, supply: Option<&Supply>) {
        let rules = Rules::of(&policy.engine);
        let shown = cases.map(|cases| self.run(policy, cases));
        for read in rules.all() {
            self.reach(&rules, read);
            if let Some(supply) = supply {
                self.supplied(read, supply);
            }
            if shown.as_ref().is_some_and(|shown| !shown.contains(&read.rule.id)) {
                let sentence = "no case shows it deciding; add one to cases.toml".to_owned();
                self.add(Severity::Warning, "no_case", Some(&read.rule.id), sentence);
            }
        }
        self.crowds(policy);
    }

    /// Runs the cases; the rules that were seen deciding.
    fn run(&mut self, policy: &Policy, cases: &CaseTable) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        for (decision, failure) in cases.outcomes(|request| policy.decide(request)) {
            shown.extend(decision.deciding_rules().iter().map(|rule| (*rule).to_owned()));
            if let Some(failure) = failure {
                self.add(Severity::Error, "case_fails", None, failure.to_string());
            }
        }
        shown
    }

    /// Whether a rule can ever decide, and whether others leave it something to decide.
    fn reach(&mut self, rules: &Rules<'_>, read: &Read<'_>) {
        let id = Some(read.rule.id.as_str());
        if let Some(position) = read.profile.contradiction() {
            let name = ATTRIBUTES.get(position).map(ToString::to_string).unwrap_or_default();
            let sentence = format!("its conditions on {name} cannot hold together: it never decides; change them");
            return self.add(Severity::Error, "unreachable", id, sentence);
        }
        if let Some(sentence) = asks_what_it_refuses(read) {
            return self.add(Severity::Error, "unreachable", id, sentence);
        }
        if read.rule.effect != Effect::Deny
            && let Some(by) = rules.denied_by(read)
        {
            let sentence = format!("everything that it allows is denied by {}; remove it or narrow those", named(&by));
            return self.add(Severity::Error, "denied_by_others", id, sentence);
        }
        if let Some(other) = rules.duplicate_of(read) {
            let sentence = format!("it says the same as rule `{other}`; remove one");
            return self.add(Severity::Warning, "duplicate", id, sentence);
        }
        if let Some(by) = rules.implied_by(read) {
            let sentence = format!("it adds nothing to {}, which hold wherever it does; remove it", named(&by));
            self.add(Severity::Warning, "implied_by_others", id, sentence);
        }
    }

    /// Whether requests can bring what a rule asks for.
    fn supplied(&mut self, read: &Read<'_>, supply: &Supply) {
        let id = Some(read.rule.id.as_str());
        let asked: BTreeSet<usize> = read.rule.conditions.iter().flat_map(|condition| condition.reads()).collect();
        for position in asked {
            let name = ATTRIBUTES.get(position).map(ToString::to_string).unwrap_or_default();
            let Some(supplied) = supply.of(position) else {
                let (severity, then) = match read.rule.effect {
                    Effect::Allow => (Severity::Warning, "it never allows anything"),
                    // What cannot be judged is denied.
                    Effect::Deny | Effect::Hold => (Severity::Error, "it denies whatever it speaks of"),
                };
                let sentence =
                    format!("nothing supplies {name}, so {then}; have it supplied, and say so in schema.toml");
                self.add(severity, "attribute_not_supplied", id, sentence);
                continue;
            };
            let left = read.profile.values(position).zip(supplied.values.clone());
            if left.is_some_and(|(values, known)| values.and(&Values::listed(known)).is_empty()) {
                let sentence =
                    format!("no request has the {name} that it asks for; check the spelling, or schema.toml");
                self.add(Severity::Warning, "value_not_supplied", id, sentence);
            }
        }
    }

    /// Rules that cannot be told apart by what they ask for, so that all are judged.
    fn crowds(&mut self, policy: &Policy) {
        let mut most: BTreeMap<&str, usize> = BTreeMap::new();
        for (action, speaking) in policy.engine.index().all() {
            let judged = most.entry(action.as_str()).or_default();
            *judged = speaking.judged_max().max(*judged);
        }
        for (action, judged) in most.into_iter().filter(|(_, judged)| *judged > JUDGED_MAX) {
            let sentence = format!(
                "up to {judged} rules are judged for one request to {action}, which takes over 50 µs; name owners, data \
                 sets or agencies in them"
            );
            self.add(Severity::Warning, "crowded", None, sentence);
        }
    }
}

/// A rule for questions whose conditions leave only questions that break its own obligations.
fn asks_what_it_refuses(read: &Read<'_>) -> Option<String> {
    if read.rule.effect == Effect::Deny || !read.rule.actions.iter().copied().all(Action::is_question) {
        return None;
    }
    let bounds = |name| {
        let position = schema::position(Part::Context, name)?;
        Some(read.profile.values(position)?.bounds())
    };
    let obligations = read.rule.obligations;
    let too_few = bounds("minimum_datasets").is_some_and(|(_, most)| most < i64::from(obligations.minimum_datasets));
    let too_many = bounds("top").is_some_and(|(least, _)| least > i64::from(obligations.maximum_results));
    let broken = match (too_few, too_many) {
        (true, _) => "minimum_datasets",
        (_, true) => "maximum_results",
        _ => return None,
    };
    Some(format!("every question that meets its conditions breaks its own obligation {broken}; change one of them"))
}

fn named(rules: &[&str]) -> String {
    let names: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    format!("{} {}", if names.len() == 1 { "rule" } else { "rules" }, names.join(", "))
}

fn reading(position: usize, supply: Option<&Supply>) -> AttributeReading {
    let attribute = &ATTRIBUTES[position];
    AttributeReading {
        name: attribute.to_string(),
        r#type: match attribute.kind {
            Type::Text => "text",
            Type::Flag => "boolean",
            Type::Level(_) => "level",
            Type::Number => "number",
            Type::Time => "time",
        },
        gfipm: attribute.formal_name(),
        from: supply.and_then(|supply| supply.of(position)).map(|supplied| supplied.from),
    }
}
