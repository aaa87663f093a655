//! The policy as a whole: ways in which it could fail open, properties, the store, the policies that
//! come with the project.

mod bundling;
mod counting;
mod demonstration;
mod explaining;
mod failing_closed;
mod fails_open;
mod holding;
mod properties;
mod refusing;
mod rehearsing;
mod reviewing;
mod storing;
mod writing;

use std::sync::Arc;

use super::engine::Engine;
use super::rule::RuleBook;
use super::{Action, Attributes, Context, Decision, Denial, Permit, PolicyError, Request, attribute, kind, verdict};

/// A policy without its cases.
struct Rules(Engine);

impl Rules {
    fn of(text: &str) -> Self {
        Self(build(text).unwrap())
    }

    fn decide(&self, request: &Request) -> Decision {
        verdict::decide(&self.0, &Arc::from("hash"), request)
    }

    fn permit(&self, request: &Request) -> Permit {
        match self.decide(request) {
            Decision::Allow(permit) => permit,
            other => panic!("not allowed: {other:?}"),
        }
    }

    fn denial(&self, request: &Request) -> Denial {
        match self.decide(request) {
            Decision::Deny(denial) => denial,
            other => panic!("not denied: {other:?}"),
        }
    }
}

fn build(text: &str) -> Result<Engine, PolicyError> {
    Engine::build(RuleBook::parse(text)?)
}

fn analyst() -> Attributes {
    Attributes::new().with(attribute::AGENCY, "hsi").with(attribute::ROLE, "analyst")
}

fn dataset(name: &str) -> Attributes {
    Attributes::new()
        .with(attribute::KIND, kind::DATASET)
        .with(attribute::OWNER, name.split('.').next().unwrap())
        .with(attribute::DATASET, name)
}

fn context() -> Context {
    Context {
        purpose: "counter-narcotics".to_owned(),
        case_number: "C-1".to_owned(),
        minimum_datasets: 2,
        top: 20,
        at_ms: 1_790_000_000_000,
        ..Context::default()
    }
}

/// An HSI analyst asks for cbp.crossings.
fn request() -> Request {
    Request { subject: analyst(), resource: dataset("cbp.crossings"), action: Action::Ask, context: context() }
}

const ALLOW_ANALYSTS: &str = r#"
[[rule]]
id = "analysts"
effect = "allow"
actions = ["ask", "look_up"]
subject = { role = { equals = "analyst" } }
"#;

fn with(rules: &str) -> String {
    format!("{ALLOW_ANALYSTS}\n{rules}")
}
