//! What became of the points, in total and by reason.

use std::{borrow::Cow, collections::BTreeMap, time::Instant};

use indicatif::{HumanCount, ProgressBar};
use serde_json::{Value, json};

use crate::terminal;

/// Records named for each reason, at most.
const EXAMPLES_MAX: usize = 5;

/// Counts, as they grow.
pub(super) struct Summary {
    started: Instant,
    bar: ProgressBar,
    accepted: u64,
    late: u64,
    kept_before: u64,
    other: u64,
    breaks: u64,
    refused: BTreeMap<String, Refused>,
}

#[derive(Default)]
struct Refused {
    count: u64,
    records: Vec<u64>,
    why: Option<Cow<'static, str>>,
}

impl Summary {
    pub(super) fn new(visible: bool) -> Self {
        let bar = if visible { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        Self {
            started: Instant::now(),
            bar,
            accepted: 0,
            late: 0,
            kept_before: 0,
            other: 0,
            breaks: 0,
            refused: BTreeMap::new(),
        }
    }

    /// Points that the node keeps, and how many of them came late.
    pub(super) fn accept(&mut self, count: u64, late: u64) {
        self.accepted += count;
        self.late += late;
        self.show();
    }

    /// Points whose batch the node had before, so that what became of them was told then.
    pub(super) fn kept_before(&mut self, count: u64) {
        self.kept_before += count;
        self.show();
    }

    /// A record without a position.
    pub(super) fn other(&mut self) {
        self.other += 1;
    }

    /// A record that was refused here or by the node.
    pub(super) fn refuse(&mut self, reason: &str, record: u64, why: Option<Cow<'static, str>>) {
        let refused = self.refused.entry(terminal::line(reason)).or_default();
        refused.count += 1;
        refused.why = refused.why.take().or(why);
        if refused.records.len() < EXAMPLES_MAX {
            refused.records.push(record);
        }
    }

    /// The connection broke, and is tried again.
    pub(super) fn broke(&mut self, why: &str) {
        self.breaks += 1;
        self.bar.suspend(|| eprintln!("sallyport: {}; trying again", terminal::line(why).trim_end_matches('.')));
    }

    /// Whether the node has told of any point.
    pub(super) fn has_begun(&self) -> bool {
        self.accepted + self.kept_before > 0
    }

    fn refused_total(&self) -> u64 {
        self.refused.values().map(|refused| refused.count).sum()
    }

    fn rate(&self) -> u64 {
        (self.accepted as f64 / self.started.elapsed().as_secs_f64().max(0.001)) as u64
    }

    fn show(&self) {
        self.bar.set_message(format!(
            "{} accepted, {} refused, {} a second",
            HumanCount(self.accepted),
            HumanCount(self.refused_total()),
            HumanCount(self.rate())
        ));
        self.bar.tick();
    }

    /// Whether the node keeps nothing of it.
    pub(super) fn is_in_vain(&self) -> bool {
        self.accepted == 0 && self.kept_before == 0
    }

    /// Says it in sentences, or as one JSON object.
    pub(super) fn tell(&self, feed: &str, stream: &str, as_json: bool) {
        self.bar.finish_and_clear();
        if as_json {
            println!("{}", terminal::json(&self.json(feed, stream)));
            return;
        }
        println!(
            "{feed}: {} accepted, {} refused in {:.1} s ({} a second)",
            HumanCount(self.accepted),
            HumanCount(self.refused_total()),
            self.started.elapsed().as_secs_f64(),
            HumanCount(self.rate())
        );
        for (count, what) in [
            (
                self.late,
                "came after newer ones of their device; they are kept, but tracks may be measured without them",
            ),
            (self.kept_before, "points were there already, from an earlier sending of the same batches"),
            (self.other, "records hold no position"),
            (self.breaks, "times the connection broke and was made again"),
        ] {
            if count > 0 {
                println!("  {} {what}", HumanCount(count));
            }
        }
        for (reason, refused) in &self.refused {
            let records: Vec<String> = refused.records.iter().map(u64::to_string).collect();
            let more = if refused.count > records.len() as u64 { ", …" } else { "" };
            let why = refused.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            println!(
                "  {reason:15} {:>9}  record {}{more}{why}",
                HumanCount(refused.count).to_string(),
                records.join(", ")
            );
        }
    }

    fn json(&self, feed: &str, stream: &str) -> Value {
        let refused = self.refused.iter().map(|(reason, refused)| {
            (reason.clone(), json!({ "count": refused.count, "first_records": refused.records, "why": refused.why }))
        });
        json!({
            "feed": feed,
            "stream": stream,
            "accepted": self.accepted,
            "late": self.late,
            "refused": refused.collect::<serde_json::Map<_, _>>(),
            "kept_before": self.kept_before,
            "without_position": self.other,
            "breaks": self.breaks,
            "seconds": self.started.elapsed().as_secs_f64(),
        })
    }
}
