//! Counts: what allows them, and what their obligations mean.

use super::*;
use crate::question::COUNTS;

fn counted() -> Request {
    let resource = dataset("cbp.crossings").with(attribute::KIND, kind::COUNTS);
    let context = Context { subject_type: COUNTS.to_owned(), minimum_datasets: 1, top: 1, ..context() };
    Request { resource, context, ..request() }
}

fn rule(id: &str, kind: &str, obligations: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\neffect = \"allow\"\nactions = [\"ask\"]\n\
         subject = {{ role = {{ equals = \"analyst\" }} }}\nresource = {{ kind = {{ equals = \"{kind}\" }} }}\n\
         obligations = {{ {obligations} }}\n"
    )
}

#[test]
fn a_rule_about_data_sets_allows_no_counts_and_the_other_way_round() {
    let data_sets = Rules::of(&rule("sets", kind::DATASET, ""));
    assert_eq!(data_sets.denial(&counted()).reason, "no_rule_allows");
    let counts = Rules::of(&rule("counts", kind::COUNTS, ""));
    assert_eq!(counts.permit(&counted()).rule(), "counts");
    assert_eq!(counts.denial(&request()).reason, "no_rule_allows");
}

#[test]
fn counts_are_of_a_data_set_that_is_named() {
    let unnamed = Attributes::new().with(attribute::KIND, kind::COUNTS).with(attribute::OWNER, "cbp");
    let denial = Rules::of(&rule("counts", kind::COUNTS, "")).denial(&Request { resource: unnamed, ..counted() });
    assert_eq!((denial.reason, denial.missing), ("missing_attribute", vec!["resource.dataset".to_owned()]));
}

#[test]
fn the_largest_least_count_holds_and_ten_where_nothing_is_said() {
    let least = |rules: &str| Rules::of(rules).permit(&counted()).obligations().minimum_cohort;
    assert_eq!(least(&rule("a", kind::COUNTS, "")), 10);
    let (few, many) =
        (rule("few", kind::COUNTS, "minimum_cohort = 5"), rule("many", kind::COUNTS, "minimum_cohort = 30"));
    assert_eq!(least(&few), 5);
    assert_eq!(least(&format!("{few}{many}")), 30);
    for wrong in ["0", "1000001", "-1", "\"10\""] {
        assert!(build(&rule("a", kind::COUNTS, &format!("minimum_cohort = {wrong}"))).is_err(), "{wrong}");
    }
}

/// A rule's least number of data sets is about subjects that open; in counts nothing of a subject does. In any
/// other question it holds as ever.
#[test]
fn counts_take_one_data_set_and_other_questions_as_many_as_the_rule_says() {
    let counts = rule("counts", kind::COUNTS, "minimum_datasets = 3");
    let both = Rules::of(&format!("{counts}{}", rule("sets", kind::DATASET, "")));
    assert_eq!(both.permit(&counted()).rule(), "counts");
    let alone = Request { context: Context { minimum_datasets: 1, ..context() }, ..request() };
    assert_eq!(both.denial(&alone).reason, "too_few_datasets");
}
