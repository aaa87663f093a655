//! What became of the points, in total and by reason.

use std::{borrow::Cow, collections::BTreeMap, time::Instant};

use indicatif::{HumanCount, ProgressBar};
use serde_json::{Value, json};

use crate::terminal;

/// Records named for each reason and cause, at most.
const EXAMPLES_MAX: usize = 5;
/// Causes told apart for one reason; further ones are counted together.
const CAUSES_MAX: usize = 20;
const FURTHER: &str = "further causes";

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

/// What was refused for one reason.
#[derive(Default)]
struct Refused {
    all: Records,
    /// By what is wrong, where that is known.
    causes: BTreeMap<Cow<'static, str>, Records>,
}

#[derive(Default)]
struct Records {
    count: u64,
    first: Vec<u64>,
}

impl Records {
    fn add(&mut self, record: u64) {
        self.count += 1;
        if self.first.len() < EXAMPLES_MAX {
            self.first.push(record);
        }
    }

    fn line(&self, reason: &str, cause: Option<&str>) -> String {
        let records: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.count > records.len() as u64 { ", …" } else { "" };
        let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        let count = HumanCount(self.count).to_string();
        format!("  {reason:15} {count:>9}  record {}{more}{cause}", records.join(", "))
    }
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
        refused.all.add(record);
        if let Some(why) = why {
            let is_told_apart = refused.causes.contains_key(&why) || refused.causes.len() < CAUSES_MAX;
            refused.causes.entry(if is_told_apart { why } else { FURTHER.into() }).or_default().add(record);
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
        self.refused.values().map(|refused| refused.all.count).sum()
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
            if refused.causes.is_empty() {
                println!("{}", refused.all.line(reason, None));
            }
            for (cause, records) in &refused.causes {
                println!("{}", records.line(reason, Some(cause)));
            }
        }
    }

    fn json(&self, feed: &str, stream: &str) -> Value {
        let records = |records: &Records| json!({ "count": records.count, "first_records": records.first });
        let refused = self.refused.iter().map(|(reason, refused)| {
            let mut told = records(&refused.all);
            let causes = refused.causes.iter().map(|(cause, of)| (cause.clone().into_owned(), records(of)));
            told["causes"] = causes.collect::<serde_json::Map<_, _>>().into();
            (reason.clone(), told)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_counted_by_reason_and_cause_within_bounds() {
        let mut summary = Summary::new(false);
        for record in 1..=7 {
            summary.refuse("unreadable", record, Some("no time".into()));
        }
        for record in 8..40 {
            summary.refuse("unreadable", record, Some(format!("{record} cells").into()));
        }
        summary.refuse("swapped", 40, None);
        let told = summary.json("f", "s");
        let (unreadable, swapped) = (&told["refused"]["unreadable"], &told["refused"]["swapped"]);
        assert_eq!((&unreadable["count"], &swapped["count"]), (&39.into(), &1.into()));
        assert_eq!(unreadable["causes"]["no time"], json!({ "count": 7, "first_records": [1, 2, 3, 4, 5] }));
        assert_eq!(unreadable["causes"][FURTHER]["count"], 39 - 7 - (CAUSES_MAX as u64 - 1));
        assert_eq!(unreadable["causes"].as_object().unwrap().len(), CAUSES_MAX + 1);
        assert_eq!(swapped["causes"], json!({}));
        let line = summary.refused["unreadable"].causes["no time"].line("unreadable", Some("no time"));
        assert_eq!(line, "  unreadable              7  record 1, 2, 3, 4, 5, … (no time)");
    }
}
