//! How well scores rank, and whether probabilities come true: shares and their ratios with intervals.

/// Leads at the head of the ranking whose precision is told.
const HEADS: [usize; 4] = [10, 20, 50, 100];
/// Groups of equal size in which probabilities are compared with what came true.
const GROUPS: usize = 5;
/// Two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// How many were right.
    pub right: usize,
    /// Of how many.
    pub of: usize,
    /// Bounds of the 95 % interval (Wilson 1927), 0 to 1.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Proportion {
    /// `right` of `of`, which is at least one.
    pub fn new(right: usize, of: usize) -> Self {
        let (count, share) = (of.max(1) as f64, right as f64 / of.max(1) as f64);
        let centre = share + Z * Z / (2.0 * count);
        let spread = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
        let scale = 1.0 + Z * Z / count;
        Self { right, of, low: ((centre - spread) / scale).max(0.0), high: ((centre + spread) / scale).min(1.0) }
    }

    /// The share itself.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.of.max(1) as f64
    }
}

/// How much more often the head of a ranking was right than all of it, with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    /// Leads at the head.
    pub of: usize,
    /// The share that was right among them over the share among all: 1 when the ranking tells nothing.
    pub ratio: f64,
    /// Bounds of the 95 % interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Lift {
    /// The lift of a head, as `(right, of)`, over it and the rest together.
    ///
    /// Head and all are not independent, head and rest are. With the ratio r of these two and the head's
    /// part f of all, the lift is r / (f·r + 1 − f), which grows with r: so its interval is that of r.
    pub(super) fn new(head: (usize, usize), rest: (usize, usize)) -> Self {
        let all = (head.1 + rest.1).max(1) as f64;
        let part = head.1 as f64 / all;
        let base = (head.0 + rest.0) as f64 / all;
        let lift = |ratio: f64| ratio / (part * ratio + 1.0 - part);
        let (low, high) = ratio_interval(head, rest);
        let ratio = head.0 as f64 / head.1.max(1) as f64 / base.max(f64::MIN_POSITIVE);
        // With half a lead added, an interval need not reach a ratio that lies at its limit.
        Self { of: head.1, ratio, low: lift(low).min(ratio), high: lift(high).max(ratio) }
    }
}

/// Interval of the ratio of two independent shares by its logarithm (Katz, Baptista, Azen and Pike 1978).
/// Where one of them is 0, half a lead is added to each number (Pettigrew, Gart and Thomas 1986).
pub(super) fn ratio_interval(first: (usize, usize), second: (usize, usize)) -> (f64, f64) {
    let added = if first.0 == 0 || second.0 == 0 { 0.5 } else { 0.0 };
    let [a, of_a, b, of_b] = [first.0, first.1, second.0, second.1].map(|count| count as f64 + added);
    let spread = Z * (1.0 / a - 1.0 / of_a + 1.0 / b - 1.0 / of_b).max(0.0).sqrt();
    let logarithm = (a / of_a / (b / of_b)).ln();
    ((logarithm - spread).exp(), (logarithm + spread).exp())
}

/// How well a ranking finds what was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Share of all leads that were right.
    pub base: Proportion,
    /// Precision among the first 10, 20, 50 and 100, as far as there are so many.
    pub precision: Vec<Proportion>,
    /// Precision of the first tenth over that of all.
    pub lift: Lift,
    /// Chance that a lead that was right ranks before one that was wrong, 0 to 1.
    pub concordance: f64,
}

/// A group of leads with about the same probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// Mean of their probabilities.
    pub expected: f64,
    /// How many came true.
    pub observed: Proportion,
}

/// Judges scores. Of equal scores, those that were wrong come first, so that ties flatter nobody.
pub(super) fn judge(scored: impl Iterator<Item = (f64, bool)>) -> Judgement {
    let mut ranked: Vec<(f64, bool)> = scored.collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let right = |first: usize| ranked[..first].iter().filter(|(_, positive)| *positive).count();
    let all = ranked.len();
    let base = Proportion::new(right(all), all);
    let precision = HEADS.into_iter().filter(|head| *head <= all).map(|head| Proportion::new(right(head), head));
    let tenth = all.div_ceil(10);
    let lift = Lift::new((right(tenth), tenth), (right(all) - right(tenth), all - tenth));
    Judgement { base, precision: precision.collect(), lift, concordance: concordance(&ranked) }
}

/// Mann and Whitney's statistic over all pairs; a tie counts half. Best score first.
fn concordance(ranked: &[(f64, bool)]) -> f64 {
    let (mut before, mut pairs_won) = (0.0, 0.0);
    for group in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let right = group.iter().filter(|(_, positive)| *positive).count() as f64;
        let wrong = group.len() as f64 - right;
        pairs_won += wrong * (before + right / 2.0);
        before += right;
    }
    let pairs = before * (ranked.len() as f64 - before);
    if pairs > 0.0 { pairs_won / pairs } else { 0.5 }
}

/// Compares probabilities with what came true, in groups of equal size from the least probable on.
pub(super) fn calibration(expected: impl Iterator<Item = (f64, bool)>) -> Vec<Calibrated> {
    let mut sorted: Vec<(f64, bool)> = expected.collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = sorted.len().div_ceil(GROUPS).max(1);
    let groups = sorted.chunks(size).map(|group| Calibrated {
        expected: group.iter().map(|(probability, _)| probability).sum::<f64>() / group.len() as f64,
        observed: Proportion::new(group.iter().filter(|(_, positive)| *positive).count(), group.len()),
    });
    groups.collect()
}
