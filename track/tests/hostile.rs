//! Whatever a device sends and whatever the clock says: nothing panics, every strength is in its range, every
//! event begins before it ends, the state stays small and survives being written down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use sallyport_track::{Corridors, Point, Seal, TrackEvent, Tracker};

const CORRIDOR: &str = include_str!("../../policies/corridors/laredo-detroit.geojson");
const START_MS: i64 = 1_780_272_000_000;

fn corridors() -> Corridors {
    Corridors::load([("laredo-detroit.geojson", CORRIDOR)]).unwrap()
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => (0_i64..200_000_000).prop_map(|offset| START_MS + offset),
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)],
    ]
}

fn any_point() -> impl Strategy<Value = Point> {
    let place = prop_oneof![
        8 => (27.0_f64..43.0, -100.0_f64..-82.0),
        4 => (27.4_f64..27.6, -99.6_f64..-99.4),
        2 => (42.2_f64..42.4, -83.2_f64..-83.0),
        1 => (any::<f64>(), any::<f64>()),
    ];
    let number = || prop::option::of(prop_oneof![4 => 0.0_f32..100.0, 1 => any::<f32>()]);
    let seal = prop::option::of(prop_oneof![Just(Seal::Intact), Just(Seal::Opened), Just(Seal::Broken)]);
    (any_time(), place, number(), number(), seal).prop_map(
        |(at_ms, (latitude, longitude), speed_mps, accuracy_m, seal)| Point {
            at_ms,
            latitude,
            longitude,
            speed_mps,
            accuracy_m,
            seal,
        },
    )
}

fn check(event: &TrackEvent) {
    assert!((0.0..=1.0).contains(&event.strength), "{event:#?}");
    assert!(event.away_m >= 0.0 && event.outside_s >= 0.0 && event.lasted_s >= 0.0, "{event:#?}");
    assert!(event.ended_ms.is_none_or(|ended_ms| ended_ms >= event.began_ms), "{event:#?}");
}

proptest! {
    #[test]
    fn nothing_that_is_sent_does_harm(
        steps in prop::collection::vec((any_point(), prop::option::of(any_time())), 1..300),
        sorted in any::<bool>(),
    ) {
        let corridors = corridors();
        let mut tracker = Tracker::new("truck");
        let mut steps = steps;
        if sorted {
            steps.sort_by_key(|(point, _)| point.at_ms);
        }
        for (point, now_ms) in steps {
            tracker.observe(&corridors, point).iter().for_each(check);
            if let Some(now_ms) = now_ms {
                tracker.tick(&corridors, now_ms).iter().for_each(check);
            }
            let state = serde_json::to_string(&tracker).unwrap();
            prop_assert!(state.len() < 100_000);
            tracker = serde_json::from_str(&state).unwrap();
        }
        // Corridors may be taken away at any time.
        tracker.tick(&Corridors::default(), START_MS).iter().for_each(check);
        prop_assert_eq!(tracker.joined().count(), 0);
    }

    #[test]
    fn no_text_that_is_read_as_a_corridor_does_harm(
        cut in 0_usize..CORRIDOR.len(), length in 0_usize..40, with in "[\\[\\]{}\",:0-9a-z.\\-]{0,12}",
    ) {
        let mut text = CORRIDOR.to_owned();
        text.replace_range(cut..(cut + length).min(CORRIDOR.len()), &with);
        if let Err(error) = sallyport_track::Corridor::parse(&text) {
            prop_assert!(!error.reason().is_empty() && !error.to_string().is_empty());
        }
    }
}
