//! Fields that agree together by chance: two strangers of one town share its postcode, its street names and
//! often their birth place, and are strangers all the same.
//!
//! Fellegi and Sunter take fields as independent, so that such agreements count several times. Here the
//! chance of a pattern is that of a tree of dependences (Chow, Liu, IEEE Trans. Inf. Theory 14, 1968):
//!
//! ```text
//! P(pattern) = Π_f P(f) · Π_edges P(f, g) / (P(f)·P(g))
//! ```
//!
//! where of f and g only counts whether they agree at all. P(f) is counted over all pairs; P(f, g) over the
//! compared pairs, each as far as it is not a match, over all pairs that have both. The tree is the one
//! with the most mutual information. Agreement that repels other agreement is not modelled: pairs that
//! no key found are not counted, so that it cannot be told from being rare.

use super::{FIELDS_MAX, Pattern};

/// An edge of the tree with log2 of P(f, g) / (P(f)·P(g)), by whether f and g agree.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Edge {
    fields: [usize; 2],
    information: f64,
    bits: [[f64; 2]; 2],
}

/// Which fields depend on each other, and how much.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependence {
    edges: Vec<Edge>,
}

impl Dependence {
    /// From `others`, how many pairs with each pattern are no matches; `agree` is the chance that a field
    /// agrees at any level, `both_have` the share of `all` pairs in which both records have it.
    pub fn between(
        patterns: &[Pattern],
        others: &[f64],
        agree: &[f64; FIELDS_MAX],
        both_have: &[f64; FIELDS_MAX],
        all: f64,
    ) -> Self {
        let together = agreeing_together(patterns, others);
        let mut edges = Vec::new();
        for one in 0..FIELDS_MAX {
            for other in one + 1..FIELDS_MAX {
                let pairs = all * both_have[one] * both_have[other];
                edges.extend(Edge::new([one, other], [agree[one], agree[other]], together[one][other] / pairs));
            }
        }
        edges.sort_by(|a, b| b.information.total_cmp(&a.information).then(a.fields.cmp(&b.fields)));
        let mut trees: [usize; FIELDS_MAX] = std::array::from_fn(|field| field);
        edges.retain(|edge| {
            let [one, other] = edge.fields.map(|field| trees[field]);
            trees.iter_mut().filter(|tree| **tree == other).for_each(|tree| *tree = one);
            one != other
        });
        Self { edges }
    }

    /// Bits by which the pattern is likelier by chance than if its fields were independent.
    pub fn bits(&self, pattern: &Pattern) -> f64 {
        let has = |field: usize| pattern.present >> field & 1 == 1;
        let agrees = |field: usize| usize::from(pattern.levels[field] > 0);
        let edges = self.edges.iter().filter(|edge| edge.fields.into_iter().all(has));
        edges.map(|edge| edge.bits[agrees(edge.fields[0])][agrees(edge.fields[1])]).sum()
    }
}

/// Pairs by two fields that both agree.
fn agreeing_together(patterns: &[Pattern], others: &[f64]) -> [[f64; FIELDS_MAX]; FIELDS_MAX] {
    let mut together = [[0.0; FIELDS_MAX]; FIELDS_MAX];
    for (pattern, others) in patterns.iter().zip(others) {
        for one in (0..FIELDS_MAX).filter(|&field| pattern.levels[field] > 0) {
            for other in (one + 1..FIELDS_MAX).filter(|&field| pattern.levels[field] > 0) {
                together[one][other] += others;
            }
        }
    }
    together
}

impl Edge {
    /// Nothing where the fields agree together no more often than by themselves.
    fn new(fields: [usize; 2], [one, other]: [f64; 2], both: f64) -> Option<Self> {
        let both = both.min(0.999 * one.min(other));
        if !both.is_finite() || both <= one * other {
            return None;
        }
        let joint = [[1.0 - one - other + both, other - both], [one - both, both]];
        let (mut information, mut bits) = (0.0, [[0.0; 2]; 2]);
        for (agrees, shares) in joint.iter().enumerate() {
            for (other_agrees, share) in shares.iter().enumerate() {
                let apart = [1.0 - one, one][agrees] * [1.0 - other, other][other_agrees];
                if *share <= 0.0 || apart <= 0.0 {
                    return None;
                }
                bits[agrees][other_agrees] = (share / apart).log2();
                information += share * bits[agrees][other_agrees];
            }
        }
        Some(Self { fields, information, bits })
    }
}
