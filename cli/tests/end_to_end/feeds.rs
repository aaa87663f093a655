//! A partner's positions, from its file to the node's disk.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    io::Write,
    process::{Child, ChildStdin, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use sallyport_node::positions::{Settings, Store};
use sallyport_trust::{
    audit::{Outcome, Phase, verify_each},
    clock::Clock,
};
use serde_json::Value;

use crate::federation::{Agency, Federation, OPEN_RULES, PATIENCE, reason, tls};

/// How often the node dies under one sender.
const KILLS: usize = 50;
const TRUCKS: i64 = 10;
const COLUMNS: &str = "truck,time,lat,lon,speed_mph\n";

const FEED: &str = r#"
[[feed]]
name = "acme.positions"
partner = "acme"
devices = ["ACME-*"]
"#;

const RULE: &str = r#"
[[rule]]
id = "feeds"
effect = "allow"
actions = ["contribute"]
datasets = ["acme.positions"]
[rule.subject]
role = { equals = "feed" }
"#;

/// A federation in which Acme has a feed; `lind` has only the certificate of a person.
fn start() -> Federation {
    let rules = format!("{OPEN_RULES}{RULE}");
    let mut acme = Agency::new("acme", FEED, &[]);
    acme.rules = Some(&rules);
    let federation = Federation::start_unsettled(&[acme, Agency::new("hsi", "", &[])]);
    let mut people = fs::OpenOptions::new().append(true).open(federation.path().join("people.toml")).unwrap();
    for (name, certificate) in [("acme", "partner-acme-feed"), ("posing", "agency-acme-user-acme-analyst")] {
        let files = tls(certificate).replace("[tls]", "[feed.tls]");
        let node = format!("127.0.0.1:{}", federation.ports[1]);
        writeln!(people, "[[feed]]\nname = \"{name}\"\nagency = \"acme\"\nnode = \"{node}\"\n{files}").unwrap();
    }
    federation
}

/// Seconds of now; positions are of the last days.
fn now_s() -> i64 {
    Clock::system().now_ms() / 1000
}

/// Where each truck is, as lines of CSV.
fn write_second(text: &mut String, at_s: i64, second: i64) {
    let latitude = 27.5 + second as f64 * 1e-4;
    for truck in 0..TRUCKS {
        writeln!(text, "ACME-{truck},{},{latitude:.6},-99.{truck}5,55", at_s + second).unwrap();
    }
}

/// So many seconds of each truck.
fn tracks(seconds: i64) -> String {
    let (begin, mut text) = (now_s() - seconds - 60, COLUMNS.to_owned());
    (0..seconds).for_each(|second| write_second(&mut text, begin, second));
    text
}

/// Drives the trucks through the last day, some 20,000 points a second or as fast as they are taken, until they are
/// to stop. Returns how many points that were.
fn drive(mut input: ChildStdin, stop: &AtomicBool) -> u64 {
    const AT_ONCE: i64 = 100;
    input.write_all(COLUMNS.as_bytes()).unwrap();
    let (begin, mut seconds) = (now_s() - 86_400, 0);
    while !stop.load(Ordering::Relaxed) {
        assert!(seconds < 86_000, "the trucks have arrived before the end of the test");
        let mut text = String::new();
        (seconds..seconds + AT_ONCE).for_each(|second| write_second(&mut text, begin, second));
        input.write_all(text.as_bytes()).unwrap();
        seconds += AT_ONCE;
        thread::sleep(Duration::from_millis(50));
    }
    (seconds * TRUCKS) as u64
}

/// Device and moment of everything that the ended node has kept.
fn kept(federation: &Federation) -> Vec<(String, i64)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = federation.path().join("acme/positions");
        let mut batches = Store::open(&directory, Settings::default(), Clock::system()).unwrap().subscribe(0);
        let mut kept = Vec::new();
        while let Some(placed) = batches.next().await.unwrap() {
            kept.extend(placed.batch.positions.into_iter().map(|position| (position.device, position.at_ms)));
        }
        kept
    })
}

fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_file_is_sent_and_what_is_bad_in_it_is_told_by_line() {
    let mut federation = start();
    let now = now_s();
    let lines = [
        "device,time,latitude,longitude".to_owned(),
        format!("ACME-1,{now},27.5,-99.5"),
        format!("ACME-1,{now},north,-99.5"),
        format!("ACME-1,{now},-99.5,27.5"),
        format!("BOLT-1,{now},27.5,-99.5"),
        format!("ACME-2,{},27.5,-99.5", now + 86_400),
        format!("ACME-2,{now},0,0"),
        format!("ACME-2,{now},27.5,-99.5"),
    ];
    fs::write(federation.path().join("day.csv"), lines.join("\n")).unwrap();
    let push = ["feed", "push", "day.csv", "--as", "acme", "--json"];
    let summary = told(&federation.output(&push));
    assert_eq!((&summary["accepted"], &summary["kept_before"]), (&2.into(), &0.into()));
    for (reason, line) in
        [("unreadable", 3), ("swapped", 4), ("unknown_device", 5), ("in_future", 6), ("null_island", 7)]
    {
        let refused = &summary["refused"][reason];
        assert_eq!((&refused["count"], &refused["first_records"][0]), (&1.into(), &line.into()), "{summary}");
    }
    let causes = &summary["refused"]["unreadable"]["causes"];
    assert_eq!(causes["the latitude is no number"]["count"], 1, "{summary}");
    // The same file again is the same stream.
    let again = told(&federation.output(&push));
    assert_eq!((&again["accepted"], &again["kept_before"]), (&0.into(), &6.into()));

    let shown = told(&federation.output(&["feed", "quarantine", "--as", "acme", "--json"]));
    let reasons: Vec<&str> =
        shown["points"].as_array().unwrap().iter().map(|point| point["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["swapped", "unknown_device", "in_future", "null_island"]);
    assert_eq!(shown["points"][0]["latitude"], -99.5);

    // From the standard input, in another format.
    let mut child = federation.command(&["feed", "push", "-", "--as", "acme", "--json"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let message = format!("{{\"_type\":\"location\",\"tid\":\"ACME-3\",\"tst\":{now},\"lat\":27.5,\"lon\":-99.5}}\n");
    child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    assert_eq!(told(&child.wait_with_output().unwrap())["accepted"], 1);

    for (who, feed, expected) in [
        ("posing", "acme.positions", "wrong_role"),
        ("acme", "acme.other", "feed_unknown"),
        ("nobody", "x", "feed_unknown"),
    ] {
        let output = federation.output(&["feed", "push", "day.csv", "--as", who, "--feed", feed]);
        assert_eq!(reason(&output), expected, "{who} {feed}");
        assert!(output.stdout.is_empty(), "{who} {feed}");
    }
    federation.stop("acme");
    assert_eq!(kept(&federation).len(), 3);
    let mut ended = Vec::new();
    verify_each(&federation.audit("acme"), |entry| match &entry.phase {
        Phase::Complete(done) if done.counts.contains_key("positions_accepted") => ended.push(done.outcome),
        _ => {}
    })
    .unwrap();
    assert_eq!(ended, [Outcome::Answered, Outcome::Answered], "one entry for each sending that brought something");
}

#[test]
fn what_comes_late_is_kept_and_told_and_what_is_compressed_is_told_as_that() {
    let federation = start();
    let now = now_s();
    for (at, late) in [(now, 0), (now - 600, 1)] {
        let text = format!("device,time,lat,lon\nACME-4,{at},27.5,-99.5\n");
        fs::write(federation.path().join("late.csv"), text).unwrap();
        let summary = told(&federation.output(&["feed", "push", "late.csv", "--as", "acme", "--json"]));
        assert_eq!((&summary["accepted"], &summary["late"]), (&1.into(), &late.into()), "{summary}");
    }
    fs::write(federation.path().join("compressed.csv"), b"\x1f\x8b\x08\0\0\0").unwrap();
    assert_eq!(reason(&federation.output(&["feed", "push", "compressed.csv", "--as", "acme"])), "feed_compressed");
}

#[test]
fn a_named_stream_goes_on_where_its_input_has_grown_and_takes_no_other_for_it() {
    let mut federation = start();
    let second = |device: &str, second: i64| format!("{device},{},27.5,-99.5\n", now_s() - 1_000 + second);
    let text = |device: &str, points: i64| {
        let lines: Vec<String> = (0..points).map(|number| second(device, number)).collect();
        format!("truck,time,lat,lon\n{}", lines.concat())
    };
    let (one, other) = (text("ACME-1", 250), text("ACME-2", 250));
    fs::write(federation.path().join("one.csv"), &one).unwrap();
    fs::write(federation.path().join("other.csv"), &other).unwrap();
    let counts = |output: Output| {
        let summary = told(&output);
        (summary["accepted"].as_u64().unwrap(), summary["kept_before"].as_u64().unwrap())
    };
    let push = |file: &str, batch: &str| {
        let named = ["feed", "push", file, "--as", "acme", "--stream", "truck", "--batch", batch, "--json"];
        counts(federation.output(&named))
    };
    assert_eq!(push("one.csv", "100"), (250, 0));
    assert_eq!(push("other.csv", "100"), (250, 0), "other content is another stream");
    assert_eq!(push("other.csv", "100"), (0, 250));
    // It has grown since, and is cut in another way.
    let more: String = (250..300).map(|number| second("ACME-1", number)).collect();
    fs::write(federation.path().join("one.csv"), format!("{one}{more}")).unwrap();
    assert_eq!(push("one.csv", "70"), (50, 250));

    // From the standard input, whose batches are cut by how they come.
    let piped = |parts: &[&str]| {
        let mut command = federation.command(&["feed", "push", "-", "--as", "acme", "--stream", "live", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for part in parts {
            let before = journal(&federation);
            input.write_all(part.as_bytes()).unwrap();
            wait_until_kept(&federation, before + 1);
        }
        drop(input);
        counts(child.wait_with_output().unwrap())
    };
    let live = text("ACME-3", 5);
    let (begin, end) = live.split_at(live.len() / 2);
    let (begin, end) =
        (format!("{begin}{}", end.split_inclusive('\n').next().unwrap()), end.split_once('\n').unwrap().1);
    assert_eq!(piped(&[&begin, end]), (5, 0));
    assert_eq!(piped(&[&format!("{live}{}", second("ACME-3", 6))]), (1, 5));

    let output = federation.output(&["feed", "push", "one.csv", "--as", "acme", "--stream", &"x".repeat(48)]);
    assert_eq!(reason(&output), "stream_name");
    federation.stop("acme");
    assert_kept_once(&federation, 250 + 250 + 50 + 6);
}

fn pushing(federation: &Federation, file: &str) -> Child {
    let mut command = federation.command(&["feed", "push", file, "--as", "acme", "--batch", "100", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Bytes of the node's journal of positions, without what a start writes aside.
fn journal(federation: &Federation) -> u64 {
    let Ok(files) = fs::read_dir(federation.path().join("acme/positions/journal")) else { return 0 };
    let segments = files.filter_map(Result::ok).filter(|file| file.path().extension().is_none());
    segments.filter_map(|segment| Some(segment.metadata().ok()?.len())).sum()
}

fn wait_until_kept(federation: &Federation, bytes: u64) {
    let until = Instant::now() + PATIENCE;
    while journal(federation) < bytes {
        assert!(Instant::now() < until, "{}", federation.log("acme"));
        thread::sleep(Duration::from_millis(2));
    }
}

/// That the ended node has every one of so many points once.
fn assert_kept_once(federation: &Federation, points: u64) {
    let kept = kept(federation);
    assert_eq!(kept.len() as u64, points, "none lost, none doubled");
    assert_eq!(kept.iter().collect::<HashSet<_>>().len() as u64, points);
}

#[test]
fn a_sender_that_is_killed_and_started_again_loses_nothing_and_doubles_nothing() {
    let mut federation = start();
    let text = tracks(20_000);
    let points = text.lines().count() as u64 - 1;
    fs::write(federation.path().join("tracks.csv"), &text).unwrap();
    for _ in 0..2 {
        let before = journal(&federation);
        let mut sender = pushing(&federation, "tracks.csv");
        wait_until_kept(&federation, before + 50_000);
        sender.kill().unwrap();
        sender.wait().unwrap();
    }
    let summary = told(&pushing(&federation, "tracks.csv").wait_with_output().unwrap());
    let (accepted, before) = (summary["accepted"].as_u64().unwrap(), summary["kept_before"].as_u64().unwrap());
    assert_eq!((&summary["refused"], accepted + before), (&serde_json::json!({}), points), "{summary}");
    assert!(before > 0 && accepted > 0, "{summary}");
    federation.stop("acme");
    assert_kept_once(&federation, points);
}

#[test]
fn a_node_killed_fifty_times_in_mid_stream_loses_nothing_and_doubles_nothing() {
    let mut federation = start();
    let mut sender = pushing(&federation, "-");
    let (input, stop) = (sender.stdin.take().unwrap(), AtomicBool::new(false));
    let points = thread::scope(|scope| {
        let driving = scope.spawn(|| drive(input, &stop));
        for _ in 0..KILLS {
            // Some batches have come in again; then it dies at any instant of the next fifth of a second.
            wait_until_kept(&federation, journal(&federation) + 20_000);
            thread::sleep(Duration::from_micros(rand::random_range(0..200_000)));
            federation.kill("acme");
            federation.run("acme");
        }
        stop.store(true, Ordering::Relaxed);
        driving.join().unwrap()
    });
    let summary = told(&sender.wait_with_output().unwrap());
    let (accepted, before) = (summary["accepted"].as_u64().unwrap(), summary["kept_before"].as_u64().unwrap());
    assert_eq!((&summary["refused"], accepted + before), (&serde_json::json!({}), points), "{summary}");
    assert!(summary["breaks"].as_u64().unwrap() >= KILLS as u64, "{summary}");
    federation.stop("acme");
    assert_kept_once(&federation, points);
}
