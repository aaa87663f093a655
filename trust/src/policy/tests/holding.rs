//! Holds: who must release, how many of them, and what their releases permit.

use super::*;

fn hold(rules: &str) -> super::super::Hold {
    match Rules::of(rules).decide(&request()) {
        Decision::Hold(hold) => hold,
        other => panic!("not held: {other:?}"),
    }
}

fn rule(id: &str, role: &str, obligations: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\neffect = \"hold\"\nrelease_by = \"{role}\"\nactions = [\"ask\"]\n\
         subject = {{ role = {{ equals = \"analyst\" }} }}\nobligations = {{ {obligations} }}\n"
    )
}

#[test]
fn as_many_different_people_as_the_rule_says_must_release() {
    let two = hold(&rule("two", "officer", "releases = 2"));
    assert!(two.released([]).is_none());
    assert!(two.released([("a", "officer")]).is_none());
    assert!(two.released([("a", "officer"), ("a", "officer")]).is_none(), "the same person twice");
    assert!(two.released([("a", "officer"), ("b", "analyst")]).is_none(), "another role");
    let permit = two.released([("a", "officer"), ("b", "officer")]).unwrap();
    assert_eq!((permit.action(), permit.resource(), permit.rule()), (Action::Ask, "cbp.crossings", "two"));
}

#[test]
fn one_person_is_enough_where_the_rule_says_nothing() {
    let one = hold(&rule("one", "officer", ""));
    assert!(one.released([("a", "officer")]).is_some());
    assert!(one.released([("a", "analyst")]).is_none());
}

#[test]
fn several_rules_hold_together() {
    let rules = [rule("one", "officer", "maximum_results = 40"), rule("two", "officer", "releases = 2")];
    let both = hold(&format!("{}{}{}", rules.concat(), rule("privacy", "privacy_officer", ""), ALLOW_ANALYSTS));
    assert_eq!(both.rule, "one");
    assert_eq!(both.release_by, [("officer".to_owned(), 2), ("privacy_officer".to_owned(), 1)].into());
    assert_eq!(both.obligations().maximum_results, 40);
    let officers = [("a", "officer"), ("b", "officer")];
    assert!(both.released(officers).is_none());
    let permit = both.released(officers.into_iter().chain([("c", "privacy_officer")])).unwrap();
    assert_eq!(permit.rules(), ["one", "two", "privacy", "analysts"]);
    assert_eq!(permit.obligations().maximum_results, 40);
}

#[test]
fn counting_for_the_owner_is_no_permit_to_ask() {
    let permit = hold(&rule("one", "officer", "")).to_count();
    assert_eq!((permit.action(), permit.resource()), (Action::Release, "cbp.crossings"));
}

#[test]
fn releases_are_one_to_five_and_of_hold_rules_only() {
    for obligations in ["releases = 0", "releases = 6", "releases = -1", "releases = \"2\""] {
        assert!(build(&rule("a", "officer", obligations)).is_err(), "{obligations}");
    }
    let allow = "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
                 subject = { role = { equals = \"analyst\" } }\nobligations = { releases = 2 }\n";
    match build(allow) {
        Err(PolicyError::Rule { problem, .. }) => assert!(problem.contains("only a hold rule"), "{problem}"),
        _ => panic!("an allow rule took `releases`"),
    }
}
