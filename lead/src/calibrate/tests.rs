//! Known answers of the statistics, and weights from outcomes whose truth is planted.

use proptest::prelude::*;

use super::{
    judge::{Lift, Proportion, ratio_interval},
    *,
};
use crate::{
    event::{Evidence, Outcome, What},
    lead::{Lead, tests as life},
};

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
        judged(strengths, chance.next() < 1.0 / (1.0 + (-linear).exp()))
    });
    outcomes.collect()
}

/// A lead that was raised under weights of 1.
fn judged(strengths: Vec<f64>, positive: bool) -> Judged {
    Judged { score: quality_of_evidence(&vec![1.0; strengths.len()], &strengths), strengths, positive }
}

fn quality_of_evidence(weights: &[f64], strengths: &[f64]) -> f64 {
    let squares = weights.iter().zip(strengths).map(|(weight, strength)| (weight * strength).powi(2));
    squares.sum::<f64>().sqrt()
}

fn values(proposal: &Proposal) -> Vec<f64> {
    proposal.weights.iter().map(|weight| weight.value).collect()
}

fn close(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

#[test]
fn planted_weights_are_found_and_keep_the_meaning_of_a_score() {
    // Slopes 4, 1 and 0 are weights in the proportion 2 : 1 : 0 with squares that add up to 3.
    let outcomes = planted(7, 20_000, -2.0, &[4.0, 1.0, 0.0]);
    let proposal = propose(&outcomes, 3).unwrap();
    let weights = values(&proposal);
    let expected = [(3.0_f64 * 4.0 / 5.0).sqrt(), (3.0_f64 / 5.0).sqrt(), 0.0];
    for (weight, expected) in proposal.weights.iter().zip(expected) {
        assert!(close(weight.value, expected, 0.2), "{:?}", proposal.weights);
        assert!(weight.low <= weight.value && weight.value <= weight.high && weight.high - weight.low < 0.4);
    }
    assert!(close(weights.iter().map(|weight| weight * weight).sum(), 3.0, 1e-9));
    let whole = quality_of_evidence(&weights, &[1.0; 3]);
    assert!(close(whole, 3.0_f64.sqrt(), 1e-9), "three data sets at full strength give what they gave");
    assert!(proposal.proposed.concordance > proposal.present.concordance + 0.01, "{proposal:?}");
    assert!(proposal.proposed.lift.ratio > proposal.present.lift.ratio, "{proposal:?}");
    for group in &proposal.calibration {
        let (low, high) = (group.observed.low - 0.01, group.observed.high + 0.01);
        assert!((low..=high).contains(&group.expected), "{group:?}");
    }
}

#[test]
fn few_outcomes_leave_weights_near_one() {
    let outcomes = planted(3, 90, -1.0, &[2.0, 2.0]);
    let proposal = propose(&outcomes, 2).unwrap();
    assert!(values(&proposal).iter().all(|weight| close(*weight, 1.0, 0.35)), "{:?}", proposal.weights);
}

#[test]
fn too_few_outcomes_are_refused_with_how_many_it_takes() {
    let some = |positive: usize, negative: usize, datasets: usize| -> Vec<Judged> {
        let strengths = |number: usize| vec![(number % 2) as f64; datasets];
        (0..positive + negative).map(|number| judged(strengths(number), number < positive)).collect()
    };
    let refused = propose(&some(19, 200, 2), 2).unwrap_err();
    assert_eq!(refused, NoProposal::TooFew { needed: 20, positive: 19, negative: 200 });
    assert_eq!(refused.reason(), "too_few_outcomes");
    assert!(refused.to_string().ends_with("It takes outcomes of 1 more that were right."), "{refused}");
    let refused = propose(&some(30, 49, 5), 5).unwrap_err().to_string();
    assert!(refused.ends_with("outcomes of 20 more that were right and 1 more that were wrong."), "{refused}");
    // Nobody has looked into any lead yet, so nothing is known of data sets.
    assert_eq!(propose(&[], 0), Err(NoProposal::TooFew { needed: 20, positive: 0, negative: 0 }));
    assert_eq!(propose(&[], DATASETS_MAX + 1), Err(NoProposal::TooManyDatasets(33)));
    for (strengths, score) in [(vec![0.5], 1.0), (vec![1.5, 0.0], 1.0), (vec![0.0; 2], f64::NAN)] {
        assert_eq!(propose(&[Judged { strengths, score, positive: true }], 2), Err(NoProposal::Unfit));
    }
}

/// Outcomes, right and wrong, for which rounding decides whether the slope of evidence that is 0.8 in every
/// lead is above 0.
const ROUNDING: [(usize, usize); 2] = [(30, 41), (25, 30)];

/// Leads with these columns beside one that tells; a lead that was right has more of it than most others.
fn beside_one_that_tells((right, wrong): (usize, usize), constant: &[f64]) -> Vec<Judged> {
    let outcomes = (0..right + wrong).map(|number| {
        let tells = (number % 7) as f64 / 10.0 + if number < right { 0.3 } else { 0.0 };
        judged([constant, &[tells]].concat(), number < right)
    });
    outcomes.collect()
}

#[test]
fn of_evidence_that_is_always_the_same_nothing_is_learnt() {
    for counts in ROUNDING {
        for constant in [0.8, 1.0, 0.0] {
            let proposal = propose(&beside_one_that_tells(counts, &[constant]), 2).unwrap();
            assert_eq!(proposal.weights[0], Weight { value: 1.0, low: 1.0, high: 1.0, learnt: false }, "{constant}");
            assert!(proposal.weights[1].learnt && close(proposal.weights[1].value, 1.0, 1e-9), "{proposal:?}");
            assert!(proposal.proposed.concordance > 0.8, "{proposal:?}");
        }
    }
}

#[test]
fn what_is_learnt_is_the_same_without_evidence_that_is_always_the_same() {
    // The outcomes of 20 are enough for the two that differ, whatever is the same beside them.
    let outcomes = planted(11, 60, -1.8, &[4.0, 1.0]);
    let right = outcomes.iter().filter(|judged| judged.positive).count();
    assert!((20..30).contains(&right) && (20..=40).contains(&(outcomes.len() - right)), "{right}");
    let alone = propose(&outcomes, 2).unwrap();
    let among = outcomes
        .iter()
        .map(|lead| Judged { strengths: vec![1.0, lead.strengths[0], 0.0, lead.strengths[1], 0.8], ..lead.clone() });
    let among = propose(&among.collect::<Vec<_>>(), 5).unwrap();
    assert_eq!(among.weights.iter().map(|weight| weight.learnt).collect::<Vec<_>>(), [false, true, false, true, false]);
    assert_eq!([among.weights[1], among.weights[3]], [alone.weights[0], alone.weights[1]]);
    assert!(close(values(&among).iter().map(|weight| weight * weight).sum(), 5.0, 1e-9), "QE keeps its meaning");
    assert_eq!((&among.proposed, &among.calibration), (&alone.proposed, &alone.calibration));
}

#[test]
fn where_nothing_differs_or_tells_there_is_no_proposal() {
    for (right, wrong) in ROUNDING {
        for constant in [vec![0.8], vec![0.0], vec![1.0, 0.8, 0.0], vec![]] {
            let outcomes: Vec<Judged> =
                (0..right + wrong).map(|number| judged(constant.clone(), number < right)).collect();
            assert_eq!(propose(&outcomes, constant.len()), Err(NoProposal::NothingTells), "{constant:?}");
        }
        // Twice as many, with either strength equally often right: the slope is 0 but for rounding.
        let outcomes: Vec<Judged> = (0..2 * (right + wrong))
            .map(|number| judged(vec![if number % 2 == 0 { 0.8 } else { 0.0 }], number < 2 * right))
            .collect();
        assert_eq!(propose(&outcomes, 1), Err(NoProposal::NothingTells), "{right} and {wrong}");
    }
}

#[test]
fn evidence_that_speaks_against_gets_no_weight() {
    let outcomes = planted(5, 2_000, 0.0, &[2.0, -3.0]);
    let proposal = propose(&outcomes, 2).unwrap();
    assert_eq!(proposal.weights[1], Weight { value: 0.0, low: 0.0, high: 0.0, learnt: true });
    assert!(close(proposal.weights[0].value, 2.0_f64.sqrt(), 1e-9));
    let against = planted(5, 2_000, 1.0, &[-2.0, -3.0]);
    assert_eq!(propose(&against, 2), Err(NoProposal::NothingTells));
}

#[test]
fn evidence_that_parts_right_from_wrong_has_an_end() {
    let outcomes: Vec<Judged> = (0..100).map(|number| judged(vec![f64::from(number) / 99.0], number >= 50)).collect();
    let proposal = propose(&outcomes, 1).unwrap();
    assert_eq!((proposal.weights[0].value, proposal.present.concordance), (1.0, 1.0));
    assert_eq!((proposal.present.lift.ratio, proposal.present.precision[2].right), (2.0, 50));
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

/// Heart attacks under placebo and aspirin in the Physicians' Health Study: 1.43 to 2.31 (Agresti, An
/// Introduction to Categorical Data Analysis, 2.2.3).
#[test]
fn the_interval_of_a_ratio_is_known() {
    let (low, high) = ratio_interval((189, 11_034), (104, 11_037));
    assert!(close(low, 1.4330, 1e-4) && close(high, 2.3059, 1e-4), "{low} {high}");
}

#[test]
fn a_lift_has_the_interval_of_head_and_rest() {
    // 8 of 10 against 20 of 90 is a ratio of 3.6, 2.194 to 5.908 by hand; of all, 28 of 100 were right.
    let lift = Lift::new((8, 10), (20, 90));
    assert!(close(lift.ratio, 0.8 / 0.28, 1e-12) && lift.of == 10, "{lift:?}");
    assert!(close(lift.low, 2.19357 / (0.219357 + 0.9), 1e-3), "{lift:?}");
    assert!(close(lift.high, 5.90819 / (0.590819 + 0.9), 1e-3), "{lift:?}");
    // Nothing right at the head, and nothing in the rest: the interval holds the ratio and has an end.
    let none = Lift::new((0, 10), (20, 90));
    assert!((none.ratio, none.low) == (0.0, 0.0) && none.high > 0.5 && none.high < 10.0, "{none:?}");
    let all = Lift::new((10, 10), (0, 90));
    assert!(close(all.ratio, 10.0, 1e-12) && all.high == all.ratio && all.low > 1.0, "{all:?}");
}

/// A lead with this outcome at `at_ms`, pursued by ana.
fn concluded(at_ms: i64, evidence: &[(&str, u32)], outcome: Outcome) -> Lead {
    let ana = life::by("ana", "analyst");
    let mut lead = life::raised(0);
    lead.sighting.evidence = evidence
        .iter()
        .map(|(dataset, strength_thousandths)| Evidence {
            dataset: (*dataset).to_owned(),
            strength_thousandths: *strength_thousandths,
            newest_day: 7,
        })
        .collect();
    let concluded = What::Concluded { outcome, note: String::new() };
    let lead = lead.after(life::event(1, &ana, What::Assigned { to: "ana".to_owned() })).unwrap();
    lead.after(life::event(2, &ana, What::Pursued)).unwrap().after(life::event(at_ms, &ana, concluded)).unwrap()
}

#[test]
fn leads_teach_by_what_was_found_and_without_their_subjects() {
    let right = concluded(9, &[("cbp.a", 400), ("hsi.b", 900), ("cbp.a", 700)], Outcome::Arrest { people: 1 });
    let wrong = concluded(5, &[("hsi.b", 2_000)], Outcome::NoFinding);
    let ruled = concluded(7, &[], Outcome::FalseMatch { until_ms: 1_000 });
    let referred = concluded(4, &[], Outcome::Referred { to: "dea".to_owned() });
    let ana = life::by("ana", "analyst");
    let reopened = right.after(life::event(20, &ana, What::Reopened { reason: "r".to_owned() })).unwrap();
    let cleared = What::ExceptionConfirmed { exception: "diverted".to_owned(), note: "n".to_owned() };
    let cleared = life::raised(0).after(life::event(1, &life::by("com", "commander"), cleared)).unwrap();
    let sample = Sample::of([&right, &wrong, &ruled, &referred, &reopened, &cleared].map(Lesson::of));
    assert_eq!(sample.datasets, ["cbp.a", "hsi.b"], "of what is not judged there is nothing to learn");
    let told: Vec<_> = sample.judged.iter().map(|judged| (judged.strengths.clone(), judged.positive)).collect();
    let expected = [(vec![0.0, 1.0], false), (vec![0.0; 2], false), (vec![0.7, 0.9], true)];
    assert_eq!(told, expected, "in the order of their outcomes, the strongest piece of each data set");
    assert_eq!((sample.positive(), sample.open, sample.untold), (1, 1, 2));
    assert_eq!(sample.causes, [("watch w".to_owned(), 6)].into());
    assert!(close(sample.judged[0].score.powi(2), 2.0, 1e-5));
    assert!(!format!("{sample:?}").contains("ABC123"));
}

#[test]
fn a_ranking_is_judged_by_hand() {
    // Best first: right, wrong, then a tie of right and wrong.
    let judgement = judge::judge([(0.5, true), (0.9, true), (0.7, false), (0.5, false)].into_iter());
    // Pairs: the first beats both wrong ones, the tied one loses one and halves one.
    assert!(close(judgement.concordance, 2.5 / 4.0, 1e-12));
    assert_eq!((judgement.base.right, judgement.base.of, judgement.lift.ratio), (2, 4, 2.0));
    assert!(judgement.precision.is_empty());
    let ties = judge::judge((0..20).map(|number| (1.0, number % 2 == 0)));
    assert_eq!((ties.precision[0].right, ties.concordance), (0, 0.5), "ties flatter nobody");
}

proptest! {
    /// At the fit no direction that is allowed makes the loss smaller.
    #[test]
    fn a_fit_is_where_the_loss_is_least(seed: u64, slopes in proptest::collection::vec(-3.0_f64..5.0, 1..5)) {
        let all: Vec<usize> = (0..slopes.len()).collect();
        let rows: Vec<logistic::Row> =
            planted(seed, 300, -0.5, &slopes).iter().map(|judged| logistic::Row::of(judged, &all)).collect();
        let fitted = logistic::fit(&rows);
        let kept: Vec<usize> = (0..slopes.len()).filter(|place| fitted.slopes[*place] > 0.0).collect();
        let at: Vec<f64> =
            std::iter::once(fitted.intercept).chain(kept.iter().map(|place| fitted.slopes[*place])).collect();
        let (gradient, _) = logistic::derivatives(&rows, &kept, &at);
        prop_assert!(gradient.iter().all(|slope| slope.abs() < 1e-3), "{gradient:?}");
        prop_assert!(fitted.slopes.iter().all(|slope| slope.is_finite() && *slope >= 0.0));
    }
}
