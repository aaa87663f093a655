use proptest::prelude::*;
use sallyport_trust::question::Trait;

use super::*;
use crate::holdings::NEVER;

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

fn measured(all: &[(u32, u32, i64, u32)], measure: &Measure, periods: &Periods) -> Behaviour {
    behaviour(events(all), measure, periods).1
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
    let found = measured(&all, &NOVELTY, &PERIODS);
    assert_eq!(found.of_events[90], 0, "called thirty times before");
    assert_eq!(found.of_events[91], 947, "90/95");
    assert!(found.of_events[..90].iter().all(|&strength| strength == 0));
    assert_eq!(strength_of(&found, 1), Some(947));
}

#[test]
fn a_subject_without_history_is_not_novel() {
    let found = measured(&[(1, 99, 102, 0), (2, 50, 20, 0), (2, 99, 102, 0)], &NOVELTY, &PERIODS);
    assert_eq!((strength_of(&found, 1), strength_of(&found, 2)), (Some(0), Some(167)));
}

#[test]
fn a_contact_is_less_new_with_every_time_it_was_seen() {
    let mut all = steady(1);
    all.extend([(1, 60, 90, 7), (1, 61, 90, 7), (1, 61, 91, 7), (1, 60, 101, 7), (1, 61, 101, 7), (1, 62, 101, 7)]);
    let found = measured(&all, &NOVELTY, &PERIODS);
    // 93/98, halved for each time before; one subject takes them up in ten baselines: 5/5.1.
    assert_eq!(found.of_events[93..], [465, 233, 949]);
}

#[test]
fn a_contact_that_many_take_up_one_day_or_other_is_no_news() {
    let mut all: Vec<_> = (10..110).map(|subject| (subject, 77, 20 + i64::from(subject) % 50, 7)).collect();
    all.extend(steady(1));
    all.extend([(1, 77, 101, 7), (1, 99, 102, 7)]);
    let found = measured(&all, &NOVELTY, &PERIODS);
    let [everybody_calls, nobody_calls] = found.of_events[90..92] else { panic!("two events") };
    assert_eq!(nobody_calls, 947);
    assert_eq!(everybody_calls, 316, "a hundred in a hundred days are ten in ten days: 5/15");
}

#[test]
fn whom_the_events_do_not_name_is_nobody_new() {
    let nameless: Vec<_> =
        steady(1).into_iter().map(|(subject, _, day, value)| (subject, NOBODY, day + 20, value)).collect();
    let found = measured(&nameless, &NOVELTY, &PERIODS);
    assert_eq!(strength_of(&found, 1), Some(0));
    let unasked = Events { contacts: Vec::new(), ..events(&nameless) };
    let (unasked, found) = behaviour(unasked, &NOVELTY, &PERIODS);
    assert_eq!((unasked.len(), found.of_events.len(), strength_of(&found, 1)), (90, 90, Some(0)));
}

#[test]
fn events_keep_what_belongs_to_them_whatever_order_they_come_in() {
    let mut dice = 7u64;
    let mut all: Vec<(u32, u32, i64, u32)> = Vec::new();
    for _ in 0..2_000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (subject, day) = ((dice >> 40) as u32 % 50, (dice >> 33) as i64 % 110);
        all.push((subject, subject * 1_000 + day as u32, day, day as u32 % 7));
    }
    let mut given = events(&all);
    given.moments_ms[3] = NEVER;
    let (grouped, found) = behaviour(given, &NOVELTY, &PERIODS);
    assert!(grouped.subjects.is_sorted());
    for event in (0..grouped.len()).filter(|&event| grouped.moments_ms[event] != NEVER) {
        let (subject, day) = (grouped.subjects[event], grouped.moments_ms[event] / DAY_MS);
        assert_eq!(grouped.contacts[event], subject * 1_000 + day as u32);
        assert_eq!(grouped.values[event], day as u32 % 7);
        assert!(day >= 100 || found.of_events[event] == 0);
    }
    let mut returned: Vec<i64> = grouped.moments_ms.iter().map(|moment| moment / DAY_MS).collect();
    let mut sent: Vec<i64> = all.iter().map(|event| event.2).collect();
    sent[3] = NEVER / DAY_MS;
    returned.sort_unstable();
    sent.sort_unstable();
    assert_eq!(returned, sent);
}

#[test]
fn an_unusual_hour_is_rare_for_the_subject_and_by_the_population_where_history_is_short() {
    let measure = Measure::Rarity { of: Trait::Hour, baseline_days: 100 };
    let mut all = steady(1);
    all.extend([(1, 51, 101, 7), (1, 51, 102, 3), (2, 51, 101, 7), (2, 51, 102, 3)]);
    let found = measured(&all, &measure, &PERIODS);
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
    let (burst, silence) = (measured(&all, &BURST, &PERIODS), measured(&all, &SILENCE, &PERIODS));
    assert!(strength_of(&burst, 1) > Some(990));
    assert!(strength_of(&burst, 2) < Some(200) && strength_of(&silence, 2) < Some(200));
    assert_eq!(strength_of(&burst, 3), None, "no event and no evidence");
    assert!(strength_of(&silence, 3) > Some(990));
    assert_eq!(strength_of(&silence, 1), Some(0));
}

#[test]
fn time_that_was_not_recorded_is_not_silence() {
    let unrecorded = Periods { window_recorded_ms: 0, ..PERIODS };
    let all = steady(3);
    assert_eq!(strength_of(&measured(&all, &SILENCE, &unrecorded), 3), None);
    let hour = Periods { window_recorded_ms: DAY_MS / 24, ..PERIODS };
    assert_eq!(strength_of(&measured(&all, &SILENCE, &hour), 3), None, "an hour without a daily call is usual");
}

#[test]
fn even_times_are_regular_and_a_few_are_not_enough() {
    let even: Vec<_> = (0..9).map(|n| (1, 0, 100 + n, 0)).collect();
    let uneven: Vec<_> = [100, 100, 101, 101, 107, 108, 108, 108, 109].map(|day| (2, 0, day, 0)).to_vec();
    let few: Vec<_> = (0..3).map(|n| (3, 0, 100 + n, 0)).collect();
    let found = measured(&[even, uneven, few].concat(), &Measure::Regularity, &PERIODS);
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
            let found = measured(&all, &measure, &periods);
            prop_assert!(found.of_events.iter().all(|&strength| strength <= 1_000));
            prop_assert!(found.of_subjects.iter().all(|behaving| behaving.strength <= 1_000));
            prop_assert!(found.of_subjects.is_sorted_by_key(|behaving| behaving.subject));
        }
    }
}
