//! `sallyport bench relation`: events of one agency within a day after events of another.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use sallyport_join::interval::{Order, Reach};
use sallyport_trust::{clock::Clock, question::parse_question};
use serde_json::json;

use super::{
    Figure, Limit,
    data::{self, Shape},
    limits, median, show,
};
use crate::{
    failure::Failure,
    federation::{Federation, fresh_directory},
};

const ASKED_TIMES: usize = 3;
const SETTLING: Duration = Duration::from_secs(1_800);
const NODES: usize = 2;
const WITHIN_MINUTES: u32 = 24 * 60;
/// Events of one subject.
const EVENTS_OF_ONE: u64 = 10;

/// Arguments of `sallyport bench relation`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Events at each agency, 1,000 to 10,000,000.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
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
    tell(&format!("writing {} events for each of {NODES} agencies", arguments.events));
    let subjects = Shape { nodes: NODES, rows: (arguments.events / EVENTS_OF_ONE).max(1), overlap: 1.0 };
    data::write_events(&directory, NODES, arguments.events, subjects.rows)?;
    data::write_device_tags(&directory, &subjects)?;
    let members = data::members(&directory, NODES, "devices", "device");
    federation.launch(&policies, &members)?;
    tell("nodes prepare their data sets");
    federation.settled(&people, SETTLING, |_, _| {}).await?;

    tell(&format!("asking {ASKED_TIMES} times who was seen within 24 hours after"));
    let question = parse_question(&data::related_question(), Clock::system().now_ms())?.question;
    let mut desk = federation.desk("analyst1")?;
    let mut seconds = Vec::new();
    for _ in 0..ASKED_TIMES {
        let started = Instant::now();
        let answer = desk.ask(&question, Vec::new(), |_| {}).await?;
        seconds.push(started.elapsed().as_secs_f64());
        if answer.subjects_matched == 0 {
            crate::answer::print(&answer);
            return Err(Failure::check("wrong_answer", "nobody was seen within 24 hours"));
        }
    }
    federation.end();
    let (covering, containing) = fan_out();
    let rows = arguments.events as f64 * (covering + containing);
    let figures = [
        Figure {
            name: "relation within 24 hours, all parties",
            value: median(seconds),
            unit: "s",
            limit: Limit::AtMost(8.0),
            at_best: Some((
                rows * limits::join_core_s(NODES, 0.5) / limits::processors(),
                "keys, sort, seals, merge alone",
            )),
        },
        Figure {
            name: "rows for an event, first and second side",
            value: covering + containing,
            unit: "rows",
            // Two for each doubling of the window on one side, one on the other.
            limit: Limit::AtMost(3.0 * f64::from(reach().level_max() + 1)),
            at_best: None,
        },
    ];
    let about =
        json!({ "events": arguments.events, "within_minutes": WITHIN_MINUTES, "processors": limits::processors() });
    show(&figures, arguments.json, about);
    Ok(())
}

fn reach() -> Reach {
    Reach::new(Order::After, WITHIN_MINUTES)
}

/// Rows that an event of each side becomes, on average over the minutes of a long window.
fn fan_out() -> (f64, f64) {
    let (reach, mut covering) = (reach(), 0);
    let minutes = 1 << 16;
    (0..minutes).for_each(|minute| reach.cover(minute, |_| covering += 1));
    (f64::from(covering) / f64::from(minutes), reach.containing(0).count() as f64)
}
