//! What outcomes teach about weights: how much each data set's evidence told of leads that were right.
//!
//! QE is `sqrt(Σ_d (w_d · e_d)²)`, so its square is linear in `e_d²`. A logistic regression of the outcome
//! on `e_d²` with slopes `β_d ≥ 0` therefore ranks as QE does with `w_d = sqrt(c · β_d)`. `c` is chosen so
//! that `Σ_d w_d²` is the number of data sets, as with weights of 1: n data sets at full strength still
//! give √n, and QE keeps its meaning. Slopes are drawn towards each other, so few outcomes leave weights
//! near 1. A data set whose slope would be negative gets weight 0.
//!
//! The result is a proposal with what it would have done, judged on outcomes that it was not fitted to. It
//! changes nothing by itself, and below a stated number of outcomes there is none. Leads are no random
//! sample of matches: only what was raised and looked into has an outcome.

mod judge;
mod logistic;

#[cfg(test)]
mod tests;

pub use judge::{Calibrated, Judgement, Proportion};

/// Outcomes of each sort, right and wrong, that a proposal takes at least: so many, and so many for each
/// data set (Peduzzi et al. 1996, ten events per variable).
pub const OUTCOMES_MIN: usize = 20;
/// See [`OUTCOMES_MIN`].
pub const OUTCOMES_PER_DATASET: usize = 10;
/// Data sets that a question may have.
pub const DATASETS_MAX: usize = 32;
/// Parts that outcomes are cut into; each is judged by a fit to the others.
const FOLDS: usize = 5;

/// A lead with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Strength of each data set's evidence, 0 to 1, in the order of the data sets; 0 where it had none.
    pub strengths: Vec<f64>,
    /// Whether the match was right; see [`Outcome::is_positive`](crate::event::Outcome::is_positive).
    pub positive: bool,
}

/// Why there is no proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProposal {
    /// There are too few outcomes.
    #[error(
        "Weights of {datasets} data sets take at least {needed} leads that were right and as many that were wrong; \
         there are {positive} and {negative}. Record more outcomes."
    )]
    TooFew {
        /// Data sets.
        datasets: usize,
        /// Leads of each sort that are needed.
        needed: usize,
        /// Leads that were right.
        positive: usize,
        /// Leads that were wrong.
        negative: usize,
    },
    /// The leads do not fit the data sets.
    #[error("Each lead must have one strength between 0 and 1 for each of 1 to {DATASETS_MAX} data sets.")]
    Unfit,
    /// No data set's evidence was stronger where the match was right.
    #[error("No data set gave stronger evidence where the match was right; look at the indicators, not at weights.")]
    NothingTells,
}

impl NoProposal {
    /// Stable reason in `snake_case`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "too_few_outcomes",
            Self::Unfit => "outcomes_unfit",
            Self::NothingTells => "nothing_tells",
        }
    }
}

/// Weights for a person to accept, with what speaks for and against them.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Weights in the order of the data sets; their squares add up to the number of data sets.
    pub weights: Vec<f64>,
    /// How the present weights rank.
    pub present: Judgement,
    /// How the proposed ones do, on outcomes that they were not fitted to.
    pub proposed: Judgement,
    /// Whether probabilities come true, on outcomes that were not fitted to either.
    pub calibration: Vec<Calibrated>,
}

/// Proposes weights from outcomes, which should be in order of time.
///
/// # Errors
/// [`NoProposal`] when there are too few outcomes, or they tell nothing.
pub fn propose(outcomes: &[Judged], present: &[f64]) -> Result<Proposal, NoProposal> {
    let datasets = present.len();
    let is_strength = |strength: &f64| (0.0..=1.0).contains(strength);
    let fits = |judged: &Judged| judged.strengths.len() == datasets && judged.strengths.iter().all(is_strength);
    if !(1..=DATASETS_MAX).contains(&datasets) || !outcomes.iter().all(fits) {
        return Err(NoProposal::Unfit);
    }
    let needed = OUTCOMES_MIN.max(OUTCOMES_PER_DATASET * datasets);
    let positive = outcomes.iter().filter(|judged| judged.positive).count();
    let negative = outcomes.len() - positive;
    if positive < needed || negative < needed {
        return Err(NoProposal::TooFew { datasets, needed, positive, negative });
    }
    let rows: Vec<logistic::Row> = outcomes.iter().map(logistic::Row::of).collect();
    let weights = weights(&logistic::fit(&rows).slopes).ok_or(NoProposal::NothingTells)?;
    let unseen = unseen(&rows);
    let ranked = |scores: Vec<f64>| judge::judge(scores.into_iter().zip(outcomes.iter().map(|judged| judged.positive)));
    Ok(Proposal {
        weights,
        present: ranked(outcomes.iter().map(|judged| quality_of_evidence(present, &judged.strengths)).collect()),
        proposed: ranked(unseen.clone()),
        calibration: judge::calibration(unseen.into_iter().zip(outcomes.iter().map(|judged| judged.positive))),
    })
}

/// The score that weights give to strengths.
pub fn quality_of_evidence(weights: &[f64], strengths: &[f64]) -> f64 {
    let squares = weights.iter().zip(strengths).map(|(weight, strength)| (weight * strength).powi(2));
    squares.sum::<f64>().sqrt()
}

fn weights(slopes: &[f64]) -> Option<Vec<f64>> {
    let sum: f64 = slopes.iter().sum();
    (sum > 0.0).then(|| slopes.iter().map(|slope| (slope * slopes.len() as f64 / sum).sqrt()).collect())
}

/// The probability of each row by a fit to all other folds. Neighbours in time go to different folds.
fn unseen(rows: &[logistic::Row]) -> Vec<f64> {
    let mut probabilities = vec![0.0; rows.len()];
    for fold in 0..FOLDS {
        let others: Vec<logistic::Row> =
            rows.iter().enumerate().filter(|(place, _)| place % FOLDS != fold).map(|(_, row)| row.clone()).collect();
        let fitted = logistic::fit(&others);
        for (place, row) in rows.iter().enumerate().filter(|(place, _)| place % FOLDS == fold) {
            probabilities[place] = fitted.probability(row);
        }
    }
    probabilities
}
