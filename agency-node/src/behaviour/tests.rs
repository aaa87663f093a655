use proptest::prelude::*;
use sallyport_trust::question::Trait;

use super::*;

const DAY_MS: i64 = 86_400_000;
/// The baseline is the hundred days before, the window the ten days from here.
const FROM_MS: i64 = 100 * DAY_MS;
const PERIODS: Periods =
    Periods { window_from_ms: FROM_MS, baseline_recorded_ms: 100 * DAY_MS, window_recorded_ms: 10 * DAY_MS };
const NOVELTY: Measure = Measure::Novelty { baseline_days: 100 };
const BURST: Measure = Measure::Burst { baseline_days: 100 };
const SILENCE: Measure = Measure::Silence { baseline_days: 100 };

/// Subject, contact, day, value.
fn events(of: &[(u32, u32, i64, u32)]) -> Events {
    Events {
        subjects: of.iter().map(|event| event.0).collect(),
        contacts: of.iter().map(|event| event.1).collect(),
        moments_ms: of.iter().map(|event| event.2 * DAY_MS).collect(),
        values: of.iter().map(|event| event.3).collect(),
    }
}

fn strength_of(behaviour: &Behaviour, subject: u32) -> Option<u16> {
    behaviour.of_subjects.iter().find(|behaving| behaving.subject == subject).map(|behaving| behaving.strength)
}

/// A call on each of the first ninety days to one of three contacts.
fn steady(subject: u32) -> Vec<(u32, u32, i64, u32)> {
    (0..90).map(|day| (subject, 50 + (day % 3) as u32, day, 7)).collect()
}

#[test]
fn a_contact_outside_the_pattern_is_novel_and_the_usual_ones_are_not() {
    let mut all = steady(1);
    all.extend([(1, 51, 101, 7), (1, 99, 102, 7)]);
    let found = behaviour(&events(&all), &NOVELTY, &PERIODS);
    assert_eq!(found.of_events[90], 31, "90/95 of a known contact's 1/31");
    assert_eq!(found.of_events[91], 947);
    assert!(found.of_events[..90].iter().all(|&strength| strength == 0));
    assert_eq!(strength_of(&found, 1), Some(947));
}

#[test]
fn a_subject_without_history_is_not_novel() {
    let found = behaviour(&events(&[(1, 99, 102, 0), (2, 50, 20, 0), (2, 99, 102, 0)]), &NOVELTY, &PERIODS);
    assert_eq!((strength_of(&found, 1), strength_of(&found, 2)), (Some(0), Some(167)));
}

#[test]
fn an_unusual_hour_is_rare_for_the_subject_and_by_the_population_where_history_is_short() {
    let measure = Measure::Rarity { of: Trait::Hour, baseline_days: 100 };
    let mut all = steady(1);
    all.extend([(1, 51, 101, 7), (1, 51, 102, 3), (2, 51, 101, 7), (2, 51, 102, 3)]);
    let found = behaviour(&events(&all), &measure, &PERIODS);
    let [usual, odd, newcomer_usual, newcomer_odd] = found.of_events[90..] else { panic!("four events") };
    assert!(usual < 20 && odd > 500, "{usual} {odd}");
    assert!(newcomer_usual < 20 && newcomer_odd > newcomer_usual && newcomer_odd < odd, "{newcomer_odd} {odd}");
}

#[test]
fn more_than_the_own_rate_is_a_burst_and_less_is_silence() {
    let mut all = steady(1);
    all.extend(steady(2));
    all.extend(steady(3));
    all.extend((0..40).map(|n| (1, 50, 100 + n % 10, 0)));
    all.extend((0..9).map(|n| (2, 50, 100 + n, 0)));
    let (burst, silence) = (behaviour(&events(&all), &BURST, &PERIODS), behaviour(&events(&all), &SILENCE, &PERIODS));
    assert!(strength_of(&burst, 1) > Some(990));
    assert!(strength_of(&burst, 2) < Some(200) && strength_of(&silence, 2) < Some(200));
    assert_eq!(strength_of(&burst, 3), None, "no event and no evidence");
    assert!(strength_of(&silence, 3) > Some(990));
    assert_eq!(strength_of(&silence, 1), Some(0));
}

#[test]
fn time_that_was_not_recorded_is_not_silence() {
    let unrecorded = Periods { window_recorded_ms: 0, ..PERIODS };
    let all = events(&steady(3));
    assert_eq!(strength_of(&behaviour(&all, &SILENCE, &unrecorded), 3), None);
    let hour = Periods { window_recorded_ms: DAY_MS / 24, ..PERIODS };
    assert_eq!(strength_of(&behaviour(&all, &SILENCE, &hour), 3), None, "an hour without a daily call is usual");
}

#[test]
fn even_times_are_regular_and_a_few_are_not_enough() {
    let even: Vec<_> = (0..9).map(|n| (1, 0, 100 + n, 0)).collect();
    let uneven: Vec<_> = [100, 100, 101, 101, 107, 108, 108, 108, 109].map(|day| (2, 0, day, 0)).to_vec();
    let few: Vec<_> = (0..3).map(|n| (3, 0, 100 + n, 0)).collect();
    let found = behaviour(&events(&[even, uneven, few].concat()), &Measure::Regularity, &PERIODS);
    assert_eq!(strength_of(&found, 1), Some(615), "eight times: 8/13");
    assert!(strength_of(&found, 2) < Some(250));
    assert_eq!(strength_of(&found, 3), Some(0));
}

#[test]
fn the_prediction_is_a_distribution() {
    for (events, baseline, window) in [(0.0, 100.0, 10.0), (90.0, 100.0, 10.0), (5_000.0, 100.0, 100.0)] {
        let predicted = Predicted::new(events, baseline, window, 0.5);
        let mut before = 0.0;
        for n in 0..8_000 {
            let burst = predicted.burst(n);
            assert!((0.0..=1.0).contains(&burst) && burst >= before - 2e-3, "{events} {n}");
            before = burst;
        }
        assert!(before > 0.99);
        assert!(predicted.silence(7_999) == 0.0);
    }
}

proptest! {
    #[test]
    fn evidence_is_in_range_whatever_happens(
        all in prop::collection::vec((0u32..20, 0u32..20, -5i64..120, 0u32..24), 0..200),
        recorded in 0i64..200,
    ) {
        let periods = Periods { window_recorded_ms: recorded * DAY_MS, ..PERIODS };
        for measure in [NOVELTY, BURST, SILENCE, Measure::Regularity, Measure::Rarity { of: Trait::Hour, baseline_days: 1 }] {
            let found = behaviour(&events(&all), &measure, &periods);
            prop_assert!(found.of_events.iter().all(|&strength| strength <= 1_000));
            prop_assert!(found.of_subjects.iter().all(|behaving| behaving.strength <= 1_000));
            prop_assert!(found.of_subjects.is_sorted_by_key(|behaving| behaving.subject));
        }
    }
}
