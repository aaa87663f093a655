//! A data set of a feed, from the table of positions.

use sallyport_feed::{Position, Seal};
use sallyport_trust::clock::Clock;

use super::*;
use crate::positions::{Settings, Store};

/// 2026-11-24T00:00:00Z.
const MIDNIGHT_MS: i64 = 1_795_478_400_000;
const DATASET: &str = r#"
name = "acme.positions"
feed = "acme"
sensitivity = "official"
time = { column = "at" }
identifier = [{ name = "truck", column = "device", type = "device" }]
attribute = [
    { name = "speed", column = "speed_mps", type = "decimal" },
    { name = "seal", column = "seal", type = "text" },
]
"#;

async fn append(store: &Store, feed: &str, sequence: u64, devices: std::ops::Range<i64>) {
    let position = |number| Position {
        device: format!("truck-{number}"),
        at_ms: MIDNIGHT_MS + number * 1_500,
        latitude: 27.5,
        longitude: -99.5,
        speed_mps: Some(12.5),
        heading_deg: None,
        accuracy_m: None,
        seal: Some(Seal::Intact),
    };
    store.append(feed, "s", sequence, devices.map(position).collect(), Vec::new()).await.unwrap();
    store.settle().await.unwrap();
}

#[tokio::test]
async fn a_feed_is_a_data_set_of_what_has_settled() {
    let state = tempfile::tempdir().unwrap();
    let dataset: Dataset = toml::from_str(DATASET).unwrap();
    crate::dataset::validate("acme", std::slice::from_ref(&dataset)).unwrap();
    let kind = dataset.identifier[0].kind;
    let mut subjects = BTreeMap::from([(kind, Subjects::open(&state.path().join("subjects"), kind).unwrap())]);
    let mut prepare = || prepare(state.path(), &dataset, &mut subjects, &mut Builder::default()).unwrap();
    // Before anything has come, and before there is a table.
    assert_eq!(prepare().rows, 0);
    let directory = positions::directory(state.path());
    let store = Store::open(&directory, Settings::default(), Clock::system()).unwrap();
    append(&store, "acme", 1, 0..5).await;
    append(&store, "other", 1, 50..90).await;
    let manifest = prepare();
    assert_eq!((manifest.rows, manifest.subjects["truck"]), (5, 5));
    assert_eq!((manifest.bad_times, manifest.bad_attributes, manifest.lost("truck")), (0, 0, 0));
    assert_eq!((manifest.oldest_ms, manifest.newest_ms), (Some(MIDNIGHT_MS), Some(MIDNIGHT_MS + 6_000)));
    append(&store, "acme", 2, 3..8).await;
    let manifest = prepare();
    assert_eq!((manifest.rows, manifest.subjects["truck"]), (10, 8));
    assert_eq!(prepare(), manifest);
}

#[test]
fn a_data_set_has_files_or_a_feed() {
    let validate = |text: &str| {
        let dataset: Dataset = toml::from_str(text).unwrap();
        crate::dataset::validate("acme", &[dataset]).map_err(|error| error.problem)
    };
    validate(DATASET).unwrap();
    for wrong in [DATASET.replace("feed = \"acme\"", ""), DATASET.replace("feed =", "files = [\"a.csv\"]\nfeed =")] {
        assert!(validate(&wrong).unwrap_err().contains("file"));
    }
}

const SIGHTINGS: &str = r#"
name = "acme.sightings"
sensitivity = "official"
time = { column = "at" }
place = { latitude = "lat", longitude = "lon" }
identifier = [{ name = "camera", column = "camera", type = "device" }]
"#;

#[test]
fn places_become_cells_and_what_is_none_is_counted() {
    let state = tempfile::tempdir().unwrap();
    let csv = "camera,at,lat,lon\n\
        c1,2026-01-01T00:00:00Z,27.5,-99.5\n\
        c2,2026-01-01T00:00:00Z,27.5001,-99.5001\n\
        c3,2026-01-01T00:00:00Z,41.0,29.0\n\
        c4,2026-01-01T00:00:00Z,0,0\n\
        c5,2026-01-01T00:00:00Z,-99.5,27.5\n\
        c6,2026-01-01T00:00:00Z,,\n\
        c7,2026-01-01T00:00:00Z,north,west\n";
    let file = state.path().join("sightings.csv");
    fs::write(&file, csv).unwrap();
    let dataset = Dataset { files: vec![file], ..toml::from_str(SIGHTINGS).unwrap() };
    crate::dataset::validate("acme", std::slice::from_ref(&dataset)).unwrap();
    let open = |kind| (kind, Subjects::open(&state.path().join("subjects"), kind).unwrap());
    let mut subjects: BTreeMap<_, _> = dataset.subject_types().map(open).collect();
    let manifest = prepare(state.path(), &dataset, &mut subjects, &mut Builder::default()).unwrap();
    assert_eq!((manifest.rows, manifest.subjects[CELL], manifest.without_place()), (7, 2, 4));
    // Those around them have numbers too, and those that stand for their two areas; all survive the disk.
    assert_eq!(subjects[&IdentifierType::Cell].count(), 16);
    assert_eq!(open(IdentifierType::Cell).1.count(), 16);
}

#[test]
fn a_place_needs_a_time_and_its_names() {
    let wrong = |text: &str| {
        let dataset: Dataset = toml::from_str(text).unwrap();
        let dataset = Dataset { files: vec![PathBuf::from("Cargo.toml")], ..dataset };
        crate::dataset::validate("acme", &[dataset]).map_err(|error| error.problem).unwrap_err()
    };
    assert!(wrong(&SIGHTINGS.replace("time = { column = \"at\" }", "")).contains("time"));
    assert!(wrong(&SIGHTINGS.replace("name = \"camera\"", "name = \"cell\"")).contains("reserved"));
    assert!(toml::from_str::<Dataset>(&SIGHTINGS.replace(", longitude = \"lon\"", "")).is_err());
}
