//! Logistic regression with slopes that are drawn towards each other and never negative, by Newton's
//! method (iteratively reweighted least squares; McCullagh and Nelder, Generalized Linear Models, 1989).
//!
//! Of a few dozen unknowns the matrices are small, and libraries for this bring linear algebra for
//! thousands with them.

use super::Judged;

/// How strongly slopes are drawn towards their mean: as much as so many outcomes would.
const TOGETHER: f64 = 2.0;
/// How strongly towards zero: enough that evidence which parts right from wrong perfectly has an end.
const TO_ZERO: f64 = 0.01;
const STEPS_MAX: usize = 100;
const CLOSE: f64 = 1e-10;

/// `e²` of each data set to learn of, and the outcome.
#[derive(Debug, Clone)]
pub(super) struct Row {
    squares: Vec<f64>,
    positive: f64,
}

impl Row {
    pub(super) fn of(judged: &Judged, datasets: &[usize]) -> Self {
        let squares = datasets.iter().map(|&dataset| judged.strengths[dataset].powi(2)).collect();
        Self { squares, positive: f64::from(u8::from(judged.positive)) }
    }
}

/// A fitted model.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) intercept: f64,
    /// One for each data set, none negative.
    pub(super) slopes: Vec<f64>,
}

impl Fitted {
    pub(super) fn probability(&self, row: &Row) -> f64 {
        let evidence: f64 = self.slopes.iter().zip(&row.squares).map(|(slope, square)| slope * square).sum();
        1.0 / (1.0 + (-self.intercept - evidence).exp())
    }
}

/// Fits; a data set whose slope comes out negative is left out and the others are fitted again.
pub(super) fn fit(rows: &[Row]) -> Fitted {
    let datasets = rows.first().map_or(0, |row| row.squares.len());
    let mut kept: Vec<usize> = (0..datasets).collect();
    loop {
        let solved = newton(rows, &kept);
        let worst = kept.iter().zip(&solved[1..]).min_by(|a, b| a.1.total_cmp(b.1));
        match worst {
            Some((&dataset, slope)) if *slope < 0.0 => kept.retain(|other| *other != dataset),
            _ => {
                let mut slopes = vec![0.0; datasets];
                kept.iter().zip(&solved[1..]).for_each(|(&dataset, slope)| slopes[dataset] = *slope);
                return Fitted { intercept: solved[0], slopes };
            }
        }
    }
}

/// The intercept and the slopes of the data sets that are kept. A step that makes things worse is halved.
fn newton(rows: &[Row], kept: &[usize]) -> Vec<f64> {
    let mut at = vec![0.0; kept.len() + 1];
    let mut loss = penalised_loss(rows, kept, &at);
    for _ in 0..STEPS_MAX {
        let (gradient, hessian) = derivatives(rows, kept, &at);
        let Some(step) = solve(hessian, gradient) else { break };
        let mut share = 1.0;
        let (next, next_loss) = loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(value, step)| value - share * step).collect();
            let next_loss = penalised_loss(rows, kept, &next);
            if next_loss <= loss || share < CLOSE {
                break (next, next_loss);
            }
            share /= 2.0;
        };
        let gained = loss - next_loss;
        (at, loss) = (next, next_loss);
        if gained.abs() < CLOSE * (1.0 + loss.abs()) {
            break;
        }
    }
    at
}

fn linear(row: &Row, kept: &[usize], at: &[f64]) -> f64 {
    at[0] + kept.iter().zip(&at[1..]).map(|(&dataset, slope)| slope * row.squares[dataset]).sum::<f64>()
}

/// Negative log-likelihood and penalty.
fn penalised_loss(rows: &[Row], kept: &[usize], at: &[f64]) -> f64 {
    let loss = rows.iter().map(|row| {
        let linear = linear(row, kept, at);
        // ln(1 + exp(x)) without overflow.
        linear.max(0.0) + (-linear.abs()).exp().ln_1p() - row.positive * linear
    });
    let slopes = &at[1..];
    let mean = slopes.iter().sum::<f64>() / slopes.len().max(1) as f64;
    let apart: f64 = slopes.iter().map(|slope| (slope - mean).powi(2)).sum();
    let size: f64 = slopes.iter().map(|slope| slope * slope).sum();
    loss.sum::<f64>() + (TOGETHER * apart + TO_ZERO * size) / 2.0
}

/// First and second derivatives of [`penalised_loss`].
pub(super) fn derivatives(rows: &[Row], kept: &[usize], at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let unknowns = at.len();
    let (mut gradient, mut hessian) = (vec![0.0; unknowns], vec![vec![0.0; unknowns]; unknowns]);
    for row in rows {
        let probability = 1.0 / (1.0 + (-linear(row, kept, at)).exp());
        let curvature = probability * (1.0 - probability);
        let values: Vec<f64> = std::iter::once(1.0).chain(kept.iter().map(|&dataset| row.squares[dataset])).collect();
        for (i, value) in values.iter().enumerate() {
            gradient[i] += (probability - row.positive) * value;
            values.iter().enumerate().for_each(|(j, other)| hessian[i][j] += curvature * value * other);
        }
    }
    let slopes = &at[1..];
    let count = slopes.len().max(1) as f64;
    let mean = slopes.iter().sum::<f64>() / count;
    for (i, slope) in slopes.iter().enumerate() {
        gradient[i + 1] += TOGETHER * (slope - mean) + TO_ZERO * slope;
        hessian[i + 1][i + 1] += TOGETHER + TO_ZERO;
        (0..slopes.len()).for_each(|j| hessian[i + 1][j + 1] -= TOGETHER / count);
    }
    (gradient, hessian)
}

/// Solves `matrix · x = right` by elimination with pivots; none when the matrix has no inverse.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let unknowns = right.len();
    for column in 0..unknowns {
        let pivot = (column..unknowns).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (pivot_row, pivot_right) = (matrix[column].clone(), right[column]);
        for row in column + 1..unknowns {
            let factor = matrix[row][column] / pivot_row[column];
            matrix[row].iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
            right[row] -= factor * pivot_right;
        }
    }
    for column in (0..unknowns).rev() {
        let known: f64 = (column + 1..unknowns).map(|later| matrix[column][later] * right[later]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    Some(right)
}
