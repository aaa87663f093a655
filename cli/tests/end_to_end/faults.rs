//! Parties that are down, slow, or die in the middle.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings},
    federation::{Agency, Federation, PATIENCE, outcome, reason},
};

/// HSI's own two data sets agree on one phone whatever CBP does.
fn question(deadline_seconds: u32) -> String {
    format!("deadline_seconds = {deadline_seconds}\n{QUESTION}[[indicator]]\ndataset = \"hsi.cases\"\n")
}

fn only_hsi_answered(answer: &Value, expected: &str) {
    assert_eq!(outcome(answer, "cbp.crossings")["outcome"], expected, "{answer}");
    assert_eq!(outcome(answer, "hsi.calls")["outcome"], "answered");
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&1.into(), &1.414.into()));
    assert_eq!(answer["matches"][0]["label"], "1603903XXXX");
}

fn whole(answer: &Value) {
    assert_eq!(outcome(answer, "cbp.crossings")["outcome"], "answered");
    assert_eq!((&answer["subjects_matched"], &answer["matches"][0]["qe"]), (&2.into(), &1.732.into()));
}

#[test]
fn a_node_that_is_down_or_stopped_leaves_the_answer_of_the_others_and_comes_back_as_it_was() {
    let (crossings, calls) = ([crossings()], calls());
    let mut federation =
        Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    whole(&federation.ask("hsi", &question(30), &[]));

    federation.signal("cbp", "STOP");
    only_hsi_answered(&federation.ask("hsi", &question(2), &[]), "timed_out");
    cancelled_work_ends(&federation);
    federation.signal("cbp", "CONT");

    federation.kill("cbp");
    only_hsi_answered(&federation.ask("hsi", &question(30), &[]), "unavailable");

    // Without HSI there is nobody to tag with: whoever settles now has kept its tags.
    federation.kill("hsi");
    let settled = |federation: &Federation| federation.log("cbp").matches("every data set can be asked").count();
    assert_eq!(settled(&federation), 1);
    federation.run("cbp");
    let until = Instant::now() + PATIENCE;
    while settled(&federation) < 2 {
        assert!(Instant::now() < until, "{}", federation.log("cbp"));
        std::thread::sleep(Duration::from_millis(20));
    }
    federation.run("hsi");
    until_whole(&federation);

    federation.kill("gateway");
    let output = federation.try_ask("hsi", &question(10), &[]);
    assert_eq!(output.status.code(), Some(4), "{}", reason(&output));
    federation.run("gateway");
    until_whole(&federation);
    for name in ["gateway", "cbp", "hsi"] {
        let log = federation.audit(name);
        assert!(federation.output(&["audit", "verify", log.to_str().unwrap()]).status.success(), "{name}");
    }
}

/// Connections are made anew after a restart; how soon is not promised.
fn until_whole(federation: &Federation) {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = federation.try_ask("hsi", &question(30), &[]);
        if let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout)
            && answer["subjects_matched"] == 2
        {
            return whole(&answer);
        }
        assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// While CBP is stopped a question waits for it; when the person goes away, all work on it ends.
fn cancelled_work_ends(federation: &Federation) {
    std::fs::write(federation.path().join("long.toml"), question(500)).unwrap();
    let mut asking = federation
        .command(&["ask", "long.toml", "--as", "hsi-analyst"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let open = |name: &str| {
        let log = federation.audit(name);
        let output = federation.output(&["audit", "verify", "--json", log.to_str().unwrap()]);
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        verified["open"].as_u64().unwrap()
    };
    wait_until(|| open("gateway") > 0 && open("hsi") > 0);
    asking.kill().unwrap();
    asking.wait().unwrap();
    wait_until(|| open("gateway") == 0 && open("hsi") == 0);
}

fn wait_until(condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_node_that_dies_in_mid_stream_leaves_exactly_the_answer_of_the_others() {
    let mut many = crossings().1;
    for n in 0..40_000 {
        many.push_str(&format!("+1202555{:04},2026-03-01T08:00:00Z,cargo,1\n", n % 10_000));
        many.push_str(&format!("+1203555{:04},2026-03-01T08:00:00Z,cargo,1\n", n % 10_000));
    }
    let (crossings, calls) = ([("crossings.csv", many)], calls());
    let mut federation =
        Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    whole(&federation.ask("hsi", &question(30), &[]));
    // 20,000 subjects are 960 kB of rows: the line goes dead in the middle of them.
    let cut = cutting_proxy(federation.ports[1], 300_000);
    federation.stop("gateway");
    let config = federation.path().join("gateway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&federation.ports[1].to_string(), &cut.to_string())).unwrap();
    federation.run("gateway");
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        let output = federation.try_ask("hsi", &question(30), &[]);
        if output.status.success() {
            break serde_json::from_slice(&output.stdout).unwrap();
        }
        assert!(Instant::now() < until, "{}", reason(&output));
        std::thread::sleep(Duration::from_millis(100));
    };
    only_hsi_answered(&answer, "unavailable");
}

/// Forwards to a port and closes each connection once so many bytes have come from there.
fn cutting_proxy(port: u16, after: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let passed = Arc::new(AtomicUsize::new(0));
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || forward(from_client, to_server, usize::MAX, &AtomicUsize::new(0)));
            std::thread::spawn(move || forward(server, client, after, &passed));
        }
    });
    own
}

fn forward(mut from: TcpStream, mut to: TcpStream, most: usize, passed: &AtomicUsize) {
    let mut buffer = [0; 16_384];
    while let Ok(count) = from.read(&mut buffer) {
        let soon = passed.fetch_add(count, Ordering::Relaxed) + count;
        if count == 0 || soon > most || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}
