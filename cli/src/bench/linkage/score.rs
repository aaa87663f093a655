//! Precision, recall and F1 of pairs of records: what was linked against the known answer.

use std::collections::{HashMap, HashSet};

use super::files::Persons;

/// How good a set of pairs is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Share of pairs that are right.
    pub(super) precision: f64,
    /// Share of right pairs that were found.
    pub(super) recall: f64,
    /// Their harmonic mean.
    pub(super) f1: f64,
}

/// Counts pairs of rows, each once.
pub(super) fn score(persons: &Persons, pairs: &HashSet<(u32, u32)>) -> Score {
    let is_right =
        |pair: &&(u32, u32)| persons.sides[0][pair.0 as usize].truth == persons.sides[1][pair.1 as usize].truth;
    let right = pairs.iter().filter(is_right).count() as f64;
    let (taken, all) = (pairs.len() as f64, matches(persons) as f64);
    let share = |whole: f64| if whole > 0.0 { right / whole } else { 0.0 };
    Score { precision: share(taken), recall: share(all), f1: share(f64::midpoint(taken, all)) }
}

/// Pairs across the sides that are one person's.
pub(super) fn matches(persons: &Persons) -> u64 {
    let mut of: HashMap<&str, [u64; 2]> = HashMap::new();
    for (side, people) in persons.sides.iter().enumerate() {
        people.iter().for_each(|person| of.entry(&person.truth).or_default()[side] += 1);
    }
    of.values().map(|[left, right]| left * right).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::files::Person, *};

    #[test]
    fn pairs_are_counted_by_hand() {
        let side = |truths: &[&str]| {
            truths.iter().map(|truth| Person { texts: Default::default(), truth: (*truth).to_owned() }).collect()
        };
        let sides = [side(&["a", "b", "b"]), side(&["b", "a", "c"])];
        let persons = Persons { name: String::new(), sides, once: false };
        assert_eq!(matches(&persons), 3);
        // Right: (0, 1), (1, 0); wrong: (2, 2); missed: (2, 0).
        let scored = score(&persons, &HashSet::from([(0, 1), (1, 0), (2, 2)]));
        assert_eq!(scored, Score { precision: 2.0 / 3.0, recall: 2.0 / 3.0, f1: 2.0 / 3.0 });
        assert_eq!(score(&persons, &HashSet::new()), Score { precision: 0.0, recall: 0.0, f1: 0.0 });
    }
}
