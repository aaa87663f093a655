//! Trips that leave the corridor.

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sallyport_track::{
    Kind,
    geometry::{Arc, Place},
};

use super::{
    World,
    drive::{Drive, START_MS, Truth, last_words, reports, track},
    for_each,
    gps::Part,
    route::{HALF_WIDTH_M, Route, STOP_ASIDE_M, bearing, moved},
};

const INTERVALS_S: [u64; 5] = [1, 10, 30, 60, 120];

/// A stay outside as it truly was.
#[derive(Debug)]
struct Outside {
    began_ms: i64,
    ended_ms: i64,
    away_m: f64,
}

/// A detour: off the line at an angle, on beside it, and back.
fn detour(route: &Route, random: &mut ChaCha8Rng) -> (Route, f64, f64) {
    let leave_m = random.random_range(60_000.0..route.length_m() - 120_000.0);
    let back_m = leave_m + random.random_range(6_000.0..40_000.0);
    let side = if random.random_bool(0.5) { 90.0 } else { -90.0 };
    let depth_m = random.random_range(2_500.0..9_000.0);
    let (mut places, _) = route.cut(leave_m);
    let (_, after) = route.cut(back_m);
    let (left, back) = (route.at(leave_m, 0.0), route.at(back_m, 0.0));
    let heading = bearing(left, back);
    places.push(moved(moved(left, heading, random.random_range(0.0..3_000.0)), heading + side, depth_m));
    places.push(moved(moved(back, heading, random.random_range(-2_500.0..0.0)), heading + side, depth_m));
    places.extend(after);
    (Route::of(places), leave_m, back_m)
}

/// Distance outside of the corridor, by trying every arc and every stop.
fn away_m(world: &World, arcs: &[Arc], stops: &[Place], place: Place) -> f64 {
    let to_line_m = arcs.iter().map(|arc| arc.distance_m(place)).fold(f64::INFINITY, f64::min);
    let to_stop_m = stops.iter().map(|stop| stop.distance_m(place)).fold(f64::INFINITY, f64::min);
    let to_end_m = world.route.places[0].distance_m(place).min(world.route.places.last().unwrap().distance_m(place));
    (to_line_m - HALF_WIDTH_M).min(to_stop_m - 500.0).min(to_end_m - 8_000.0)
}

fn outsides(world: &World, truth: &[Truth]) -> Vec<Outside> {
    let near = |place: Place| truth.iter().step_by(100).any(|truth| truth.place.distance_m(place) < 40_000.0);
    let arcs: Vec<Arc> = world.route.arcs().filter(|arc| near(arc.start()) || near(arc.end())).collect();
    let stops: Vec<Place> =
        super::route::stops(&world.route).map(|along_m| world.route.at(along_m, STOP_ASIDE_M)).collect();
    let mut outsides: Vec<Outside> = Vec::new();
    let mut was_outside = false;
    for truth in truth {
        let away_m = away_m(world, &arcs, &stops, truth.place);
        let at_ms = START_MS + truth.second as i64 * 1_000;
        if away_m > 0.0 {
            if !was_outside {
                outsides.push(Outside { began_ms: at_ms, ended_ms: at_ms, away_m });
            }
            let last = outsides.last_mut().unwrap();
            (last.ended_ms, last.away_m) = (at_ms, last.away_m.max(away_m));
        }
        was_outside = away_m > 0.0;
    }
    outsides
}

/// Every stay outside of five minutes and 2 km is found, with its start and its end within two minutes; whatever is
/// reported as an excursion truly was outside.
#[test]
fn every_excursion_is_found_and_nothing_else() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    let found = std::sync::atomic::AtomicU32::new(0);
    for_each(250, |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (path, leave_m, back_m) = detour(&world.route, &mut random);
        let drive = Drive {
            route: &path,
            from_m: leave_m - 40_000.0,
            to_m: back_m + 40_000.0,
            mean_mps: random.random_range(15.0..29.0),
            halts: vec![],
            aside_max_m: 0.0,
            seed,
        };
        let interval_s = INTERVALS_S[random.random_range(0..INTERVALS_S.len())];
        let truth = outsides(&world, &drive.truth(1));
        let points = reports(&drive.truth(interval_s), &world.noise, seed);
        let events = last_words(&track(&world.corridors, &points));
        let about = || format!("trip {seed}, every {interval_s} s: {truth:#?} {events:#?}");
        let near = |one: i64, other: i64| one.abs_diff(other) <= 120_000;
        for (index, outside) in truth.iter().enumerate() {
            if outside.ended_ms - outside.began_ms < 300_000 || outside.away_m < 2_000.0 {
                continue;
            }
            // Two that lie close together may be told as one: a minute inside must be proved, and it proves
            // little where the truck keeps near the edge.
            let joined = |pair: &[Outside]| pair[1].began_ms - pair[0].ended_ms < 120_000 + 2_000 * interval_s as i64;
            let begins = (0..=index).rev().take_while(|&first| truth[first..=index].windows(2).all(joined));
            let ends = (index..truth.len()).take_while(|&last| truth[index..=last].windows(2).all(joined));
            let (begins, ends): (Vec<usize>, Vec<usize>) = (begins.collect(), ends.collect());
            let event = events.iter().find(|event| {
                begins.iter().any(|&first| near(event.began_ms, truth[first].began_ms))
                    && ends.iter().any(|&last| near(event.ended_ms.unwrap(), truth[last].ended_ms))
            });
            let event = event.unwrap_or_else(|| panic!("{}", about()));
            let farthest_m = begins.iter().chain(&ends).map(|&index| truth[index].away_m).fold(0.0, f64::max);
            assert!(event.away_m <= farthest_m + 100.0, "{}", about());
            assert!(interval_s > 30 || event.away_m > 0.7 * outside.away_m, "{}", about());
            assert!(event.strength > 0.2, "{}", about());
            found.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        for event in &events {
            assert_eq!(event.kind, Kind::Excursion, "{}", about());
            let is_true = truth.iter().any(|outside| {
                event.began_ms - 120_000 <= outside.ended_ms && outside.began_ms <= event.ended_ms.unwrap()
            });
            assert!(is_true, "{}", about());
        }
    });
    let found = found.into_inner();
    assert!(found > 150, "only {found} excursions were long and far enough");
}
