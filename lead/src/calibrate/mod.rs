//! What outcomes teach about weights: how much each data set's evidence told of leads that were right.
//!
//! QE is `sqrt(Σ_d (w_d · e_d)²)`, so its square is linear in `e_d²`. A logistic regression of the outcome
//! on `e_d²` with slopes `β_d ≥ 0` therefore ranks as QE does with `w_d = sqrt(c · β_d)`. `c` is chosen so
//! that `Σ_d w_d²` is the number of data sets, as with weights of 1: n data sets at full strength still
//! give √n, and QE keeps its meaning. Slopes are drawn towards each other, so few outcomes leave weights
//! near 1. A data set whose slope would be negative gets weight 0. Of evidence that is the same in every lead
//! nothing can be learnt: its data set stays out of the fit and keeps weight 1, and `c` is chosen for the others.
//!
//! The result is a proposal with what it would have done, judged on outcomes that it was not fitted to. It
//! changes nothing by itself, and below a stated number of outcomes there is none. Leads are no random
//! sample of matches: only what was raised and looked into has an outcome. [`Sample`] says which leads count.

mod judge;
mod logistic;
mod sample;

#[cfg(test)]
mod tests;

pub use judge::{Calibrated, Judgement, Lift, Proportion};
pub use sample::{Lesson, Sample};

/// Outcomes of each sort, right and wrong, that a proposal takes at least: so many, and so many for each
/// data set to learn of (Peduzzi et al. 1996, ten events per variable).
pub const OUTCOMES_MIN: usize = 20;
/// See [`OUTCOMES_MIN`].
pub const OUTCOMES_PER_DATASET: usize = 10;
/// Data sets that a question may have.
pub const DATASETS_MAX: usize = 32;
/// Parts that outcomes are cut into; each is judged by a fit to the others.
const FOLDS: usize = 5;
/// Slopes that add up to no more than this are 0 but for rounding.
const SLOPES_MIN: f64 = 1e-6;

/// A lead with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Strength of each data set's evidence, 0 to 1, in the order of the data sets; 0 where it had none.
    pub strengths: Vec<f64>,
    /// QE as people saw it, under the weights of that time.
    pub score: f64,
    /// Whether the match was right; see [`Outcome::is_positive`](crate::event::Outcome::is_positive).
    pub positive: bool,
}

/// Why there is no proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProposal {
    /// There are too few outcomes.
    #[error(
        "Weights take at least {needed} leads that were right (arrest, seizure) and as many that were wrong (no \
         finding, false match): {OUTCOMES_MIN}, or {OUTCOMES_PER_DATASET} for each data set whose evidence differs \
         between leads; there are {positive} and {negative}. It takes outcomes of {}.",
        more(*needed, *positive, *negative)
    )]
    TooFew {
        /// Leads of each sort that are needed.
        needed: usize,
        /// Leads that were right.
        positive: usize,
        /// Leads that were wrong.
        negative: usize,
    },
    /// There are too many data sets for one question.
    #[error(
        "The leads have evidence of {0} data sets, and a question has {DATASETS_MAX} at most: calibrate the leads of \
         one watch."
    )]
    TooManyDatasets(usize),
    /// The leads do not fit the data sets.
    #[error("Each lead must have a score, and one strength between 0 and 1 for each of its data sets.")]
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
            Self::TooManyDatasets(_) => "too_many_datasets",
            Self::Unfit => "outcomes_unfit",
            Self::NothingTells => "nothing_tells",
        }
    }
}

/// How many outcomes of which sort are missing, in words.
fn more(needed: usize, positive: usize, negative: usize) -> String {
    let missing = [(needed.saturating_sub(positive), "right"), (needed.saturating_sub(negative), "wrong")];
    let missing = missing.iter().filter(|(count, _)| *count > 0);
    missing.map(|(count, sort)| format!("{count} more that were {sort}")).collect::<Vec<_>>().join(" and ")
}

/// A weight that outcomes speak for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// The weight.
    pub value: f64,
    /// The smallest that fits to four fifths of the outcomes gave, each fifth left out once.
    pub low: f64,
    /// The largest of them.
    pub high: f64,
    /// Whether outcomes taught it; otherwise the evidence is the same in every lead.
    pub learnt: bool,
}

impl Weight {
    /// What it was before there were outcomes.
    const UNLEARNT: Self = Self { value: 1.0, low: 1.0, high: 1.0, learnt: false };
}

/// Weights for a person to accept, with what speaks for and against them.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Weights in the order of the data sets; their squares add up to the number of data sets.
    pub weights: Vec<Weight>,
    /// How the scores ranked that people saw.
    pub present: Judgement,
    /// How the proposed weights do, on outcomes that they were not fitted to.
    pub proposed: Judgement,
    /// Whether probabilities come true, on outcomes that were not fitted to either.
    pub calibration: Vec<Calibrated>,
}

/// Proposes weights of so many data sets from outcomes, which should be in order of time.
///
/// # Errors
/// [`NoProposal`] when there are too few outcomes, or they tell nothing.
pub fn propose(outcomes: &[Judged], datasets: usize) -> Result<Proposal, NoProposal> {
    check(outcomes, datasets)?;
    let varying: Vec<usize> = (0..datasets).filter(|dataset| varies(outcomes, *dataset)).collect();
    enough(outcomes, varying.len())?;
    let rows: Vec<logistic::Row> = outcomes.iter().map(|judged| logistic::Row::of(judged, &varying)).collect();
    let whole = weights(&logistic::fit(&rows).slopes).ok_or(NoProposal::NothingTells)?;
    let fits = fits_to_others(&rows);
    let unseen = || {
        let probabilities = rows.iter().enumerate().map(|(place, row)| fits[place % FOLDS].probability(row));
        probabilities.zip(outcomes.iter().map(|judged| judged.positive))
    };
    let mut weights = vec![Weight::UNLEARNT; datasets];
    varying.iter().zip(ranges(whole, &fits)).for_each(|(&dataset, weight)| weights[dataset] = weight);
    Ok(Proposal {
        weights,
        present: judge::judge(outcomes.iter().map(|judged| (judged.score, judged.positive))),
        proposed: judge::judge(unseen()),
        calibration: judge::calibration(unseen()),
    })
}

fn check(outcomes: &[Judged], datasets: usize) -> Result<(), NoProposal> {
    if datasets > DATASETS_MAX {
        return Err(NoProposal::TooManyDatasets(datasets));
    }
    let is_strength = |strength: &f64| (0.0..=1.0).contains(strength);
    let fits = |judged: &Judged| {
        judged.score.is_finite() && judged.strengths.len() == datasets && judged.strengths.iter().all(is_strength)
    };
    if outcomes.iter().all(fits) { Ok(()) } else { Err(NoProposal::Unfit) }
}

/// Whether the data set's evidence is not the same in every lead.
fn varies(outcomes: &[Judged], dataset: usize) -> bool {
    outcomes.windows(2).any(|pair| pair[0].strengths[dataset] != pair[1].strengths[dataset])
}

/// Enough to learn of so many data sets.
fn enough(outcomes: &[Judged], varying: usize) -> Result<(), NoProposal> {
    let needed = OUTCOMES_MIN.max(OUTCOMES_PER_DATASET * varying);
    let positive = outcomes.iter().filter(|judged| judged.positive).count();
    let negative = outcomes.len() - positive;
    match positive < needed || negative < needed {
        true => Err(NoProposal::TooFew { needed, positive, negative }),
        false => Ok(()),
    }
}

/// Weights in the proportion of these slopes' roots, with squares that add up to their number; none when no
/// slope is positive.
fn weights(slopes: &[f64]) -> Option<Vec<f64>> {
    let sum: f64 = slopes.iter().sum();
    (sum > SLOPES_MIN).then(|| slopes.iter().map(|slope| (slope * slopes.len() as f64 / sum).sqrt()).collect())
}

/// For each fold a fit to all others. Neighbours in time lie in different folds.
fn fits_to_others(rows: &[logistic::Row]) -> Vec<logistic::Fitted> {
    let others = |fold: usize| -> Vec<logistic::Row> {
        rows.iter().enumerate().filter(|(place, _)| place % FOLDS != fold).map(|(_, row)| row.clone()).collect()
    };
    (0..FOLDS).map(|fold| logistic::fit(&others(fold))).collect()
}

/// Weights with how far they go apart between fits; a fit in which nothing tells has none.
fn ranges(whole: Vec<f64>, fits: &[logistic::Fitted]) -> Vec<Weight> {
    let parts: Vec<Vec<f64>> = fits.iter().filter_map(|fitted| weights(&fitted.slopes)).collect();
    let ranged = whole.into_iter().enumerate().map(|(dataset, value)| {
        let of_parts = || parts.iter().map(|part| part[dataset]);
        let (low, high) = (of_parts().fold(value, f64::min), of_parts().fold(value, f64::max));
        Weight { value, low, high, learnt: true }
    });
    ranged.collect()
}
