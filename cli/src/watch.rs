//! `sallyport watch`: questions that stand and are asked again whenever there is something new.

use std::path::PathBuf;

use chrono::Utc;
use sallyport_lead::period::Period;
use sallyport_proto::node::v1::{
    ArmWatchRequest, DisarmWatchRequest, RenewWatchRequest, StandingPattern, Watch, arm_watch_request::What,
};
use serde_json::json;

use crate::{answer::print_table, ask, desk::Desk, failure::Failure, lead::at, people::As, terminal};

/// Arguments of `sallyport watch`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Let a pattern or a question stand; what it finds in own data becomes leads under a playbook.
    Arm {
        #[command(flatten)]
        who: As,
        /// What to call it: a-z, 0-9 and -.
        #[arg(value_name = "WATCH")]
        watch: String,
        #[command(flatten)]
        what: Standing,
        #[command(flatten)]
        stands: Stands,
        /// One JSON object instead of sentences.
        #[arg(long)]
        json: bool,
    },
    /// List the watches that you may see.
    List {
        #[command(flatten)]
        who: As,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Let it stand for longer; from then on it asks on your behalf.
    Renew {
        #[command(flatten)]
        who: As,
        #[arg(value_name = "WATCH")]
        watch: String,
        #[command(flatten)]
        stands: Stands,
    },
    /// End it for good.
    Disarm {
        #[command(flatten)]
        who: As,
        #[arg(value_name = "WATCH")]
        watch: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

#[derive(clap::Args)]
#[group(skip)]
struct Standing {
    /// A published pattern: AGENCY.NAME, or AGENCY.NAME@VERSION to stay with one version.
    #[arg(long, value_name = "NAME", requires = "purpose", required_unless_present = "question")]
    pattern: Option<String>,
    /// A question's file, with its purpose and case in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "purpose", "case"])]
    question: Option<PathBuf>,
    /// What the pattern is asked for, in the words that policies know.
    #[arg(long)]
    purpose: Option<String>,
    /// Case that it belongs to.
    #[arg(long, default_value = "")]
    case: String,
}

#[derive(clap::Args)]
#[group(skip)]
struct Stands {
    /// How long it stands, such as 12h or 30d; at most 90d.
    #[arg(long = "for", value_name = "PERIOD", default_value = "30d")]
    period: Period,
    /// Why it stands.
    #[arg(long)]
    reason: String,
}

impl Standing {
    fn read(self) -> Result<What, Failure> {
        match (self.pattern, self.question) {
            (Some(name), _) => Ok(What::Pattern(StandingPattern {
                name,
                purpose: self.purpose.unwrap_or_default(),
                case_number: self.case,
            })),
            (None, Some(file)) => Ok(What::Question(ask::read(&file)?)),
            (None, None) => Err(Failure::input("question_missing", "Name a --pattern or a --question.")),
        }
    }
}

impl Stands {
    fn until_ms(&self) -> i64 {
        Utc::now().timestamp_millis().saturating_add(self.period.ms())
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Arm { who, watch: name, what, stands, json } => {
            let (what, until_ms) = (what.read()?, stands.until_ms());
            let request = ArmWatchRequest { name, what: Some(what), until_ms, reason: stands.reason };
            let watch = Desk::of(&who.person()?)?.arm_watch(request).await?;
            show(&watch, json);
        }
        Command::List { who, json } => list(&Desk::of(&who.person()?)?.list_watches().await?, json),
        Command::Renew { who, watch: name, stands } => {
            let until_ms = stands.until_ms();
            let request = RenewWatchRequest { name, until_ms, reason: stands.reason };
            show(&Desk::of(&who.person()?)?.renew_watch(request).await?, false);
        }
        Command::Disarm { who, watch: name, reason } => {
            show(&Desk::of(&who.person()?)?.disarm_watch(DisarmWatchRequest { name, reason }).await?, false);
        }
    }
    Ok(())
}

fn show(watch: &Watch, as_json: bool) {
    if as_json {
        println!("{}", terminal::json(&told(watch)));
        return;
    }
    let name = terminal::line(&watch.name);
    match watch.state.as_str() {
        "armed" => {
            println!("`{name}` stands until {} on behalf of {}.", at(watch.until_ms), terminal::line(&watch.person));
            println!("It asks whenever there is something new; `sallyport lead list` shows what came of it.");
        }
        state => println!("`{name}` is {}.", terminal::line(state)),
    }
}

fn list(watches: &[Watch], as_json: bool) {
    if as_json {
        println!("{}", terminal::json(&json!({ "watches": watches.iter().map(told).collect::<Vec<_>>() })));
        return;
    }
    if watches.is_empty() {
        println!("There are no watches; `sallyport watch arm --help` says how to arm one.");
        return;
    }
    let rows = watches.iter().map(|watch| {
        vec![
            watch.name.clone(),
            watch.state.clone(),
            if watch.pattern.is_empty() { "a question".to_owned() } else { watch.pattern.clone() },
            watch.datasets.join(" "),
            at(watch.until_ms),
            watch.asked.to_string(),
            if watch.asked == 0 { "-".to_owned() } else { format!("{} {}", at(watch.asked_ms), watch.ended) },
            watch.leads.to_string(),
            watch.not_own.to_string(),
        ]
    });
    let head = ["watch", "state", "asks", "data sets", "until", "asked", "last", "leads", "not in own data"];
    print_table(&head, rows.collect());
    for watch in watches {
        if let Some(sentence) = why(watch) {
            println!("{sentence}");
        }
    }
}

/// Why it is not answered whole, and what to do about it.
fn why(watch: &Watch) -> Option<String> {
    let (name, because) = (terminal::line(&watch.name), terminal::line(&watch.ended_because));
    let told = |end: &str| format!("`{name}`: {because}{end}");
    match watch.state.as_str() {
        "stopped" => Some(told(" It has stopped; `sallyport watch renew` lets it go on.")),
        "armed" if !because.is_empty() => Some(told("")),
        _ => None,
    }
}

fn told(watch: &Watch) -> serde_json::Value {
    json!({
        "name": watch.name,
        "state": watch.state,
        "pattern": watch.pattern,
        "person": watch.person,
        "purpose": watch.purpose,
        "case_number": watch.case_number,
        "until": at(watch.until_ms),
        "datasets": watch.datasets,
        "asked": watch.asked,
        "ended": watch.ended,
        "ended_because": watch.ended_because,
        "leads": watch.leads,
        "not_own": watch.not_own,
        "history": watch.history.iter().map(|event| json!({
            "at": at(event.at_ms), "by": event.by, "what": event.what, "reason": event.reason,
        })).collect::<Vec<_>>(),
    })
}
