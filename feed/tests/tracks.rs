//! Real tracks that nobody in this project recorded: read whole, and nothing in them refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs::File, io::BufReader, path::PathBuf};

use sallyport_feed::{Bounds, Format, Plausibility, Reader, Reading, Reason, format::ReadError};

/// 17 January 2009, 20:27:37 and 22:34:28 UTC.
const SEATTLE_MS: (i64, i64) = (1_232_224_057_000, 1_232_231_668_000);

fn track(name: &str) -> Option<Reader<BufReader<File>>> {
    let root = std::env::var_os("SALLYPORT_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let Ok(file) = File::open(root.join("gps_us_tracks").join(name)) else {
        assert!(std::env::var_os("SALLYPORT_DATA_REQUIRED").is_none(), "{name} is not at SALLYPORT_DATA");
        println!("skipped: {name} is not at SALLYPORT_DATA");
        return None;
    };
    Some(Reader::new(BufReader::new(file), Format::Csv, Some("car".to_owned())).unwrap())
}

#[test]
fn two_hours_of_a_car_in_seattle_are_plausible_point_by_point() {
    let Some(reader) = track("seattle_newson_krumm_gps_data.txt") else { return };
    let positions: Vec<_> = reader
        .map(|record| match record.unwrap().reading {
            Reading::Position(position) => position,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(positions.len(), 7531);
    assert_eq!((positions[0].at_ms, positions[7530].at_ms), SEATTLE_MS);
    assert_eq!((positions[0].latitude, positions[0].longitude), (47.66748333, -122.1070833));
    let bounds = Bounds { clock_skew_ms: 0, age_max_ms: 86_400_000, speed_max_mps: 50.0, region: None };
    let mut feed = Plausibility::new(bounds);
    assert!(positions.iter().all(|position| feed.check(position, SEATTLE_MS.1) == Ok(())));
    // With the columns exchanged, nothing is left.
    for position in &positions {
        let exchanged =
            sallyport_feed::Position { latitude: position.longitude, longitude: position.latitude, ..position.clone() };
        assert_eq!(feed.check(&exchanged, SEATTLE_MS.1), Err(Reason::Swapped));
    }
}

#[test]
fn a_track_without_times_is_refused_at_its_header() {
    for name in ["denver_mappymatch_trace_1.csv", "denver_mappymatch_trace_2.csv", "denver_mappymatch_trace_3.csv"] {
        let Some(mut reader) = track(name) else { return };
        let Some(Err(ReadError::Header { missing })) = reader.next() else { panic!("{name}") };
        assert!(missing.contains("time"), "{missing}");
    }
}
