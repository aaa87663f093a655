//! Policies that are not loaded.

use super::*;
use crate::policy::cases::CaseTable;

/// One rule with a line replaced or added.
fn rule(lines: &str) -> String {
    format!("[[rule]]\nid = \"r\"\neffect = \"allow\"\nactions = [\"ask\"]\n{lines}\n")
}

fn refused(text: &str) -> String {
    match build(text) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_empty_policy_is_refused() {
    for text in ["", "# only a comment", "rule = []"] {
        assert!(matches!(build(text), Err(PolicyError::NoRules)), "{text}");
    }
    assert!(matches!(CaseTable::parse(""), Err(PolicyError::NoCases)));
}

#[test]
fn effects_and_actions_are_spelt_exactly() {
    for effect in ["DENY", "Deny", "ALLOW", "Allow", "forbid", ""] {
        let text = rule("subject = { role = { present = true } }").replace("\"allow\"", &format!("\"{effect}\""));
        assert!(refused(&text).contains("unknown variant"), "{effect}");
    }
    for action in ["ASK", "read", "*", "", "askk"] {
        let text = rule("subject = { role = { present = true } }").replace("\"ask\"", &format!("\"{action}\""));
        assert!(refused(&text).contains("unknown variant"), "{action}");
    }
}

#[test]
fn one_faulty_rule_refuses_the_whole_file_and_is_named() {
    let subject = "subject = { role = { present = true } }";
    let faults: [(&str, &str); 28] = [
        ("subject = { rank = { equals = \"x\" } }", "there is no attribute `subject.rank`"),
        ("subject = { sensitivity = { equals = \"public\" } }", "there is no attribute `subject.sensitivity`"),
        ("subject = { role = \"analyst\" }", "write `role = { equals = … }`"),
        ("subject = { role = {} }", "write `role = { equals = … }`"),
        ("subject = { role = { is = \"x\" } }", "there is no operator `is`"),
        ("subject = { role = { equals = 3 } }", "a text in quotes"),
        ("subject = { role = { equals = \"\" } }", "a text in quotes"),
        ("subject = { role = { one_of = [] } }", "1 to 1000 values"),
        ("subject = { role = { one_of = \"x\" } }", "a list in square brackets"),
        ("subject = { role = { one_of = [1] } }", "a text in quotes"),
        ("subject = { role = { at_least = \"x\" } }", "have an order"),
        ("subject = { role = { present = false } }", "only `present = true`"),
        ("subject = { role = { same_as = \"owner\" } }", "name another attribute with its part"),
        ("subject = { role = { same_as = \"resource.sensitivity\" } }", "an attribute of the same type"),
        ("subject = { intelligence_analyst = { equals = \"true\" } }", "true or false, without quotes"),
        ("subject = { security_clearance_level = { at_least = \"cosmic\" } }", "`cosmic` is no level"),
        ("subject = { role = { present = true } }\ncontext = { time = { below = \"2028\" } }", "a time such as"),
        ("subject = { role = { present = true } }\ncontext = { time = { below = 2028-01-01 } }", "with its offset"),
        ("subject = { role = { present = true } }\ncontext = { top = { below = \"9\" } }", "a whole number"),
        (
            "subject = { role = { present = true } }\nresource = { owner = { equals = \"cbp\" } }",
            "name it as `owners = ",
        ),
        ("subject = { role = { present = true } }\nowners = []", "1 to 1,000 names"),
        ("subject = { role = { present = true } }\nowners = [\"*\"]", "not an agency's short name"),
        ("subject = { role = { present = true } }\nowners = [\"cbp.crossings\"]", "not an agency's short name"),
        ("subject = { role = { present = true } }\ndatasets = [\"crossings\"]", "not AGENCY.NAME"),
        ("subject = { role = { present = true } }\nowners = [\"a\"]\ndatasets = [\"a.b\"]", "not both"),
        ("subject = { role = { present = true } }\nobligations = { minimum_datasets = 0 }", "1 to 16"),
        ("subject = { role = { present = true } }\nrelease_by = \"x\"", "only a hold rule"),
        ("context = { purpose = { present = true } }", "say whom it allows"),
    ];
    for (lines, told) in faults {
        let message = refused(&format!("{ALLOW_ANALYSTS}{}", rule(lines)));
        assert!(message.starts_with("rule `r`: ") && message.contains(told), "{lines}: {message}");
    }
    for (from, to, told) in [
        ("\"allow\"", "\"hold\"", "say who may release it"),
        ("[\"ask\"]", "[]", "at least one action"),
        ("\"r\"", "\"R 1\"", "an id is"),
    ] {
        assert!(refused(&rule(subject).replacen(from, to, 1)).contains(told), "{to}");
    }
    let deny = rule("obligations = { mask = \"all\" }").replace("\"allow\"", "\"deny\"");
    assert!(refused(&deny).contains("no obligations"));
}

#[test]
fn unknown_fields_and_double_ids_are_refused() {
    assert!(refused(&rule("subject = { role = { present = true } }\nsubjects = {}")).contains("unknown field"));
    assert!(
        refused(&rule("subject = { role = { present = true } }\nobligations = { budget = 3 }"))
            .contains("unknown field")
    );
    assert!(refused("enabled = false").contains("unknown field"));
    let double = format!("{ALLOW_ANALYSTS}{ALLOW_ANALYSTS}");
    assert!(matches!(build(&double), Err(PolicyError::DuplicateRule { id }) if id == "analysts"));
}

#[test]
fn too_many_wide_rules_for_narrow_buckets_are_refused() {
    let mut text = String::new();
    for number in 0..1_000 {
        text += &format!("[[rule]]\nid = \"w{number}\"\neffect = \"deny\"\nactions = [\"ask\"]\n");
        text += &format!(
            "[[rule]]\nid = \"n{number}\"\neffect = \"deny\"\nactions = [\"ask\"]\ndatasets = [\"a.d{number}\"]\n"
        );
    }
    assert!(matches!(build(&text), Err(PolicyError::TooManyRules)));
}

#[test]
fn a_case_that_is_not_whole_is_refused() {
    let parts = "[subjects.a]\nrole = \"analyst\"\n[resources.d]\nowner = \"cbp\"\n[contexts.c]\ntop = 1\n";
    let case = "[[case]]\nname = \"n\"\nsubject = \"a\"\nresource = \"d\"\naction = \"ask\"\n";
    let parse = |text: String| CaseTable::parse(&text).err().map(|error| error.to_string()).unwrap_or_default();
    for (lines, told) in [
        ("decision = \"allow\"", "which `rule` decides"),
        ("decision = \"hold\"", "which `rule` decides"),
        ("decision = \"deny\"", "needs its `reason`"),
        ("decision = \"permit\"\nrule = \"r\"", "unknown variant"),
        ("decision = \"allow\"\nrule = \"r\"\ncontext = \"x\"", "no [contexts.x]"),
        ("decision = \"allow\"\nrule = \"r\"\nrules = []", "unknown field"),
    ] {
        assert!(parse(format!("{parts}{case}{lines}")).contains(told), "{lines}");
    }
    let whole = format!("{parts}{case}decision = \"allow\"\nrule = \"r\"\n");
    assert_eq!(parse(whole.clone()), "");
    assert!(parse(whole.replace("role =", "rank =")).contains("no attribute `subject.rank`"));
    assert!(parse(whole.replace("owner =", "role =")).contains("no attribute `resource.role`"));
    assert!(parse(whole.replace("top =", "limit =")).contains("unknown field"));
    assert!(parse(whole.replace("subject = \"a\"", "subject = \"b\"")).contains("no [subjects.b]"));
}
