//! The geometries of RFC 7946 that a corridor may have, and what is wrong with one.

use serde::Deserialize;
use serde_json::Value;

use super::{CorridorError, Degrees};
use crate::geometry::{Area, Line, Place, area::crosses_itself};

/// Points of one line, all parts together.
const LINE_POINTS_MAX: usize = 20_000;
/// Points of one polygon, all rings together.
const POLYGON_POINTS_MAX: usize = 1_000;
/// Between two points of a line, in metres: on a longer arc nobody means the great circle.
const ARC_MAX_M: f64 = 500_000.0;
/// From the middle of an area to its edge, in metres.
const REACH_MAX_M: f64 = 200_000.0;
/// Of a circle, or around a polygon, in metres.
const RADIUS_MAX_M: f64 = 100_000.0;

/// A position as JSON has it: longitude, latitude and perhaps a height.
type Position = Vec<Value>;

/// A geometry. Those that are not listed are refused with their name.
#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
pub(crate) enum Geometry {
    Point(Position),
    LineString(Vec<Position>),
    MultiLineString(Vec<Vec<Position>>),
    Polygon(Vec<Vec<Position>>),
}

/// The line of a corridor, for measuring and for drawing.
pub(crate) fn line(geometry: Geometry) -> Result<(Line, Vec<Vec<Degrees>>), CorridorError> {
    let parts = match geometry {
        Geometry::LineString(part) => vec![part],
        Geometry::MultiLineString(parts) => parts,
        Geometry::Point(_) | Geometry::Polygon(_) => {
            return Err(CorridorError::new(
                "geometry_unfit",
                "The corridor itself must be a LineString or a MultiLineString; points and polygons are for zones.",
            ));
        }
    };
    let outline = outline(&parts, LINE_POINTS_MAX)?;
    let places = places(&outline)?;
    // Before there is a line: between places opposite each other on the earth there is none.
    let mut pairs = places.iter().flat_map(|part| part.windows(2)).map(|pair| (pair[0], pair[1]));
    if let Some((from, to)) = pairs.find(|(from, to)| from.distance_m(*to) > ARC_MAX_M) {
        let (latitude, longitude) = from.degrees();
        return Err(CorridorError::new(
            "points_too_far_apart",
            format!(
                "The next point after latitude {latitude:.4}, longitude {longitude:.4} is {:.0} km away; put points at \
                 most {:.0} km apart.",
                from.distance_m(to) / 1_000.0,
                ARC_MAX_M / 1_000.0
            ),
        ));
    }
    let Some(line) = Line::new(&places) else {
        return Err(CorridorError::new(
            "line_too_short",
            "Each part of the corridor's line needs at least two different points.",
        ));
    };
    Ok((line, outline))
}

/// The area of a zone, and its rings for drawing.
pub(crate) fn area(
    name: &str,
    geometry: Geometry,
    radius_m: Option<f64>,
) -> Result<(Area, Vec<Vec<Degrees>>), CorridorError> {
    let out_of_range = |least: f64| {
        let message = format!("`radius_m` of {name} must be from {least} to {RADIUS_MAX_M} metres.");
        CorridorError::new("number_out_of_range", message)
    };
    match (geometry, radius_m) {
        (Geometry::Point(position), Some(radius_m)) => {
            if !(10.0..=RADIUS_MAX_M).contains(&radius_m) {
                return Err(out_of_range(10.0));
            }
            let (latitude, longitude) = degrees(&position)?;
            Ok((Area::circle(place(latitude, longitude)?, radius_m), vec![]))
        }
        (Geometry::Point(_), None) => {
            let message = format!("{name} is a point and needs `radius_m`, how far around it the zone goes.");
            Err(CorridorError::new("radius_missing", message))
        }
        (Geometry::Polygon(rings), radius_m) => {
            let radius_m = radius_m.unwrap_or(0.0);
            if !(0.0..=RADIUS_MAX_M).contains(&radius_m) {
                return Err(out_of_range(0.0));
            }
            polygon(name, &rings, radius_m)
        }
        (Geometry::LineString(_) | Geometry::MultiLineString(_), _) => {
            let message = format!("{name} must be a Point with `radius_m` or a Polygon.");
            Err(CorridorError::new("geometry_unfit", message))
        }
    }
}

fn polygon(name: &str, rings: &[Vec<Position>], radius_m: f64) -> Result<(Area, Vec<Vec<Degrees>>), CorridorError> {
    let outline = outline(rings, POLYGON_POINTS_MAX)?;
    if outline.is_empty() || outline.iter().any(|ring| ring.len() < 4 || ring.first() != ring.last()) {
        return Err(CorridorError::new(
            "ring_not_closed",
            format!("Each ring of {name} needs at least four points, and its last must be its first."),
        ));
    }
    let mut places = places(&outline)?;
    places.iter_mut().for_each(|ring| ring.dedup());
    if crosses_itself(&places) {
        return Err(CorridorError::new(
            "polygon_crosses_itself",
            format!("The border of {name} crosses or touches itself; draw its corners in order around the zone."),
        ));
    }
    match Area::polygon(&places, radius_m).filter(|area| area.reach_m() <= REACH_MAX_M) {
        Some(area) => Ok((area, outline)),
        None => Err(CorridorError::new(
            "zone_too_large",
            format!("{name} has no extent, or reaches further than {:.0} km from its middle.", REACH_MAX_M / 1_000.0),
        )),
    }
}

fn outline(parts: &[Vec<Position>], points_max: usize) -> Result<Vec<Vec<Degrees>>, CorridorError> {
    let points: usize = parts.iter().map(Vec::len).sum();
    if points > points_max {
        return Err(CorridorError::new(
            "too_many_points",
            format!("A geometry has {points} points; at most {points_max} are allowed. Simplify it."),
        ));
    }
    parts.iter().map(|part| part.iter().map(degrees).collect()).collect()
}

fn places(outline: &[Vec<Degrees>]) -> Result<Vec<Vec<Place>>, CorridorError> {
    for pair in outline.iter().flat_map(|part| part.windows(2)) {
        let (from, to) = (pair[0].1, pair[1].1);
        if (from - to).abs() > 180.0 {
            return Err(CorridorError::new(
                "crosses_antimeridian",
                format!(
                    "Between longitudes {from} and {to} a geometry goes over the antimeridian. Cut it there into parts \
                     that end at 180 and begin at -180, as RFC 7946, section 3.1.9, asks."
                ),
            ));
        }
    }
    outline.iter().map(|part| part.iter().map(|&(latitude, longitude)| place(latitude, longitude)).collect()).collect()
}

fn place(latitude: f64, longitude: f64) -> Result<Place, CorridorError> {
    if let Some(place) = Place::at(latitude, longitude) {
        return Ok(place);
    }
    // What would be a place the other way round was most likely written the other way round.
    Err(if Place::at(longitude, latitude).is_some() {
        CorridorError::new(
            "coordinates_swapped",
            format!("[{longitude}, {latitude}] seems to be latitude first; GeoJSON puts the longitude first."),
        )
    } else {
        CorridorError::new(
            "coordinate_out_of_range",
            format!("[{longitude}, {latitude}] is not on the earth: longitude -180 to 180, latitude -90 to 90."),
        )
    })
}

fn degrees(position: &Position) -> Result<Degrees, CorridorError> {
    let number = |value: &Value| value.as_f64().filter(|number| number.is_finite());
    match position.iter().map(number).collect::<Option<Vec<f64>>>().as_deref() {
        Some([longitude, latitude] | [longitude, latitude, _]) => Ok((*latitude, *longitude)),
        _ => Err(CorridorError::new(
            "coordinate_not_a_number",
            "Each position must be two numbers, longitude and latitude, or three with a height.",
        )),
    }
}
