//! What a review finds, and what it does not hold against anybody.

use super::storing::CASES;
use super::*;
use crate::policy::engine::MODEL;
use crate::policy::{PolicyFiles, Review, Severity};

fn files(rules: &str, cases: &str, schema: Option<&str>) -> PolicyFiles {
    PolicyFiles {
        model: MODEL.to_owned(),
        rules: rules.to_owned(),
        schema: schema.map(str::to_owned),
        cases: cases.to_owned(),
    }
}

fn review(rules: &str) -> Review {
    files(&with(rules), CASES, None).review()
}

/// Kind and rule of what is found, but for rules without a case.
fn found(review: &Review) -> Vec<(&'static str, &str)> {
    let told = review.findings.iter().filter(|finding| finding.kind != "no_case");
    told.map(|finding| (finding.kind, finding.rule.as_deref().unwrap_or_default())).collect()
}

fn rule(id: &str, effect: &str, rest: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\neffect = \"{effect}\"\nactions = [\"ask\"]\n{rest}\n")
}

#[test]
fn a_sound_policy_is_found_sound() {
    let review = files(ALLOW_ANALYSTS, CASES, None).review();
    assert_eq!((review.findings.as_slice(), review.rules, review.cases), (&[][..], 1, 1));
    assert!(!review.has_errors() && review.policy.len() == 64);
}

#[test]
fn conditions_that_cannot_hold_together_are_found() {
    for conditions in [
        "subject = { role = { equals = \"a\", not_one_of = [\"a\", \"b\"] } }",
        "subject = { role = { one_of = [\"a\", \"b\"], equals = \"c\" } }",
        "subject = { 28cfr_certification = { not_one_of = [true, false] } }",
        "subject = { security_clearance_level = { at_least = \"secret\", below = \"confidential\" } }",
        "subject = { security_clearance_level = { below = \"none\" } }",
        "subject = { role = { present = true } }\nresource = { kind = { equals = \"records\" } }",
        "subject = { role = { present = true } }\ncontext = { top = { at_least = 50, below = 50 } }",
        "subject = { role = { present = true } }\ncontext = { minimum_datasets = { below = 1 } }",
        "subject = { role = { present = true } }\n\
         context = { time = { at_least = 2027-01-01T00:00:00Z, below = 2026-01-01T00:00:00Z } }",
        "subject = { agency = { same_as = \"resource.owner\", equals = \"hsi\" } }\nowners = [\"cbp\", \"acme\"]",
        "subject = { agency = { same_as = \"subject.employer_name\", equals = \"a\" }, employer_name = { equals = \"b\" } }",
        "subject = { role = { present = true } }\ncontext = { top = { at_least = 101 } }",
        "subject = { role = { present = true } }\ncontext = { minimum_datasets = { below = 2 } }",
    ] {
        let review = review(&rule("x", "allow", conditions));
        assert_eq!(found(&review), [("unreachable", "x")], "{conditions}");
        assert!(review.has_errors());
    }
}

#[test]
fn conditions_that_only_look_contrary_are_not_found() {
    for conditions in [
        "subject = { agency = { one_of = [\"a\", \"b\"], not_one_of = [\"b\"] } }",
        "subject = { security_clearance_level = { at_least = \"secret\", below = \"top_secret\" } }",
        "subject = { agency = { same_as = \"resource.owner\", one_of = [\"hsi\", \"cbp\"] } }\nowners = [\"cbp\"]",
        "subject = { agency = { equals = \"x\" } }\ncontext = { top = { at_least = 100, below = 101 } }",
    ] {
        assert_eq!(found(&review(&rule("x", "allow", conditions))), [], "{conditions}");
    }
}

#[test]
fn a_rule_that_deny_rules_leave_nothing_to_is_found() {
    let narrow = "subject = { agency = { equals = \"acme\" }, role = { equals = \"driver\" } }\n";
    let shadowing = [
        rule("no", "deny", ""),
        rule("no", "deny", "subject = { agency = { one_of = [\"acme\", \"other\"] } }"),
        rule("no", "deny", "subject = { agency = { not_one_of = [\"hsi\"] }, employer_ori = { present = true } }"),
        rule("no", "deny", "owners = [\"cbp\"]\n"),
    ];
    for deny in shadowing {
        let review =
            review(&(rule("x", "allow", &format!("datasets = [\"cbp.crossings\"]\n{narrow}")) + deny.as_str()));
        assert!(found(&review).contains(&("denied_by_others", "x")), "{deny}: {:?}", review.findings);
    }
    let leaving = [
        rule("no", "deny", "subject = { agency = { equals = \"acme\" }, employer_ori = { equals = \"X\" } }"),
        rule("no", "deny", "owners = [\"hsi\"]\n"),
        rule("no", "deny", "").replace("\"ask\"", "\"look_up\""),
    ];
    for deny in leaving {
        let review =
            review(&(rule("x", "allow", &format!("datasets = [\"cbp.crossings\"]\n{narrow}")) + deny.as_str()));
        assert!(!found(&review).contains(&("denied_by_others", "x")), "{deny}");
    }
    // Two rules that only together refuse everything.
    let parts =
        rule("x", "allow", "datasets = [\"cbp.crossings\", \"hsi.calls\"]\nsubject = { role = { equals = \"y\" } }")
            + rule("no-cbp", "deny", "owners = [\"cbp\"]\nsubject = { role = { equals = \"y\" } }").as_str()
            + rule("no-hsi", "deny", "owners = [\"hsi\"]\nsubject = { role = { equals = \"y\" } }").as_str();
    let review = review(&parts);
    let finding = review.findings.iter().find(|finding| finding.kind == "denied_by_others").unwrap();
    assert!(finding.sentence.contains("`no-cbp`, `no-hsi`"), "{}", finding.sentence);
}

#[test]
fn a_rule_that_adds_nothing_to_another_is_found_unless_it_is_stricter() {
    let narrow = "subject = { role = { equals = \"analyst\" }, agency = { equals = \"cbp\" } }";
    assert_eq!(found(&review(&rule("x", "allow", narrow))), [("implied_by_others", "x")]);
    let stricter = format!("{narrow}\nobligations = {{ minimum_datasets = 3 }}");
    assert_eq!(found(&review(&rule("x", "allow", &stricter))), []);
    let milder = format!("{narrow}\nobligations = {{ maximum_results = 500 }}");
    assert_eq!(found(&review(&rule("x", "allow", &milder))), [("implied_by_others", "x")]);
    let same = rule("x", "allow", "subject = { role = { one_of = [\"analyst\"] } }")
        .replace("[\"ask\"]", "[\"look_up\", \"ask\"]");
    assert_eq!(found(&review(&same)), [("duplicate", "x")]);
    let deny = rule("wide", "deny", "subject = { agency = { one_of = [\"a\", \"b\"] } }")
        + rule("narrow", "deny", "subject = { agency = { equals = \"a\" } }\nowners = [\"cbp\"]").as_str();
    assert_eq!(found(&review(&deny)), [("implied_by_others", "narrow")]);
    let other_officers = rule("h1", "hold", "release_by = \"a\"\nsubject = { agency = { equals = \"x\" } }")
        + rule("h2", "hold", "release_by = \"b\"\nsubject = { agency = { equals = \"x\" } }").as_str();
    assert_eq!(found(&review(&other_officers)), []);
}

/// What is reported as covered or unreachable must be so: nothing that a finding is about may ever make a
/// difference.
#[test]
fn rules_that_are_said_to_decide_nothing_decide_nothing() {
    let rules = rule("dead", "allow", "subject = { agency = { equals = \"cbp\", one_of = [\"hsi\"] } }")
        + rule("refused", "allow", "subject = { agency = { equals = \"acme\" } }").as_str()
        + rule("no", "deny", "subject = { agency = { equals = \"acme\" } }").as_str()
        + rule("adds-nothing", "allow", "subject = { role = { equals = \"analyst\" }, agency = { equals = \"hsi\" } }")
            .as_str();
    let review = review(&rules);
    assert_eq!(
        found(&review),
        [("unreachable", "dead"), ("denied_by_others", "refused"), ("implied_by_others", "adds-nothing")]
    );
    let (all, fewer) = (
        Rules::of(&with(&rules)),
        Rules::of(&with(&rule("no", "deny", "subject = { agency = { equals = \"acme\" } }"))),
    );
    for agency in ["hsi", "cbp", "acme", "", "other"] {
        for role in ["analyst", "officer", ""] {
            let subject = Attributes::new().with(attribute::AGENCY, agency).with(attribute::ROLE, role);
            let asked = Request { subject, ..request() };
            let verdict = |rules: &Rules| match rules.decide(&asked) {
                Decision::Allow(permit) => format!("{:?}", permit.obligations()),
                Decision::Hold(_) => "hold".to_owned(),
                Decision::Deny(_) => "deny".to_owned(),
            };
            assert_eq!(verdict(&all), verdict(&fewer), "{agency} {role}");
        }
    }
}

#[test]
fn what_nobody_supplies_is_found_by_the_schema() {
    let schema =
        "[subject]\nrole = { from = \"people\" }\nagency = { from = \"certificate\", values = [\"hsi\", \"cbp\"] }\n";
    let rules = with(
        &(rule("ori", "allow", "subject = { employer_ori = { present = true } }")
            + rule("typo", "allow", "subject = { agency = { equals = \"hsl\" } }").as_str()
            + rule("sworn", "deny", "subject = { sworn_law_enforcement_officer = { equals = false } }").as_str()),
    );
    let review = files(&rules, CASES, Some(schema)).review();
    let told: Vec<_> = review
        .findings
        .iter()
        .filter(|finding| finding.kind.ends_with("not_supplied"))
        .map(|finding| (finding.severity, finding.kind, finding.rule.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (Severity::Error, "attribute_not_supplied", "sworn"),
            (Severity::Warning, "attribute_not_supplied", "ori"),
            (Severity::Warning, "value_not_supplied", "typo"),
        ]
    );
    let from = |name: &str| review.attributes.iter().find(|attribute| attribute.name == name).unwrap().from;
    assert!(from("subject.role").is_some() && from("subject.employer_ori").is_none());
}

#[test]
fn a_schema_is_as_strict_as_the_rules() {
    for (schema, told) in [
        ("[subject]\nrank = { from = \"people\" }", "subject.rank"),
        ("[subject]\nrole = { from = \"hearsay\" }", "unknown variant"),
        ("[subject]\nrole = { from = \"people\", values = [] }", "at least one"),
        ("[subject]\nrole = { from = \"people\", values = [3] }", "text in quotes"),
        ("[subject]\nrole = { values = [\"x\"] }", "missing field"),
        ("[subjects]\n", "unknown field"),
    ] {
        let files = files(ALLOW_ANALYSTS, CASES, Some(schema));
        let review = files.review();
        assert!(review.has_errors() && review.findings[0].sentence.contains(told), "{schema}: {:?}", review.findings);
        assert!(crate::policy::Policy::compile(&files).is_err(), "{schema}");
    }
}

#[test]
fn every_faulty_rule_and_every_failing_case_is_told() {
    let rules = with(
        &(rule("one", "allow", "subject = { rank = { equals = 1 } }")
            + rule("two", "allow", "").as_str()
            + rule("two", "allow", "subject = { role = { present = true } }").as_str()),
    );
    let review = files(&rules, CASES, None).review();
    assert_eq!(
        found(&review),
        [("rule_malformed", "one"), ("rule_malformed", "two"), ("rule_malformed", "two")],
        "{:?}",
        review.findings
    );
    let cases = CASES.replace("role = \"analyst\"", "role = \"officer\"");
    let twice = format!("{cases}{}", cases[cases.find("[[case]]").unwrap()..].replace("an analyst asks", "again"));
    assert_eq!(found(&files(ALLOW_ANALYSTS, &twice, None).review()), [("case_fails", ""), ("case_fails", "")]);
    for broken in [files("[[rule]", CASES, None), files(ALLOW_ANALYSTS, "[[case]", None), files("", "", None)] {
        assert!(broken.review().has_errors());
    }
}

#[test]
fn a_rule_that_no_case_shows_is_found() {
    let review = review(&rule("x", "deny", "subject = { agency = { equals = \"acme\" } }"));
    let [finding] = review.findings.as_slice() else { panic!("{:?}", review.findings) };
    assert_eq!((finding.kind, finding.severity, finding.rule.as_deref()), ("no_case", Severity::Warning, Some("x")));
}

#[test]
fn rules_that_cannot_be_told_apart_are_found_when_they_are_many() {
    let crowd = |count: usize, condition: &dyn Fn(usize) -> String| {
        let rules: String = (0..count).map(|number| rule(&format!("r{number}"), "deny", &condition(number))).collect();
        found(&review(&rules)).iter().any(|(kind, _)| *kind == "crowded")
    };
    assert!(crowd(250, &|number| format!("subject = {{ agency = {{ not_one_of = [\"a{number}\"] }} }}")));
    assert!(!crowd(250, &|number| format!("subject = {{ agency = {{ equals = \"a{number}\" }} }}")));
    assert!(!crowd(60, &|number| format!("subject = {{ agency = {{ not_one_of = [\"a{number}\"] }} }}")));
}

#[test]
fn formal_names_of_gfipm_mean_the_same_attributes() {
    let formal = "subject = { \"gfipm:2.0:user:28CFRCertificationIndicator\" = { equals = true } }";
    let here = "subject = { 28cfr_certification = { equals = true } }";
    assert_eq!(found(&review(&(rule("x", "allow", here) + rule("y", "allow", formal).as_str()))), [("duplicate", "y")]);
    let cases = CASES
        .replace("role = \"analyst\"", "\"gfipm:2.0:user:28CFRCertificationIndicator\" = \"1\"")
        .replace("\"analysts\"", "\"x\"");
    assert_eq!(found(&files(&rule("x", "allow", formal), &cases, None).review()), []);
    let names = review("").attributes.into_iter().filter_map(|attribute| attribute.gfipm).collect::<Vec<_>>();
    assert_eq!(names.len(), 7);
    assert!(names.iter().all(|name| name.starts_with("gfipm:2.0:user:")));
}
