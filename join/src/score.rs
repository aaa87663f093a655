//! Quality of evidence: `QE = sqrt(Σ_d (w_d · e_d)²)` over the data sets that hold a subject.
//!
//! Two data sets at full strength and weight 1 give √2 ≈ 1.414; a weak trace in a third lifts the
//! score slightly. Sums are of whole numbers, so that every party and every machine agrees.

/// `(w·e)²` in (millionths)², for a weight and a strength in thousandths.
pub fn square(weight_thousandths: u32, strength_thousandths: u16) -> u64 {
    let weighted = u64::from(weight_thousandths) * u64::from(strength_thousandths);
    weighted * weighted
}

/// QE in millionths, from the sum of [`square`]s.
pub fn quality_of_evidence(sum_of_squares: u64) -> u32 {
    u32::try_from(sum_of_squares.isqrt()).unwrap_or(u32::MAX)
}

/// `value` in millionths rounded down to a multiple of `step_thousandths`; a step of 0 or 1 leaves
/// thousandths and finer alone.
pub fn round_down(value_millionths: u32, step_thousandths: u32) -> u32 {
    match step_thousandths.saturating_mul(1_000) {
        0 | 1_000 => value_millionths,
        step => value_millionths / step * step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_data_sets_at_full_strength_give_the_root_of_two() {
        assert_eq!(quality_of_evidence(2 * square(1_000, 1_000)), 1_414_213);
        assert_eq!(quality_of_evidence(square(1_000, 1_000)), 1_000_000);
        assert_eq!(quality_of_evidence(2 * square(1_000, 1_000) + square(1_000, 150)), 1_422_146);
    }

    #[test]
    fn the_largest_question_does_not_overflow() {
        assert_eq!(quality_of_evidence(17 * square(10_000, 1_000)), 41_231_056);
    }

    #[test]
    fn rounding_never_lifts() {
        assert_eq!(round_down(1_414_213, 1), 1_414_213);
        assert_eq!(round_down(1_414_213, 10), 1_410_000);
        assert_eq!(round_down(999, 10), 0);
    }
}
