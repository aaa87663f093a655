//! The fields of a position by the names that feeds give them.
//!
//! Case, spaces, `_`, `-` and whatever else is neither letter nor digit do not matter: `Device ID`,
//! `device_id` and `deviceId` are one name. Where a record has several names for one field, the first in
//! these lists is taken.

use super::moment;
use crate::position::{Position, Seal};

/// A field of a position, and how its value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Device,
    /// A whole moment, or the time of day where there is a [`Field::Day`].
    Time,
    Milliseconds,
    Day,
    Latitude,
    Longitude,
    Speed(Unit),
    Heading,
    Accuracy,
    Seal,
}

/// Units of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    MetresPerSecond,
    KilometresPerHour,
    MilesPerHour,
    Knots,
}

impl Unit {
    /// Metres per second in one of these; the mile and the knot are exact by definition.
    fn in_mps(self) -> f64 {
        match self {
            Unit::MetresPerSecond => 1.0,
            Unit::KilometresPerHour => 1.0 / 3.6,
            Unit::MilesPerHour => 0.44704,
            Unit::Knots => 1852.0 / 3600.0,
        }
    }
}

/// The names of each field, without what does not matter.
const NAMES: [(Field, &[&str]); 13] = [
    (
        Field::Device,
        &[
            "device",
            "deviceid",
            "devicename",
            "vehicle",
            "vehicleid",
            "truck",
            "truckid",
            "unit",
            "unitid",
            "asset",
            "assetid",
            "tracker",
            "trackerid",
            "imei",
            "name",
            "id",
        ],
    ),
    (Field::Milliseconds, &["atms", "timems", "timestampms", "epochms"]),
    (
        Field::Time,
        &[
            "timestamp",
            "utctimestamp",
            "datetime",
            "datetimeutc",
            "time",
            "timeutc",
            "utctime",
            "utc",
            "at",
            "tst",
            "recordedat",
            "eventtime",
            "gpstime",
            "epoch",
        ],
    ),
    (Field::Day, &["date", "dateutc", "day"]),
    (Field::Latitude, &["latitude", "lat", "latitudedeg", "y"]),
    (Field::Longitude, &["longitude", "lon", "lng", "long", "longitudedeg", "x"]),
    (Field::Speed(Unit::MetresPerSecond), &["speedmps", "speedms", "speed", "velocity"]),
    (Field::Speed(Unit::KilometresPerHour), &["speedkmh", "speedkph", "kmh", "kph", "vel"]),
    (Field::Speed(Unit::MilesPerHour), &["speedmph", "mph"]),
    (Field::Speed(Unit::Knots), &["speedknots", "speedkn", "knots"]),
    (Field::Heading, &["headingdeg", "heading", "course", "cog", "bearing", "direction"]),
    (Field::Accuracy, &["accuracym", "accuracy", "acc", "hacc", "horizontalaccuracy"]),
    (Field::Seal, &["seal", "sealstate", "sealstatus"]),
];

impl Field {
    /// The field that goes by this name, and the name's place in its list.
    pub(super) fn named(name: &str) -> Option<(Self, usize)> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        NAMES.iter().find_map(|(field, names)| Some((*field, names.iter().position(|known| *known == plain)?)))
    }
}

/// A position in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    device: Option<(usize, String)>,
    time: Option<(usize, String)>,
    at_ms: Option<i64>,
    day: Option<String>,
    latitude: Option<(usize, f64)>,
    longitude: Option<(usize, f64)>,
    speed_mps: Option<f64>,
    heading_deg: Option<f64>,
    accuracy_m: Option<f64>,
    seal: Option<Seal>,
    fault: Option<&'static str>,
}

impl Draft {
    /// Takes what stands in a field of rank `rank`; an empty text says nothing.
    pub(super) fn set(&mut self, (field, rank): (Field, usize), text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let number = || text.parse::<f64>().ok();
        match field {
            Field::Device => better(&mut self.device, rank, text.to_owned()),
            Field::Time => better(&mut self.time, rank, text.to_owned()),
            Field::Day => self.day = Some(text.to_owned()),
            Field::Milliseconds => {
                let at_ms = text.parse().ok().or_else(|| moment::milliseconds_of(number()?));
                self.at_ms = self.read(at_ms, "the time is no number of milliseconds");
            }
            Field::Latitude => match number() {
                Some(degrees) => better(&mut self.latitude, rank, degrees),
                None => self.fault = Some("the latitude is no number"),
            },
            Field::Longitude => match number() {
                Some(degrees) => better(&mut self.longitude, rank, degrees),
                None => self.fault = Some("the longitude is no number"),
            },
            Field::Speed(unit) => {
                let speed = number().map(|speed| speed * unit.in_mps());
                self.speed_mps = self.read(speed, "the speed is no number");
            }
            Field::Heading => self.heading_deg = self.read(number(), "the heading is no number"),
            Field::Accuracy => self.accuracy_m = self.read(number(), "the accuracy is no number"),
            Field::Seal => self.seal = self.read(Seal::from_word(text), "the seal is not intact, opened or broken"),
        }
    }

    fn read<T>(&mut self, value: Option<T>, fault: &'static str) -> Option<T> {
        if value.is_none() {
            self.fault = Some(fault);
        }
        value
    }

    /// Whether the speed or the heading is known.
    pub(super) fn has_movement(&self, field: Field) -> bool {
        match field {
            Field::Speed(_) => self.speed_mps.is_some(),
            Field::Heading => self.heading_deg.is_some(),
            _ => false,
        }
    }

    /// Sets the place from numbers.
    pub(super) fn place(&mut self, latitude: f64, longitude: f64) {
        (self.latitude, self.longitude) = (Some((0, latitude)), Some((0, longitude)));
    }

    /// Sets the moment, in milliseconds since 1970.
    pub(super) fn at(&mut self, at_ms: i64) {
        self.at_ms = Some(at_ms);
    }

    /// Sets what is known of the movement.
    pub(super) fn movement(&mut self, speed_mps: Option<f64>, heading_deg: Option<f64>, accuracy_m: Option<f64>) {
        (self.speed_mps, self.heading_deg, self.accuracy_m) = (speed_mps, heading_deg, accuracy_m);
    }

    /// The position, of `device` where the record names none.
    pub(super) fn finish(self, device: Option<&str>) -> Result<Position, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let device = self.device.map(|(_, name)| name).or_else(|| device.map(str::to_owned));
        let time = self.time.as_ref().map(|(_, text)| text.as_str());
        let at_ms = match (self.at_ms, &self.day, time) {
            (Some(at_ms), _, _) => Some(at_ms),
            (None, Some(day), Some(time)) => moment::day_and_time(day, time).or_else(|| moment::moment(time)),
            (None, None, Some(time)) => moment::moment(time),
            (None, _, None) => return Err("no time"),
        };
        let narrow = |value: Option<f64>| value.map(|value| value as f32);
        Ok(Position {
            device: device.ok_or("no device")?,
            at_ms: at_ms.ok_or("the time is no moment")?,
            latitude: self.latitude.ok_or("no latitude")?.1,
            longitude: self.longitude.ok_or("no longitude")?.1,
            speed_mps: narrow(self.speed_mps),
            // North is 0, and 360 is written for it.
            heading_deg: narrow(self.heading_deg).map(|heading| if heading == 360.0 { 0.0 } else { heading }),
            accuracy_m: narrow(self.accuracy_m),
            seal: self.seal,
        })
    }
}

/// Keeps the value whose name comes first in its list.
fn better<T>(kept: &mut Option<(usize, T)>, rank: usize, value: T) {
    if kept.as_ref().is_none_or(|(best, _)| rank < *best) {
        *kept = Some((rank, value));
    }
}
