//! `sallyport feed quarantine`: what the node refused of a partner's points.

use sallyport_proto::feed::v1::{QuarantineRequest, QuarantinedPoint};
use sallyport_trust::{identity::refusal_of, question::words::moment};
use serde_json::{Value, json};

use super::client::{connection, feed_name};
use crate::{failure::Failure, people::As, terminal};

/// Points asked for at a time.
const PAGE: u32 = 1000;

/// Arguments of `sallyport feed quarantine`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    who: As,
    /// The node's feed, AGENCY.NAME. Without it, the positions of the node's agency.
    #[arg(long, value_name = "FEED")]
    feed: Option<String>,
    /// Points shown, oldest first.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u32,
    /// Go on where an earlier listing ended.
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// Shows page by page.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let partner = arguments.who.feed()?;
    let mut client = connection(&partner)?;
    let feed = feed_name(arguments.feed, &partner);
    let (mut points, mut after) = (Vec::new(), arguments.after);
    loop {
        let limit = arguments.limit.saturating_sub(points.len() as u32).min(PAGE);
        if limit == 0 {
            break;
        }
        let page = client.quarantine(QuarantineRequest { feed: feed.clone(), after, limit }).await;
        let page = page.map_err(|status| refusal_of(&status))?.into_inner();
        points.extend(page.points);
        after = page.next;
        if after == 0 {
            break;
        }
    }
    if arguments.json {
        let points: Vec<Value> = points.iter().map(point_json).collect();
        println!("{}", terminal::json(&json!({ "feed": feed, "points": points, "next": after })));
        return Ok(());
    }
    if points.is_empty() {
        println!("{feed}: nothing of yours was refused.");
    }
    points.iter().for_each(print);
    if after > 0 {
        println!("There are more: --after {after}");
    }
    Ok(())
}

fn point_json(point: &QuarantinedPoint) -> Value {
    json!({
        "stream": point.stream,
        "batch": point.sequence,
        "index": point.index,
        "reason": point.reason,
        "device": point.device,
        "at_ms": point.at_ms,
        "latitude": point.latitude,
        "longitude": point.longitude,
    })
}

fn print(point: &QuarantinedPoint) {
    let degrees = |number: Option<f64>| number.map_or("?".to_owned(), |degrees| format!("{degrees:.6}"));
    println!(
        "{:15} {}  {}  {}, {}  (stream {}, batch {}, point {})",
        terminal::line(&point.reason),
        terminal::line(&point.device),
        moment(point.at_ms),
        degrees(point.latitude),
        degrees(point.longitude),
        terminal::line(&point.stream),
        point.sequence,
        point.index
    );
}
