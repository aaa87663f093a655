//! What a person is told, and obligations.

use super::*;
use crate::policy::engine::MODEL;
use crate::policy::{Mask, Obligations, Policy, PolicyFiles, reason};

const TWO: &str = r#"
[[rule]]
id = "wide"
effect = "allow"
actions = ["ask", "catalog"]
subject = { role = { equals = "analyst" } }
obligations = { minimum_datasets = 2, maximum_results = 500, mask = "none", score_step_thousandths = 50 }

[[rule]]
id = "narrow"
effect = "allow"
actions = ["ask"]
datasets = ["cbp.crossings"]
subject = { agency = { one_of = ["hsi"] } }
obligations = { minimum_datasets = 3, maximum_results = 40, mask = "last_four" }
"#;

#[test]
fn the_strictest_of_all_rules_that_allow_holds() {
    let rules = Rules::of(TWO);
    let asked = Request { context: Context { minimum_datasets: 3, ..context() }, ..request() };
    let permit = rules.permit(&asked);
    assert_eq!(permit.rules(), ["wide", "narrow"]);
    assert_eq!((permit.rule(), permit.action(), permit.resource()), ("wide", Action::Ask, "cbp.crossings"));
    assert_eq!(permit.policy_hash(), "hash");
    let strictest = Obligations {
        minimum_datasets: 3,
        maximum_results: 40,
        score_step_thousandths: 50,
        minimum_cohort: 10,
        mask: Mask::LastFour,
    };
    assert_eq!(permit.obligations(), strictest);
    let permit = rules.permit(&Request { resource: dataset("cbp.travellers"), ..asked });
    assert_eq!(permit.rules(), ["wide"]);
}

#[test]
fn a_question_that_breaks_an_obligation_is_told_the_number_and_the_rule() {
    let rules = Rules::of(TWO);
    let denial = rules.denial(&request());
    assert_eq!((denial.reason, denial.rule.as_deref()), (reason::TOO_FEW_DATASETS, Some("narrow")));
    assert!(
        denial.explanation.contains("at least 3") && denial.explanation.contains("`narrow`"),
        "{}",
        denial.explanation
    );
    for top in [0, 41, u32::MAX] {
        let denial = rules.denial(&Request { context: Context { minimum_datasets: 3, top, ..context() }, ..request() });
        assert_eq!((denial.reason, denial.rule.as_deref()), (reason::TOO_MANY_RESULTS, Some("narrow")));
        assert!(denial.explanation.contains("40"), "{}", denial.explanation);
    }
    let forgotten = Request { context: Context::default(), ..request() };
    assert_eq!(rules.denial(&forgotten).reason, reason::TOO_FEW_DATASETS);
}

#[test]
fn what_is_no_question_has_no_numbers_to_break() {
    let asked = Request { action: Action::Catalog, context: Context::default(), ..request() };
    assert_eq!(Rules::of(TWO).permit(&asked).rule(), "wide");
}

#[test]
fn a_rule_that_states_no_obligation_gets_the_strict_ones() {
    assert_eq!(Rules::of(ALLOW_ANALYSTS).permit(&request()).obligations(), Obligations::DEFAULT);
    assert_eq!(Obligations::DEFAULT.mask, Mask::All);
}

#[test]
fn a_default_denial_names_the_nearest_rule_and_every_fault() {
    let rules = Rules::of(
        r#"
        [[rule]]
        id = "far"
        effect = "allow"
        actions = ["ask"]
        subject = { agency = { equals = "cbp" }, role = { equals = "officer" }, employer_ori = { present = true } }

        [[rule]]
        id = "near"
        effect = "allow"
        actions = ["ask"]
        subject = { agency = { equals = "hsi" }, 28cfr_certification = { equals = true } }
        context = { purpose = { one_of = ["border-security", "counter-smuggling"] } }
        "#,
    );
    let denial = rules.denial(&request());
    assert_eq!((denial.reason, denial.rule.as_deref()), (reason::NO_RULE_ALLOWS, Some("near")));
    assert_eq!(denial.missing, ["subject.28cfr_certification"]);
    assert_eq!(
        denial.explanation,
        "No rule allows ask on cbp.crossings. Nearest is rule `near`: subject.28cfr_certification must be true (it is \
         missing or not of its type); context.purpose must be one of border-security, counter-smuggling."
    );
    let purpose = Context { purpose: "border-security".to_owned(), ..context() };
    assert_eq!(rules.denial(&Request { context: purpose, ..request() }).reason, reason::MISSING_ATTRIBUTE);
}

#[test]
fn a_denial_names_nobody_whom_a_rule_names() {
    for operator in ["equals = \"spiffe://f/auditor/ng\"", "one_of = [\"spiffe://f/auditor/ng\"]"] {
        let text = format!(
            "[[rule]]\nid = \"auditors\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
             subject = {{ federation_id = {{ {operator} }} }}"
        );
        let asked = Request { subject: analyst().with(attribute::FEDERATION_ID, "spiffe://f/auditor/li"), ..request() };
        let denial = Rules::of(&text).denial(&asked);
        assert_eq!(
            denial.explanation,
            "No rule allows ask on cbp.crossings. Nearest is rule `auditors`: subject.federation_id is none that the \
             rule is for."
        );
        // Whoever has the rules reads them whole.
        let files = PolicyFiles { model: MODEL.to_owned(), rules: text, schema: None, cases: String::new() };
        let explained = Policy::untested(&files).unwrap().explain(&asked);
        assert!(explained.nearest[0].failing[0].contains("spiffe://f/auditor/ng"), "{explained:?}");
    }
}

#[test]
fn a_rule_for_the_askers_own_agency_is_nearer_than_one_with_fewer_faults() {
    let rules = Rules::of(
        "[[rule]]\nid = \"others\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = { agency = { equals = \"cbp\" } }\n\
         [[rule]]\nid = \"own\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
         subject = { agency = { equals = \"hsi\" }, 28cfr_certification = { equals = true }, employer_ori = { present = true } }",
    );
    let denial = rules.denial(&request());
    assert_eq!(denial.rule.as_deref(), Some("own"));
    assert_eq!(denial.missing, ["subject.28cfr_certification", "subject.employer_ori"]);
}

#[test]
fn a_refusal_never_repeats_what_the_request_says() {
    let rules = Rules::of(
        "[[rule]]\nid = \"a\"\neffect = \"allow\"\nactions = [\"ask\"]\nsubject = { agency = { equals = \"cbp\" } }\n\
         context = { case_number = { equals = \"C-2\" }, reason = { equals = \"x\" } }",
    );
    let mut request = request();
    request.subject = request.subject.with(attribute::AGENCY, "secret-agency");
    request.context.case_number = "16035550123".to_owned();
    request.context.reason = "Jane Doe".to_owned();
    let told = format!("{:?}", rules.denial(&request));
    for said in ["secret-agency", "16035550123", "Jane Doe"] {
        assert!(!told.contains(said), "{told}");
    }
    let strange = Request { resource: dataset("cbp.\u{1b}[31mred"), ..super::request() };
    assert!(!rules.denial(&strange).explanation.contains('\u{1b}'));
}

#[test]
fn what_no_rule_speaks_of_is_said_so() {
    let denial = Rules::of(ALLOW_ANALYSTS).denial(&Request { action: Action::Audit, ..request() });
    assert_eq!((denial.rule, denial.missing), (None, Vec::<String>::new()));
    assert!(denial.explanation.starts_with("No rule allows anyone audit on cbp.crossings."), "{}", denial.explanation);
}

fn explain(rules: &str, request: &Request) -> crate::policy::Explanation {
    let files = crate::policy::PolicyFiles {
        model: crate::policy::engine::MODEL.to_owned(),
        rules: rules.to_owned(),
        schema: None,
        cases: String::new(),
    };
    crate::policy::Policy::untested(&files).unwrap().explain(request)
}

#[test]
fn an_explanation_of_an_allowance_says_which_rule_asks_for_what() {
    let asked = Request { context: Context { minimum_datasets: 3, ..context() }, ..request() };
    let explained = explain(TWO, &asked);
    assert_eq!((explained.decision, explained.reason), ("allow", None));
    let deciding: Vec<_> = explained.deciding.iter().map(|rule| (rule.id.as_str(), rule.outcome)).collect();
    assert_eq!(deciding, [("wide", "met"), ("narrow", "met")]);
    let told: Vec<_> = explained
        .obligations
        .iter()
        .map(|obligation| (obligation.name, obligation.value.as_str(), obligation.rules.join(" ")))
        .collect();
    let expected = [
        ("minimum_datasets", "3", "narrow"),
        ("maximum_results", "40", "narrow"),
        ("score_step_thousandths", "50", "wide"),
        ("minimum_cohort", "10", "wide narrow"),
        ("mask", "last_four", "narrow"),
    ];
    assert_eq!(told, expected.map(|(name, value, rules)| (name, value, rules.to_owned())));
    assert!(explained.nearest.is_empty() && explained.missing.is_empty());
}

#[test]
fn an_explanation_of_a_denial_says_what_each_near_rule_misses() {
    let rules = format!(
        "{TWO}{}",
        "[[rule]]\nid = \"certified\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
         subject = { agency = { equals = \"hsi\" }, 28cfr_certification = { equals = true } }"
    );
    let subject = Attributes::new().with(attribute::AGENCY, "hsi").with(attribute::ROLE, "officer");
    let subject = subject.iter().filter(|(name, _)| *name != "agency").collect::<Attributes>().with("agency", "acme");
    let explained = explain(&rules, &Request { subject, ..request() });
    assert_eq!((explained.decision, explained.reason), ("deny", Some(reason::NO_RULE_ALLOWS)));
    let nearest: Vec<_> = explained.nearest.iter().map(|rule| (rule.id.as_str(), rule.outcome)).collect();
    assert_eq!(nearest, [("wide", "unmet"), ("narrow", "unmet"), ("certified", "unmet")]);
    assert_eq!(explained.nearest[0].failing, ["subject.role must be analyst"]);
    assert_eq!(explained.missing, ["subject.28cfr_certification"]);
    assert!(explained.deciding.is_empty() && explained.obligations.is_empty());
}

#[test]
fn an_explanation_names_every_rule_that_stands_against_it() {
    let rules = with(
        "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\nsubject = { agency = { equals = \"hsi\" } }\n\
         [[rule]]\nid = \"unsworn\"\neffect = \"deny\"\nactions = [\"ask\"]\n\
         subject = { sworn_law_enforcement_officer = { equals = false } }\n",
    );
    let explained = explain(&rules, &request());
    let deciding: Vec<_> = explained.deciding.iter().map(|rule| (rule.id.as_str(), rule.outcome)).collect();
    assert_eq!(deciding, [("no", "met"), ("unsworn", "unknown")]);
    assert_eq!(explained.missing, ["subject.sworn_law_enforcement_officer"]);
    assert_eq!(explained.reason, Some(reason::DENIED_BY_RULE));
}

#[test]
fn few_of_ten_thousand_rules_are_read_and_the_right_one_decides() {
    let mut text = String::new();
    for number in 0..10_000 {
        let (owner, set, agency) = (number / 100, number / 4 % 25, number % 4);
        text += &format!(
            "[[rule]]\nid = \"r{number}\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
             datasets = [\"owner{owner}.set{set}\"]\nsubject = {{ agency = {{ equals = \"agency{agency}\" }} }}\n"
        );
    }
    let rules = Rules::of(&text);
    assert_eq!(rules.0.index().buckets().map(|bucket| bucket.rules.len()).max(), Some(4));
    let asked = Request {
        subject: Attributes::new().with(attribute::AGENCY, "agency3"),
        resource: dataset("owner42.set7"),
        ..request()
    };
    assert_eq!(rules.permit(&asked).rules(), ["r4231"]);
    let denial = rules.denial(&Request { resource: dataset("owner42.set25"), ..asked });
    assert_eq!(denial.rule, None);
}

#[test]
fn ten_thousand_rules_about_one_data_set_are_divided_and_a_stranger_is_told_why() {
    let mut text = String::new();
    for number in 0..10_000 {
        let (agency, role, effect) = (number / 100, number % 100, if number % 7 == 0 { "deny" } else { "allow" });
        text += &format!(
            "[[rule]]\nid = \"r{number}\"\neffect = \"{effect}\"\nactions = [\"ask\"]\ndatasets = [\"cbp.crossings\"]\n\
             subject = {{ agency = {{ equals = \"agency{agency}\" }}, role = {{ equals = \"role{role}\" }} }}\n"
        );
    }
    let rules = Rules::of(&text);
    assert!(rules.0.index().all().all(|(_, speaking)| speaking.judged_max() <= 8));
    let asking = |agency: &str, role: &str| Request {
        subject: Attributes::new().with(attribute::AGENCY, agency).with(attribute::ROLE, role),
        ..request()
    };
    assert_eq!(rules.permit(&asking("agency42", "role31")).rules(), ["r4231"]);
    let denial = rules.denial(&asking("agency42", "role28"));
    assert_eq!((denial.reason, denial.rule.as_deref()), (reason::DENIED_BY_RULE, Some("r4228")));
    for (agency, role) in [("agency100", "role31"), ("agency42", "role100"), ("x", "y")] {
        let denial = rules.denial(&asking(agency, role));
        assert_eq!(denial.reason, reason::NO_RULE_ALLOWS, "{agency} {role}");
        assert!(denial.explanation.contains("must be"), "{}", denial.explanation);
    }
    let lacking = Request { subject: Attributes::new().with(attribute::ROLE, "role30"), ..request() };
    assert_eq!(rules.denial(&lacking).missing, ["subject.agency"]);
}
