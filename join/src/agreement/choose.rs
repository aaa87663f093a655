//! Which pairs are links: one partner each where data sets hold everyone once, and a threshold that
//! the probabilities themselves give.
//!
//! With probabilities p₁ ≥ p₂ ≥ …, taking the first k makes 2·Σ_{i≤k} p_i / (k + Σ_all p) the F1 to expect
//! (to first order; Ye et al., "Optimizing F-measure", ICML 2012). The k that makes most of it is
//! taken. Nothing below [`PROBABILITY_MIN`] is ever a link, so where there are no matches there are none.

use std::collections::HashSet;

use super::{Model, Observed, Pair, model::probability};

/// No link is less probable.
pub const PROBABILITY_MIN: f64 = 0.5;

/// log2 of the odds below which a pair is no candidate: one in a thousand; a billion of them would be no
/// sum either.
pub const PAIR_BITS_MIN: f64 = -10.0;

/// What is known about the data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Both hold each person once: a record has at most one partner.
    OneToOne,
    /// Persons may occur several times.
    ManyToMany,
}

/// Two records that are taken for one person's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// What the left sender calls its record.
    pub left: u128,
    /// What the right sender calls its record.
    pub right: u128,
    /// Weight in bits, without the prior.
    pub weight_bits: f64,
    /// Probability that they are one person's.
    pub probability: f64,
    /// Place of the pattern of agreement in [`Observed::patterns`].
    pub pattern: u32,
}

/// The threshold and what to expect of it, by the model itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Choice {
    /// Least probability of a link; 1 when there is none.
    pub threshold: f64,
    /// Share of links that are right.
    pub precision: f64,
    /// Share of matches that are links.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// Resolves, sorts and cuts: links, and those that are none but more than one in a thousand probable.
pub fn choose(observed: &Observed, model: &Model, resolution: Resolution) -> (Vec<Link>, Vec<Link>, Choice) {
    let mut links = ranked(observed, model, resolution);
    let all: f64 = links.iter().map(|link| link.probability).sum::<f64>() + model.unseen;
    let (mut sum, mut choice, mut count) = (0.0, Choice { threshold: 1.0, ..Choice::default() }, 0);
    for (taken, link) in (1usize..).zip(&links) {
        sum += link.probability;
        let f1 = 2.0 * sum / (taken as f64 + all);
        if link.probability >= PROBABILITY_MIN && f1 >= choice.f1 {
            choice = Choice { threshold: link.probability, precision: sum / taken as f64, recall: sum / all, f1 };
            count = taken;
        }
    }
    let rest = links.split_off(count);
    (links, rest, choice)
}

/// Every pair that may be a link, most probable first.
pub fn ranked(observed: &Observed, model: &Model, resolution: Resolution) -> Vec<Link> {
    let prior = model.prior_bits();
    let bits = |pair: &Pair| prior + model.weight_bits(pair.pattern, pair.rarer_bits);
    let mut pairs: Vec<(f64, &Pair)> =
        observed.pairs.iter().map(|pair| (bits(pair), pair)).filter(|(bits, _)| *bits > PAIR_BITS_MIN).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1.left, a.1.right).cmp(&(b.1.left, b.1.right))));
    let link = |bits: f64, pair: &Pair| Link {
        left: observed.references[0][pair.left as usize],
        right: observed.references[1][pair.right as usize],
        weight_bits: bits - prior,
        probability: probability(bits),
        pattern: pair.pattern,
    };
    match resolution {
        Resolution::ManyToMany => pairs.into_iter().map(|(bits, pair)| link(bits, pair)).collect(),
        Resolution::OneToOne => {
            let (mut lefts, mut rights) = (HashSet::new(), HashSet::new());
            pairs.retain(|(_, pair)| {
                let free = !lefts.contains(&pair.left) && !rights.contains(&pair.right);
                free && lefts.insert(pair.left) && rights.insert(pair.right)
            });
            pairs.into_iter().map(|(bits, pair)| link(bits, pair)).collect()
        }
    }
}
