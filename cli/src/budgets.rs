//! What owners' budgets leave a person: in words, as JSON, and as a warning before nothing is left.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat};
use sallyport_node::Period;
use sallyport_proto::common::v1::{Budget, Coverage};
use serde_json::{Value, json};

/// One budget for scripts.
pub(crate) fn to_json(budget: &Budget) -> Value {
    json!({
        "of": budget.of,
        "purpose": Some(&budget.purpose).filter(|purpose| !purpose.is_empty()),
        "limit": budget.limit,
        "left": budget.left,
        "period_s": budget.period_s,
        "renews_at": renews_at(budget),
    })
}

/// `17 of 200 questions per person and day are left`.
pub(crate) fn sentence(budget: &Budget) -> String {
    let (limit, period) = (budget.limit, Period::from_seconds(budget.period_s));
    let purpose = if budget.purpose.is_empty() { String::new() } else { format!(" for {}", budget.purpose) };
    let per = match budget.of.as_str() {
        // A purpose that is named already.
        "purpose" if !purpose.is_empty() => period.to_string(),
        of => format!("{of} and {period}"),
    };
    match (budget.of.as_str(), budget.left) {
        ("look_up", _) => format!("at most {limit} identifiers per look-up"),
        ("subject", _) => format!("at most {limit} scores per subject and {period}"),
        (_, None) => format!("at most {limit} questions{purpose} per {per}"),
        (_, Some(left)) => format!("{left} of {limit} questions{purpose} per {per} are left"),
    }
}

/// A tenth or less is left.
fn is_low(budget: &Budget) -> bool {
    budget.left.is_some_and(|left| left.saturating_mul(10) <= budget.limit)
}

/// Budgets of which little is left, each owner's once.
pub(crate) fn warnings(coverage: &[Coverage]) -> BTreeSet<String> {
    let owner = |entry: &Coverage| entry.dataset.split('.').next().unwrap_or_default().to_owned();
    let low = coverage.iter().flat_map(|entry| entry.budgets.iter().map(move |budget| (owner(entry), budget)));
    let low = low.filter(|(_, budget)| is_low(budget));
    low.map(|(owner, budget)| format!("Soon used up at {owner}: {}.", renewing(budget))).collect()
}

/// With the time at which more is left, where little is.
pub(crate) fn renewing(budget: &Budget) -> String {
    match renews_at(budget).filter(|_| is_low(budget)) {
        Some(at) => format!("{}, one more from {at} on", sentence(budget)),
        None => sentence(budget),
    }
}

fn renews_at(budget: &Budget) -> Option<String> {
    let at = DateTime::from_timestamp_millis(budget.renews_at_ms?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(left: u64) -> Budget {
        let renews_at_ms = Some(1_800_000_000_000);
        Budget {
            of: "person".to_owned(),
            limit: 200,
            left: Some(left),
            period_s: 86_400,
            renews_at_ms,
            ..Budget::default()
        }
    }

    #[test]
    fn a_budget_is_told_in_words_and_warns_at_a_tenth() {
        assert_eq!(sentence(&person(17)), "17 of 200 questions per person and day are left");
        assert_eq!(renewing(&person(21)), "21 of 200 questions per person and day are left");
        assert!(renewing(&person(20)).ends_with(" are left, one more from 2027-01-15T08:00:00Z on"));
        let subject = Budget { of: "subject".to_owned(), limit: 20, period_s: 30 * 86_400, ..Budget::default() };
        assert_eq!(renewing(&subject), "at most 20 scores per subject and 30 days");
        let purpose = Budget { of: "purpose".to_owned(), left: None, ..person(0) };
        assert_eq!(sentence(&purpose), "at most 200 questions per purpose and day");
        let named = Budget { of: "purpose".to_owned(), purpose: "border-security".to_owned(), ..person(9) };
        assert_eq!(sentence(&named), "9 of 200 questions for border-security per day are left");
        let entry = |dataset: &str, left| Coverage {
            dataset: dataset.to_owned(),
            budgets: vec![person(left), Budget { of: "agency".to_owned(), ..person(199) }],
            ..Coverage::default()
        };
        let told: Vec<_> =
            warnings(&[entry("cbp.crossings", 17), entry("cbp.travellers", 17), entry("hsi.calls", 100)])
                .into_iter()
                .collect();
        let expected = "Soon used up at cbp: 17 of 200 questions per person and day are left, one more from 2027-01-15T08:00:00Z on.";
        assert_eq!(told, [expected]);
        let look_up = Budget { of: "look_up".to_owned(), limit: 9, ..Budget::default() };
        assert_eq!(sentence(&look_up), "at most 9 identifiers per look-up");
    }
}
