//! Many rules that speak of the same, divided by what they ask of the request.
//!
//! A rule that wants `agency` to be `hsi` is nothing to a request of `cbp`: it cannot allow it, and it
//! cannot stand against it. So rules are divided by the values that they want of one attribute, then of
//! another, until few are left together. A request that lacks the attribute keeps the deny and the hold
//! rules, which count against it when they cannot be judged. Leaving rules out never changes a decision:
//! only rules are left out that certainly do not hold, and allow rules that cannot be judged.

use std::collections::{BTreeSet, HashMap};

use super::{Bucket, Numbering, PLACES_MAX};
use crate::policy::rule::{Effect, Rule};
use crate::policy::schema::{Fact, Facts};

/// So many rules are judged together without dividing them.
const TOGETHER: usize = 8;
/// A division may put each rule into so many parts on average.
const PARTS_OF_A_RULE_MAX: usize = 4;

/// Rules in one bucket, or in buckets by the value of an attribute.
#[derive(Debug)]
pub(super) enum Division {
    Whole(Bucket),
    By {
        attribute: usize,
        /// What is left when the attribute has one of the values that rules want.
        values: HashMap<Fact, Division>,
        /// What is left when it has another value.
        other: Box<Division>,
        /// What is left when the request lacks it or has it in another type.
        absent: Box<Division>,
    },
}

impl Division {
    pub(super) fn of(rules: &[Rule], together: Vec<usize>, numbering: &mut Numbering) -> Self {
        Divider { rules, numbering, divided_by: BTreeSet::new() }.divide(together)
    }

    pub(super) fn find(&self, facts: &Facts) -> &Bucket {
        match self {
            Division::Whole(bucket) => bucket,
            Division::By { attribute, values, other, absent } => match facts.get(*attribute) {
                Some(fact) => values.get(fact).unwrap_or(other).find(facts),
                None => absent.find(facts),
            },
        }
    }

    /// Most rules that are judged together for a request that has every attribute it is divided by.
    pub(super) fn judged_max(&self) -> usize {
        match self {
            Division::Whole(bucket) => bucket.rules.len(),
            Division::By { values, other, .. } => {
                values.values().map(Division::judged_max).max().unwrap_or_default().max(other.judged_max())
            }
        }
    }

    pub(super) fn buckets(&self) -> Vec<&Bucket> {
        match self {
            Division::Whole(bucket) => vec![bucket],
            Division::By { values, other, absent, .. } => {
                values.values().chain([&**other, &**absent]).flat_map(Division::buckets).collect()
            }
        }
    }
}

struct Divider<'a> {
    rules: &'a [Rule],
    numbering: &'a mut Numbering,
    /// Attributes that the rules at hand are divided by already.
    divided_by: BTreeSet<usize>,
}

/// How rules would be divided by an attribute.
struct Parts {
    attribute: usize,
    values: HashMap<Fact, Vec<usize>>,
    other: Vec<usize>,
    absent: Vec<usize>,
}

impl Parts {
    /// Most rules that are left to a request that has the attribute. One that lacks it is denied by the
    /// first deny rule that asks for nothing else, so how many are left to it matters less.
    fn largest(&self) -> usize {
        self.values.values().map(Vec::len).max().unwrap_or_default().max(self.other.len())
    }

    fn places(&self) -> usize {
        self.values.values().map(Vec::len).sum::<usize>() + self.other.len() + self.absent.len()
    }
}

impl Divider<'_> {
    fn divide(&mut self, together: Vec<usize>) -> Division {
        let Some(parts) = self.best_parts(&together) else { return Division::Whole(self.numbering.bucket(together)) };
        self.divided_by.insert(parts.attribute);
        let values = parts.values.into_iter().map(|(value, part)| (value, self.divide(part))).collect();
        let (other, absent) = (Box::new(self.divide(parts.other)), Box::new(self.divide(parts.absent)));
        self.divided_by.remove(&parts.attribute);
        Division::By { attribute: parts.attribute, values, other, absent }
    }

    /// The division whose largest part is smallest, if one helps and has room.
    fn best_parts(&self, together: &[usize]) -> Option<Parts> {
        if together.len() <= TOGETHER {
            return None;
        }
        let of_each = together.iter().filter_map(|position| self.rules.get(*position));
        let attributes: BTreeSet<usize> = of_each
            .flat_map(|rule| rule.conditions.iter())
            .filter_map(|condition| condition.wants().map(|(attribute, _)| attribute))
            .filter(|attribute| !self.divided_by.contains(attribute))
            .collect();
        let room = PLACES_MAX.saturating_sub(self.numbering.places).min(together.len() * PARTS_OF_A_RULE_MAX);
        attributes
            .into_iter()
            .map(|attribute| self.parts(attribute, together))
            .filter(|parts| parts.places() <= room && parts.largest() < together.len())
            .min_by_key(Parts::largest)
    }

    fn parts(&self, attribute: usize, together: &[usize]) -> Parts {
        let mut parts = Parts { attribute, values: HashMap::new(), other: Vec::new(), absent: Vec::new() };
        let each = || together.iter().filter_map(|position| Some((*position, self.rules.get(*position)?)));
        for value in each().filter_map(|(_, rule)| wanted(rule, attribute)).flatten() {
            parts.values.entry(value.clone()).or_default();
        }
        for (position, rule) in each() {
            match wanted(rule, attribute) {
                Some(wanted) => {
                    for value in wanted {
                        // A rule may name a value twice.
                        let part = parts.values.entry(value.clone()).or_default();
                        if part.last() != Some(&position) {
                            part.push(position);
                        }
                    }
                    if rule.effect != Effect::Allow {
                        parts.absent.push(position);
                    }
                }
                None => {
                    parts.values.values_mut().for_each(|part| part.push(position));
                    parts.other.push(position);
                    parts.absent.push(position);
                }
            }
        }
        parts
    }
}

/// The values one of which a rule wants of an attribute, by its first condition that lists them.
fn wanted(rule: &Rule, attribute: usize) -> Option<&[Fact]> {
    rule.conditions.iter().filter_map(|condition| condition.wants()).find(|(of, _)| *of == attribute).map(|(_, v)| v)
}
