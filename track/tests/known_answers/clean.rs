//! Trips on which nothing happens.

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sallyport_track::Kind;

use super::{
    World,
    drive::{Drive, Halt, last_words, reports, track},
    for_each,
    gps::Part,
    route::{self, HALF_WIDTH_M, STOP_ASIDE_M},
};

/// Whole trips from Laredo to Detroit, half of the time along the very edge of the corridor, with rests at some
/// of the allowed stops: each arrives, and nothing else is ever reported.
#[test]
fn a_thousand_clean_trips_show_nothing_but_their_arrival() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    for_each(1_000, |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut halts: Vec<Halt> = route::stops(&world.route)
            .map(|along_m| Halt {
                along_m,
                lasts_s: random.random_range(600..36_000),
                right_m: STOP_ASIDE_M,
                silent: random.random_bool(0.5),
            })
            .collect();
        halts.retain(|_| random.random_bool(0.3));
        // Every truck waits in Laredo first.
        halts.insert(0, Halt { along_m: 0.0, lasts_s: 1_200, right_m: 50.0, silent: false });
        let drive = Drive {
            route: &world.route,
            from_m: 0.0,
            to_m: world.route.length_m(),
            mean_mps: random.random_range(20.0..29.0),
            halts,
            aside_max_m: HALF_WIDTH_M,
            seed,
        };
        let interval_s = [10, 30, 60, 60, 60, 120, 120, 120][random.random_range(0..8)];
        let points = reports(&drive.truth(interval_s), &world.noise, seed);
        let events = last_words(&track(&world.corridors, &points));
        let kinds: Vec<Kind> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Kind::Arrived], "trip {seed}, every {interval_s} s: {events:#?}");
    });
}

/// The same second by second, on a stretch.
#[test]
fn a_receiver_at_one_fix_a_second_shows_nothing_on_a_clean_stretch() {
    let Some(world) = World::read(Part::HeldOut) else { return };
    for_each(100, |seed| {
        let from_m = seed as f64 * 20_000.0;
        let drive = Drive {
            route: &world.route,
            from_m,
            to_m: from_m + 100_000.0,
            mean_mps: 25.0,
            halts: vec![],
            aside_max_m: HALF_WIDTH_M,
            seed,
        };
        let events = track(&world.corridors, &reports(&drive.truth(1), &world.noise, seed));
        assert!(events.is_empty(), "stretch {seed}: {events:#?}");
    });
}
