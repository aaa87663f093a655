//! Measures how many points per second one core takes, on a corridor of 5,000 points:
//! `cargo run --release -p sallyport-track --example speed`.

use std::{error::Error, time::Instant};

use sallyport_track::{Corridors, Point, Tracker, geometry::Place};

const LINE_POINTS: u32 = 5_000;
const DEVICES: u32 = 200;
const POINTS: u32 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let line: Vec<(f64, f64)> = (0..LINE_POINTS).map(|number| at(f64::from(number) / f64::from(LINE_POINTS))).collect();
    let text = serde_json::json!({ "type": "Feature", "geometry": { "type": "LineString", "coordinates": line },
        "properties": { "role": "corridor", "name": "winding", "half_width_m": 1000, "valid_from": "2026-01-01" } });
    let corridors = Corridors::load([("winding", text.to_string().as_str())])?;
    measure("on the corridor", &corridors, 0.0);
    measure("50 km beside it", &corridors, 0.45);
    let corridor = corridors.iter().next().ok_or("no corridor")?;
    let places: Vec<Place> = (0..1_000_000_u32)
        .filter_map(|number| {
            let (longitude, latitude) = at(f64::from(number.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX));
            Place::at(latitude + 0.01, longitude)
        })
        .collect();
    let began = Instant::now();
    let sum: f64 = places
        .iter()
        .filter_map(|&place| corridor.line.nearest(place, 0, f64::INFINITY))
        .map(|near| near.distance_m)
        .sum();
    let each_ns = began.elapsed().as_nanos() / places.len() as u128;
    println!("nearest point of the line without a hint: {each_ns} ns (mean distance {:.0} m)", sum / 1e6);
    Ok(())
}

/// Longitude and latitude at a share of a winding way of some 2,000 km.
fn at(share: f64) -> (f64, f64) {
    (-99.0 + 14.0 * share + 0.3 * (share * 200.0).sin(), 28.0 + 13.0 * share)
}

fn measure(what: &str, corridors: &Corridors, east: f64) {
    let began = Instant::now();
    let mut events = 0;
    for device in 0..DEVICES {
        let mut tracker = Tracker::new(format!("truck-{device}"));
        for number in 0..POINTS {
            let (longitude, latitude) = at(f64::from(number) / f64::from(POINTS));
            let at_ms = 1_780_272_000_000 + i64::from(number) * 30_000;
            let point = Point {
                at_ms,
                latitude,
                longitude: longitude + east,
                speed_mps: None,
                accuracy_m: Some(8.0),
                seal: None,
            };
            events += tracker.observe(corridors, point).len();
        }
    }
    let points = f64::from(DEVICES) * f64::from(POINTS);
    println!("{what}: {:.0} points per second, {events} events", points / began.elapsed().as_secs_f64());
}
