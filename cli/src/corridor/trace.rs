//! `sallyport corridor trace`: what positions show against corridors, from files alone, as a node would measure them.
//!
//! Sends nothing anywhere, and judges no silence after the last position of a device.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use sallyport_feed::{Format, Position, Reader, Reading, plausibility::DEVICES_MAX};
use sallyport_node::track_point;
use sallyport_track::{CorridorId, Corridors, Ignored, Kind, TrackEvent, Tracker, geometry::Place, picture};
use serde_json::{Value, json};

use super::read_all;
use crate::{answer::print_table, failure::Failure, lead::at, terminal};

/// Places that are drawn, at most.
const DRAWN_MAX: usize = 100_000;
/// Bytes that the format is detected by.
const FIRST_BYTES: u64 = 8 * 1024;

/// Arguments of `sallyport corridor trace`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Positions: CSV, JSON lines, GeoJSON, GPX, OwnTracks or project44.
    #[arg(value_name = "POSITIONS")]
    positions: PathBuf,
    /// A corridor, GeoJSON; several times for several.
    #[arg(long = "corridor", required = true, value_name = "FILE")]
    corridors: Vec<PathBuf>,
    /// This device alone.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Draw the device's track on the first corridor into an SVG file.
    #[arg(long, value_name = "OUT", requires = "device")]
    svg: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What the positions have shown so far.
#[derive(Default)]
struct Shown {
    trackers: BTreeMap<String, Tracker>,
    /// By device, corridor, kind and beginning: what is known last.
    events: BTreeMap<(String, CorridorId, Kind, i64), TrackEvent>,
    drawn: Vec<Place>,
    /// Places beyond what is drawn.
    not_drawn: u64,
    positions: u64,
    refused: u64,
}

/// Measures the file and says what it shows.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (corridors, checked) = read_all(&arguments.corridors)?;
    let shown = measure(arguments, &corridors)?;
    if shown.positions == 0 {
        let what = format!("{} holds no position of the device that is meant", arguments.positions.display());
        return Err(Failure::input("no_positions", what));
    }
    if let (Some(out), Some(device), Some((_, corridor))) = (&arguments.svg, &arguments.device, checked.first()) {
        std::fs::write(out, picture::track(corridor, device, &shown.drawn))
            .map_err(|error| Failure::machine_with("file_unwritable", &out.display().to_string(), &error))?;
    }
    if arguments.json {
        println!("{}", terminal::json(&object(&shown)));
    } else {
        print(&shown, arguments.svg.as_deref());
    }
    Ok(())
}

fn measure(arguments: &Arguments, corridors: &Corridors) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    for record in open(&arguments.positions)? {
        let record = record.map_err(|error| Failure::input(error.reason(), error.to_string()))?;
        match record.reading {
            Reading::Position(position) if arguments.device.as_ref().is_none_or(|only| *only == position.device) => {
                shown.take(corridors, &position)?;
                if arguments.svg.is_some() {
                    shown.draw(&position);
                }
            }
            Reading::Refused { .. } => shown.refused += 1,
            _ => {}
        }
    }
    shown.end(corridors);
    Ok(shown)
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::input("feed_file", format!("{} cannot be read ({})", path.display(), error.kind()))
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut first = Vec::new();
    file.by_ref().take(FIRST_BYTES).read_to_end(&mut first).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let format = Format::detect(&path.display().to_string(), &first);
    Reader::new(BufReader::new(file), format, None).map_err(|error| Failure::input(error.reason(), error.to_string()))
}

impl Shown {
    fn take(&mut self, corridors: &Corridors, position: &Position) -> Result<(), Failure> {
        if self.trackers.len() >= DEVICES_MAX && !self.trackers.contains_key(&position.device) {
            let what = format!("the file has positions of over {DEVICES_MAX} devices; name the one with --device");
            return Err(Failure::input("too_many_devices", what));
        }
        self.positions += 1;
        let new = |device: &String| Tracker::new(device.as_str());
        let tracker = self.trackers.entry(position.device.clone()).or_insert_with_key(new);
        let events = tracker.observe(corridors, track_point(position));
        self.keep(events);
        Ok(())
    }

    /// Takes in what waits for points that might still come.
    fn end(&mut self, corridors: &Corridors) {
        let events: Vec<TrackEvent> =
            self.trackers.values_mut().flat_map(|tracker| tracker.finish(corridors)).collect();
        self.keep(events);
    }

    fn keep(&mut self, events: Vec<TrackEvent>) {
        for event in events {
            let name = (event.device.clone(), event.corridor.clone(), event.kind, event.began_ms);
            if event.is_withdrawn() {
                self.events.remove(&name);
            } else {
                self.events.insert(name, event);
            }
        }
    }

    fn draw(&mut self, position: &Position) {
        if self.drawn.len() < DRAWN_MAX {
            self.drawn.extend(Place::at(position.latitude, position.longitude));
        } else {
            self.not_drawn += 1;
        }
    }

    /// Devices that have joined a corridor.
    fn joined(&self) -> usize {
        self.trackers.values().filter(|tracker| tracker.joined().next().is_some()).count()
    }

    /// Positions that could be read and were not measured, of all devices.
    fn ignored(&self) -> Ignored {
        let sum = |sum: Ignored, tracker: &Tracker| {
            let Ignored { late, unusable, jumps } = tracker.ignored();
            Ignored { late: sum.late + late, unusable: sum.unusable + unusable, jumps: sum.jumps + jumps }
        };
        self.trackers.values().fold(Ignored::default(), sum)
    }
}

fn print(shown: &Shown, svg: Option<&Path>) {
    let rows = shown.events.values().map(|event| {
        vec![
            event.device.clone(),
            event.corridor.name.clone(),
            event.kind.name().to_owned(),
            at(event.began_ms),
            event.ended_ms.map_or_else(|| "goes on".to_owned(), at),
            format!("{:.1} km", event.away_m / 1e3),
            format!("{:.0} min", event.outside_s / 60.0),
            format!("{:.3}", event.strength),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() && shown.joined() == 0 {
        println!("Nothing was measured: no device joined a corridor.");
    } else if rows.is_empty() {
        println!("Nothing but ordinary driving.");
    } else {
        print_table(&["device", "corridor", "what", "began", "ended", "away", "outside", "strength"], rows);
    }
    println!(
        "{} positions of {} devices; {} of them joined a corridor. {} records of the file cannot be read.",
        shown.positions,
        shown.trackers.len(),
        shown.joined(),
        shown.refused
    );
    let Ignored { late, unusable, jumps } = shown.ignored();
    for (count, what) in [
        (late, "came after newer ones of their device, or repeat one; sort the file by time"),
        (jumps, "are further away than a truck can go"),
        (unusable, "have no place, or an accuracy too coarse to show a side of a corridor"),
    ] {
        if count > 0 {
            println!("{count} positions were not measured: they {what}.");
        }
    }
    if let Some(out) = svg {
        println!("Drawn into {}.", terminal::line(&out.display().to_string()));
        if shown.not_drawn > 0 {
            println!("Only the first {DRAWN_MAX} places are drawn; {} are not.", shown.not_drawn);
        }
    }
}

fn object(shown: &Shown) -> Value {
    let events = shown.events.values().map(|event| {
        json!({
            "device": event.device,
            "corridor": event.corridor.name,
            "kind": event.kind.name(),
            "began": at(event.began_ms),
            "ended": event.ended_ms.map(at),
            "away_m": event.away_m,
            "outside_s": event.outside_s,
            "lasted_s": event.lasted_s,
            "strength": event.strength,
        })
    });
    let Ignored { late, unusable, jumps } = shown.ignored();
    json!({
        "events": events.collect::<Vec<_>>(),
        "positions": shown.positions,
        "devices": shown.trackers.len(),
        "joined": shown.joined(),
        "refused": shown.refused,
        "not_measured": { "late": late, "jumps": jumps, "unusable": unusable },
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn trace(device: Option<&str>, svg: Option<PathBuf>, positions: &str) -> Result<Shown, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("positions.csv");
        std::fs::write(&file, positions).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/corridors/laredo-detroit.geojson");
        let device = device.map(str::to_owned);
        let arguments = Arguments { positions: file, corridors: vec![own], device, svg, json: true };
        run(&arguments)?;
        measure(&arguments, &read_all(&arguments.corridors)?.0)
    }

    /// Two trucks leave Laredo along the corridor for an hour; then one of them drives west.
    fn positions() -> String {
        let own = include_str!("../../../policies/corridors/laredo-detroit.geojson");
        let line = sallyport_track::Corridor::parse(own).unwrap().line;
        let mut text = String::from("device,time,latitude,longitude\n");
        for minute in 0..120 {
            for truck in ["A", "B"] {
                let (latitude, longitude) = line.at(f64::from(minute.min(60)) * 1_500.0).unwrap().degrees();
                let west = if truck == "B" { f64::from((minute - 60).max(0)) * 0.015 } else { 0.0 };
                let (hour, minute) = (8 + minute / 60, minute % 60);
                writeln!(text, "{truck},2026-03-01T{hour:02}:{minute:02}:00Z,{latitude},{}", longitude - west).unwrap();
            }
        }
        text
    }

    #[test]
    fn a_track_shows_offline_what_a_node_would_find_in_it() {
        let shown = trace(None, None, &positions()).unwrap();
        let found: Vec<(&str, Kind)> = shown.events.values().map(|event| (event.device.as_str(), event.kind)).collect();
        // The one that stays behind stands off the allowed stops.
        assert_eq!(found, [("A", Kind::Dwell), ("B", Kind::Excursion)]);
        assert_eq!((shown.positions, shown.joined(), shown.refused), (240, 2, 0));
    }

    #[test]
    fn what_was_not_measured_is_told() {
        let mut lines: Vec<String> =
            positions().lines().filter(|line| !line.starts_with("B,")).map(str::to_owned).collect();
        // Over an hour late, and far away for one fix.
        let late = lines.remove(20);
        lines.insert(90, late);
        lines.insert(30, "A,2026-03-01T08:29:10Z,10.0,-99.5".to_owned());
        let shown = trace(None, None, &lines.join("\n")).unwrap();
        assert_eq!(shown.ignored(), Ignored { late: 1, unusable: 0, jumps: 1 });
        assert_eq!(object(&shown)["not_measured"], json!({ "late": 1, "jumps": 1, "unusable": 0 }));
    }

    #[test]
    fn one_device_is_drawn_and_one_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("track.svg");
        let shown = trace(Some("B"), Some(out.clone()), &positions()).unwrap();
        assert_eq!((shown.events.len(), shown.drawn.len()), (1, 120));
        assert!(std::fs::read_to_string(out).unwrap().contains(">B</text>"));
        let told = format!("{:?}", trace(Some("C"), None, &positions()).err().unwrap());
        assert!(told.contains("no_positions"), "{told}");
    }
}
