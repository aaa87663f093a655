//! A truck that drives a path, and what its receiver reports.

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sallyport_track::{Corridors, Point, TrackEvent, Tracker, geometry::Place};

use super::{
    gps::Noise,
    route::{Route, moved},
};

/// 1 June 2026, 00:00 UTC.
pub(crate) const START_MS: i64 = 1_780_272_000_000;

/// How long a receiver reports after the truck has stopped.
const PARKING_S: u64 = 240;

/// A stop on the way.
#[derive(Clone, Copy)]
pub(crate) struct Halt {
    pub(crate) along_m: f64,
    pub(crate) lasts_s: u64,
    /// Where the truck stands, to the right of the path.
    pub(crate) right_m: f64,
    /// Whether the receiver goes off once the truck is parked.
    pub(crate) silent: bool,
}

/// One drive, second by second.
pub(crate) struct Drive<'a> {
    pub(crate) route: &'a Route,
    pub(crate) from_m: f64,
    pub(crate) to_m: f64,
    pub(crate) mean_mps: f64,
    pub(crate) halts: Vec<Halt>,
    /// The largest distance aside that the truck keeps for a while.
    pub(crate) aside_max_m: f64,
    pub(crate) seed: u64,
}

/// Where the truck truly is at a second since the start.
#[derive(Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) second: u64,
    pub(crate) place: Place,
    pub(crate) silent: bool,
}

impl Drive<'_> {
    /// The truth at every `interval_s`-th second.
    pub(crate) fn truth(&self, interval_s: u64) -> Vec<Truth> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut halts = self.halts.iter().copied().peekable();
        let (mut along_m, mut second, mut speed_mps, mut aside_m, mut goal_m) =
            (self.from_m, 0, self.mean_mps, 0.0, 0.0);
        let mut truth = Vec::new();
        while along_m < self.to_m {
            if let Some(halt) = halts.next_if(|halt| halt.along_m <= along_m) {
                let place = self.route.at(along_m, halt.right_m);
                let here = (second..second + halt.lasts_s).filter(|second| second.is_multiple_of(interval_s));
                let off_from = second + PARKING_S;
                truth.extend(here.map(|second| Truth { second, place, silent: halt.silent && second > off_from }));
                second += halt.lasts_s;
            }
            if second % 600 == 0 {
                speed_mps = self.mean_mps * random.random_range(0.85..1.15);
                goal_m = random.random_range(-1.0..=1.0) * self.aside_max_m;
                // Every other time the very edge.
                goal_m = if random.random_bool(0.5) { goal_m } else { f64::signum(goal_m) * self.aside_max_m };
            }
            aside_m += f64::clamp(goal_m - aside_m, -2.0, 2.0);
            if second % interval_s == 0 {
                truth.push(Truth { second, place: self.route.at(along_m, aside_m), silent: false });
            }
            along_m += speed_mps;
            second += 1;
        }
        truth
    }
}

/// What the receiver reports of a truth.
pub(crate) fn reports(truth: &[Truth], noise: &Noise, seed: u64) -> Vec<Point> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let offset: u64 = random.random_range(0..100_000);
    // Some receivers claim nothing, some claim what they reach, some a little too much.
    let accuracy_m = [None, Some(8.0), Some(5.0)][random.random_range(0..3)];
    let report = |truth: &Truth| {
        let (east_m, north_m) = noise.at(offset + truth.second);
        let place = moved(truth.place, east_m.atan2(north_m).to_degrees(), east_m.hypot(north_m));
        let (latitude, longitude) = place.degrees();
        let at_ms = START_MS + truth.second as i64 * 1_000;
        Point { at_ms, latitude, longitude, speed_mps: None, accuracy_m, seal: None }
    };
    truth.iter().filter(|truth| !truth.silent).map(report).collect()
}

/// All events of a device, with the clock ticking at its reports and every minute between them.
pub(crate) fn track(corridors: &Corridors, points: &[Point]) -> Vec<TrackEvent> {
    let mut tracker = Tracker::new("truck");
    let mut events = Vec::new();
    let mut clock_ms = START_MS;
    for point in points {
        while clock_ms + 60_000 < point.at_ms {
            clock_ms += 60_000;
            events.extend(tracker.tick(corridors, clock_ms));
        }
        clock_ms = point.at_ms;
        events.extend(tracker.observe(corridors, *point));
        events.extend(tracker.tick(corridors, clock_ms));
    }
    events.extend(tracker.finish(corridors));
    events
}

/// The last report of each event.
pub(crate) fn last_words(events: &[TrackEvent]) -> Vec<TrackEvent> {
    let mut last: Vec<TrackEvent> = Vec::new();
    for event in events {
        last.retain(|known| (known.kind, known.began_ms) != (event.kind, event.began_ms));
        last.push(event.clone());
    }
    last
}
