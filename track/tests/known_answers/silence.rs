//! Trips that fall silent, stand, come late, or whose seal is opened, at times that were planted.

use sallyport_track::{Kind, Point, Seal, TrackEvent};

use super::{
    World,
    drive::{Drive, Halt, START_MS, last_words, reports, track},
    for_each,
    gps::Part,
    route::{HALF_WIDTH_M, STOP_ASIDE_M, STOPS_EVERY_M},
};

const HOUR_S: u64 = 3_600;

/// A trip from Laredo with halts, every minute, up to a distance along the route.
fn trip(world: &World, to_m: f64, halts: Vec<Halt>, seed: u64) -> Vec<Point> {
    let mut all = vec![Halt { along_m: 0.0, lasts_s: 1_200, right_m: 0.0, silent: false }];
    all.extend(halts);
    let aside_max_m = HALF_WIDTH_M / 2.0;
    let drive = Drive { route: &world.route, from_m: 0.0, to_m, mean_mps: 25.0, halts: all, aside_max_m, seed };
    reports(&drive.truth(60), &world.noise, seed)
}

fn only(events: Vec<TrackEvent>, kind: Kind) -> TrackEvent {
    let events = last_words(&events);
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [kind], "{events:#?}");
    events[0].clone()
}

fn near(one: i64, other: i64, seconds: u64) -> bool {
    one.abs_diff(other) <= seconds * 1_000
}

#[test]
fn darkness_is_found_when_it_was_planted() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    for_each(40, |seed| {
        let mut points = trip(&world, 300_000.0, vec![], seed);
        let from_ms = START_MS + (HOUR_S + seed * 100) as i64 * 1_000;
        let lasts_ms = 2_000_000 + seed as i64 * 60_000;
        points.retain(|point| point.at_ms <= from_ms || point.at_ms > from_ms + lasts_ms);
        // Each is told while it goes on, half an hour after the last fix, and again when it ends.
        let events = track(&world.corridors, &points);
        let first = &events[0];
        assert!(first.ended_ms.is_none() && (0.5..0.52).contains(&first.strength), "{first:#?}");
        let dark = only(events, Kind::Dark);
        assert!(near(dark.began_ms, from_ms, 60), "{dark:#?}");
        assert!(near(dark.ended_ms.unwrap(), from_ms + lasts_ms, 60), "{dark:#?}");
    });
}

#[test]
fn standing_is_found_off_the_stops_and_where_a_stop_allows_no_more() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    for_each(40, |seed| {
        let along_m = 60_000.0 + seed as f64 * 1_000.0;
        let lasts_s = 2_000 + seed * 60;
        let roadside = Halt { along_m, lasts_s, right_m: 30.0, silent: false };
        let dwell = only(track(&world.corridors, &trip(&world, 150_000.0, vec![roadside], seed)), Kind::Dwell);
        assert!(near((dwell.lasted_s * 1_000.0) as i64, lasts_s as i64 * 1_000, 120), "{dwell:#?}");
        assert!(dwell.ended_ms.is_some() && dwell.strength >= 0.5, "{dwell:#?}");
    });
    let rest = |lasts_s| Halt { along_m: STOPS_EVERY_M, lasts_s, right_m: STOP_ASIDE_M, silent: false };
    assert_eq!(track(&world.corridors, &trip(&world, 250_000.0, vec![rest(10 * HOUR_S)], 1)), []);
    only(track(&world.corridors, &trip(&world, 250_000.0, vec![rest(12 * HOUR_S)], 1)), Kind::Dwell);
}

#[test]
fn a_silent_rest_at_a_stop_is_no_darkness_until_it_must_be_over() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    let rest = |lasts_s| Halt { along_m: STOPS_EVERY_M, lasts_s, right_m: STOP_ASIDE_M, silent: true };
    assert_eq!(track(&world.corridors, &trip(&world, 250_000.0, vec![rest(11 * HOUR_S)], 2)), []);
    only(track(&world.corridors, &trip(&world, 250_000.0, vec![rest(13 * HOUR_S)], 2)), Kind::Dark);
}

#[test]
fn who_comes_late_is_overdue_from_the_planted_time_until_it_arrives() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    // Ten rests of eleven hours are 110 hours, and the way itself takes about 28.
    let rest = |number: u32| Halt {
        along_m: STOPS_EVERY_M * f64::from(number),
        lasts_s: 11 * HOUR_S - 300,
        right_m: STOP_ASIDE_M,
        silent: false,
    };
    let points = trip(&world, world.route.length_m(), (1..=10).map(rest).collect(), 3);
    let events = track(&world.corridors, &points);
    let overdue: Vec<&TrackEvent> = events.iter().filter(|event| event.kind == Kind::Overdue).collect();
    let departed_ms = START_MS + (1_200 + 8_000 / 25) * 1_000;
    assert!(near(overdue[0].began_ms, departed_ms + 120 * 3_600_000, 180), "{:#?}", overdue[0]);
    assert!(overdue[0].ended_ms.is_none() && near((overdue[0].strength * 1e6) as i64, 500_000, 1));
    let arrived = events.iter().find(|event| event.kind == Kind::Arrived).unwrap();
    assert_eq!(overdue.last().unwrap().ended_ms, Some(arrived.began_ms));
    assert!(events.iter().all(|event| matches!(event.kind, Kind::Overdue | Kind::Arrived)), "{events:#?}");
}

#[test]
fn a_seal_may_be_opened_where_the_trip_begins_and_ends_and_nowhere_else() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    let sealed = |opened: std::ops::Range<i64>| {
        let mut points = trip(&world, world.route.length_m(), vec![], 4);
        for point in &mut points {
            let minute = (point.at_ms - START_MS) / 60_000;
            point.seal = Some(if opened.contains(&minute) { Seal::Broken } else { Seal::Intact });
        }
        last_words(&track(&world.corridors, &points))
    };
    assert_eq!(sealed(0..15).iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::Arrived]);
    let events = sealed(300..310);
    let seal = events.iter().find(|event| event.kind == Kind::Seal).unwrap();
    assert_eq!((seal.began_ms, seal.ended_ms), (START_MS + 300 * 60_000, Some(START_MS + 310 * 60_000)));
    assert_eq!((seal.strength, events.len()), (1.0, 2));
}
