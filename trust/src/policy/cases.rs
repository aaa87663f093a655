//! The table that a policy is tested with each time it is loaded: case → decision → rule.
//!
//! People, resources and contexts are named once and combined by the cases. A policy whose table is
//! empty or does not come out as written is not used.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::value::Datetime;

use super::rule::WrittenObligations;
use super::schema::{self, Part};
use super::{Action, Attributes, Context, Decision, Obligations, PolicyError, Request};

/// Cases in one table, at most.
pub const CASES_MAX: usize = 50_000;

/// A parsed table, every request of it complete.
#[derive(Debug)]
pub(super) struct CaseTable(Vec<Case>);

#[derive(Debug)]
struct Case {
    name: String,
    request: Request,
    decision: Verdict,
    rule: Option<String>,
    reason: Option<String>,
    missing: Option<Vec<String>>,
    obligations: Option<WrittenObligations>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Allow,
    Deny,
    Hold,
}

impl CaseTable {
    /// Reads a table.
    ///
    /// # Errors
    /// Whatever makes it unfit, with the case and what to change.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut file: CaseFile = toml::from_str(text)
            .map_err(|error| PolicyError::Unparsable { file: "cases.toml", problem: error.to_string() })?;
        if file.case.is_empty() {
            return Err(PolicyError::NoCases);
        }
        if file.case.len() > CASES_MAX {
            return Err(PolicyError::TooManyCases);
        }
        let failed = |name: &str, problem| PolicyError::Case { name: name.to_owned(), problem };
        for (part, table) in [(Part::Subject, &mut file.subjects), (Part::Resource, &mut file.resources)] {
            for (name, attributes) in table {
                *attributes = called_here(part, attributes).map_err(|problem| failed(name, problem))?;
            }
        }
        let cases: Result<Vec<Case>, PolicyError> =
            file.case.iter().map(|case| case.complete(&file).map_err(|problem| failed(&case.name, problem))).collect();
        cases.map(Self)
    }

    /// Runs every case through `decide`.
    ///
    /// # Errors
    /// The first case that comes out otherwise than written.
    pub(super) fn run(&self, decide: impl Fn(&Request) -> Decision) -> Result<(), PolicyError> {
        self.outcomes(decide).find_map(|(_, failure)| failure).map_or(Ok(()), Err)
    }

    /// What is decided on every case, and how that differs from what is written.
    pub(super) fn outcomes(
        &self,
        decide: impl Fn(&Request) -> Decision,
    ) -> impl Iterator<Item = (Decision, Option<PolicyError>)> {
        self.0.iter().map(move |case| {
            let decision = decide(&case.request);
            let failure = case.check(decision.clone()).err();
            (decision, failure.map(|problem| PolicyError::Case { name: case.name.clone(), problem }))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The request of a case, by its name.
    pub(super) fn request(&self, name: &str) -> Option<&Request> {
        self.0.iter().find(|case| case.name == name).map(|case| &case.request)
    }
}

impl Case {
    fn check(&self, decision: Decision) -> Result<(), String> {
        let (verdict, rule, outcome) = match &decision {
            Decision::Allow(permit) => (Verdict::Allow, Some(permit.rule()), "allow".to_owned()),
            Decision::Hold(hold) => (Verdict::Hold, Some(hold.rule.as_str()), "hold".to_owned()),
            Decision::Deny(denial) => {
                (Verdict::Deny, denial.rule.as_deref(), format!("deny ({}: {})", denial.reason, denial.explanation))
            }
        };
        let by = rule.map_or_else(String::new, |rule| format!(" by rule `{rule}`"));
        let differs = |what: &str| Err(format!("{what} is not as written; the decision is {outcome}{by}"));
        if verdict != self.decision {
            return differs("decision");
        }
        if self.rule.is_some() && self.rule.as_deref() != rule {
            return differs("rule");
        }
        match decision {
            Decision::Deny(denial) if self.reason.as_deref() != Some(denial.reason) => differs("reason"),
            Decision::Deny(denial) if self.missing.as_ref().is_some_and(|missing| *missing != denial.missing) => {
                differs(&format!("missing ({})", denial.missing.join(", ")))
            }
            Decision::Allow(permit) if !self.fits(permit.obligations(), None) => differs("an obligation"),
            Decision::Hold(hold) if !self.fits(hold.obligations(), hold.release_by.values().max()) => {
                differs("an obligation")
            }
            _ => Ok(()),
        }
    }

    fn fits(&self, given: Obligations, releases: Option<&u32>) -> bool {
        self.obligations.as_ref().is_none_or(|wanted| {
            wanted.releases.is_none_or(|wanted| Some(&wanted) == releases)
                && wanted.minimum_datasets.is_none_or(|wanted| wanted == given.minimum_datasets)
                && wanted.maximum_results.is_none_or(|wanted| wanted == given.maximum_results)
                && wanted.score_step_thousandths.is_none_or(|wanted| wanted == given.score_step_thousandths)
                && wanted.minimum_cohort.is_none_or(|wanted| wanted == given.minimum_cohort)
                && wanted.mask.is_none_or(|wanted| wanted == given.mask)
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    subjects: BTreeMap<String, Attributes>,
    #[serde(default)]
    resources: BTreeMap<String, Attributes>,
    #[serde(default)]
    contexts: BTreeMap<String, WrittenContext>,
    #[serde(default)]
    case: Vec<WrittenCase>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenContext {
    purpose: String,
    case_number: String,
    reason: String,
    subject_type: String,
    minimum_datasets: u32,
    top: u32,
    time: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    name: String,
    subject: String,
    resource: String,
    context: Option<String>,
    action: Action,
    decision: Verdict,
    rule: Option<String>,
    reason: Option<String>,
    missing: Option<Vec<String>>,
    obligations: Option<WrittenObligations>,
}

impl WrittenCase {
    fn complete(&self, file: &CaseFile) -> Result<Case, String> {
        match self.decision {
            Verdict::Deny if self.reason.is_none() => return Err("a denial needs its `reason`".to_owned()),
            Verdict::Allow | Verdict::Hold if self.rule.is_none() => {
                return Err("say which `rule` decides".to_owned());
            }
            _ => {}
        }
        let context = match &self.context {
            None => Context::default(),
            Some(name) => file.contexts.get(name).ok_or_else(|| unnamed("contexts", name))?.complete()?,
        };
        let request = Request {
            subject: file.subjects.get(&self.subject).cloned().ok_or_else(|| unnamed("subjects", &self.subject))?,
            resource: file
                .resources
                .get(&self.resource)
                .cloned()
                .ok_or_else(|| unnamed("resources", &self.resource))?,
            action: self.action,
            context,
        };
        Ok(Case {
            name: self.name.clone(),
            request,
            decision: self.decision,
            rule: self.rule.clone(),
            reason: self.reason.clone(),
            missing: self.missing.clone(),
            obligations: self.obligations,
        })
    }
}

impl WrittenContext {
    fn complete(&self) -> Result<Context, String> {
        let at_ms = match &self.time {
            None => 0,
            Some(time) => schema::parse_time_ms(&time.to_string())
                .ok_or("write `time` with its offset, such as 2026-11-02T14:00:00Z")?,
        };
        Ok(Context {
            purpose: self.purpose.clone(),
            case_number: self.case_number.clone(),
            reason: self.reason.clone(),
            subject_type: self.subject_type.clone(),
            minimum_datasets: self.minimum_datasets,
            top: self.top,
            at_ms,
        })
    }
}

fn unnamed(table: &str, name: &str) -> String {
    format!("there is no [{table}.{name}]")
}

/// The same attributes by the names that they have here.
fn called_here(part: Part, attributes: &Attributes) -> Result<Attributes, String> {
    let called = |(name, value): (&str, &str)| {
        let position = schema::position(part, name);
        let attribute = position.and_then(|position| schema::ATTRIBUTES.get(position));
        let attribute = attribute.ok_or_else(|| format!("there is no attribute `{}.{name}`", part.as_str()))?;
        Ok((attribute.name.to_owned(), value.to_owned()))
    };
    attributes.iter().map(called).collect()
}
