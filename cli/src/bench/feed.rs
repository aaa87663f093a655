//! `sallyport bench feed`: how many positions a second a node keeps, and how soon a truck that leaves its corridor
//! is a lead.
//!
//! A carrier's node that also measures every track, a home node with a watch, and a gateway: real processes, on
//! this machine, which also sends.

mod exits;
mod load;
mod place;

use std::path::PathBuf;

use serde_json::json;

use self::{
    load::{Load, Sent},
    place::Place,
};
use super::{Figure, Limit, limits, show};
use crate::{failure::Failure, federation::fresh_directory};

/// Positions a second that the project promises, and their pace while latency is measured.
const PROMISED: u64 = 20_000;
/// What the carrier's node may need, in bytes, however long it goes on.
const MEMORY_BYTES: f64 = 512.0 * 1024.0 * 1024.0;

/// Arguments of `sallyport bench feed`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Streams at the same time, 1 to 200.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    streams: u32,
    /// Seconds of positions, one a second of each of 20,000 trucks, 5 to 3,600: first as fast as the node takes
    /// them, then one a second.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,
    /// Trucks that leave their corridor one after the other, 1 to 100.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    exits: u32,
    /// Where everything goes; what an earlier run left there is replaced.
    #[arg(long, value_name = "DIR", default_value = "bench")]
    directory: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let tell = |text: &str| {
        if !arguments.json {
            eprintln!("{text}");
        }
    };
    let directory = fresh_directory(&arguments.directory, "benchmark")?;
    let durable_s = limits::durable_write_s(&directory)?;
    let place = Place::start(&directory, arguments.exits).await?;
    let load = Load { streams: arguments.streams, trucks: PROMISED as u32, seconds: arguments.seconds };
    tell(&format!("{} s of {PROMISED} trucks' positions over {} streams, at once", load.seconds, load.streams));
    let rush = load.rush(&place).await?;
    tell(&format!("{PROMISED} positions a second for {} s", load.seconds));
    let pace = load.pace(&place).await?;
    tell(&format!("{} trucks leave their corridor, one after the other, in the middle of that", arguments.exits));
    let exits = exits::measure(&place, &load, arguments.exits).await?;
    let alone = load.measured_alone(&place)?;
    let measured = Measured { alone, rush, pace, exits, memory_bytes: place.peak_memory_bytes()? };
    let about = json!({
        "streams": load.streams, "positions_each_way": measured.rush.positions, "exits_s": measured.exits, "processors": limits::processors(),
    });
    show(&figures(&measured, durable_s), arguments.json, about);
    Ok(())
}

/// Everything that was measured.
struct Measured {
    /// Positions a second that one processor measures and nothing else.
    alone: f64,
    rush: Sent,
    pace: Sent,
    /// Seconds of each exit.
    exits: Vec<f64>,
    memory_bytes: f64,
}

fn figures(measured: &Measured, durable_s: f64) -> [Figure; 6] {
    let Measured { alone, rush, pace, exits, memory_bytes } = measured;
    let one_write = Some((durable_s * 1e3, "one durable write alone"));
    [
        Figure {
            name: "positions durable and acknowledged",
            value: rush.positions as f64 / rush.seconds,
            unit: "positions/s",
            limit: Limit::AtLeast(PROMISED as f64),
            at_best: Some((alone * limits::processors(), "all processors measuring tracks, and nothing else")),
        },
        Figure {
            name: "node's processors at 20,000 positions/s",
            value: pace.processors,
            unit: "processors",
            limit: Limit::AtMost(2.0),
            at_best: None,
        },
        Figure {
            name: "batch to acknowledgement at that pace, p50",
            value: pace.latency_s(0.5) * 1e3,
            unit: "ms",
            limit: Limit::None,
            at_best: one_write,
        },
        Figure {
            name: "batch to acknowledgement at that pace, p99",
            value: pace.latency_s(0.99) * 1e3,
            unit: "ms",
            limit: Limit::None,
            at_best: one_write,
        },
        Figure {
            name: "acknowledged corridor exit to lead, slowest",
            value: exits.iter().copied().fold(0.0, f64::max),
            unit: "s",
            limit: Limit::AtMost(5.0),
            at_best: None,
        },
        Figure {
            name: "node's most memory",
            value: memory_bytes / (1024.0 * 1024.0),
            unit: "MiB",
            limit: Limit::AtMost(MEMORY_BYTES / (1024.0 * 1024.0)),
            at_best: None,
        },
    ]
}
