//! Corridor files: what is refused, with which reason, and what the project's own says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sallyport_track::{Corridor, Corridors, corridor::Role, geometry::Place};
use serde_json::{Value, json};

const OWN: &str = include_str!("../../policies/corridors/laredo-detroit.geojson");

fn route() -> Value {
    json!({ "type": "Feature",
        "geometry": { "type": "LineString", "coordinates": [[-99.5, 27.5], [-98.5, 29.4]] },
        "properties": { "role": "corridor", "name": "a", "half_width_m": 1000, "valid_from": "2026-01-01",
            "valid_until": "2026-07-01" } })
}

fn stop() -> Value {
    json!({ "type": "Feature", "geometry": { "type": "Point", "coordinates": [-99.0, 28.4] },
        "properties": { "role": "stop", "name": "rest", "radius_m": 500 } })
}

fn polygon(ring: Value) -> Value {
    json!({ "type": "Feature", "geometry": { "type": "Polygon", "coordinates": [ring] },
        "properties": { "role": "stop", "name": "yard" } })
}

fn with(mut feature: Value, property: &str, value: Value) -> Value {
    feature["properties"][property] = value;
    feature
}

fn without(mut feature: Value, property: &str) -> Value {
    feature["properties"].as_object_mut().unwrap().remove(property);
    feature
}

fn shaped(mut feature: Value, kind: &str, coordinates: Value) -> Value {
    feature["geometry"] = json!({ "type": kind, "coordinates": coordinates });
    feature
}

fn of(features: &[Value]) -> String {
    json!({ "type": "FeatureCollection", "features": features }).to_string()
}

fn reason(text: &str) -> &'static str {
    Corridor::parse(text).expect_err(text).reason()
}

#[test]
fn a_byte_order_mark_says_nothing() {
    assert_eq!(Corridor::parse(&format!("\u{feff}{OWN}")).unwrap().id, Corridor::parse(OWN).unwrap().id);
}

#[test]
fn the_own_corridor_is_read_and_has_nothing_to_look_at() {
    let corridor = Corridor::parse(OWN).unwrap();
    assert_eq!(corridor.findings(), []);
    assert_eq!(corridor.exceptions[0].code, "port-diversion");
    assert_eq!((corridor.zones_of(Role::Origin).count(), corridor.zones_of(Role::Destination).count()), (1, 1));
    let length_km = corridor.line.length_m() / 1_000.0;
    assert!((2_300.0..2_600.0).contains(&length_km), "{length_km}");
    let away_km = |latitude, longitude| {
        let place = Place::at(latitude, longitude).unwrap();
        corridor.locate(place, 0, 0.0, f64::INFINITY).unwrap().away_m / 1_000.0
    };
    assert!(away_km(30.27, -97.74) < -10.0);
    // Houston is some 230 km from Interstate 35.
    assert!((180.0..260.0).contains(&away_km(29.76, -95.37)));
}

#[test]
fn one_feature_alone_is_a_corridor_with_much_to_look_at() {
    let corridor = Corridor::parse(&route().to_string()).unwrap();
    let kinds: Vec<&str> = corridor.findings().iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["no_origin", "no_destination", "no_arrival_time", "no_exceptions"]);
    let apart = shaped(stop(), "Point", json!([-97.0, 28.4]));
    let findings = Corridor::parse(&of(&[route(), apart])).unwrap().findings();
    assert!(findings.iter().any(|finding| finding.kind == "zone_apart"), "{findings:?}");
    let parts = json!([[[-99.5, 27.5], [-99.0, 28.4]], [[-98.9, 28.5], [-98.5, 29.4]]]);
    let findings = Corridor::parse(&of(&[shaped(route(), "MultiLineString", parts)])).unwrap().findings();
    assert!(findings.iter().any(|finding| finding.kind == "gap"), "{findings:?}");
    // A way round that branches off and comes back is no gap.
    let parts = json!([[[-99.5, 27.5], [-99.0, 28.4], [-98.5, 29.4]], [[-99.0, 28.4], [-98.6, 28.6], [-98.5, 29.4]]]);
    let findings = Corridor::parse(&of(&[shaped(route(), "MultiLineString", parts)])).unwrap().findings();
    assert!(!findings.iter().any(|finding| finding.kind == "gap"), "{findings:?}");
}

#[test]
fn what_is_unclear_is_refused_with_its_reason() {
    let line = |coordinates: Value| of(&[shaped(route(), "LineString", coordinates)]);
    let many: Vec<[f64; 2]> = (0..20_001).map(|number| [-99.0, 20.0 + f64::from(number) * 1e-3]).collect();
    let ring = |corners: Value| of(&[route(), polygon(corners)]);
    let cases = [
        ("not_json", r#"{"type": "Feature", "geometry": NaN}"#.to_owned()),
        ("not_json", line(json!([[-99.5, 27.5], [-98.5, 1]])).replace(",1.0]", ",1e999]").replace(",1]", ",1e999]")),
        ("not_json", "[".repeat(1_000)),
        ("not_geojson", r#"{"type": "Topology"}"#.to_owned()),
        ("not_geojson", "[]".to_owned()),
        ("file_too_large", format!("{}{}", " ".repeat(3 << 20), route())),
        ("crs_not_supported", json!({ "type": "FeatureCollection", "features": [route()], "crs": {} }).to_string()),
        ("too_many_zones", of(&vec![stop(); 502])),
        ("role_unknown", of(&[with(route(), "role", json!("road"))])),
        ("not_one_corridor", of(&[stop()])),
        ("not_one_corridor", of(&[route(), route()])),
        ("geometry_unfit", of(&[shaped(route(), "Point", json!([-99.5, 27.5]))])),
        ("geometry_unfit", of(&[route(), shaped(stop(), "LineString", json!([[-99.5, 27.5], [-98.5, 29.4]]))])),
        ("geometry_unfit", of(&[shaped(route(), "GeometryCollection", json!([]))])),
        ("too_many_points", line(json!(many))),
        ("line_too_short", line(json!([[-99.5, 27.5], [-99.5, 27.5]]))),
        ("line_too_short", of(&[shaped(route(), "MultiLineString", json!([]))])),
        ("points_too_far_apart", line(json!([[-99.5, 27.5], [-90.0, 27.5]]))),
        ("points_too_far_apart", line(json!([[0.0, 10.0], [180.0, -10.0]]))),
        ("crosses_antimeridian", line(json!([[179.5, 50.0], [-179.5, 50.0]]))),
        ("coordinates_swapped", line(json!([[27.5, -99.5], [29.4, -98.5]]))),
        ("coordinate_out_of_range", line(json!([[-199.5, 27.5], [-198.5, 29.4]]))),
        ("coordinate_not_a_number", line(json!([[-99.5, "27.5"], [-98.5, 29.4]]))),
        ("coordinate_not_a_number", line(json!([[-99.5, null], [-98.5, 29.4]]))),
        ("coordinate_not_a_number", line(json!([[-99.5], [-98.5, 29.4]]))),
        ("radius_missing", of(&[route(), without(stop(), "radius_m")])),
        ("number_out_of_range", of(&[route(), with(stop(), "radius_m", json!(1e9))])),
        ("number_out_of_range", of(&[route(), with(stop(), "dwell_max_min", json!(-5))])),
        ("number_out_of_range", of(&[with(route(), "darkness_limit_min", json!(0))])),
        ("ring_not_closed", ring(json!([[-99, 28], [-99, 29], [-98, 29], [-98, 28]]))),
        ("ring_not_closed", ring(json!([[-99, 28], [-99, 29], [-99, 28]]))),
        ("polygon_crosses_itself", ring(json!([[-99, 28], [-98, 29], [-98, 28], [-99, 29], [-99, 28]]))),
        ("zone_too_large", ring(json!([[-99, 28], [-99, 38], [-89, 38], [-89, 28], [-99, 28]]))),
        ("width_unclear", of(&[without(route(), "half_width_m")])),
        ("width_unclear", of(&[with(route(), "width_m", json!(2000))])),
        ("width_out_of_range", of(&[with(route(), "half_width_m", json!(5))])),
        ("time_unreadable", of(&[with(route(), "valid_from", json!("soon"))])),
        ("validity_reversed", of(&[with(route(), "valid_until", json!("2025-01-01"))])),
        ("destination_missing", of(&[with(route(), "arrival_within_h", json!(96))])),
        ("property_unknown", of(&[with(route(), "halfwidth", json!(5))])),
        ("property_unknown", of(&[route(), with(with(stop(), "role", json!("origin")), "dwell_max_min", json!(9))])),
        ("property_unfit", of(&[without(route(), "name")])),
        ("property_unfit", of(&[with(route(), "name", json!(7))])),
        ("name_unusable", of(&[with(route(), "name", json!("a b"))])),
        ("name_unusable", of(&[route(), with(stop(), "name", json!(" "))])),
        ("words_unusable", of(&[with(route(), "description", json!("a\u{1b}[2J"))])),
        ("exception_unusable", of(&[with(route(), "exceptions", json!([{ "code": "A b", "words": "c" }]))])),
        ("exception_twice", of(&[with(route(), "exceptions", json!(vec![json!({ "code": "a", "words": "b" }); 2]))])),
    ];
    for (expected, text) in cases {
        let shown: String = text.chars().take(400).collect();
        assert_eq!(reason(&text), expected, "{shown}");
    }
}

#[test]
fn a_line_cut_at_the_antimeridian_is_one_corridor() {
    let parts = json!([[[179.0, 50.0], [180.0, 50.1]], [[-180.0, 50.1], [-179.0, 50.0]]]);
    let corridor = Corridor::parse(&of(&[shaped(route(), "MultiLineString", parts)])).unwrap();
    assert!(!corridor.findings().iter().any(|finding| finding.kind == "gap"));
    let away_m =
        |longitude| corridor.locate(Place::at(50.1, longitude).unwrap(), 0, 0.0, f64::INFINITY).unwrap().away_m;
    assert!(away_m(180.0) < -999.0 && away_m(-179.99) < -850.0 && away_m(179.99) < -850.0);
}

#[test]
fn versions_may_follow_each_other_and_not_overlap() {
    let first = route().to_string();
    let next = |from: &str| without(with(route(), "valid_from", json!(from)), "valid_until").to_string();
    let load = |other: &str| Corridors::load([("first", first.as_str()), ("other", other)]);
    assert_eq!(load(&next("2026-07-01")).unwrap().len(), 2);
    let error = load(&next("2026-06-30T23:59:59Z")).unwrap_err();
    assert_eq!(error.reason(), "validity_overlaps");
    assert!(error.to_string().starts_with("other: "), "{error}");
    assert_eq!(load(&first).unwrap_err().reason(), "validity_overlaps");
}
