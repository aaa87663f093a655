//! A truck on a short corridor, through crashes of the node.

use std::path::Path;

use sallyport_feed::{Position, plausibility::DEVICES_MAX};

use super::*;
use crate::positions::{Batch, Placed};

/// A corridor due east along the equator: 100 km, one kilometre to each side.
const CORRIDOR: &str = r#"{ "type": "FeatureCollection", "features": [
  { "type": "Feature", "properties": { "role": "corridor", "name": "east", "half_width_m": 1000,
      "valid_from": "2026-01-01", "valid_until": "2027-01-01", "arrival_within_h": 48, "darkness_limit_min": 45,
      "dwell_limit_min": 45 },
    "geometry": { "type": "LineString", "coordinates": [[10.0, 0.0], [11.0, 0.0]] } },
  { "type": "Feature", "properties": { "role": "origin", "name": "West", "radius_m": 2000 },
    "geometry": { "type": "Point", "coordinates": [10.0, 0.0] } },
  { "type": "Feature", "properties": { "role": "destination", "name": "East", "radius_m": 2000 },
    "geometry": { "type": "Point", "coordinates": [11.0, 0.0] } }
] }"#;
const START_MS: i64 = 1_772_352_000_000;
const MINUTE_MS: i64 = 60_000;

fn settings(directory: &Path) -> TrackSettings {
    let corridors = directory.join("corridors");
    fs::create_dir_all(&corridors).unwrap();
    fs::write(corridors.join("east.geojson"), CORRIDOR).unwrap();
    fs::write(corridors.join("README.md"), "no corridor").unwrap();
    let mut settings: TrackSettings = toml::from_str("corridors = \"corridors\"\nnews_to = [\"cbp\"]").unwrap();
    settings.anchor(directory);
    settings
}

/// One position a minute at 60 km/h; from minute 30 to 50 the truck is five kilometres north of its way.
fn trip() -> impl Iterator<Item = Placed> {
    (0..70).map(|minute: i64| {
        let is_away = (30..50).contains(&minute);
        let position = Position {
            device: "TRK-1".to_owned(),
            at_ms: START_MS + minute * MINUTE_MS,
            latitude: if is_away { 0.045 } else { 0.0 },
            longitude: 10.0 + minute as f64 * 0.009,
            speed_mps: Some(16.7),
            heading_deg: None,
            accuracy_m: Some(5.0),
            seal: None,
        };
        let batch = Batch {
            feed: "acme.positions".to_owned(),
            stream: "s".to_owned(),
            sequence: minute as u64 + 1,
            received_ms: position.at_ms,
            positions: vec![position],
            refused: Vec::new(),
        };
        Placed { place: minute as u64, batch }
    })
}

fn rows(tracks: &Tracks) -> Vec<String> {
    String::from_utf8(tracks.events.written().unwrap()).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_truck_that_leaves_its_corridor_is_an_event_of_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    let described = tracks.dataset("acme", &settings, &[]).unwrap();
    crate::dataset::validate("acme", std::slice::from_ref(&described)).unwrap();
    assert!(tracks.dataset("acme", &settings, std::slice::from_ref(&described)).is_none());
    for placed in trip().take(30) {
        assert!(!tracks.measure(placed), "nothing before it leaves");
    }
    let changed: Vec<bool> = trip().skip(30).map(|placed| tracks.measure(placed)).collect();
    assert!(changed.contains(&true));
    tracks.tick(START_MS + 70 * MINUTE_MS, 90);
    let rows = rows(&tracks);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].starts_with("TRK-1,2026-03-01T08:") && rows[0].contains(",east,excursion,"), "{rows:?}");
    // It is forgotten when its time is over.
    assert!(tracks.tick(START_MS + 91 * 86_400_000, 90));
    assert!(super::tests::rows(&tracks).iter().all(|row| !row.contains("excursion")));
}

#[test]
fn after_a_crash_at_any_batch_the_events_are_the_same() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let mut tracks = Tracks::open(folder.path(), &settings(folder.path())).unwrap();
        trip().for_each(|placed| _ = tracks.measure(placed));
        rows(&tracks)
    };
    for crash in [0, 1, 29, 33, 36, 45, 52, 69] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
        for placed in trip().take(crash) {
            tracks.measure(placed);
            // Trackers are written now and then, events whenever they change.
            if tracks.measured.place.is_multiple_of(20) {
                tracks.write_snapshot().unwrap();
            }
            tracks.write_events().unwrap();
        }
        drop(tracks);
        let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
        let place = tracks.measured.place;
        trip().skip(place as usize).for_each(|placed| _ = tracks.measure(placed));
        assert_eq!(rows(&tracks), whole, "{crash}");
    }
}

#[test]
fn silence_that_was_told_before_a_crash_is_taken_back_when_what_was_kept_meanwhile_comes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let silent = |tracks: &Tracks| rows(tracks).iter().filter(|row| row.contains(",dark,")).count();
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    trip().take(20).for_each(|placed| _ = tracks.measure(placed));
    tracks.tick(START_MS + 80 * MINUTE_MS, 90);
    assert_eq!(silent(&tracks), 1);
    tracks.write_events().unwrap();
    drop(tracks);
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    trip().take(20).for_each(|placed| _ = tracks.measure(placed));
    assert_eq!(silent(&tracks), 1);
    for mut placed in trip().skip(20) {
        placed.batch.received_ms = START_MS + 81 * MINUTE_MS;
        tracks.measure(placed);
    }
    assert_eq!(silent(&tracks), 0, "{:?}", rows(&tracks));
}

#[test]
fn trackers_that_cannot_be_read_begin_anew_and_damaged_events_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    drop(Tracks::open(folder.path(), &settings).unwrap());
    fs::write(folder.path().join("tracks").join(SNAPSHOT), "{").unwrap();
    assert_eq!(Tracks::open(folder.path(), &settings).unwrap().measured.place, 0);
    fs::write(folder.path().join("tracks").join(EVENTS), "device,at\nTRK-1,yesterday\n").unwrap();
    assert!(Tracks::open(folder.path(), &settings).is_err());
    fs::write(folder.path().join("corridors/bad.geojson"), "{").unwrap();
    let error = Tracks::open(folder.path(), &settings).err().unwrap().to_string();
    assert!(error.contains("bad.geojson"), "{error}");
}

/// One position of each of so many devices, far from every corridor.
fn elsewhere(names: std::ops::Range<usize>, received_ms: i64) -> Placed {
    let position = |name| Position {
        device: format!("ELSE-{name}"),
        at_ms: START_MS,
        latitude: 40.0,
        longitude: 40.0,
        speed_mps: None,
        heading_deg: None,
        accuracy_m: None,
        seal: None,
    };
    let (feed, stream) = ("acme.positions".to_owned(), "s".to_owned());
    let positions = names.map(position).collect();
    let batch = Batch { feed, stream, sequence: 1, received_ms, positions, refused: Vec::new() };
    Placed { place: 0, batch }
}

#[test]
fn silent_devices_are_forgotten_unless_they_are_on_a_corridor_and_too_many_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    trip().take(20).for_each(|placed| _ = tracks.measure(placed));
    tracks.measure(elsewhere(0..DEVICES_MAX + 10, START_MS));
    let followed = |tracks: &Tracks| tracks.measured.trackers["acme.positions"].len();
    assert_eq!((followed(&tracks), tracks.unmeasured), (DEVICES_MAX, 11));
    tracks.measure(elsewhere(5..6, START_MS + 1_000));
    let day_ms = 86_400_000;
    tracks.tick(START_MS + day_ms - 1, 90);
    assert_eq!(followed(&tracks), DEVICES_MAX);
    tracks.tick(START_MS + day_ms, 90);
    // The truck on its corridor, and the device that was heard of a second ago.
    assert_eq!(followed(&tracks), 2);
    tracks.write_snapshot().unwrap();
    drop(tracks);
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    assert_eq!(followed(&tracks), 2);
    tracks.tick(START_MS + day_ms + 1_000, 90);
    assert_eq!(followed(&tracks), 1);
}

#[test]
fn a_corridor_that_is_withdrawn_while_a_truck_is_on_it_is_measured_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut tracks = Tracks::open(folder.path(), &settings).unwrap();
    trip().take(25).for_each(|placed| _ = tracks.measure(placed));
    fs::remove_file(settings.corridors.join("east.geojson")).unwrap();
    tracks.designated.refresh();
    tracks.designated.refresh();
    trip().skip(25).for_each(|placed| _ = tracks.measure(placed));
    assert_eq!(rows(&tracks), Vec::<String>::new());
}
