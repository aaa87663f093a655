//! Decisions against a second, plain reading of the rules, and what must never loosen.

use proptest::prelude::*;

use super::*;

const TEXT: [(&str, &str); 3] = [("subject", "agency"), ("subject", "role"), ("context", "purpose")];
const VALUES: [&str; 3] = ["a", "b", "c"];
const DATASETS: [&str; 3] = ["a.x", "a.y", "b.x"];

/// A rule as the plain reading knows it.
#[derive(Debug, Clone)]
struct Plain {
    effect: &'static str,
    scope: Option<usize>,
    whole_owner: bool,
    /// Attribute, operator, value; for the flag the value is a truth.
    conditions: Vec<(usize, usize, usize)>,
}

#[derive(Debug, Clone)]
struct Asked {
    values: [Option<usize>; 3],
    certified: Option<bool>,
    dataset: usize,
}

impl Plain {
    fn text(&self, id: usize) -> String {
        let mut text = format!("[[rule]]\nid = \"r{id}\"\neffect = \"{}\"\nactions = [\"ask\"]\n", self.effect);
        if self.effect == "hold" {
            text += "release_by = \"officer\"\n";
        }
        match self.scope {
            Some(at) if self.whole_owner => text += &format!("owners = [\"{}\"]\n", &DATASETS[at][..1]),
            Some(at) => text += &format!("datasets = [\"{}\"]\n", DATASETS[at]),
            None => {}
        }
        // Every rule asks for an attribute that is always there, so that each may be an allow rule.
        text += "subject.federation_id = { present = true }\n";
        for (attribute, operator, value) in &self.conditions {
            let value = VALUES[*value];
            let Some((part, name)) = TEXT.get(*attribute) else {
                text += &format!("subject.28cfr_certification = {{ equals = {} }}\n", value == "a");
                continue;
            };
            let operator = match operator {
                0 => format!("equals = \"{value}\""),
                1 => format!("one_of = [\"{value}\", \"c\"]"),
                2 => format!("not_one_of = [\"{value}\"]"),
                _ => "same_as = \"resource.owner\"".to_owned(),
            };
            text += &format!("{part}.{name} = {{ {operator} }}\n");
        }
        text
    }

    fn speaks_of(&self, asked: &Asked) -> bool {
        let owner = |at: usize| &DATASETS[at][..1];
        self.scope.is_none_or(|at| at == asked.dataset || (self.whole_owner && owner(at) == owner(asked.dataset)))
    }

    /// True, false, or none for unknown.
    fn holds(&self, asked: &Asked) -> Option<bool> {
        let each = self.conditions.iter().map(|(attribute, operator, value)| {
            if *attribute == TEXT.len() {
                return asked.certified.map(|certified| certified == (*value == 0));
            }
            asked.values[*attribute].map(|given| match operator {
                0 => given == *value,
                1 => given == *value || given == 2,
                2 => given != *value,
                _ => VALUES[given] == &DATASETS[asked.dataset][..1],
            })
        });
        let each: Vec<_> = each.collect();
        if each.contains(&Some(false)) {
            Some(false)
        } else if each.contains(&None) {
            None
        } else {
            Some(true)
        }
    }
}

fn plainly(rules: &[Plain], asked: &Asked) -> &'static str {
    let outcomes: Vec<_> =
        rules.iter().filter(|rule| rule.speaks_of(asked)).map(|rule| (rule.effect, rule.holds(asked))).collect();
    let stands_against =
        |outcome: &(&str, Option<bool>)| matches!(outcome, ("deny", Some(true) | None) | ("hold", None));
    if outcomes.iter().any(stands_against) {
        "deny"
    } else if outcomes.contains(&("hold", Some(true))) {
        "hold"
    } else if outcomes.contains(&("allow", Some(true))) {
        "allow"
    } else {
        "deny"
    }
}

fn decided(rules: &[Plain], asked: &Asked) -> &'static str {
    let text: String = rules.iter().enumerate().map(|(id, rule)| rule.text(id)).collect();
    let mut subject = Attributes::new().with(attribute::FEDERATION_ID, "spiffe://f/agency/a/user/u");
    let mut context = Context { purpose: String::new(), ..context() };
    for (value, (_, name)) in asked.values.iter().zip(TEXT) {
        match (value, name) {
            (Some(value), "purpose") => context.purpose = VALUES[*value].to_owned(),
            (Some(value), name) => subject = subject.with(name, VALUES[*value]),
            (None, _) => {}
        }
    }
    if let Some(certified) = asked.certified {
        subject = subject.with(attribute::CERTIFIED_28CFR, certified.to_string());
    }
    let request = Request { subject, resource: dataset(DATASETS[asked.dataset]), action: Action::Ask, context };
    match Rules::of(&text).decide(&request) {
        Decision::Allow(_) => "allow",
        Decision::Hold(_) => "hold",
        Decision::Deny(denial) => {
            assert_ne!(denial.reason, crate::policy::reason::EVALUATION_FAILED);
            "deny"
        }
    }
}

fn rule(effects: &'static [&'static str]) -> impl Strategy<Value = Plain> {
    let condition = (0..=TEXT.len(), 0..4usize, 0..VALUES.len());
    let scope = proptest::option::of(0..DATASETS.len());
    (proptest::sample::select(effects), scope, any::<bool>(), proptest::collection::vec(condition, 0..3)).prop_map(
        |(effect, scope, whole_owner, mut conditions)| {
            conditions.sort_unstable();
            conditions.dedup_by_key(|condition| condition.0);
            Plain { effect, scope, whole_owner, conditions }
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec(rule(&["allow", "allow", "allow", "deny", "hold"]), 1..7)
}

fn asked() -> impl Strategy<Value = Asked> {
    let value = || proptest::option::weighted(0.8, 0..VALUES.len());
    ([value(), value(), value()], proptest::option::of(any::<bool>()), 0..DATASETS.len())
        .prop_map(|(values, certified, dataset)| Asked { values, certified, dataset })
}

/// So many that they are divided before they are judged.
fn many_rules() -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec(rule(&["allow", "allow", "allow", "deny", "hold"]), 20..60)
}

proptest! {
    #[test]
    fn many_rules_decide_as_a_plain_reading_of_all_of_them(rules in many_rules(), asked in asked()) {
        prop_assert_eq!(decided(&rules, &asked), plainly(&rules, &asked));
    }

    #[test]
    fn decisions_are_those_of_a_plain_reading(rules in rules(), asked in asked()) {
        prop_assert_eq!(decided(&rules, &asked), plainly(&rules, &asked));
    }

    #[test]
    fn one_more_deny_rule_never_allows_more(
        rules in rules(), deny in rule(&["deny"]), place in any::<prop::sample::Index>(), asked in asked()
    ) {
        let before = decided(&rules, &asked);
        let mut more = rules.clone();
        more.insert(place.index(rules.len() + 1), deny);
        let after = decided(&more, &asked);
        prop_assert!(after == before || after == "deny", "{} became {}", before, after);
    }

    #[test]
    fn one_more_hold_rule_never_turns_a_denial_into_an_allowance(
        rules in rules(), hold in rule(&["hold"]), asked in asked()
    ) {
        let mut more = rules.clone();
        more.push(hold);
        prop_assert!(decided(&more, &asked) != "allow" || decided(&rules, &asked) == "allow");
    }

    #[test]
    fn one_attribute_less_never_allows_more(rules in rules(), asked in asked(), gone in 0..=TEXT.len()) {
        let mut less = asked.clone();
        match less.values.get_mut(gone) {
            Some(value) => *value = None,
            None => less.certified = None,
        }
        prop_assert!(decided(&rules, &less) != "allow" || decided(&rules, &asked) == "allow");
    }

    #[test]
    fn the_order_of_rules_decides_nothing(rules in rules(), asked in asked()) {
        let reversed: Vec<_> = rules.iter().rev().cloned().collect();
        prop_assert_eq!(decided(&rules, &asked), decided(&reversed, &asked));
    }
}
