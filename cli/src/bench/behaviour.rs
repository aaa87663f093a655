//! `sallyport bench behaviour`: measures of behaviour over the events of one agency.

use std::{path::PathBuf, time::Duration};

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

const ASKED_TIMES: usize = 3;
const SETTLING: Duration = Duration::from_secs(1_800);
const NODES: usize = 2;
/// Events of one subject.
const EVENTS_OF_ONE: u64 = 100;
/// Devices that the second agency holds too.
const SHARED: u64 = 1_000;
const CARRIERS: u64 = 2_000;

/// Each measure as a question file has it, and from when on: together with the days before, every
/// measure looks at all events.
const MEASURES: [(&str, &str); 5] = [
    ("novelty", "contact = \"carrier\"\nbaseline_days = 120\nfrom = 2026-05-01"),
    ("rarity", "rarity_of = \"lane\"\nbaseline_days = 120\nfrom = 2026-05-01"),
    ("burst", "baseline_days = 120\nfrom = 2026-05-01"),
    ("silence", "baseline_days = 120\nfrom = 2026-05-01"),
    ("regularity", "from = 2026-01-01"),
];

/// Arguments of `sallyport bench behaviour`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Events at the first agency, 100,000 to 50,000,000.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(100_000..=50_000_000))]
    events: u64,
    /// Where the data go; what an earlier run left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    directory: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures with real processes, then tells.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let tell = |text: &str| {
        if !arguments.json {
            eprintln!("{text}");
        }
    };
    let directory = fresh_directory(&arguments.directory, "benchmark")?;
    let policies = directory.join("policies");
    data::write_policies(&directory, NODES)?;
    // A few identifiers make the nodes agree on an epoch, whose tags can then be written.
    let few = Shape { nodes: NODES, rows: 10, overlap: 1.0 };
    data::write_rows(&directory, &few, "carriers", |subject| (subject + 1).to_string())?;
    let members = data::members(&directory, NODES, "carriers", "usdot");
    let mut federation = Federation::start(&directory, &policies, &members)?;
    let people = ["analyst1", "analyst2"];
    federation.settled(&people, SETTLING, |_, _| {}).await?;
    federation.end();

    tell(&format!("writing {} events of one agency", arguments.events));
    let subjects = Shape { nodes: NODES, rows: arguments.events / EVENTS_OF_ONE, overlap: 1.0 };
    data::write_rows(&directory, &Shape { rows: SHARED, ..subjects }, "devices", data::device)?;
    data::write_meetings(&directory, arguments.events, subjects.rows, CARRIERS)?;
    data::write_device_tags(&directory, &subjects)?;
    let mut members = data::members(&directory, NODES, "devices", "device");
    members[0].datasets.push_str(
        "[[dataset.identifier]]\nname = \"carrier\"\ncolumn = \"carrier\"\ntype = \"usdot\"\n\
         [[dataset.attribute]]\nname = \"lane\"\ncolumn = \"lane\"\ntype = \"text\"\n",
    );
    federation.launch(&policies, &members)?;
    tell("nodes prepare their data sets");
    federation.settled(&people, SETTLING, |_, _| {}).await?;

    let mut desk = federation.desk("analyst1")?;
    let at_best = 1.0 / limits::grouping_s(arguments.events, subjects.rows);
    let mut figures = Vec::new();
    for (measure, settings) in MEASURES {
        tell(&format!("asking {ASKED_TIMES} times for {measure}"));
        let question = parse_question(&data::behaviour_question(measure, settings), Clock::system().now_ms())?.question;
        let mut seconds = Vec::new();
        for _ in 0..ASKED_TIMES {
            let used_s = node_processor_s(&federation)?;
            ask(&mut desk, &question).await?;
            seconds.push(node_processor_s(&federation)? - used_s);
        }
        figures.push(Figure {
            name: measure,
            value: arguments.events as f64 / median(seconds),
            unit: "events/s and core",
            limit: Limit::AtLeast(5_000_000.0),
            at_best: Some((at_best, "putting them beside each other alone")),
        });
    }
    federation.end();
    let about = json!({ "events": arguments.events, "subjects": subjects.rows, "processors": limits::processors() });
    show(&figures, arguments.json, about);
    Ok(())
}

/// Processor seconds that the first agency's node has used: its scans, its measures, and all that an
/// answer takes besides.
fn node_processor_s(federation: &Federation) -> Result<f64, Failure> {
    let node = federation.processes.iter().find(|process| process.name == data::agency(0));
    node.and_then(|node| node.processor_s())
        .ok_or_else(|| Failure::machine("the node's processor time cannot be read", &"no /proc"))
}

async fn ask(desk: &mut Desk, question: &Question) -> Result<(), Failure> {
    let answer = desk.ask(question, Vec::new(), |_| {}).await?;
    let complete = answer.coverage.iter().all(|part| part.outcome() == Outcome::Answered);
    if complete && answer.subjects_matched == SHARED {
        return Ok(());
    }
    crate::answer::print(&answer);
    Err(Failure::check("wrong_answer", format!("{} subjects matched instead of {SHARED}", answer.subjects_matched)))
}
