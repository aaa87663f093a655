//! The streaming measure of excursions against one that sees the whole track at once, tries every arc, and finds
//! a change by sums over windows instead of by recursion. And that neither the order of arrival within two
//! seconds nor a restart at any point makes a difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sallyport_track::{
    Corridors, Ignored, Kind, Point, TrackEvent, Tracker,
    geometry::{Arc, Place},
};

const HALF_WIDTH_M: f64 = 300.0;
const CORNERS: [(f64, f64); 7] =
    [(40.0, -90.0), (40.1, -89.9), (40.3, -89.85), (40.35, -89.5), (40.3, -89.2), (40.5, -89.0), (40.9, -88.9)];
const ORIGIN_RADIUS_M: f64 = 1_000.0;

fn corridors() -> Corridors {
    let line: Vec<_> = CORNERS.iter().map(|(latitude, longitude)| [*longitude, *latitude]).collect();
    let text = serde_json::json!({ "type": "FeatureCollection", "features": [
        { "type": "Feature", "geometry": { "type": "LineString", "coordinates": line },
          "properties": { "role": "corridor", "name": "bent", "half_width_m": HALF_WIDTH_M, "valid_from": "2026-01-01",
            "darkness_limit_min": 600, "dwell_limit_min": 600 } },
        { "type": "Feature", "geometry": { "type": "Point", "coordinates": line[0] },
          "properties": { "role": "origin", "name": "start", "radius_m": ORIGIN_RADIUS_M } }] })
    .to_string();
    Corridors::load([("bent", text.as_str())]).unwrap()
}

/// Twenty minutes at the origin, then along the line while it wanders over both edges again and again.
fn track(seed: u64) -> Vec<Point> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let start = 1_780_272_000_000;
    let mut at_ms = start;
    let mut points = Vec::new();
    let (mut share, mut aside_m) = (0.0, 0.0);
    let accuracy_m = [None, Some(4.0), Some(30.0)][random.random_range(0..3)];
    while share < 5.99 {
        let step_ms = if random.random_bool(0.01) { 400_000 } else { random.random_range(2_000..90_000) };
        at_ms += step_ms;
        if at_ms - start > 1_200_000 {
            share = f64::min(share + 0.000_9 * step_ms as f64 / 1_000.0, 5.995);
            let aside_max_m = f64::min(150.0, 0.01 * step_ms as f64);
            aside_m = f64::clamp(aside_m + random.random_range(-aside_max_m..aside_max_m), -700.0, 700.0);
        }
        let arc = Arc::between(corner(share as usize), corner(share as usize + 1)).unwrap();
        let (latitude, longitude) = arc.point(share.fract()).degrees();
        let noise_m = random.random_range(-20.0..20.0);
        let latitude = latitude + (aside_m + noise_m) / 111_195.0;
        points.push(Point { at_ms, latitude, longitude, speed_mps: None, accuracy_m, seal: None });
    }
    points
}

fn corner(index: usize) -> Place {
    let (latitude, longitude) = CORNERS[index.min(CORNERS.len() - 1)];
    Place::at(latitude, longitude).unwrap()
}

fn stream(corridors: &Corridors, points: &[Point]) -> (Vec<TrackEvent>, Tracker) {
    let mut tracker = Tracker::new("truck");
    let mut events: Vec<_> = points.iter().flat_map(|point| tracker.observe(corridors, *point)).collect();
    events.extend(tracker.finish(corridors));
    (events, tracker)
}

/// An excursion as the batch finds it: began, ended, farthest, and how long outside.
#[derive(Debug, PartialEq)]
struct Found(i64, Option<i64>, f64, f64);

fn away_m(point: &Point) -> f64 {
    let place = Place::at(point.latitude, point.longitude).unwrap();
    let arcs = CORNERS.windows(2).enumerate().map(|(index, _)| Arc::between(corner(index), corner(index + 1)).unwrap());
    let to_line_m = arcs.map(|arc| arc.distance_m(place)).fold(f64::INFINITY, f64::min);
    (to_line_m - HALF_WIDTH_M).min(corner(0).distance_m(place) - ORIGIN_RADIUS_M)
}

fn margin_m(point: &Point) -> f64 {
    let accuracy_m = f64::from(point.accuracy_m.unwrap_or(15.0)).max(f64::from(9.2_f32));
    4.0 * accuracy_m / 1.509_6
}

/// The first place from `from` on where the proofs of some window that ends there reach 60 s, and where the longest
/// such window begins: one before which no window has a positive sum.
fn change(proofs: &[i64], from: usize) -> Option<(usize, usize)> {
    let sum = |first: usize, last: usize| proofs[first..=last].iter().sum::<i64>();
    let certain = (from..proofs.len()).find(|&last| (from..=last).any(|first| sum(first, last) >= 60_000))?;
    let quiet = |last: usize| (from..=last).all(|first| sum(first, last) <= 0);
    let began = (from..=certain).rev().find(|&first| first == from || quiet(first - 1))?;
    Some((began, certain))
}

fn batch(points: &[Point]) -> Vec<Found> {
    let away: Vec<f64> = points.iter().map(away_m).collect();
    let joined = points.iter().position(|point| point.at_ms - points[0].at_ms >= 600_000).unwrap();
    let proofs = |proof: &dyn Fn(usize) -> f64| -> Vec<i64> {
        let speaks_ms = |index: usize| points[index].at_ms - points[index.max(1) - 1].at_ms;
        (0..points.len())
            .map(|i| (proof(i).clamp(-1.0, 1.0) * speaks_ms(i).min(30_000) as f64).round() as i64)
            .collect()
    };
    let leaving = proofs(&|i| (away[i] - margin_m(&points[i])) / margin_m(&points[i]));
    let returning = proofs(&|i| -away[i] / margin_m(&points[i]));
    let crossed_ms = |i: usize| {
        let gap_ms = points[i].at_ms - points[i - 1].at_ms;
        let share = (-away[i - 1] / (away[i] - away[i - 1])).clamp(0.0, 1.0);
        if gap_ms > 300_000 { points[i].at_ms } else { points[i - 1].at_ms + (share * gap_ms as f64) as i64 }
    };
    let mut found = Vec::new();
    let mut from = joined + 1;
    while let Some((began, certain)) = change(&leaving, from) {
        let back = change(&returning, certain + 1);
        let last = back.map_or(points.len() - 1, |(_, certain)| certain);
        let farthest = (began + 1..=last).map(|i| away[i].min(away[i - 1])).fold(0.0, f64::max);
        let ended_ms = back.map(|(began, _)| crossed_ms(began));
        let outside_until = (certain..=last).rev().find(|&i| i == certain || away[i] > 0.0).unwrap();
        let until_ms = ended_ms.unwrap_or(points[outside_until].at_ms);
        let outside_s = (until_ms - crossed_ms(began)) as f64 / 1_000.0;
        found.push(Found(crossed_ms(began), ended_ms, farthest, outside_s));
        let Some((_, certain)) = back else { break };
        from = certain + 1;
    }
    found
}

#[test]
fn streaming_finds_what_the_whole_track_shows() {
    let corridors = corridors();
    let mut excursions = 0;
    for seed in 0..250 {
        let points = track(seed);
        let (events, tracker) = stream(&corridors, &points);
        assert_eq!(tracker.ignored(), Ignored::default());
        assert!(events.iter().all(|event| event.kind == Kind::Excursion));
        let expected = batch(&points);
        let mut began: Vec<i64> = events.iter().map(|event| event.began_ms).collect();
        began.dedup();
        assert_eq!(began, expected.iter().map(|found| found.0).collect::<Vec<_>>(), "track {seed}");
        for Found(began_ms, ended_ms, away_m, outside_s) in &expected {
            let last = events.iter().rfind(|event| event.began_ms == *began_ms).unwrap();
            assert_eq!(last.ended_ms, *ended_ms, "track {seed}");
            // One that goes on was last told of when it had grown.
            if ended_ms.is_some() {
                assert!((last.away_m - away_m).abs() < 1e-3 && (last.outside_s - outside_s).abs() < 1e-9, "{last:#?}");
            }
        }
        excursions += expected.len();
    }
    assert!(excursions > 300, "only {excursions} excursions");
}

#[test]
fn neither_the_order_of_arrival_nor_a_restart_makes_a_difference() {
    let corridors = corridors();
    for seed in 0..10 {
        let points = track(seed);
        let (expected, tracker) = stream(&corridors, &points);
        // Every point comes up to two seconds late, and twice.
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut arriving: Vec<(i64, Point)> =
            points.iter().map(|point| (point.at_ms + random.random_range(0..1_900), *point)).collect();
        arriving.sort_by_key(|(arrives_ms, _)| *arrives_ms);
        let mut restarted = Tracker::new("truck");
        let mut events = Vec::new();
        for (arrives_ms, point) in arriving {
            events.extend(restarted.tick(&corridors, arrives_ms));
            let state = serde_json::to_string(&restarted).unwrap();
            restarted = serde_json::from_str(&state).unwrap();
            events.extend(restarted.observe(&corridors, point));
            events.extend(restarted.observe(&corridors, point));
        }
        events.extend(restarted.finish(&corridors));
        assert_eq!(events, expected);
        assert_eq!(restarted.ignored().late, points.len() as u64);
        assert_eq!(restarted.joined().collect::<Vec<_>>(), tracker.joined().collect::<Vec<_>>());
        assert!(serde_json::to_string(&restarted).unwrap().len() < 2_000);
    }
}

#[test]
fn what_a_device_kept_while_it_was_out_of_reach_is_measured_in_order() {
    let corridors = corridors();
    let mut kept_back = 0;
    for seed in 0..100 {
        let points = track(seed);
        let (expected, _) = stream(&corridors, &points);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let first = random.random_range(1..points.len() - 100);
        let last = first + random.random_range(10..90);
        let mut tracker = Tracker::new("truck");
        let mut events = Vec::new();
        let mut clock_ms = 0;
        let mut send = |tracker: &mut Tracker, point: &Point, step_ms: i64| {
            clock_ms = (clock_ms + step_ms).max(point.at_ms);
            events.extend(tracker.tick(&corridors, clock_ms));
            events.extend(tracker.observe(&corridors, *point));
        };
        let (before, after) = (points[..first].iter(), &points[last + 1..]);
        before.for_each(|point| send(&mut tracker, point, 0));
        // The radio reaches again: where the truck is, and within a minute, in any order, where it has been.
        send(&mut tracker, &after[0], 0);
        let mut kept = points[first..=last].to_vec();
        kept.sort_by_cached_key(|_| random.random::<u32>());
        kept.iter().for_each(|point| send(&mut tracker, point, 500));
        after[1..].iter().for_each(|point| send(&mut tracker, point, 0));
        events.extend(tracker.finish(&corridors));
        let was_silent = after[0].at_ms - points[first - 1].at_ms > 300_000;
        assert_eq!(tracker.ignored().late == 0, was_silent, "track {seed}");
        if was_silent {
            assert_eq!(events, expected, "track {seed}");
            kept_back += kept.len();
        }
    }
    assert!(kept_back > 1_000, "only {kept_back} were kept back");
}
