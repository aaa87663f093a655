//! The interstates from Laredo to Detroit as one line.

use std::{collections::HashMap, path::Path};

use sallyport_track::geometry::{Arc, Place};

/// From the line to the edge, in metres.
pub(crate) const HALF_WIDTH_M: f64 = 400.0;
/// Distance from stop to stop, in metres.
pub(crate) const STOPS_EVERY_M: f64 = 200_000.0;
/// How far the middle of a stop lies from the line, in metres.
pub(crate) const STOP_ASIDE_M: f64 = 700.0;

const LEGS: &[(&str, &str)] = &[
    ("TX", "i035"),
    ("TX", "i035e"),
    ("TX", "i030"),
    ("AR", "i030"),
    ("AR", "i040"),
    ("AR", "i055"),
    ("MO", "i055"),
    ("MO", "i057"),
    ("IL", "i057"),
    ("IL", "i070"),
    ("IN", "i070"),
    ("IN", "i465"),
    ("IN", "i069"),
    ("MI", "i069"),
    ("MI", "i094"),
];

/// A path over the earth with the distances along it.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) places: Vec<Place>,
    along_m: Vec<f64>,
}

impl Route {
    pub(crate) fn of(mut places: Vec<Place>) -> Self {
        places.dedup();
        let mut along_m = vec![0.0];
        for pair in places.windows(2) {
            along_m.push(along_m.last().unwrap() + pair[0].distance_m(pair[1]));
        }
        Self { places, along_m }
    }

    pub(crate) fn length_m(&self) -> f64 {
        *self.along_m.last().unwrap()
    }

    pub(crate) fn arcs(&self) -> impl Iterator<Item = Arc> {
        self.places.windows(2).map(|pair| Arc::between(pair[0], pair[1]).unwrap())
    }

    /// The place at a distance along the route, moved to the right by another; both in metres.
    pub(crate) fn at(&self, along_m: f64, right_m: f64) -> Place {
        let index = self.along_m.partition_point(|&before| before <= along_m).clamp(1, self.places.len() - 1) - 1;
        let (start, end) = (self.places[index], self.places[index + 1]);
        let share = (along_m - self.along_m[index]) / (self.along_m[index + 1] - self.along_m[index]);
        let place = Arc::between(start, end).unwrap().point(share.clamp(0.0, 1.0));
        if right_m == 0.0 { place } else { moved(place, bearing(start, end) + 90.0, right_m) }
    }

    /// The route's part up to a distance along it, or from there on.
    pub(crate) fn cut(&self, along_m: f64) -> (Vec<Place>, Vec<Place>) {
        let index = self.along_m.partition_point(|&before| before <= along_m);
        let here = self.at(along_m, 0.0);
        let mut before = self.places[..index].to_vec();
        before.push(here);
        let mut after = vec![here];
        after.extend_from_slice(&self.places[index..]);
        (before, after)
    }
}

/// Degrees clockwise from north.
pub(crate) fn bearing(from: Place, to: Place) -> f64 {
    let ((a, b), (c, d)) = (from.degrees(), to.degrees());
    let (a, c, change) = (a.to_radians(), c.to_radians(), (d - b).to_radians());
    (change.sin() * c.cos()).atan2(a.cos() * c.sin() - a.sin() * c.cos() * change.cos()).to_degrees()
}

/// The place at a distance in a direction.
pub(crate) fn moved(from: Place, bearing: f64, metres: f64) -> Place {
    let (latitude, longitude) = from.degrees();
    let (latitude, bearing) = (latitude.to_radians(), bearing.to_radians());
    let angle = metres / sallyport_track::geometry::EARTH_RADIUS_M;
    let sine = latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * bearing.cos();
    let east = bearing.sin() * angle.sin() * latitude.cos();
    let change = east.atan2(angle.cos() - latitude.sin() * sine).to_degrees();
    Place::at(sine.asin().to_degrees(), longitude + change).unwrap()
}

pub(crate) fn laredo_to_detroit(file: &Path) -> Route {
    let mut legs: HashMap<(String, String), Vec<Place>> = HashMap::new();
    for row in csv::Reader::from_path(file).unwrap().records() {
        let row = row.unwrap();
        let place = Place::at(row[4].parse().unwrap(), row[5].parse().unwrap()).unwrap();
        legs.entry((row[0].to_owned(), row[1].to_owned())).or_default().push(place);
    }
    let legs: Vec<&Vec<Place>> =
        LEGS.iter().map(|(state, route)| &legs[&((*state).to_owned(), (*route).to_owned())]).collect();
    let bridge = vec![Place::at(42.312, -83.074).unwrap()];
    let mut places = Vec::new();
    let mut enter = 0;
    for (index, leg) in legs.iter().enumerate() {
        let next = legs.get(index + 1).copied().unwrap_or(&bridge);
        let (leave, entered_next, gap_m) = meeting(leg, next, enter);
        assert!(gap_m < 1_000.0 || next.len() == 1, "{:?} does not meet the next leg: {gap_m} m", LEGS[index]);
        if enter <= leave {
            places.extend_from_slice(&leg[enter..=leave]);
        } else {
            places.extend(leg[leave..=enter].iter().rev());
        }
        enter = entered_next;
    }
    Route::of(places)
}

/// Where two legs come nearest, as early on the way as possible.
fn meeting(leg: &[Place], next: &[Place], enter: usize) -> (usize, usize, f64) {
    let pairs = (0..leg.len()).flat_map(|one| (0..next.len()).map(move |other| (one, other)));
    let nearest = pairs.map(|(one, other)| (one, other, leg[one].distance_m(next[other])));
    let key = |&(one, _, metres): &(usize, usize, f64)| (metres.round() as i64, one.abs_diff(enter));
    nearest.min_by_key(key).unwrap()
}

pub(crate) fn stops(route: &Route) -> impl Iterator<Item = f64> {
    (1..).map(|number| f64::from(number) * STOPS_EVERY_M).take_while(|along_m| *along_m < route.length_m() - 50_000.0)
}

/// The corridor's file, with a stop every 200 km.
pub(crate) fn geojson(route: &Route) -> String {
    let position = |place: Place| {
        let (latitude, longitude) = place.degrees();
        serde_json::json!([longitude, latitude])
    };
    let zone = |role: &str, name: String, place: Place, radius_m: f64| {
        serde_json::json!({ "type": "Feature", "geometry": { "type": "Point", "coordinates": position(place) },
            "properties": { "role": role, "name": name, "radius_m": radius_m } })
    };
    let line: Vec<_> = route.places.iter().map(|&place| position(place)).collect();
    let mut features = vec![
        serde_json::json!({ "type": "Feature", "geometry": { "type": "LineString", "coordinates": line },
            "properties": { "role": "corridor", "name": "real", "half_width_m": HALF_WIDTH_M,
                "valid_from": "2026-01-01", "arrival_within_h": 120 } }),
        zone("origin", "Laredo".to_owned(), route.places[0], 8_000.0),
        zone("destination", "Detroit".to_owned(), route.at(route.length_m(), 0.0), 8_000.0),
    ];
    for along_m in stops(route) {
        let mut stop = zone("stop", format!("{:.0} km", along_m / 1_000.0), route.at(along_m, STOP_ASIDE_M), 500.0);
        stop["properties"]["dwell_max_min"] = serde_json::json!(660);
        features.push(stop);
    }
    serde_json::json!({ "type": "FeatureCollection", "features": features }).to_string()
}

#[test]
fn the_interstates_make_one_line_inside_the_coarse_corridor() {
    let Some(folder) = super::data("corridor_travelmapping") else { return };
    let route = laredo_to_detroit(&folder.join("interstate_waypoints.csv"));
    let length_km = route.length_m() / 1_000.0;
    assert!((2_400.0..2_700.0).contains(&length_km), "{length_km} km");
    let coarse = include_str!("../../../policies/corridors/laredo-detroit.geojson");
    let coarse = sallyport_track::Corridor::parse(coarse).unwrap();
    for along_km in 0..length_km as u32 {
        let place = route.at(f64::from(along_km) * 1_000.0, 0.0);
        let away_m = coarse.locate(place, 0, 0.0, f64::INFINITY).unwrap().away_m;
        assert!(away_m < 0.0, "{along_km} km, {:?}: {away_m} m outside", place.degrees());
    }
}
