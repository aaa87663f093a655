//! What a part of a question asks, in plain words, for whoever must decide about it.
//!
//! Texts of the asker stand in quotes with everything special escaped, so that no value of a filter can
//! pass for words of ours. Nothing is left out or cut.

use chrono::{DateTime, NaiveTime, SecondsFormat};

use super::{Comparison, Indicator, Measure, Operator, Order, RelationKind, Tally, Trait, Value, Window};

/// What is told of the events that count.
pub fn told(indicator: &Indicator) -> String {
    indicator.tally.as_ref().map_or_else(|| measure(&indicator.measure), tally)
}

/// What is counted by.
fn tally(tally: &Tally) -> String {
    format!("how many events there were, by the attribute {:?} and by {}", tally.place, tally.period.name())
}

/// What a measure looks at.
pub fn measure(measure: &Measure) -> String {
    match measure {
        Measure::Presence => "whether the data set holds a subject".to_owned(),
        Measure::Frequency { half_at } => format!("how often (half strength at {half_at} events)"),
        Measure::Recency { half_life_hours } => format!("how lately (half strength after {half_life_hours} hours)"),
        Measure::Novelty { baseline_days } => {
            format!("how new a contact is to a subject, against the {baseline_days} days before")
        }
        Measure::Rarity { of, baseline_days } => {
            let of = match of {
                Trait::Hour => "the hour of the day".to_owned(),
                Trait::Weekday => "the day of the week".to_owned(),
                Trait::Attribute(name) => format!("the attribute {name:?}"),
            };
            format!("how unusual {of} is for a subject, against the {baseline_days} days before")
        }
        Measure::Burst { baseline_days } => {
            format!("how unusually many events a subject has, against the {baseline_days} days before")
        }
        Measure::Silence { baseline_days } => {
            format!("how unusually few events a subject has, against the {baseline_days} days before")
        }
        Measure::Regularity => "how evenly a subject's events are spaced".to_owned(),
        Measure::Strongest { of } => format!("how strong a subject's strongest event is, by the attribute {of:?}"),
    }
}

/// Which rows count.
pub fn filter(filter: &[Comparison]) -> String {
    if filter.is_empty() {
        return "all rows".to_owned();
    }
    let comparisons = filter.iter().map(|comparison| {
        let values: Vec<String> = comparison.values.iter().map(value).collect();
        let operator = match comparison.operator {
            Operator::Equal => "is",
            Operator::NotEqual => "is not",
            Operator::Less => "below",
            Operator::AtMost => "at most",
            Operator::Greater => "above",
            Operator::AtLeast => "at least",
            Operator::OneOf => "is one of",
        };
        format!("{:?} {operator} {}", comparison.attribute, values.join(", "))
    });
    format!("rows in which {}", comparisons.collect::<Vec<_>>().join(" and "))
}

/// When events count.
pub fn window(window: Window) -> String {
    match (window.from_ms.map(moment), window.until_ms.map(moment)) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(until)) => format!("before {until}"),
        (Some(from), Some(until)) => format!("from {from} to before {until}"),
    }
}

/// How events stand to those of another data set, which is not named; `follower` says which side this is.
pub fn relation(kind: RelationKind, follower: bool) -> String {
    match (kind, follower) {
        (RelationKind::InTime { order, minutes }, true) => {
            format!("events {} {} an event of the same subject in another data set", period(minutes), side(order))
        }
        (RelationKind::InTime { order, minutes }, false) => {
            format!(
                "events that have one of the same subject in another data set {} {} them",
                period(minutes),
                side(order)
            )
        }
        (RelationKind::CommonContacts { hops: 1 }, _) => {
            "subjects who have contacts in common with subjects of another data set".to_owned()
        }
        (RelationKind::CommonContacts { hops }, _) => {
            format!("subjects who have contacts in common, at {hops} steps, with subjects of another data set")
        }
        (RelationKind::SamePlace { minutes, places }, _) => {
            let met = format!("subjects seen at the same place {} as one of another data set", period(minutes));
            if places == 1 { met } else { format!("{met}, at {places} different places or more") }
        }
    }
}

/// A day for midnight in UTC, else the time to the second.
pub fn moment(moment_ms: i64) -> String {
    match DateTime::from_timestamp_millis(moment_ms) {
        Some(moment) if moment.time() == NaiveTime::MIN => moment.date_naive().to_string(),
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => format!("{moment_ms} ms after 1970"),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::TimeMs(at_ms) => moment(*at_ms),
    }
}

fn period(minutes: u32) -> String {
    match minutes {
        1 => "within a minute".to_owned(),
        60 => "within an hour".to_owned(),
        _ if minutes.is_multiple_of(1_440) && minutes > 1_440 => format!("within {} days", minutes / 1_440),
        _ if minutes.is_multiple_of(60) => format!("within {} hours", minutes / 60),
        _ => format!("within {minutes} minutes"),
    }
}

fn side(order: Order) -> &'static str {
    match order {
        Order::After => "after",
        Order::Before => "before",
        Order::Around => "of",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_every_comparison_and_no_value_passes_for_words() {
        let comparisons = [
            Comparison {
                attribute: "lane".to_owned(),
                operator: Operator::OneOf,
                values: vec![Value::Text("cargo".to_owned()), Value::Text("x\" or nothing\u{202e}".to_owned())],
            },
            Comparison {
                attribute: "weight".to_owned(),
                operator: Operator::AtLeast,
                values: vec![Value::Integer(20)],
            },
        ];
        assert_eq!(
            filter(&comparisons),
            "rows in which \"lane\" is one of \"cargo\", \"x\\\" or nothing\\u{202e}\" and \"weight\" at least 20"
        );
        assert_eq!(filter(&[]), "all rows");
    }

    #[test]
    fn a_window_says_days_where_it_can() {
        let day = 1_767_225_600_000;
        let both = Window { from_ms: Some(day), until_ms: Some(day + 3_600_000) };
        assert_eq!(window(both), "from 2026-01-01 to before 2026-01-01T01:00:00Z");
        assert_eq!(window(Window { until_ms: None, ..both }), "from 2026-01-01 on");
        assert_eq!(window(Window::default()), "at any time");
        assert_eq!(
            window(Window { from_ms: None, until_ms: Some(i64::MAX) }),
            format!("before {} ms after 1970", i64::MAX)
        );
    }

    #[test]
    fn the_same_place_reads_well() {
        let told = |minutes, places| relation(RelationKind::SamePlace { minutes, places }, true);
        assert_eq!(
            told(10, 3),
            "subjects seen at the same place within 10 minutes as one of another data set, at 3 different places or more"
        );
        assert_eq!(told(60, 1), "subjects seen at the same place within an hour as one of another data set");
    }

    #[test]
    fn both_sides_of_a_relation_are_told_apart() {
        let after = RelationKind::InTime { order: Order::After, minutes: 1_500 };
        assert_eq!(
            relation(after, true),
            "events within 25 hours after an event of the same subject in another data set"
        );
        assert_eq!(
            relation(after, false),
            "events that have one of the same subject in another data set within 25 hours after them"
        );
    }
}
