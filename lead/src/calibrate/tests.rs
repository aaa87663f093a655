//! Known answers of the statistics, and weights from outcomes whose truth is planted.

use proptest::prelude::*;

use super::{judge::Proportion, *};

/// Numbers between 0 and 1 that are the same every time (Knuth's MMIX generator).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Outcomes that come true with the probability that these slopes of `e²` give.
fn planted(seed: u64, count: usize, intercept: f64, slopes: &[f64]) -> Vec<Judged> {
    let mut chance = Chance(seed);
    let outcomes = (0..count).map(|_| {
        let strengths: Vec<f64> = slopes.iter().map(|_| chance.next()).collect();
        let linear: f64 = intercept + slopes.iter().zip(&strengths).map(|(s, e)| s * e * e).sum::<f64>();
        Judged { positive: chance.next() < 1.0 / (1.0 + (-linear).exp()), strengths }
    });
    outcomes.collect()
}

fn close(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

#[test]
fn planted_weights_are_found_and_keep_the_meaning_of_a_score() {
    // Slopes 4, 1 and 0 are weights in the proportion 2 : 1 : 0 with squares that add up to 3.
    let outcomes = planted(7, 20_000, -2.0, &[4.0, 1.0, 0.0]);
    let proposal = propose(&outcomes, &[1.0; 3]).unwrap();
    let expected = [(3.0_f64 * 4.0 / 5.0).sqrt(), (3.0_f64 / 5.0).sqrt(), 0.0];
    for (weight, expected) in proposal.weights.iter().zip(expected) {
        assert!(close(*weight, expected, 0.2), "{:?}", proposal.weights);
    }
    assert!(close(proposal.weights.iter().map(|weight| weight * weight).sum(), 3.0, 1e-9));
    let whole = quality_of_evidence(&proposal.weights, &[1.0; 3]);
    assert!(close(whole, 3.0_f64.sqrt(), 1e-9), "three data sets at full strength give what they gave");
    assert!(proposal.proposed.concordance > proposal.present.concordance + 0.01, "{proposal:?}");
    assert!(proposal.proposed.lift > proposal.present.lift, "{proposal:?}");
    for group in &proposal.calibration {
        let (low, high) = (group.observed.low - 0.01, group.observed.high + 0.01);
        assert!((low..=high).contains(&group.expected), "{group:?}");
    }
}

#[test]
fn few_outcomes_leave_weights_near_one() {
    let outcomes = planted(3, 90, -1.0, &[2.0, 2.0]);
    let proposal = propose(&outcomes, &[1.0; 2]).unwrap();
    assert!(proposal.weights.iter().all(|weight| close(*weight, 1.0, 0.35)), "{:?}", proposal.weights);
}

#[test]
fn too_few_outcomes_are_refused_with_how_many_it_takes() {
    let some = |positive: usize, negative: usize, datasets: usize| -> Vec<Judged> {
        (0..positive + negative)
            .map(|number| Judged { strengths: vec![0.5; datasets], positive: number < positive })
            .collect()
    };
    let refused = propose(&some(19, 200, 2), &[1.0; 2]).unwrap_err();
    assert_eq!(refused, NoProposal::TooFew { datasets: 2, needed: 20, positive: 19, negative: 200 });
    assert_eq!(refused.reason(), "too_few_outcomes");
    assert!(refused.to_string().contains("at least 20 leads that were right"), "{refused}");
    assert_eq!(propose(&some(200, 49, 5), &[1.0; 5]).unwrap_err().reason(), "too_few_outcomes");
    assert_eq!(propose(&[], &[1.0]).unwrap_err().reason(), "too_few_outcomes");
    for (strengths, present) in [(vec![0.5], vec![1.0; 2]), (vec![1.5], vec![1.0]), (vec![f64::NAN], vec![1.0])] {
        assert_eq!(propose(&[Judged { strengths, positive: true }], &present), Err(NoProposal::Unfit));
    }
    assert_eq!(propose(&[], &[]), Err(NoProposal::Unfit));
}

#[test]
fn evidence_that_speaks_against_gets_no_weight() {
    let outcomes = planted(5, 2_000, 0.0, &[2.0, -3.0]);
    let proposal = propose(&outcomes, &[1.0; 2]).unwrap();
    assert_eq!(proposal.weights[1], 0.0);
    assert!(close(proposal.weights[0], 2.0_f64.sqrt(), 1e-9));
    let against = planted(5, 2_000, 1.0, &[-2.0, -3.0]);
    assert_eq!(propose(&against, &[1.0; 2]), Err(NoProposal::NothingTells));
}

#[test]
fn evidence_that_parts_right_from_wrong_has_an_end() {
    let outcomes: Vec<Judged> =
        (0..100).map(|number| Judged { strengths: vec![f64::from(number) / 99.0], positive: number >= 50 }).collect();
    let proposal = propose(&outcomes, &[1.0]).unwrap();
    assert_eq!((proposal.weights[0], proposal.present.concordance), (1.0, 1.0));
    assert_eq!((proposal.present.lift, proposal.present.precision[2].right), (2.0, 50));
    assert!(proposal.calibration.iter().all(|group| group.expected.is_finite()));
}

/// Values as the formula gives them by hand.
#[test]
fn wilson_intervals_are_known() {
    for (right, of, low, high) in [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)] {
        let told = Proportion::new(right, of);
        assert!(close(told.low, low, 5e-5) && close(told.high, high, 5e-5), "{told:?}");
    }
}

#[test]
fn a_ranking_is_judged_by_hand() {
    // Best first: right, wrong, then a tie of right and wrong.
    let judgement = judge::judge([(0.5, true), (0.9, true), (0.7, false), (0.5, false)].into_iter());
    // Pairs: the first beats both wrong ones, the tied one loses one and halves one.
    assert!(close(judgement.concordance, 2.5 / 4.0, 1e-12));
    assert_eq!((judgement.base.right, judgement.base.of, judgement.lift), (2, 4, 2.0));
    assert!(judgement.precision.is_empty());
    let ties = judge::judge((0..20).map(|number| (1.0, number % 2 == 0)));
    assert_eq!((ties.precision[0].right, ties.concordance), (0, 0.5), "ties flatter nobody");
}

proptest! {
    /// At the fit no direction that is allowed makes the loss smaller.
    #[test]
    fn a_fit_is_where_the_loss_is_least(seed: u64, slopes in proptest::collection::vec(-3.0_f64..5.0, 1..5)) {
        let rows: Vec<logistic::Row> = planted(seed, 300, -0.5, &slopes).iter().map(logistic::Row::of).collect();
        let fitted = logistic::fit(&rows);
        let kept: Vec<usize> = (0..slopes.len()).filter(|place| fitted.slopes[*place] > 0.0).collect();
        let at: Vec<f64> =
            std::iter::once(fitted.intercept).chain(kept.iter().map(|place| fitted.slopes[*place])).collect();
        let (gradient, _) = logistic::derivatives(&rows, &kept, &at);
        prop_assert!(gradient.iter().all(|slope| slope.abs() < 1e-3), "{gradient:?}");
        prop_assert!(fitted.slopes.iter().all(|slope| slope.is_finite() && *slope >= 0.0));
    }
}
