//! From the text of a GeoJSON file to a corridor. Every property is known by name; an unknown one may be a
//! misspelt limit, so it is refused.

use std::collections::BTreeSet;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Corridor, CorridorError, CorridorId, Exception, Role, Zone,
    geometry::{self, Geometry},
    moment::{duration_ms, moment_ms},
};

/// Size of a corridor's file at most, in bytes.
pub const FILE_BYTES_MAX: usize = 2 << 20;
const ZONES_MAX: usize = 500;
const EXCEPTIONS_MAX: usize = 32;
const NAME_MAX: usize = 64;
const WORDS_MAX: usize = 500;
const HALF_WIDTH_M: (f64, f64) = (50.0, 50_000.0);
const HOUR_MS: f64 = 3_600_000.0;
const MINUTE_MS: f64 = 60_000.0;

/// In-bond merchandise must arrive within 30 days (19 CFR 18.1), so no limit is longer.
const LIMIT_MAX_H: f64 = 30.0 * 24.0;

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Document {
    Feature(Feature),
    FeatureCollection { features: Vec<Feature>, crs: Option<Value> },
}

#[derive(Deserialize)]
struct Feature {
    geometry: Value,
    properties: Option<Map<String, Value>>,
    crs: Option<Value>,
}

#[derive(Deserialize)]
struct CorridorProperties {
    name: String,
    #[serde(default)]
    description: String,
    half_width_m: Option<f64>,
    width_m: Option<f64>,
    valid_from: String,
    valid_until: Option<String>,
    arrival_within_h: Option<f64>,
    #[serde(default = "half_an_hour")]
    darkness_limit_min: f64,
    #[serde(default = "half_an_hour")]
    dwell_limit_min: f64,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

const CORRIDOR_PROPERTIES: &[&str] = &[
    "name",
    "description",
    "half_width_m",
    "width_m",
    "valid_from",
    "valid_until",
    "arrival_within_h",
    "darkness_limit_min",
    "dwell_limit_min",
    "exceptions",
];

#[derive(Deserialize)]
struct ZoneProperties {
    name: String,
    radius_m: Option<f64>,
    dwell_max_min: Option<f64>,
    seal_may_open: Option<bool>,
}

fn half_an_hour() -> f64 {
    30.0
}

impl Corridor {
    /// Reads a corridor from the text of its GeoJSON file: one Feature with `role` corridor, or a
    /// FeatureCollection that has exactly one and the zones that belong to it.
    ///
    /// # Errors
    /// Whatever is unclear, with its reason.
    pub fn parse(text: &str) -> Result<Self, CorridorError> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("The file is larger than {} MiB; simplify its lines.", FILE_BYTES_MAX >> 20);
            return Err(CorridorError::new("file_too_large", message));
        }
        // A mark of the byte order says nothing (RFC 8259, section 8.1), and some programs write one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let message = format!("This is not JSON: {error}. (JSON has no NaN and no infinity.)");
            CorridorError::new("not_json", message)
        })?;
        let document: Document = serde_json::from_value(value).map_err(|error| {
            CorridorError::new("not_geojson", format!("This is no GeoJSON Feature or FeatureCollection: {error}."))
        })?;
        let (features, crs) = match document {
            Document::Feature(feature) => (vec![feature], None),
            Document::FeatureCollection { features, crs } => (features, crs),
        };
        if crs.is_some() || features.iter().any(|feature| feature.crs.is_some()) {
            return Err(CorridorError::new(
                "crs_not_supported",
                "Coordinates must be WGS 84 without `crs`, as RFC 7946, section 4, asks.",
            ));
        }
        assemble(features)
    }
}

fn assemble(features: Vec<Feature>) -> Result<Corridor, CorridorError> {
    if features.len() > ZONES_MAX + 1 {
        let message = format!("{} features; at most {ZONES_MAX} zones are allowed.", features.len());
        return Err(CorridorError::new("too_many_zones", message));
    }
    let (mut routes, mut zones) = (Vec::new(), Vec::new());
    for feature in features {
        let mut properties = feature.properties.unwrap_or_default();
        let role = properties.remove("role").unwrap_or_default();
        let geometry: Geometry = serde_json::from_value(feature.geometry).map_err(|error| {
            CorridorError::new("geometry_unfit", format!("A geometry cannot be used for a corridor: {error}."))
        })?;
        match role.as_str() {
            Some("corridor") => routes.push((geometry, properties)),
            Some("stop") => zones.push(zone(Role::Stop, geometry, properties)?),
            Some("origin") => zones.push(zone(Role::Origin, geometry, properties)?),
            Some("destination") => zones.push(zone(Role::Destination, geometry, properties)?),
            _ => {
                return Err(CorridorError::new(
                    "role_unknown",
                    "Each feature needs `role`: corridor, stop, origin or destination.",
                ));
            }
        }
    }
    match (routes.pop(), routes.is_empty()) {
        (Some((geometry, properties)), true) => corridor(geometry, properties, zones),
        _ => Err(CorridorError::new("not_one_corridor", "A file must have exactly one feature with `role` corridor.")),
    }
}

fn corridor(geometry: Geometry, properties: Map<String, Value>, zones: Vec<Zone>) -> Result<Corridor, CorridorError> {
    let properties: CorridorProperties = known("the corridor", properties, CORRIDOR_PROPERTIES)?;
    let usable = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name = properties.name;
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(usable) {
        return Err(CorridorError::new(
            "name_unusable",
            format!("The corridor's name must be letters, digits, `-`, `_` or `.`, at most {NAME_MAX}."),
        ));
    }
    words("description", &properties.description)?;
    let half_width_m = half_width_m(properties.half_width_m, properties.width_m)?;
    let from_ms = moment_ms("valid_from", &properties.valid_from)?;
    let until_ms = properties.valid_until.map(|text| moment_ms("valid_until", &text)).transpose()?;
    if until_ms.is_some_and(|until_ms| until_ms <= from_ms) {
        return Err(CorridorError::new("validity_reversed", "`valid_until` must be after `valid_from`."));
    }
    let hours = |number| duration_ms("arrival_within_h", number, HOUR_MS, (0.1, LIMIT_MAX_H));
    let minutes = |property, number| duration_ms(property, number, MINUTE_MS, (1.0, LIMIT_MAX_H * 60.0));
    let arrival_within_ms = properties.arrival_within_h.map(hours).transpose()?;
    if arrival_within_ms.is_some() && !zones.iter().any(|zone| zone.role == Role::Destination) {
        return Err(CorridorError::new(
            "destination_missing",
            "`arrival_within_h` needs a feature with `role` destination: nothing can arrive without one.",
        ));
    }
    let darkness_limit_ms = minutes("darkness_limit_min", properties.darkness_limit_min)?;
    let dwell_limit_ms = minutes("dwell_limit_min", properties.dwell_limit_min)?;
    let exceptions = exceptions(properties.exceptions)?;
    let (line, outline) = geometry::line(geometry)?;
    Ok(Corridor {
        id: CorridorId { name, from_ms },
        description: properties.description,
        half_width_m,
        until_ms,
        arrival_within_ms,
        darkness_limit_ms,
        dwell_limit_ms,
        exceptions,
        zones,
        line,
        outline,
    })
}

fn half_width_m(half: Option<f64>, whole: Option<f64>) -> Result<f64, CorridorError> {
    let half = match (half, whole) {
        (Some(half), None) => half,
        (None, Some(whole)) => whole / 2.0,
        _ => {
            return Err(CorridorError::new(
                "width_unclear",
                "Give exactly one of `half_width_m`, from the line to the edge, and `width_m`, from edge to edge.",
            ));
        }
    };
    if !(HALF_WIDTH_M.0..=HALF_WIDTH_M.1).contains(&half) {
        return Err(CorridorError::new(
            "width_out_of_range",
            format!("From the line to the edge must be {} to {} metres, not {half}.", HALF_WIDTH_M.0, HALF_WIDTH_M.1),
        ));
    }
    Ok(half)
}

fn exceptions(exceptions: Vec<Exception>) -> Result<Vec<Exception>, CorridorError> {
    let mut codes = BTreeSet::new();
    for exception in &exceptions {
        words("words", &exception.words)?;
        let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let code = &exception.code;
        if code.is_empty() || code.len() > NAME_MAX || !code.bytes().all(usable) || exception.words.is_empty() {
            return Err(CorridorError::new(
                "exception_unusable",
                "Each exception needs a `code` of small letters, digits, `-`, `_` and `.`, and `words` that say what it is.",
            ));
        }
        if !codes.insert(code) {
            return Err(CorridorError::new("exception_twice", format!("The exception `{code}` is given twice.")));
        }
    }
    if exceptions.len() > EXCEPTIONS_MAX {
        let message = format!("At most {EXCEPTIONS_MAX} exceptions are allowed.");
        return Err(CorridorError::new("too_many_exceptions", message));
    }
    Ok(exceptions)
}

fn zone(role: Role, geometry: Geometry, properties: Map<String, Value>) -> Result<Zone, CorridorError> {
    let allowed: &[&str] = match role {
        Role::Stop => &["name", "radius_m", "dwell_max_min", "seal_may_open"],
        Role::Origin | Role::Destination => &["name", "radius_m"],
    };
    let properties: ZoneProperties = known("a zone", properties, allowed)?;
    let name = properties.name;
    words("name", &name)?;
    if name.trim().is_empty() {
        return Err(CorridorError::new("name_unusable", "Each zone needs a `name`."));
    }
    let minutes = |number| duration_ms("dwell_max_min", number, MINUTE_MS, (1.0, LIMIT_MAX_H * 60.0));
    let dwell_max_ms = properties.dwell_max_min.map(minutes).transpose()?;
    let (area, outline) = geometry::area(&name, geometry, properties.radius_m)?;
    // A seal is put on at the origin and taken off at the destination.
    let seal_may_open = properties.seal_may_open.unwrap_or(role != Role::Stop);
    Ok(Zone { name, role, area, outline, dwell_max_ms, seal_may_open })
}

fn words(property: &str, text: &str) -> Result<(), CorridorError> {
    if text.len() > WORDS_MAX || text.chars().any(char::is_control) {
        return Err(CorridorError::new(
            "words_unusable",
            format!("`{property}` must be one line of at most {WORDS_MAX} bytes."),
        ));
    }
    Ok(())
}

fn known<T: DeserializeOwned>(
    whose: &str,
    properties: Map<String, Value>,
    allowed: &[&str],
) -> Result<T, CorridorError> {
    if let Some(unknown) = properties.keys().find(|key| !allowed.contains(&key.as_str())) {
        let shown: String = unknown.chars().take(NAME_MAX).collect();
        return Err(CorridorError::new(
            "property_unknown",
            format!("`{shown}` is no property of {whose}; known are role, {}.", allowed.join(", ")),
        ));
    }
    serde_json::from_value(Value::Object(properties))
        .map_err(|error| CorridorError::new("property_unfit", format!("The properties of {whose}: {error}.")))
}
