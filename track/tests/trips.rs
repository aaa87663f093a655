//! What a trip is, and when what happens on it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sallyport_track::{
    Corridors, Kind, Point, TrackEvent, Tracker,
    geometry::{EARTH_RADIUS_M, Place},
};

const START_MS: i64 = 1_780_272_000_000;
const MINUTE_MS: i64 = 60_000;

/// Along the meridian from the equator to 2° north, a kilometre to each side, with a destination at its end.
fn corridors() -> Corridors {
    let text = r#"{ "type": "FeatureCollection", "features": [
        { "type": "Feature", "geometry": { "type": "LineString", "coordinates": [[10, 0], [10, 1], [10, 2]] },
          "properties": { "role": "corridor", "name": "north", "half_width_m": 1000, "valid_from": "2026-01-01",
            "valid_until": "2026-06-03", "arrival_within_h": 24, "darkness_limit_min": 20 } },
        { "type": "Feature", "geometry": { "type": "Point", "coordinates": [10, 2] },
          "properties": { "role": "destination", "name": "end", "radius_m": 3000 } } ] }"#;
    Corridors::load([("north", text)]).unwrap()
}

/// A fix some metres north and east of the beginning.
fn fix(at_ms: i64, north_m: f64, east_m: f64) -> Point {
    let degrees = |metres: f64| (metres / EARTH_RADIUS_M).to_degrees();
    let (latitude, longitude) = (degrees(north_m), 10.0 + degrees(east_m));
    assert!(Place::at(latitude, longitude).is_some());
    Point { at_ms, latitude, longitude, speed_mps: None, accuracy_m: Some(10.0), seal: None }
}

struct Truck {
    corridors: Corridors,
    tracker: Tracker,
    at_ms: i64,
    north_m: f64,
    events: Vec<TrackEvent>,
}

impl Truck {
    fn at(north_m: f64) -> Self {
        let (corridors, tracker) = (corridors(), Tracker::new("truck"));
        Self { corridors, tracker, at_ms: START_MS, north_m, events: vec![] }
    }

    /// Drives for some minutes with a fix in each, `north_m` metres a minute, so far east of the line.
    fn drive(&mut self, minutes: i64, north_m: f64, east_m: f64) -> &mut Self {
        for _ in 0..minutes {
            self.at_ms += MINUTE_MS;
            self.north_m += north_m;
            self.send(fix(self.at_ms, self.north_m, east_m));
        }
        self
    }

    fn send(&mut self, point: Point) {
        self.events.extend(self.tracker.observe(&self.corridors, point));
        self.tick(0);
    }

    /// The clock moves on by some minutes.
    fn tick(&mut self, minutes: i64) -> &mut Self {
        self.events.extend(self.tracker.tick(&self.corridors, self.at_ms + minutes * MINUTE_MS + 2_000));
        self
    }

    fn has_joined(&self) -> bool {
        self.tracker.joined().next().is_some()
    }
}

#[test]
fn who_goes_along_in_its_direction_joins_and_leaves_by_arriving() {
    let mut truck = Truck::at(0.0);
    assert!(!truck.drive(9, 1_500.0, 0.0).has_joined());
    assert!(truck.drive(3, 1_500.0, 0.0).has_joined());
    truck.drive(150, 1_500.0, 0.0);
    assert!(!truck.has_joined());
    let kinds: Vec<Kind> = truck.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Arrived]);
    assert_eq!((truck.events[0].strength, truck.events[0].ended_ms), (0.0, Some(truck.events[0].began_ms)));
    // Back the same way: the other direction is no trip of this corridor.
    assert!(!truck.drive(140, -1_500.0, 0.0).has_joined());
    assert_eq!(truck.events.len(), 1);
}

#[test]
fn who_crosses_stands_beside_or_comes_the_other_way_does_not_join() {
    assert!(!Truck::at(200_000.0).drive(120, -1_500.0, 0.0).has_joined());
    assert!(!Truck::at(50_000.0).drive(120, 10.0, 100.0).has_joined());
    assert!(!Truck::at(50_000.0).drive(120, 1_500.0, 5_000.0).has_joined());
    let mut crossing = Truck::at(50_000.0);
    for minute in -20..20 {
        crossing.drive(1, 0.0, f64::from(minute) * 1_000.0);
    }
    assert!(!crossing.has_joined());
}

#[test]
fn an_excursion_is_told_once_certain_again_as_it_grows_and_when_it_ends() {
    let mut truck = Truck::at(0.0);
    truck.drive(20, 1_500.0, 0.0);
    let left_ms = truck.at_ms;
    truck.drive(1, 1_000.0, 1_900.0);
    assert_eq!(truck.events, []);
    truck.drive(1, 1_000.0, 3_000.0);
    assert_eq!(truck.events.len(), 1, "the second fix outside makes it certain");
    truck.drive(28, 1_000.0, 5_000.0).drive(5, 1_000.0, 0.0);
    let events = &truck.events;
    assert!(events.iter().all(|event| event.kind == Kind::Excursion && event.began_ms == events[0].began_ms));
    assert!((left_ms..left_ms + MINUTE_MS).contains(&events[0].began_ms));
    assert!(events.windows(2).all(|pair| pair[0].strength <= pair[1].strength) && events.len() < 20);
    let last = events.last().unwrap();
    assert!(events.iter().filter(|event| event.ended_ms.is_some()).count() == 1 && last.ended_ms.is_some());
    // Half an hour, 4 km outside of the edge: √(4/6 · 30/45).
    assert!((last.away_m - 4_000.0).abs() < 1.0 && (last.strength - 2.0 / 3.0).abs() < 0.01, "{last:#?}");
}

#[test]
fn impossible_jumps_are_ignored_and_counted() {
    let mut truck = Truck::at(0.0);
    truck.drive(20, 1_500.0, 0.0);
    for _ in 0..10 {
        truck.drive(4, 1_500.0, 0.0);
        let wild = fix(truck.at_ms + 20_000, truck.north_m + 30_000.0, 80_000.0);
        truck.send(wild);
        let wild = fix(truck.at_ms + 40_000, truck.north_m - 30_000.0, -80_000.0);
        truck.send(wild);
    }
    truck.drive(2, 1_500.0, 0.0);
    assert_eq!(truck.events, []);
    assert_eq!((truck.tracker.ignored().jumps, truck.tracker.ignored().late), (20, 0));
}

#[test]
fn darkness_is_told_by_the_clock_and_taken_back_by_points_that_were_stored() {
    let mut truck = Truck::at(0.0);
    truck.drive(20, 1_500.0, 0.0);
    let silent_ms = truck.at_ms;
    assert_eq!(truck.tick(19).events, []);
    truck.tick(20);
    assert_eq!(
        (truck.events[0].kind, truck.events[0].began_ms, truck.events[0].ended_ms),
        (Kind::Dark, silent_ms, None)
    );
    truck.tick(21).tick(22);
    assert_eq!(truck.events.len(), 1, "what has hardly grown is not told again");
    // The device was out of reach and kept its points.
    truck.drive(25, 1_500.0, 0.0);
    let last = truck.events.last().unwrap();
    assert_eq!((truck.events.len(), last.began_ms, last.ended_ms), (2, silent_ms, Some(silent_ms)));
    assert_eq!((last.kind, last.strength), (Kind::Dark, 0.0));
}

#[test]
fn what_goes_on_ends_when_its_corridor_does() {
    let mut truck = Truck::at(0.0);
    truck.drive(20, 1_500.0, 0.0).drive(10, 1_000.0, 5_000.0);
    let outside_ms = truck.at_ms;
    // The corridor's validity ends on 3 June; the truck has been silent for two days.
    truck.tick(48 * 60);
    let last = truck.events.last().unwrap();
    assert_eq!((last.kind, last.ended_ms), (Kind::Excursion, Some(outside_ms)));
    assert!(!truck.has_joined());
}
