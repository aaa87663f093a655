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
