use std::io::{BufReader, Cursor, Read, repeat};

use proptest::prelude::*;

use super::*;
use crate::position::Seal;

const AT: i64 = 1_660_169_569_000; // 2022-08-10T22:12:49Z

fn read(format: Format, text: &str) -> Vec<Record> {
    read_as(format, text, None)
}

fn read_as(format: Format, text: &str, device: Option<&str>) -> Vec<Record> {
    // A small buffer, so that records lie across its ends.
    let input = BufReader::with_capacity(61, Cursor::new(text.to_owned()));
    let reader = Reader::new(input, format, device.map(str::to_owned)).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}

fn position(device: &str, at_ms: i64, latitude: f64, longitude: f64) -> Position {
    Position {
        device: device.to_owned(),
        at_ms,
        latitude,
        longitude,
        speed_mps: None,
        heading_deg: None,
        accuracy_m: None,
        seal: None,
    }
}

fn found(number: u64, position: Position) -> Record {
    Record { number, reading: Reading::Position(position) }
}

/// Numbers of the records that were refused, with their reasons.
fn refused(records: &[Record]) -> Vec<(u64, Reason)> {
    let reason = |record: &Record| match &record.reading {
        Reading::Refused { reason, .. } => Some((record.number, *reason)),
        _ => None,
    };
    records.iter().filter_map(reason).collect()
}

fn good(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record.reading, Reading::Position(_))).count()
}

#[test]
fn csv_is_read_by_its_header() {
    let text = "\u{feff}Device ID;Time (UTC);Lat;Lng;Speed (mph);Course;Seal State;note\r\n\
                T1;2022-08-10T22:12:49Z;27.5;-99.5;60;360;Broken;\"a;b\"\r\n\
                \r\n\
                \"T2\";1660169569;27.5;-99.5;;;;\r\n";
    let first = Position {
        speed_mps: Some(26.8224),
        heading_deg: Some(0.0),
        seal: Some(Seal::Broken),
        ..position("T1", AT, 27.5, -99.5)
    };
    assert_eq!(read(Format::Csv, text), [found(2, first), found(4, position("T2", AT, 27.5, -99.5))]);
}

#[test]
fn bad_lines_of_csv_are_refused_one_by_one() {
    let text = "device,at_ms,latitude,longitude\n\
                T1,1660169569000,27.5,-99.5\n\
                T1,1660169569000,north,-99.5\n\
                T1,,27.5,-99.5\n\
                T1,yesterday,27.5,-99.5\n\
                T1\n\
                ,1660169569000,27.5,-99.5\n\
                \"T1,1660169569000,27.5,-99.5\n\
                T1,1660169569000,27.5,-99.5,more,than,the,header\n";
    let records = read(Format::Csv, text);
    let unreadable: Vec<_> = [3, 4, 5, 6, 7, 8, 9].map(|line| (line, Reason::Unreadable)).into();
    assert_eq!(refused(&records), unreadable);
    assert_eq!((records.first().unwrap().number, records.last().unwrap().number), (2, 9));
    assert_eq!(good(&records), 1);
}

#[test]
fn a_line_with_more_cells_than_the_header_is_refused_as_its_columns_are_not_certain() {
    // The point at 40.5 north and 100.25 west, with decimal commas.
    let text = "device,time,lat,lon,speed\nT1,1660169569,40,5,-100,25\nT1,1660169569,27.5,-99.5,\n";
    let records = read(Format::Csv, text);
    let why = "6 cells, but the header has 5".into();
    assert_eq!(records[0].reading, Reading::Refused { reason: Reason::Unreadable, why });
    assert_eq!(records[1], found(3, position("T1", AT, 27.5, -99.5)));
    let wide =
        |cells: usize| format!("time,lat,lon{}\n1660169569,27.5,-99.5{}\n", ",w".repeat(997), ",w".repeat(cells));
    assert_eq!(good(&read_as(Format::Csv, &wide(997), Some("T1"))), 1);
    assert_eq!(refused(&read_as(Format::Csv, &wide(998), Some("T1"))).len(), 1);
}

#[test]
fn a_table_with_two_columns_of_one_name_is_not_begun() {
    for (header, expected) in [
        ("device,time,latitude,longitude,latitude", Some("latitude")),
        ("device,time,lat,lon, Device ", Some("Device")),
        ("device,time,lat,lon,note,note", None),
        ("device,name,time,lat,latitude,lon,speed_kmh,speed_mph", None),
    ] {
        let mut reader = Reader::new(Cursor::new(header), Format::Csv, None).unwrap();
        let column = match reader.next() {
            None => None,
            Some(Err(ReadError::Repeated { column })) => Some(column),
            other => panic!("{other:?}"),
        };
        assert_eq!(column.as_deref(), expected, "{header}");
    }
}

#[test]
fn a_table_without_place_or_time_is_not_begun() {
    for header in ["latitude,longitude", "time,longitude", "a,b,c", "time;lat"] {
        let mut reader = Reader::new(Cursor::new(header), Format::Csv, None).unwrap();
        assert!(matches!(reader.next(), Some(Err(ReadError::Header { .. }))), "{header}");
    }
}

#[test]
fn json_lines_and_arrays_are_read_alike() {
    let one = r#"{"device":"T1","timestamp":"2022-08-10T22:12:49","lat":27.5,"lon":-99.5,"speed_kmh":"36"}"#;
    let other = r#"{"deviceId":"T2","at_ms":1660169569000,"latitude":"27.5","longitude":-99.5,"x":{"y":1}}"#;
    let expected = |numbers: [u64; 2]| {
        let first = Position { speed_mps: Some(10.0), ..position("T1", AT, 27.5, -99.5) };
        [found(numbers[0], first), found(numbers[1], position("T2", AT, 27.5, -99.5))]
    };
    assert_eq!(read(Format::JsonLines, &format!("{one}\n\n{other}")), expected([1, 3]));
    assert_eq!(read(Format::JsonLines, &format!("[{one},\n{other}]")), expected([1, 2]));
    let spread = one.replacen('{', "{\n", 1);
    assert_eq!(read(Format::JsonLines, &format!("{spread}\n{other}")), expected([1, 2]));
}

#[test]
fn bad_lines_of_json_are_refused_one_by_one() {
    let good_line = r#"{"device":"T1","at_ms":1660169569000,"lat":27.5,"lon":-99.5}"#;
    let deep = "[".repeat(10_000);
    let text = [
        good_line,
        "{",
        "null",
        "3",
        r#""text""#,
        r#"{"device":"T1"}"#,
        r#"{"lat":1e999}"#,
        &deep,
        r#"{"device":{},"at_ms":1,"lat":27.5,"lon":-99.5}"#,
        good_line,
    ]
    .join("\n");
    let records = read(Format::JsonLines, &text);
    let numbers: Vec<u64> = refused(&records).iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(good(&records), 2);
}

#[test]
fn geojson_gives_points_and_lines() {
    let text = r#"{"type":"FeatureCollection","name":"x","features":[
        {"type":"Feature","geometry":{"type":"Point","coordinates":[-99.5,27.5,130]},
         "properties":{"vehicle":"T1","time":"2022-08-10T22:12:49Z","accuracy":8}},
        {"type":"Feature","id":7,"geometry":{"coordinates":[[-99.5,27.5],[-99.4,27.6],["x"],[-99.2,27.8]],
         "type":"LineString"},"properties":{"coordTimes":["2022-08-10T22:12:49Z","2022-08-10T22:12:50Z",
         "2022-08-10T22:12:51Z"]}},
        {"type":"Feature","geometry":null,"properties":{}},
        {"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,0]]]},"properties":null},
        {"type":"Feature","geometry":{"type":"Point","coordinates":[1]},"properties":{}},
        {"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2]]},"properties":{}}]}"#;
    let first = Position { accuracy_m: Some(8.0), ..position("T1", AT, 27.5, -99.5) };
    let records = read(Format::GeoJson, text);
    assert_eq!(records[0], found(1, first));
    assert_eq!(records[1], found(2, position("7", AT, 27.5, -99.5)));
    assert_eq!(records[2], found(2, position("7", AT + 1000, 27.6, -99.4)));
    // The third lacks its place, the fourth its time.
    let unreadable = |numbers: &[u64]| numbers.iter().map(|&n| (n, Reason::Unreadable)).collect::<Vec<_>>();
    assert_eq!(refused(&records), unreadable(&[2, 2, 5, 6]));
    assert_eq!(records.iter().filter(|record| record.reading == Reading::Other).count(), 2);
    assert_eq!(Format::detect("tracks", text.as_bytes()), Format::GeoJson);
}

#[test]
fn geojson_features_may_stand_one_after_the_other() {
    let feature = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[-99.5,27.5]},"properties":{"id":"T1","at":1660169569}}"#;
    let text = format!("\u{1e}{feature}\n\u{1e}{feature}\n");
    let expected = [1, 2].map(|number| found(number, position("T1", AT, 27.5, -99.5)));
    assert_eq!(read(Format::GeoJson, &text), expected);
    let newer = r#"{"type":"Feature","geometry":{"type":"LineString","coordinates":[[-99.5,27.5]]},
        "properties":{"name":"T1","coordinateProperties":{"times":["2022-08-10T22:12:49Z"]}}}"#;
    assert_eq!(read(Format::GeoJson, newer), [found(1, position("T1", AT, 27.5, -99.5))]);
}

#[test]
fn gpx_gives_its_track_points() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
        <!-- <trkpt lat="1" lon="1"><time>2022-08-10T22:12:49Z</time></trkpt> -->
        <gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><metadata><name>file</name>
        <time>2000-01-01T00:00:00Z</time></metadata>
        <wpt lat="1" lon="2"><name>depot</name></wpt>
        <trk><name>T&amp;1</name><trkseg>
          <trkpt lat="27.5" lon="-99.5"><ele>130</ele><time>2022-08-10T22:12:49Z</time>
            <extensions><g:speed xmlns:g="y">10</g:speed></extensions></trkpt>
          <trkpt lon='-99.5' lat='27.5'><time><![CDATA[2022-08-10T22:12:49Z]]></time><name>no device</name></trkpt>
        </trkseg></trk>
        <trk><trkseg><trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt></trkseg></trk></gpx>"#;
    let first = Position { speed_mps: Some(10.0), ..position("T&1", AT, 27.5, -99.5) };
    let expected =
        [found(1, first), found(2, position("T&1", AT, 27.5, -99.5)), found(3, position("meant", AT, 27.5, -99.5))];
    assert_eq!(read_as(Format::Gpx, text, Some("meant")), expected);
}

#[test]
fn what_stands_deeper_in_gpx_is_no_name_and_no_time() {
    let text = r#"<gpx><extensions><name>file</name></extensions><trk><name>T1</name>
        <extensions><owner><name>Somebody</name></owner><line/><name>colour</name></extensions>
        <trkseg><trkpt lat="27.5" lon="-99.5"><ele/><time>2022-08-10T22:12:49Z</time><speed>10</speed>
        <extensions><x:sensor><x:time>2001-01-01T00:00:00Z</x:time><x:name>thermometer</x:name></x:sensor>
        <x:speed>99</x:speed><x:course>90</x:course></extensions></trkpt>
        <trkpt lat="27.5" lon="-99.5"><extensions><time>2001-01-01T00:00:00Z</time></extensions></trkpt>
        <extensions><name>segment</name></extensions>
        <trkpt lat="27.5" lon="-99.5"><ele><time>2022-08-10T22:12:49Z</time></trkpt>
        <trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt></trkseg></trk></gpx>"#;
    let plain = position("T1", AT, 27.5, -99.5);
    let first = Position { speed_mps: Some(10.0), heading_deg: Some(90.0), ..plain.clone() };
    let records = read(Format::Gpx, text);
    assert_eq!((records[0].clone(), records[3].clone()), (found(1, first), found(4, plain)));
    // Neither has a time of its own; the second of them has an element that is not ended.
    let why = |record: &Record| matches!(&record.reading, Reading::Refused { why, .. } if why == "no time");
    assert!(why(&records[1]) && why(&records[2]), "{records:?}");
}

#[test]
fn bad_track_points_are_refused_one_by_one() {
    let good_point = r#"<trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt>"#;
    let text = [
        "<gpx><trk><name>T1</name>",
        good_point,
        r#"<trkpt lat="27.5" lon="-99.5"/>"#,
        r#"<trkpt lat="north" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt>"#,
        r#"<trkpt lat="27.5" lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt>"#,
        r#"<trkpt lat="27.5 lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt>"#,
        r#"<trkpt lat="27.5" lon="-99.5"><time>&nothing;</time></trkpt>"#,
        r#"<trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time>"#,
        good_point,
        r#"<trkpt lat="27.5" lon="-99.5"><time>2022-08"#,
    ]
    .concat();
    let records = read(Format::Gpx, &text);
    assert_eq!(good(&records), 2, "{records:?}");
    assert!(records.iter().rev().nth(1).is_some_and(|record| matches!(record.reading, Reading::Position(_))));
    let unreadable = [2, 3, 4, 5, 6, 7, 9].map(|number| (number, Reason::Unreadable));
    assert_eq!(refused(&records), unreadable);
}

#[test]
fn owntracks_locations_are_read_and_other_messages_passed() {
    let text = r#"{"_type":"location","topic":"owntracks/acme/T1","tid":"t1","tst":1660169569,"lat":27.5,"lon":-99.5,"acc":12,"vel":36,"cog":-1}
        {"_type":"lwt","tst":1660169569}
        {"_type":"location","tid":"t2","tst":1660169569,"lat":27.5,"lon":-99.5,"vel":-1}
        {"_type":"location","tid":"t2","lat":27.5,"lon":-99.5}
        {"type":"location"}"#;
    let first = Position { accuracy_m: Some(12.0), speed_mps: Some(10.0), ..position("acme:T1", AT, 27.5, -99.5) };
    let records = read(Format::OwnTracks, text);
    assert_eq!(records[0], found(1, first));
    assert_eq!(records[1].reading, Reading::Other);
    assert_eq!(records[2], found(3, position("t2", AT, 27.5, -99.5)));
    assert_eq!(refused(&records), [(4, Reason::Unreadable), (5, Reason::Unreadable)]);
    assert_eq!(Format::detect("-", text.as_bytes()), Format::OwnTracks);
}

#[test]
fn project44_updates_are_read_and_bare_events_passed() {
    let update = |equipment: &str, place: &str| {
        format!(
            r#"{{"shipmentIdentifiers":[{{"type":"BILL_OF_LADING","value":"B1"}}],{place}"utcTimestamp":"2022-08-10T22:12:49","customerId":"c","eventType":"ARRIVED","equipmentIdentifiers":[{equipment}]}}"#
        )
    };
    let (phone, plate) = (r#"{"type":"MOBILE_PHONE_NUMBER","value":"1"}"#, r#"{"type":"LICENSE_PLATE","value":"P1"}"#);
    let (vehicle, place) = (r#"{"type":"VEHICLE_ID","value":"T1"}"#, r#""latitude":27.5,"longitude":-99.5,"#);
    let text = [
        update(&format!("{phone},{plate},{vehicle}"), place),
        update(&format!("{phone},{plate}"), place),
        update(phone, place),
        update(vehicle, ""),
        update(vehicle, r#""latitude":27.5,"#),
    ]
    .join("\n");
    let records = read(Format::Project44, &text);
    assert_eq!(records[0], found(1, position("T1", AT, 27.5, -99.5)));
    assert_eq!(records[1], found(2, position("P1", AT, 27.5, -99.5)));
    assert_eq!(records[3].reading, Reading::Other);
    assert_eq!(refused(&records), [(3, Reason::Unreadable), (5, Reason::Unreadable)]);
    assert_eq!(Format::detect("-", text.as_bytes()), Format::Project44);
    let nameless = update(vehicle, place).replace(&format!("[{vehicle}]"), "null");
    assert_eq!(read_as(Format::Project44, &nameless, Some("T1")), [found(1, position("T1", AT, 27.5, -99.5))]);
}

#[test]
fn formats_are_told_apart_by_content_before_name() {
    for (name, first, format) in [
        ("x.csv", "device,lat,lon,time", Format::Csv),
        ("x.gpx", "", Format::Gpx),
        ("x", "\u{feff} <?xml", Format::Gpx),
        ("x.csv", "{\"lat\":1}", Format::JsonLines),
        ("x.json", "[{\"lat\":1}]", Format::JsonLines),
        ("X.GEOJSON", "{", Format::GeoJson),
        ("-", "", Format::Csv),
    ] {
        assert_eq!(Format::detect(name, first.as_bytes()), format, "{name} {first}");
    }
    for format in Format::ALL {
        assert_eq!(Format::from_word(format.as_str()), Some(format));
    }
}

#[test]
fn a_byte_order_mark_costs_no_record_in_any_format() {
    let json = r#"{"_type":"location","tid":"T1","device":"T1","tst":1660169569,"lat":27.5,"lon":-99.5}"#;
    let update = r#"{"latitude":27.5,"longitude":-99.5,"utcTimestamp":"2022-08-10T22:12:49"}"#;
    let feature =
        r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[-99.5,27.5]},"properties":{"at":1660169569}}"#;
    let track = r#"<gpx><trk><trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt></trk></gpx>"#;
    for (format, text) in [
        (Format::Csv, "time,lat,lon\n1660169569,27.5,-99.5"),
        (Format::JsonLines, json),
        (Format::OwnTracks, json),
        (Format::Project44, update),
        (Format::GeoJson, feature),
        (Format::Gpx, track),
    ] {
        let marked = format!("\u{feff}{text}\n");
        let records = read_as(format, &marked, Some("T1"));
        assert_eq!((good(&records), records.len()), (1, 1), "{format:?} {records:?}");
        assert_eq!(Format::detect("-", marked.as_bytes()), Format::detect("-", text.as_bytes()));
    }
}

#[test]
fn what_is_no_text_is_told_at_its_beginning_in_every_format() {
    let utf_16 = |order: fn(u16) -> [u8; 2]| "\u{feff}time,lat".encode_utf16().flat_map(order).collect::<Vec<_>>();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0".to_vec();
    for (bytes, reason) in
        [(utf_16(u16::to_le_bytes), "feed_utf16"), (utf_16(u16::to_be_bytes), "feed_utf16"), (gzip, "feed_compressed")]
    {
        for format in Format::ALL {
            let error = Reader::new(Cursor::new(bytes.clone()), format, None).err().unwrap();
            assert_eq!(error.reason(), reason, "{format:?}");
        }
    }
}

#[test]
fn ten_megabytes_between_good_records_are_skipped_in_every_format() {
    let json =
        |device: &str| format!(r#"{{"_type":"location","tid":"{device}","tst":1660169569,"lat":27.5,"lon":-99.5}}"#);
    let feature = r#"{"type":"Feature","id":"T1","geometry":{"type":"Point","coordinates":[-99.5,27.5]},"properties":{"at":1660169569}}"#;
    let point = r#"<trkpt lat="27.5" lon="-99.5"><time>2022-08-10T22:12:49Z</time></trkpt>"#;
    let line = "T1,1660169569,27.5,-99.5\n";
    let cases = [
        (Format::Csv, format!("device,time,lat,lon\n{line}"), format!("\n{line}")),
        (Format::OwnTracks, format!("{}\n{{\"x\":\"", json("T1")), format!("\"}}\n{}", json("T1"))),
        (Format::GeoJson, format!("{{\"features\":[{feature},{{\"x\":\""), format!("\"}},{feature}]}}")),
        (Format::Gpx, format!("<trk><name>T1</name>{point}<trkpt lat=\""), format!("\"/>{point}")),
    ];
    for (format, before, after) in cases {
        let input = Cursor::new(before).chain(repeat(b'x').take(10_000_000)).chain(Cursor::new(after));
        let records: Vec<_> =
            Reader::new(BufReader::new(input), format, None).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(good(&records), 2, "{format:?} {records:?}");
        assert_eq!(refused(&records).len(), 1, "{format:?}");
        assert_eq!(refused(&records)[0].1, Reason::LineTooLong, "{format:?}");
    }
}

/// A well-formed text of a format, for spoiling.
fn sample(format: Format) -> &'static str {
    match format {
        Format::Csv => "device,time,lat,lon,seal\nT1,1660169569,27.5,-99.5,intact\n\"T2\",2022-08-10 22:12:49,1,2,\n",
        Format::JsonLines => "{\"device\":\"T1\",\"at_ms\":1,\"lat\":27.5,\"lon\":-99.5}\n[1,{\"a\":[]}]\n",
        Format::GeoJson => {
            "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":{\"type\":\"LineString\",\
             \"coordinates\":[[1,2],[3,4]]},\"properties\":{\"coordTimes\":[\"2022-08-10T22:12:49Z\",1]}}]}"
        }
        Format::Gpx => {
            "<gpx><trk><name>a&lt;</name><trkpt lat=\"1\" lon='2'><time>2022-08-10T22:12:49Z</time></trkpt>\
             <![CDATA[x]]><!-- y --></trk></gpx>"
        }
        Format::OwnTracks => "{\"_type\":\"location\",\"tid\":\"t2\",\"tst\":1,\"lat\":27.5,\"lon\":-99.5}\n",
        Format::Project44 => {
            "{\"latitude\":1,\"longitude\":2,\"utcTimestamp\":\"2022-08-10T22:12:49\",\"equipmentIdentifiers\":[]}"
        }
    }
}

fn all_read(format: Format, bytes: &[u8]) -> usize {
    let input = BufReader::with_capacity(7, Cursor::new(bytes));
    let Ok(reader) = Reader::new(input, format, Some("T".to_owned())) else { return 0 };
    reader.take_while(Result::is_ok).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_read_to_their_end_in_every_format(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for format in Format::ALL {
            // A record takes at least one byte.
            prop_assert!(all_read(format, &bytes) <= bytes.len() + 1);
        }
        let _ = Format::detect("x", &bytes);
    }

    #[test]
    fn spoilt_samples_are_read_to_their_end_in_every_format(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8),
    ) {
        for format in Format::ALL {
            let mut bytes = sample(format).as_bytes().to_vec();
            for (at, byte, how) in &cuts {
                let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
                match how {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, *byte),
                    2 if at < bytes.len() => { bytes.remove(at); }
                    _ if at < bytes.len() => bytes[at] = *byte,
                    _ => {}
                }
            }
            prop_assert!(all_read(format, &bytes) <= bytes.len() + 1);
        }
    }

    #[test]
    fn what_is_written_as_json_lines_is_read_back(
        device in "[A-Za-z0-9_.:-]{1,64}",
        at_ms in -9_000_000_000_000_000_i64..9_000_000_000_000_000,
        latitude in -90.0..90.0_f64,
        longitude in -180.0..180.0_f64,
        speed_mps in prop::option::of(0.0..90.0_f32),
    ) {
        let written = Position { speed_mps, ..position(&device, at_ms, latitude, longitude) };
        let line = serde_json::to_string(&written).unwrap();
        let records = read(Format::JsonLines, &line);
        let Some(Record { reading: Reading::Position(read), .. }) = records.first() else {
            return Err(TestCaseError::fail(format!("{records:?}")));
        };
        prop_assert_eq!((&read.device, read.at_ms), (&written.device, written.at_ms));
        // serde_json reads decimals to within one unit in the last place.
        prop_assert!((read.latitude - latitude).abs() <= 1e-13 && (read.longitude - longitude).abs() <= 1e-13);
        prop_assert_eq!(read.speed_mps.is_some(), speed_mps.is_some());
    }
}
