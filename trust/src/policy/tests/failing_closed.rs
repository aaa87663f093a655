//! Every way in which the evaluator underneath is known to fail open.

use super::*;
use crate::policy::reason;

fn deny_when(condition: &str) -> Rules {
    Rules::of(&with(&format!("[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\n{condition}")))
}

#[test]
fn a_deny_rule_on_an_attribute_that_is_missing_denies() {
    for condition in [
        "subject = { sworn_law_enforcement_officer = { equals = false } }",
        "subject = { security_clearance_level = { below = \"secret\" } }",
        "subject = { employer_ori = { not_one_of = [\"DC0000001\"] } }",
        "subject = { employer_ori = { one_of = [\"DC0000001\"] } }",
        "subject = { employer_name = { same_as = \"resource.owner\" } }",
        "subject = { agency = { same_as = \"subject.employer_name\" } }",
        "subject = { employer_name = { present = true } }",
        "resource = { sensitivity = { at_least = \"official\" } }",
        "context = { subject_type = { equals = \"phone\" } }",
    ] {
        let denial = deny_when(condition).denial(&request());
        assert_eq!(denial.reason, reason::MISSING_ATTRIBUTE, "{condition}");
        assert_eq!(denial.rule.as_deref(), Some("no"));
        assert_eq!(denial.missing.len(), 1, "{condition}: {:?}", denial.missing);
    }
}

#[test]
fn a_deny_rule_on_an_attribute_of_another_type_denies() {
    let rules = deny_when("subject = { 28cfr_certification = { equals = false } }");
    for value in ["no", "nein", "2", "", "[]"] {
        let mut request = request();
        request.subject = request.subject.with(attribute::CERTIFIED_28CFR, value);
        let denial = rules.denial(&request);
        assert_eq!(
            (denial.reason, denial.missing),
            (reason::MISSING_ATTRIBUTE, vec!["subject.28cfr_certification".to_owned()])
        );
    }
    let mut request = request();
    request.subject = request.subject.with(attribute::CERTIFIED_28CFR, "1");
    assert_eq!(rules.permit(&request).rule(), "analysts");
}

#[test]
fn a_deny_rule_that_another_condition_rules_out_does_not_deny() {
    let rules = deny_when("subject = { role = { equals = \"auditor\" }, employer_name = { equals = \"x\" } }");
    assert_eq!(rules.permit(&request()).rule(), "analysts");
}

#[test]
fn a_missing_attribute_satisfies_no_allow_rule() {
    for condition in [
        "employer_ori = { not_one_of = [\"x\"] }",
        "employer_ori = { present = true }",
        "sworn_law_enforcement_officer = { equals = false }",
        "security_clearance_level = { at_least = \"none\" }",
        "employer_name = { same_as = \"subject.employer_ori\" }",
    ] {
        let rule =
            format!("[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = {{ {condition} }}");
        assert_eq!(Rules::of(&rule).denial(&request()).reason, reason::MISSING_ATTRIBUTE, "{condition}");
    }
}

#[test]
fn a_hold_rule_that_cannot_be_judged_denies_although_another_allows() {
    let rules = Rules::of(&with(
        "[[rule]]\nid = \"wait\"\neffect = \"hold\"\nrelease_by = \"officer\"\nactions = [\"ask\"]\n\
         subject = { sworn_law_enforcement_officer = { equals = false } }",
    ));
    assert_eq!(rules.denial(&request()).reason, reason::MISSING_ATTRIBUTE);
    let answer = |value: &str| {
        let mut request = request();
        request.subject = request.subject.with(attribute::SWORN_LAW_ENFORCEMENT_OFFICER, value);
        rules.decide(&request)
    };
    assert!(matches!(answer("false"), Decision::Hold(hold) if hold.rule == "wait" && hold.release_by["officer"] == 1));
    assert!(matches!(answer("true"), Decision::Allow(_)));
}

#[test]
fn a_deny_rule_denies_in_every_section_not_only_in_the_first() {
    let mut text = ALLOW_ANALYSTS.to_owned();
    for name in ["cbp.crossings", "cbp.travellers", "hsi.calls"] {
        text += &format!(
            "[[rule]]\nid = \"no-{name}\"\neffect = \"deny\"\nactions = [\"ask\"]\ndatasets = [\"{name}\"]\n\
             subject = {{ role = {{ equals = \"analyst\" }} }}\n"
        );
    }
    let rules = Rules::of(&text);
    for name in ["cbp.crossings", "cbp.travellers", "hsi.calls"] {
        let denial = rules.denial(&Request { resource: dataset(name), ..request() });
        assert_eq!((denial.reason, denial.rule), (reason::DENIED_BY_RULE, Some(format!("no-{name}"))));
    }
    rules.permit(&Request { resource: dataset("hsi.case_outcomes"), ..request() });
    rules.permit(&Request { resource: dataset("acme.shipments"), ..request() });
}

#[test]
fn a_deny_rule_outweighs_allow_rules_wherever_it_stands() {
    let deny = "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\n";
    for text in [format!("{deny}{ALLOW_ANALYSTS}"), with(deny), format!("{deny}owners = [\"cbp\"]\n{ALLOW_ANALYSTS}")] {
        assert_eq!(Rules::of(&text).denial(&request()).reason, reason::DENIED_BY_RULE);
    }
}

#[test]
fn text_of_rules_and_requests_is_never_code() {
    for text in ["loop {}", "p.cbp.gov", "r.request", "true || true", "\\\"); true //", "a, b # c", "eval(p.rule)", "*"]
    {
        let rules = Rules::of(&format!(
            "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = {{ agency = {{ equals = \"{text}\" }} }}"
        ));
        let asks_as =
            |agency: &str| Request { subject: Attributes::new().with(attribute::AGENCY, agency), ..request() };
        assert_eq!(rules.permit(&asks_as(&text.replace("\\\"", "\""))).rule(), "a", "{text}");
        assert_eq!(rules.denial(&asks_as("p_cbp.gov")).reason, reason::NO_RULE_ALLOWS, "{text}");
    }
    let rules = Rules::of(ALLOW_ANALYSTS);
    let request = Request { subject: Attributes::new().with(attribute::ROLE, "analyst\" || true || \""), ..request() };
    assert_eq!(rules.denial(&request).reason, reason::NO_RULE_ALLOWS);
}

#[test]
fn numbers_and_times_beyond_32_bits_compare() {
    let rules = Rules::of(
        "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"catalog\"]\nsubject = { role = { present = true } }\n\
         context = { time = { at_least = 2026-01-01T00:00:00Z, below = 2028-01-01T00:00:00+01:00 }, top = { below = 4_000_000_000 } }",
    );
    let at = |at_ms: i64, top: u32| {
        let context = Context { at_ms, top, ..context() };
        matches!(rules.decide(&Request { action: Action::Catalog, context, ..request() }), Decision::Allow(_))
    };
    let (first, end) = (1_767_225_600_000, 1_830_294_000_000);
    assert!(at(first, 1) && at(end - 1, 3_999_999_999));
    assert!(!at(first - 1, 1) && !at(end, 1) && !at(first, 4_000_000_000));
    assert!(!at(0, 1), "a forgotten time is no time");
    assert!(!at(first, 0), "a forgotten number is no number");
}

#[test]
fn an_answer_for_one_context_is_not_used_for_another() {
    let rules = Rules::of(
        "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = { role = { equals = \"analyst\" } }\n\
         context = { purpose = { equals = \"counter-narcotics\" } }",
    );
    let other = Context { purpose: "curiosity".to_owned(), ..context() };
    for _ in 0..3 {
        rules.permit(&request());
        rules.denial(&Request { context: other.clone(), ..request() });
    }
}

#[test]
fn a_rule_cannot_be_passed_by_leaving_out_or_respelling_what_it_names() {
    let rules = Rules::of(&with(
        "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\ndatasets = [\"cbp.crossings\"]\n",
    ));
    assert_eq!(rules.denial(&request()).reason, reason::DENIED_BY_RULE);
    let without = |name: &str| dataset("cbp.crossings").iter().filter(|(n, _)| *n != name).collect::<Attributes>();
    let evasions = [
        without(attribute::OWNER),
        without(attribute::DATASET),
        without(attribute::KIND),
        dataset("cbp.crossings").with(attribute::OWNER, "hsi"),
        dataset("cbp.crossings").with(attribute::OWNER, "CBP"),
        dataset("cbp.crossings").with(attribute::DATASET, "crossings"),
        dataset("cbp.crossings").with(attribute::DATASET, "cbp.Crossings"),
        dataset("cbp.crossings").with(attribute::DATASET, "cbp.crossings "),
        dataset("cbp.crossings").with(attribute::DATASET, ""),
        dataset("cbp.crossings").with(attribute::DATASET, "cbp."),
        dataset("cbp.crossings").with(attribute::KIND, "catalog").with(attribute::DATASET, "crossings"),
        dataset("cbp.crossings").with(attribute::KIND, "datasets"),
    ];
    for resource in evasions {
        let denial = rules.denial(&Request { resource: resource.clone(), ..request() });
        assert_eq!(denial.reason, reason::MISSING_ATTRIBUTE, "{resource:?}");
        assert_eq!(denial.missing.len(), 1);
    }
}

#[test]
fn nothing_is_allowed_that_no_rule_speaks_of() {
    let rules = Rules::of(&with(
        "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"relay\"]\nsubject = { role = { equals = \"x\" } }\n",
    ));
    for action in [Action::Federate, Action::Relay, Action::Evaluate, Action::Audit] {
        assert_eq!(rules.denial(&Request { action, ..request() }).reason, reason::NO_RULE_ALLOWS);
    }
}
