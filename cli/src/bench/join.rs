//! `sallyport bench join`: tagging, the join over all subjects, and look-ups.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use sallyport_join::row::ROW_BYTES;
use sallyport_proto::common::v1::Outcome;
use sallyport_trust::{
    clock::Clock,
    question::{Question, parse_question},
};
use serde_json::json;

use super::{
    Figure, Limit,
    data::{self, Shape},
    limits, median, show,
};
use crate::{
    desk::Desk,
    failure::Failure,
    federation::{Federation, fresh_directory},
};

const ASKED_TIMES: usize = 5;
const SETTLING: Duration = Duration::from_secs(1_800);

/// Arguments of `sallyport bench join`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Agencies, 2 to 16.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    nodes: u8,
    /// Subjects at each agency, 1,000 to 20,000,000.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    rows: u64,
    /// Part of each agency's subjects that all the others hold too, 0 to 1.
    #[arg(long, default_value_t = 0.5)]
    overlap: f64,
    /// Identifiers that each agency has tagged, to measure tagging; 0 leaves it out.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    tagged: u64,
    /// Where the data go; what an earlier run left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    directory: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures with real processes, then tells.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&arguments.overlap) {
        return Err(Failure::input("overlap", "the overlap is a part, 0 to 1"));
    }
    let bench = Bench {
        directory: fresh_directory(&arguments.directory, "benchmark")?,
        shape: Shape { nodes: usize::from(arguments.nodes), rows: arguments.rows, overlap: arguments.overlap },
        told: !arguments.json,
    };
    data::write_policies(&bench.directory, bench.shape.nodes)?;
    let carriers = Shape { rows: arguments.tagged.max(1), ..bench.shape };
    data::write_rows(&bench.directory, &carriers, "carriers", |subject| (subject + 1).to_string())?;
    let policies = bench.directory.join("policies");
    let members = data::members(&bench.directory, bench.shape.nodes, "carriers", "usdot");
    let mut federation = Federation::start(&bench.directory, &policies, &members)?;
    let mut figures = bench.tagging(&federation, arguments.tagged).await?;

    bench.tell(&format!("writing {} rows for each of {} agencies", bench.shape.rows, bench.shape.nodes));
    data::write_rows(&bench.directory, &bench.shape, "devices", data::device)?;
    federation.end();
    data::write_device_tags(&bench.directory, &bench.shape)?;
    let members = data::members(&bench.directory, bench.shape.nodes, "devices", "device");
    federation.launch(&policies, &members)?;
    bench.tell("nodes prepare their data sets");
    bench.settled(&federation, |_, _| {}).await?;

    let question = parse_question(&data::question(bench.shape.nodes), Clock::system().now_ms())?.question;
    figures.extend(bench.joining(&federation, &question).await?);
    figures.extend(bench.looking_up(&federation, &question).await?);
    let gateway = federation.processes.first().and_then(|process| process.peak_memory_bytes());
    figures.push(Figure {
        name: "gateway's peak memory",
        value: gateway.map_or(f64::NAN, |bytes| bytes as f64 / 1_048_576.0),
        unit: "MiB",
        limit: Limit::AtMost(64.0),
        at_best: None,
    });
    federation.end();
    let about = json!({
        "nodes": bench.shape.nodes,
        "rows": bench.shape.rows,
        "overlap": bench.shape.overlap,
        "processors": limits::processors(),
    });
    show(&figures, arguments.json, about);
    Ok(())
}

struct Bench {
    directory: PathBuf,
    shape: Shape,
    told: bool,
}

impl Bench {
    fn tell(&self, text: &str) {
        if self.told {
            eprintln!("{text}");
        }
    }

    async fn settled(&self, federation: &Federation, progress: impl FnMut(u64, u64)) -> Result<(), Failure> {
        let people: Vec<String> = (1..=self.shape.nodes).map(|node| format!("analyst{node}")).collect();
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        federation.settled(&people, SETTLING, progress).await
    }

    /// All agencies tag at once, as on the first day of an epoch.
    async fn tagging(&self, federation: &Federation, tagged: u64) -> Result<Vec<Figure>, Failure> {
        let mut first: Option<(Instant, u64, f64)> = None;
        let mut last = (Instant::now(), 0);
        self.tell("all agencies tag their identifiers");
        let watch = |tagged: u64, _| {
            if tagged > last.1 {
                last = (Instant::now(), tagged);
                first.get_or_insert((last.0, tagged, federation.processor_s()));
            }
        };
        self.settled(federation, watch).await?;
        let Some((began, at_first, used)) = first.filter(|_| tagged > 0) else { return Ok(Vec::new()) };
        let made = (last.1 - at_first) as f64;
        let cost_s = (federation.processor_s() - used) / made;
        let unavoidable_s = limits::multiplications_s(self.shape.nodes)?;
        Ok(vec![
            Figure {
                name: "tagging, against its multiplications",
                value: cost_s / unavoidable_s,
                unit: "times",
                limit: Limit::AtMost(1.5),
                at_best: Some((1.0, "multiplications alone")),
            },
            Figure {
                name: "tagging, all nodes together",
                value: made / last.0.duration_since(began).as_secs_f64(),
                unit: "identifiers/s",
                limit: Limit::AtLeast(10_000.0),
                at_best: Some((limits::processors() / unavoidable_s, "multiplications alone")),
            },
        ])
    }

    async fn joining(&self, federation: &Federation, question: &Question) -> Result<Vec<Figure>, Failure> {
        self.tell(&format!("asking {ASKED_TIMES} times over all subjects"));
        let mut desk = federation.desk("analyst1")?;
        let rows = self.shape.rows * self.shape.nodes as u64;
        let expected = (self.shape.rows as f64 * self.shape.overlap) as u64;
        let (mut seconds, mut bytes) = (Vec::new(), Vec::new());
        for _ in 0..ASKED_TIMES {
            let (started, received) = (Instant::now(), loopback_bytes());
            let answer = desk.ask(question, Vec::new(), |_| {}).await?;
            seconds.push(started.elapsed().as_secs_f64());
            bytes.push(received.zip(loopback_bytes()).map_or(f64::NAN, |(from, to)| (to - from) as f64 / rows as f64));
            let complete = answer.coverage.iter().all(|part| part.outcome() == Outcome::Answered);
            if !complete || answer.subjects_matched != expected {
                return Err(Failure::check(
                    "wrong_answer",
                    format!("{} subjects matched instead of {expected}", answer.subjects_matched),
                ));
            }
        }
        let core_s = limits::join_core_s(self.shape.nodes, self.shape.overlap);
        Ok(vec![
            Figure {
                name: "question over all subjects",
                value: rows as f64 / median(seconds),
                unit: "rows/s",
                limit: Limit::AtLeast(3_000_000.0),
                at_best: Some((limits::processors() / core_s, "keys, sort, seals and merge alone")),
            },
            Figure {
                name: "sent for one row, TLS and TCP included",
                value: median(bytes),
                unit: "bytes",
                limit: Limit::AtMost(56.0),
                at_best: Some((ROW_BYTES as f64, "the row itself")),
            },
        ])
    }

    async fn looking_up(&self, federation: &Federation, question: &Question) -> Result<Vec<Figure>, Failure> {
        self.tell("looking up 1 and 16 identifiers");
        let mut desk = federation.desk("analyst1")?;
        // The first one has every node put its subjects in the order of the epoch, once.
        look_up(&mut desk, question, 1).await?;
        let durable_s = limits::durable_write_s(&self.directory)?;
        let mut figures = Vec::new();
        for (name, subjects) in [("look-up of 1 identifier", 1), ("look-up of 16 identifiers", 16)] {
            let mut seconds = Vec::new();
            for _ in 0..ASKED_TIMES {
                seconds.push(look_up(&mut desk, question, subjects).await?);
            }
            figures.push(Figure {
                name,
                value: median(seconds),
                unit: "s",
                limit: Limit::AtMost(0.1),
                at_best: Some((6.0 * durable_s, "six durable audit entries, one after the other")),
            });
        }
        Ok(figures)
    }
}

async fn look_up(desk: &mut Desk, question: &Question, subjects: u64) -> Result<f64, Failure> {
    let started = Instant::now();
    let answer = desk.ask(question, (0..subjects).map(data::device).collect(), |_| {}).await?;
    let seconds = started.elapsed().as_secs_f64();
    if answer.subjects_matched != subjects {
        return Err(Failure::check(
            "wrong_answer",
            format!("{} of {subjects} identifiers were found", answer.subjects_matched),
        ));
    }
    Ok(seconds)
}

/// Bytes that have gone over this machine's loopback interface, everyone's.
fn loopback_bytes() -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/dev").ok()?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    line.split_whitespace().next()?.parse().ok()
}
