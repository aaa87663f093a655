//! Weights and probabilities: the m of Fellegi and Sunter by expectation maximisation.
//!
//! For fields f that both records have, at best agreeing level l:
//!
//! ```text
//! weight = Σ_f log2( m_f,l / u_f,l ) + Σ_agreeing f ( rarity of the value − typical rarity of the level )
//!          − bits by which fields agree together by chance ([`super::dependence`])
//! probability = 1 / (1 + (1 − λ)/λ · 2^−weight)
//! ```
//!
//! λ is the share of all pairs of records that are one person's. The second sum is Newcombe's and
//! Winkler's adjustment: two of one person who agree do so in a value v with its frequency p(v), two
//! others with p(v)²; so the agreement is worth −log2 p(v), which is what the senders send.
//!
//! EM (Dempster, Laird, Rubin 1977): with probabilities g from the present parameters, m_f,l becomes the
//! share of level l among the pairs that have the field, each counted g times, and λ = Σ g / all pairs.
//! u is what was counted over all pairs without the matches among them, so the likelihood is that of *all* pairs and not of those that
//! some key found: pairs that none found are the pattern "nothing agrees", which costs nothing to sum,
//! and the matches expected among them enter the counts. A Dirichlet prior of [`PRIOR_PAIRS`]
//! imagined matches keeps m in its place where there are few real ones.

use super::{Chance, Dependence, FIELDS_MAX, LEVELS_MAX, Observed, Pattern, chance::Table};

/// Matches' worth of what is believed of m beforehand.
pub const PRIOR_PAIRS: f64 = 10.0;

/// Rounds of EM, at most; it ends sooner when λ changes by less than one part in 10⁵.
pub const ROUNDS_MAX: usize = 100;

/// Believed beforehand: share of matches that disagree in a field, and that agree at its best level.
const PRIOR_DISAGREE: f64 = 0.1;
const PRIOR_BEST: f64 = 0.7;

/// The parameters and what they give.
#[derive(Debug, Clone)]
pub struct Model {
    /// Probability that two records of one person agree at this level and no better.
    pub m: Table,
    /// The same for records of two persons: [`super::Chance::best`].
    pub u: Table,
    /// Share of all pairs that are one person's.
    pub prior: f64,
    /// Which fields agree together by chance.
    pub dependence: Dependence,
    /// Rounds that EM took.
    pub rounds: usize,
    /// Weight of each pattern, in bits, without the rarity of values.
    pattern_bits: Vec<f64>,
    /// Matches expected among pairs that no key found.
    pub unseen: f64,
}

impl Model {
    /// Fits m and λ to what was observed.
    pub fn fit(observed: &Observed) -> Self {
        let used = used_levels(observed);
        let all = observed.announced.iter().map(|n| f64::from(*n)).product::<f64>().max(1.0);
        let least = f64::from(observed.announced[0].min(observed.announced[1]));
        let mut model = Self {
            m: prior_m(&used),
            u: observed.chance.best,
            prior: (0.5 * least / all).clamp(1e-15, 0.5),
            dependence: Dependence::default(),
            rounds: 0,
            pattern_bits: Vec::new(),
            unseen: 0.0,
        };
        model.weigh(&observed.patterns);
        for round in 1..=ROUNDS_MAX {
            let expected = model.expected(observed);
            let before = model.prior;
            model.maximise(observed, &expected, &used, all);
            model.weigh(&observed.patterns);
            model.rounds = round;
            if (model.prior - before).abs() <= 1e-5 * before {
                break;
            }
        }
        model
    }

    /// Weight in bits of a pair with this pattern and rarity; without the prior.
    pub fn weight_bits(&self, pattern: u32, rarer_bits: f32) -> f64 {
        self.pattern_bits.get(pattern as usize).copied().unwrap_or(0.0) + f64::from(rarer_bits)
    }

    /// log2 of the prior odds: what a weight must overcome.
    pub fn prior_bits(&self) -> f64 {
        (self.prior / (1.0 - self.prior)).log2()
    }

    /// E step: matches expected with each pattern.
    fn expected(&self, observed: &Observed) -> Vec<f64> {
        let mut expected = vec![0.0; observed.patterns.len()];
        let prior = self.prior_bits();
        for pair in &observed.pairs {
            let bits = prior + self.weight_bits(pair.pattern, pair.rarer_bits);
            expected[pair.pattern as usize] += probability(bits);
        }
        expected
    }

    /// M step.
    fn maximise(&mut self, observed: &Observed, expected: &[f64], used: &[[bool; LEVELS_MAX]; FIELDS_MAX], all: f64) {
        let seen: f64 = expected.iter().sum();
        let hidden = self.hidden_share(&observed.chance.both_have);
        self.unseen = seen * hidden / (1.0 - hidden);
        let mut counts = [[0.0; LEVELS_MAX]; FIELDS_MAX];
        for (pattern, expected) in observed.patterns.iter().zip(expected) {
            for (field, counts) in counts.iter_mut().enumerate() {
                if pattern.present >> field & 1 == 1 {
                    counts[usize::from(pattern.levels[field])] += expected;
                }
            }
        }
        self.u = chance_without(&counts, &observed.chance, all);
        self.dependence = self.dependence_in(observed, expected, all);
        let prior = prior_m(used);
        for field in 0..FIELDS_MAX {
            counts[field][0] += self.unseen * observed.chance.both_have[field];
            let sum: f64 = counts[field].iter().sum::<f64>() + PRIOR_PAIRS;
            for level in 0..LEVELS_MAX {
                self.m[field][level] = (counts[field][level] + PRIOR_PAIRS * prior[field][level]) / sum;
            }
        }
        self.prior = ((seen + self.unseen) / all).clamp(1e-15, 0.5);
    }

    fn dependence_in(&self, observed: &Observed, expected: &[f64], all: f64) -> Dependence {
        let mut others: Vec<f64> = expected.iter().map(|expected| -expected).collect();
        observed.pairs.iter().for_each(|pair| others[pair.pattern as usize] += 1.0);
        let agree: [f64; FIELDS_MAX] = std::array::from_fn(|field| 1.0 - self.u[field][0]);
        Dependence::between(&observed.patterns, &others, &agree, &observed.chance.both_have, all)
    }

    /// Share of matches in which nothing agrees, at most a half.
    fn hidden_share(&self, both_have: &[f64; FIELDS_MAX]) -> f64 {
        let nothing = |field: usize| 1.0 - both_have[field] * (1.0 - self.m[field][0]);
        (0..FIELDS_MAX).map(nothing).product::<f64>().clamp(0.0, 0.5)
    }

    fn weigh(&mut self, patterns: &[Pattern]) {
        let bits = |field: usize, level: usize| {
            let (m, u) = (self.m[field][level], self.u[field][level]);
            if m > 0.0 && u > 0.0 { (m / u).log2() } else { 0.0 }
        };
        let table: Vec<[f64; LEVELS_MAX]> =
            (0..FIELDS_MAX).map(|field| std::array::from_fn(|level| bits(field, level))).collect();
        let weight = |pattern: &Pattern| {
            let present = (0..FIELDS_MAX).filter(|field| pattern.present >> field & 1 == 1);
            let apart: f64 = present.map(|field| table[field][usize::from(pattern.levels[field])]).sum();
            apart - self.dependence.bits(pattern)
        };
        self.pattern_bits = patterns.iter().map(weight).collect();
    }
}

/// Chance was counted over all pairs, matches among them: these are taken off.
fn chance_without(matches: &Table, chance: &Chance, all: f64) -> Table {
    let mut u = chance.best;
    for field in 0..FIELDS_MAX {
        let pairs = all * chance.both_have[field];
        let agreeing = 1..LEVELS_MAX;
        for level in agreeing.clone().filter(|_| pairs > 0.0) {
            // Half a pair where none is left, as where none was seen.
            let left = (u[field][level] * pairs - matches[field][level]).max(0.5);
            u[field][level] = u[field][level].min(left / pairs);
        }
        u[field][0] = 1.0 - u[field][agreeing].iter().sum::<f64>();
    }
    u
}

/// Probability whose log2 odds are `bits`.
pub fn probability(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// Levels that occur.
fn used_levels(observed: &Observed) -> [[bool; LEVELS_MAX]; FIELDS_MAX] {
    let mut used = [[false; LEVELS_MAX]; FIELDS_MAX];
    for pattern in &observed.patterns {
        for (used, level) in used.iter_mut().zip(pattern.levels) {
            used[usize::from(level)] = true;
        }
    }
    used
}

/// What is believed of m beforehand: most agree at the best level, the rest is shared.
fn prior_m(used: &[[bool; LEVELS_MAX]; FIELDS_MAX]) -> Table {
    let mut prior = [[0.0; LEVELS_MAX]; FIELDS_MAX];
    for (prior, used) in prior.iter_mut().zip(used) {
        let levels: Vec<usize> = (1..LEVELS_MAX).filter(|&level| used[level]).collect();
        prior[0] = PRIOR_DISAGREE;
        for &level in &levels {
            prior[level] = (1.0 - PRIOR_DISAGREE - PRIOR_BEST) / levels.len() as f64;
        }
        if let Some(&best) = levels.last() {
            prior[best] += PRIOR_BEST;
        }
        let sum: f64 = prior.iter().sum();
        prior.iter_mut().for_each(|share| *share /= sum);
    }
    prior
}
