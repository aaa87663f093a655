//! `sallyport bench audit`: how fast entries of an audit log become durable.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sallyport_trust::{
    audit::{AuditError, AuditLog, Completion, Opening, Outcome, verify_directory},
    clock::Clock,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Figure, Limit, limits, median, show};
use crate::{failure::Failure, federation::fresh_directory};

/// Entries a second while latency is measured.
const PACE: u64 = 500;
const MEASURED_FOR: Duration = Duration::from_secs(10);

/// Arguments of `sallyport bench audit`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Writers at the same time, 1 to 1,024.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    writers: u16,
    /// Where the log goes; what an earlier run left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    directory: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures a log by itself, on the disk that the directory is on.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let tell = |text: &str| {
        if !arguments.json {
            eprintln!("{text}");
        }
    };
    let directory = fresh_directory(&arguments.directory, "benchmark")?;
    let durable_s = limits::durable_write_s(&directory)?;
    tell(&format!("{} writers as fast as they can, for {} s", arguments.writers, MEASURED_FOR.as_secs()));
    let throughput = throughput(&directory.join("throughput"), usize::from(arguments.writers)).await?;
    tell(&format!("{PACE} entries a second, for {} s", MEASURED_FOR.as_secs()));
    let mut latencies = latencies(&directory.join("latency")).await?;
    latencies.sort_by(f64::total_cmp);
    let late = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let at_best = Some((durable_s * 1e3, "one durable write alone"));
    let figures = [
        Figure {
            name: "durable entries, concurrent writers",
            value: throughput,
            unit: "entries/s",
            limit: Limit::AtLeast(2_000.0),
            at_best: Some((f64::from(arguments.writers) / durable_s, "a durable write for each round of writers")),
        },
        Figure {
            name: "entry to durable at 500 entries/s, p50",
            value: median(latencies.clone()) * 1e3,
            unit: "ms",
            limit: Limit::None,
            at_best,
        },
        Figure {
            name: "entry to durable at 500 entries/s, p99",
            value: late * 1e3,
            unit: "ms",
            limit: Limit::AtMost(50.0),
            at_best,
        },
    ];
    let about = json!({ "writers": arguments.writers, "processors": limits::processors() });
    show(&figures, arguments.json, about);
    Ok(())
}

fn opening(number: u64) -> Opening {
    Opening {
        actor: "spiffe://sallyport.demo/agency/hsi/user/rivera".to_owned(),
        action: "ask".to_owned(),
        resource: "federation".to_owned(),
        question: Some(format!("{number:064x}")),
        purpose: Some("counter-narcotics".to_owned()),
        case_number: Some("HSI-2026-0117".to_owned()),
        ..Opening::default()
    }
}

fn open(directory: &Path) -> Result<AuditLog, Failure> {
    AuditLog::open(directory, "sallyport.bench/hsi", Clock::system()).map_err(failed)
}

fn failed(error: AuditError) -> Failure {
    Failure::machine("the audit log cannot be measured", &error)
}

/// Closes the log and checks that it holds all that was acknowledged.
fn verify(log: AuditLog, directory: &Path, acknowledged: u64) -> Result<(), Failure> {
    drop(log);
    let verified =
        verify_directory(directory).map_err(|error| Failure::check("audit_log_broken", error.to_string()))?;
    if verified.entries < acknowledged {
        let lost = format!("{acknowledged} entries were acknowledged and {} are there", verified.entries);
        return Err(Failure::check("audit_log_broken", lost));
    }
    Ok(())
}

/// Entries a second that are acknowledged while everyone writes.
async fn throughput(directory: &Path, writers: usize) -> Result<f64, Failure> {
    let log = open(directory)?;
    let (entries, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for number in 0..writers as u64 {
        let (log, entries, ended) = (log.clone(), entries.clone(), ended.clone());
        tasks.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let entry = log.begin(opening(number)).await?;
                entry.complete(Completion::new(Outcome::Answered)).await?;
                entries.fetch_add(2, Ordering::Relaxed);
            }
            Ok::<_, AuditError>(())
        });
    }
    tokio::time::sleep(MEASURED_FOR).await;
    ended.store(true, Ordering::Relaxed);
    for written in tasks.join_all().await {
        written.map_err(failed)?;
    }
    let (acknowledged, seconds) = (entries.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    verify(log, directory, acknowledged)?;
    Ok(acknowledged as f64 / seconds)
}

/// Seconds from handing in an entry to its acknowledgement, at an even pace.
async fn latencies(directory: &Path) -> Result<Vec<f64>, Failure> {
    let log = open(directory)?;
    let mut due = tokio::time::interval(Duration::from_secs(2) / PACE as u32);
    let mut tasks: JoinSet<Result<[f64; 2], AuditError>> = JoinSet::new();
    // Each action is two entries, one after the other.
    for number in 0..MEASURED_FOR.as_secs() * PACE / 2 {
        let log = log.clone();
        // From when it was due: a log that falls behind does not thin out its own load.
        let began = due.tick().await;
        tasks.spawn(async move {
            let entry = log.begin(opening(number)).await?;
            let opened = began.elapsed().as_secs_f64();
            let again = Instant::now();
            entry.complete(Completion::new(Outcome::Answered)).await?;
            Ok([opened, again.elapsed().as_secs_f64()])
        });
    }
    let mut seconds = Vec::new();
    for measured in tasks.join_all().await {
        seconds.extend(measured.map_err(failed)?);
    }
    verify(log, directory, seconds.len() as u64)?;
    Ok(seconds)
}
