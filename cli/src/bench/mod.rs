//! `sallyport bench`: how fast, measured with real processes on this machine.
//!
//! Every figure stands beside the limit that the project promises and beside what the machine could
//! do at best, measured in the same run: ratios survive a noisy machine, seconds do not.

mod audit;
mod behaviour;
mod data;
mod feed;
mod join;
mod limits;
mod linkage;
mod relation;

use serde_json::{Value, json};

use crate::{answer::print_table, failure::Failure};

/// Arguments of `sallyport bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// How fast entries of the audit log become durable.
    Audit(audit::Arguments),
    /// Tagging, the join over all subjects, and look-ups.
    Join(join::Arguments),
    /// A relation in time between the events of two agencies.
    Relation(relation::Arguments),
    /// Measures of behaviour over the events of one agency.
    Behaviour(behaviour::Arguments),
    /// Positions of a carrier's trucks, and how soon one that leaves its corridor is a lead.
    Feed(feed::Arguments),
    /// Persons with known answers, linked between two nodes: precision, recall and F1.
    Linkage(linkage::Arguments),
}

/// Measures.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.what {
        What::Audit(arguments) => audit::run(arguments).await,
        What::Join(arguments) => join::run(arguments).await,
        What::Relation(arguments) => relation::run(arguments).await,
        What::Behaviour(arguments) => behaviour::run(arguments).await,
        What::Feed(arguments) => feed::run(arguments).await,
        What::Linkage(arguments) => linkage::run(arguments).await,
    }
}

/// One measured quantity.
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    limit: Limit,
    /// What the machine could do at best, in the same unit, and how that was found.
    at_best: Option<(f64, &'static str)>,
}

/// What the project promises.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing: the figure is told for its own sake.
    None,
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.value <= limit,
            Limit::AtLeast(limit) => self.value >= limit,
            Limit::None => true,
        }
    }

    fn to_json(&self) -> Value {
        let limit = match self.limit {
            Limit::AtMost(limit) | Limit::AtLeast(limit) => Some(limit),
            Limit::None => None,
        };
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "limit": limit,
            "met": self.is_met(),
            "at_best": self.at_best.map(|(value, _)| value),
        })
    }

    fn cells(&self) -> Vec<String> {
        let limit = match self.limit {
            Limit::AtMost(limit) => format!("at most {}", number(limit)),
            Limit::AtLeast(limit) => format!("at least {}", number(limit)),
            Limit::None => String::new(),
        };
        let at_best = self.at_best.map_or_else(String::new, |(value, how)| format!("{} {how}", number(value)));
        let met = match (self.limit, self.is_met()) {
            (Limit::None, _) => "",
            (_, true) => "yes",
            (_, false) => "NO",
        };
        vec![self.name.to_owned(), number(self.value), self.unit.to_owned(), limit, met.to_owned(), at_best]
    }
}

/// The digits that matter, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        // Shares near one differ in their fourth digit.
        return if (0.9..1.0).contains(&value) { format!("{value:.4}") } else { format!("{value:.3}") };
    }
    let whole = format!("{value:.0}");
    let digits = whole.len();
    let mut shown = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn show(figures: &[Figure], as_json: bool, about: Value) {
    if as_json {
        let mut object = about;
        object["figures"] = figures.iter().map(Figure::to_json).collect();
        println!("{object}");
        return;
    }
    println!();
    print_table(
        &["figure", "measured", "unit", "promised", "met", "at best on this machine"],
        figures.iter().map(Figure::cells).collect(),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
