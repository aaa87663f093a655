//! Measures how long an auditor waits: a log of made-up entries, its index, and searches in it.
//!
//! `cargo run --release -p sallyport-trust --example audit_search -- [ENTRIES]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use sallyport_trust::audit::archive::Archive;
use sallyport_trust::audit::checkpoint::Signer;
use sallyport_trust::audit::query::Query;
use sallyport_trust::audit::report::ReportBuilder;
use sallyport_trust::audit::tiles::TileTree;
use sallyport_trust::audit::{Completion, Decision, Entry, EntryId, Opening, Outcome, Phase, Ruling};
use sallyport_trust::policy::{
    Action, Attributes, Context, Decision as PolicyDecision, Permit, PolicyStore, Request, attribute, kind,
};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
/// Between two actions: a million entries are about two months.
const STEP_MS: i64 = 10_000;
const RUNS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let entries: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("audit");
    let (signer, _) = Signer::generate("sallyport.example/hsi")?;
    write_log(&log, &signer, entries)?;
    let archive = Archive::new(&log, signer.verifier().clone());
    let permit = permit()?;
    let none = Query { persons: vec!["nobody".to_owned()], ..Query::default() };

    let started = Instant::now();
    archive.read(&permit)?.search(&none, None, 50)?;
    println!("{entries} entries; the index is built in {:.2} s", started.elapsed().as_secs_f64());
    let reopened = Archive::new(&log, signer.verifier().clone());
    let started = Instant::now();
    reopened.read(&permit)?.search(&none, None, 50)?;
    println!("first search after a restart            {:8.1} ms", milliseconds(started.elapsed()));

    for (name, query) in queries(entries) {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..RUNS {
            let started = Instant::now();
            found = archive.read(&permit)?.search(&query, None, 50)?.actions.len();
            times.push(started.elapsed());
        }
        times.sort();
        let (median, worst) = (milliseconds(times[RUNS / 2]), milliseconds(times[RUNS - 1]));
        println!("{name:38}  {median:8.1} ms, at worst {worst:.1} ms ({found} shown)");
    }
    report(&archive, &permit, entries)?;
    println!("most memory: {} MiB", peak_memory_bytes() / (1024 * 1024));
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Half of the entries are openings of questions of 200 people, each followed by its completion.
fn write_log(log: &Path, signer: &Signer, entries: u64) -> Result<(), Box<dyn Error>> {
    let mut tree = TileTree::default();
    for number in 0..entries / 2 {
        let id = EntryId::random()?;
        let at_ms = START_MS + number as i64 * STEP_MS;
        tree.push(&Entry { format: 1, at_ms, entry: id, phase: Phase::Open(opening(number)) }.to_bytes()?)?;
        let phase = Phase::Complete(completion(number));
        tree.push(&Entry { format: 1, at_ms: at_ms + 120, entry: id, phase }.to_bytes()?)?;
        write_tiles(log, tree.take_full())?;
    }
    write_tiles(log, tree.edge())?;
    std::fs::write(log.join("checkpoint"), signer.sign(tree.size(), tree.root())?)?;
    Ok(())
}

fn write_tiles(log: &Path, tiles: Vec<(sallyport_trust::audit::tiles::TileId, Vec<u8>)>) -> Result<(), std::io::Error> {
    for (tile, bytes) in tiles {
        let path = log.join(tile.path());
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn opening(number: u64) -> Opening {
    let agency = ["hsi", "cbp", "ice"][(number % 3) as usize];
    Opening {
        actor: format!("spiffe://sallyport.example/agency/{agency}/user/person-{}", number % 200),
        via: Some("spiffe://sallyport.example/gateway".to_owned()),
        action: ["contribute", "account"][usize::from(number.is_multiple_of(5))].to_owned(),
        resource: ["hsi.calls", "hsi.case_outcomes"][usize::from(number.is_multiple_of(7))].to_owned(),
        question: Some(question(number)),
        purpose: Some(["counter-narcotics", "border-security"][usize::from(number.is_multiple_of(4))].to_owned()),
        case_number: Some(format!("HSI-2026-{:05}", number / 20)),
        reason: Some("Link analysis after a seizure at Laredo".to_owned()),
    }
}

/// As far apart as digests are.
fn question(number: u64) -> String {
    format!("{:016x}{number:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn completion(number: u64) -> Completion {
    let denied = number.is_multiple_of(50);
    let ruling = Ruling {
        decision: if denied { Decision::Deny } else { Decision::Allow },
        rule: if denied { "partners-never-ask" } else { "cbp-calls" }.to_owned(),
        policy: "ab".repeat(32),
        obligations: [("minimum_datasets".to_owned(), "2".to_owned())].into(),
    };
    Completion {
        ruling: Some(ruling),
        counts: [("subjects".to_owned(), number % 1000)].into(),
        detail: denied.then(|| "denied_by_rule".to_owned()),
        ..Completion::new(if denied { Outcome::Denied } else { Outcome::Answered })
    }
}

fn queries(entries: u64) -> Vec<(&'static str, Query)> {
    let words = |word: &str| vec![word.to_owned()];
    // Opened a tenth of the way into the log: the search passes over the rest.
    let early = entries / 20;
    let early_ms = START_MS + early as i64 * STEP_MS;
    vec![
        ("everything, newest 50", Query::default()),
        ("nobody", Query { persons: words("nobody"), ..Query::default() }),
        ("one person", Query { persons: words("person-17"), ..Query::default() }),
        ("one case", Query { case_numbers: vec![format!("HSI-2026-{:05}", early / 20)], ..Query::default() }),
        ("one question", Query { questions: vec![question(early)], ..Query::default() }),
        (
            "agency, data set, denied, rule, early",
            Query {
                agencies: words("cbp"),
                resources: words("hsi.calls"),
                decisions: vec![Decision::Deny],
                rules: words("partners-never-ask"),
                until_ms: Some(early_ms),
                ..Query::default()
            },
        ),
        (
            "an hour long past",
            Query { from_ms: Some(early_ms), until_ms: Some(early_ms + 3_600_000), ..Query::default() },
        ),
        ("without an end", Query { outcomes: vec![None], ..Query::default() }),
    ]
}

fn report(archive: &Archive, permit: &Permit, entries: u64) -> Result<(), Box<dyn Error>> {
    let until_ms = START_MS + entries as i64 / 2 * STEP_MS;
    let mut builder = ReportBuilder::new(until_ms - 30 * 86_400_000, until_ms)?;
    let started = Instant::now();
    let query = Query { from_ms: Some(builder.history_from_ms()), until_ms: Some(until_ms), ..Query::default() };
    let read = archive.read(permit)?.each(&query, |action| {
        builder.add(&action);
        true
    })?;
    let actions = builder.finish().actions;
    println!("a report on {actions} actions, {read} read   {:8.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn permit() -> Result<Permit, Box<dyn Error>> {
    let policy = PolicyStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/hsi"))?;
    let request = Request {
        subject: Attributes::new().with(attribute::ROLE, "auditor"),
        resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, "hsi"),
        action: Action::Audit,
        context: Context::default(),
    };
    match policy.decide(&request) {
        PolicyDecision::Allow(permit) => Ok(permit),
        other => Err(format!("the policy does not let auditors read: {other:?}").into()),
    }
}

/// The most memory that the process has had.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kibibytes: u64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default();
    kibibytes * 1024
}
