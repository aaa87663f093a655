//! Each way in which casbin is known to fail open, shown on casbin itself where that can be shown, and
//! closed here. Should casbin change, the first half of a test says so.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, Model};
use futures::FutureExt;

use super::storing::{CASES, directory, write};
use super::*;
use crate::policy::engine::{MODEL, is_expected_model};
use crate::policy::{PolicyStore, reason};

const ALLOW_AND_NO_DENY: &str = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
const NO_DENY: &str = "!some(where (p.eft == deny))";

/// Casbin as its own examples use it.
fn raw(effect: &str, matcher: &str, lines: &[[&str; 2]]) -> Enforcer {
    let model = format!(
        "[request_definition]\nr = sub\n[policy_definition]\np = sub, eft\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}"
    );
    let mut model = DefaultModel::from_str(&model).now_or_never().unwrap().unwrap();
    for line in lines {
        assert!(model.add_policy("p", "p", line.map(str::to_owned).to_vec()));
    }
    Enforcer::new_raw(model, ()).now_or_never().unwrap().unwrap()
}

fn asks(enforcer: &Enforcer, subject: impl Into<Dynamic>) -> Result<bool, String> {
    enforcer
        .enforce_with_context(casbin::EnforceContext::new(""), vec![subject.into()])
        .map_err(|error| error.to_string())
}

const SAME: &str = "r.sub == p.sub";

#[test]
fn an_effect_that_needs_no_allow_allows_under_an_empty_policy() {
    assert_eq!(asks(&raw(NO_DENY, SAME, &[]), "anybody".to_owned()), Ok(true));

    assert!(!is_expected_model(&MODEL.replace(ALLOW_AND_NO_DENY, NO_DENY)));
    for empty in ["", "# nothing", "rule = []"] {
        assert!(matches!(build(empty), Err(PolicyError::NoRules)));
    }
}

#[test]
fn a_deny_rule_on_what_the_request_lacks_allows() {
    let mut map = casbin::rhai::Map::new();
    map.insert("role".into(), "analyst".into());
    let denying = raw(NO_DENY, "r.sub.certified == p.sub", &[["false", "deny"]]);
    assert_eq!(asks(&denying, map), Ok(true));

    let rules = with(
        "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\nsubject = { 28cfr_certification = { equals = false } }",
    );
    assert_eq!(Rules::of(&rules).denial(&request()).reason, reason::MISSING_ATTRIBUTE);
}

#[test]
fn an_evaluator_that_is_switched_off_allows_everything() {
    let mut enforcer = raw(ALLOW_AND_NO_DENY, SAME, &[["nobody", "allow"]]);
    assert_eq!(asks(&enforcer, "anybody".to_owned()), Ok(false));
    enforcer.enable_enforce(false);
    assert_eq!(asks(&enforcer, "anybody".to_owned()), Ok(true));
    // Ours has no way to be switched off; what happens if it were stands beside the evaluator:
    // `engine::tests::an_evaluator_that_is_switched_off_has_no_answer`.
    assert!(build("enabled = false").is_err());
}

#[test]
fn a_deny_in_capitals_denies_nothing() {
    let lines = [["anybody", "allow"], ["anybody", "DENY"]];
    assert_eq!(asks(&raw(ALLOW_AND_NO_DENY, SAME, &lines), "anybody".to_owned()), Ok(true));

    for effect in ["DENY", "Deny", "deny ", "forbid", ""] {
        let rules = format!("{ALLOW_ANALYSTS}[[rule]]\nid = \"no\"\neffect = \"{effect}\"\nactions = [\"ask\"]");
        assert!(matches!(build(&rules), Err(PolicyError::Unparsable { .. })), "{effect}");
    }
}

#[test]
fn an_unknown_effect_ends_the_first_request_in_a_panic() {
    let enforcer = raw("some(where (p.eft == permit))", SAME, &[["anybody", "permit"]]);
    assert!(catch_unwind(AssertUnwindSafe(|| asks(&enforcer, "anybody".to_owned()))).is_err());

    let (root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    write(root.path(), "model.conf", &MODEL.replace(ALLOW_AND_NO_DENY, "some(where (p.eft == permit))"));
    assert!(matches!(store.reload(), Err(PolicyError::ForeignModel)), "it is refused before any request");
    assert!(matches!(store.decide(&request()), Decision::Allow(_)));
}

#[test]
fn one_malformed_expression_is_an_error_for_everybody_and_a_text_in_it_is_rewritten() {
    let evaluating = |rule: &str| {
        let enforcer = raw(ALLOW_AND_NO_DENY, "eval(p.sub)", &[[rule, "allow"]]);
        asks(&enforcer, "p.cbp.gov".to_owned())
    };
    assert_eq!(evaluating("r.sub == `x`"), Ok(false));
    assert!(evaluating("r.sub == ").is_err());
    assert_ne!(evaluating("r.sub == \"p.cbp.gov\""), Ok(true));
    assert!(evaluating("4000000000 > 1").is_err(), "whole numbers have 32 bits");

    // A rule here has no expressions: the same texts are compared byte by byte.
    for text in ["r.sub == ", "p.cbp.gov", "loop {}", "4000000000 > 1"] {
        let rules = Rules::of(&format!(
            "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = {{ agency = {{ equals = '{text}' }} }}"
        ));
        let asks_as = |agency: &str| Request { subject: analyst().with(attribute::AGENCY, agency), ..request() };
        assert_eq!(rules.permit(&asks_as(text)).rule(), "a");
        assert_eq!(rules.denial(&asks_as("hsi")).reason, reason::NO_RULE_ALLOWS);
    }
}

/// Casbin's cache answers for one context from another's, and goes on allowing after a reload; it is not
/// even compiled in. Nothing here remembers an answer.
#[test]
fn no_answer_outlives_its_context_or_its_policy() {
    let (_root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    let other = Request { subject: analyst().with(attribute::ROLE, "officer"), ..request() };
    for _ in 0..3 {
        assert!(matches!(store.decide(&request()), Decision::Allow(_)));
        assert!(matches!(store.decide(&other), Decision::Deny(_)));
    }
    write(&own, "rules.toml", &ALLOW_ANALYSTS.replace("\"analyst\"", "\"officer\""));
    write(&own, "cases.toml", &CASES.replace("role = \"analyst\"", "role = \"officer\""));
    store.reload().unwrap();
    assert!(matches!(store.decide(&request()), Decision::Deny(_)));
    assert!(matches!(store.decide(&other), Decision::Allow(_)));
}

#[test]
fn a_reload_that_fails_does_not_leave_an_empty_policy() {
    let (_root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    for broken in ["", "[[rule]", "[[rule]]\nid = \"x\""] {
        write(&own, "rules.toml", broken);
        assert!(store.reload().is_err());
        assert!(matches!(store.decide(&request()), Decision::Allow(_)));
        let stranger = Request { subject: Attributes::new(), ..request() };
        assert!(matches!(store.decide(&stranger), Decision::Deny(_)));
    }
    fs::remove_file(own.join("rules.toml")).unwrap();
    assert!(store.reload().is_err());
    assert!(matches!(store.decide(&request()), Decision::Allow(_)));
}

/// Casbin's own explanation of a default denial is an empty list, and is not compiled in.
#[test]
fn a_default_denial_says_why() {
    let denial = Rules::of(ALLOW_ANALYSTS).denial(&Request { subject: Attributes::new(), ..request() });
    assert_eq!(
        (denial.rule.as_deref(), denial.missing.as_slice()),
        (Some("analysts"), &["subject.role".to_owned()][..])
    );
    assert!(denial.explanation.contains("subject.role must be analyst"), "{}", denial.explanation);
}
