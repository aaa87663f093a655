//! GeoJSON features, RFC 7946: <https://www.rfc-editor.org/rfc/rfc7946>.
//!
//! A `Point` has its time and device in its properties. A `LineString` has a time for each of its points in
//! the property `coordTimes` (or `times` within `coordinateProperties`), as converters from GPX write it.
//! Coordinates stand longitude first. Areas and features without a geometry hold no position.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{Reading, fields::Field, json, moment};

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: Option<Value>,
    #[serde(borrow)]
    geometry: Option<Geometry<'a>>,
    properties: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Geometry<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
}

/// Longitude, latitude and perhaps a height, which is not looked at.
type Coordinates = (f64, f64);

/// One feature: as many readings as it has points.
pub(super) fn feature(record: &[u8], device: Option<&str>, give: &mut dyn FnMut(Reading)) {
    let Ok(feature) = serde_json::from_slice::<Feature<'_>>(record) else {
        return give(Reading::unreadable("no GeoJSON feature"));
    };
    if feature.kind != "Feature" {
        return give(Reading::unreadable("a feature has the type Feature"));
    }
    let Some(Geometry { kind, coordinates }) = feature.geometry else { return give(Reading::Other) };
    let properties = feature.properties.unwrap_or_default();
    let id = feature.id.as_ref().and_then(text);
    let device = id.as_deref().or(device);
    let coordinates = coordinates.map_or("null", RawValue::get);
    match kind.as_str() {
        "Point" => give(point(coordinates, &properties, device)),
        "LineString" => line(coordinates, &properties, device, give),
        "MultiPoint" | "MultiLineString" | "GeometryCollection" => {
            give(Reading::unreadable("write tracks as features of type Point or LineString"));
        }
        "Polygon" | "MultiPolygon" => give(Reading::Other),
        _ => give(Reading::unreadable("no geometry of GeoJSON")),
    }
}

fn point(coordinates: &str, properties: &Map<String, Value>, device: Option<&str>) -> Reading {
    match coordinates_of(coordinates) {
        Some((longitude, latitude)) => {
            let mut draft = json::draft(properties);
            draft.place(latitude, longitude);
            Reading::of(draft.finish(device))
        }
        None => Reading::unreadable("a point has the coordinates [longitude, latitude]"),
    }
}

fn line(coordinates: &str, properties: &Map<String, Value>, device: Option<&str>, give: &mut dyn FnMut(Reading)) {
    let Ok(places) = serde_json::from_str::<Vec<Place>>(coordinates) else {
        return give(Reading::unreadable("a line has a list of [longitude, latitude]"));
    };
    let times = properties
        .get("coordTimes")
        .or_else(|| properties.get("coordinateProperties").and_then(|of_each| of_each.get("times")))
        .and_then(Value::as_array);
    let Some(times) = times else {
        return give(Reading::unreadable("a line needs coordTimes, a time for each of its points"));
    };
    let named = name(properties);
    let device = named.as_deref().or(device);
    for (place, time) in places.iter().zip(times.iter().map(Some).chain(std::iter::repeat(None))) {
        let at_ms = time.and_then(text).and_then(|text| moment::moment(&text));
        let (Some((longitude, latitude)), Some(at_ms)) = (place.0, at_ms) else {
            give(Reading::unreadable("a point of the line lacks its place or its time"));
            continue;
        };
        let mut draft = super::fields::Draft::default();
        draft.place(latitude, longitude);
        draft.at(at_ms);
        give(Reading::of(draft.finish(device)));
    }
}

/// The device that the properties name.
fn name(properties: &Map<String, Value>) -> Option<String> {
    let named = properties.iter().filter_map(|(name, value)| match Field::named(name)? {
        (Field::Device, rank) => Some((rank, text(value)?)),
        _ => None,
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A point of a line; one that cannot be read does not take the others with it.
#[derive(Deserialize)]
#[serde(from = "Value")]
struct Place(Option<Coordinates>);

impl From<Value> for Place {
    fn from(value: Value) -> Self {
        let number = |at: usize| value.get(at).and_then(Value::as_f64);
        Self(number(0).zip(number(1)))
    }
}

fn coordinates_of(text: &str) -> Option<Coordinates> {
    serde_json::from_str::<Place>(text).ok()?.0
}
