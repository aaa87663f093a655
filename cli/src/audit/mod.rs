//! `sallyport audit`: reading, reporting on and checking audit logs, as an auditor over mutual TLS or
//! from a log's files alone.

mod export;
mod filter;
mod html;
mod ocsf;
mod remote;
mod report;
mod search;
mod show;
mod verify;

use sallyport_trust::audit::{action::RecordedAction, query::outcome_word};
use serde_json::{Value, json};

use crate::{failure::Failure, people::As, receipt};
use remote::RemoteLog;

/// Arguments of `sallyport audit`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Find recorded actions by any combination of conditions, newest first.
    Search(search::Arguments),
    /// Show one action with the proof that the log holds it.
    Show(show::Arguments),
    /// Write recorded actions as JSON lines (OCSF) or CSV, oldest first.
    Export(export::Arguments),
    /// Count what happened in a period, and point out unusual volumes.
    Report(report::Arguments),
    /// Recompute every hash of a log and check its signed checkpoint.
    Verify(verify::Arguments),
    /// Check a receipt offline, and say what it proves.
    CheckReceipt(receipt::Arguments),
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Search(arguments) => search::run(arguments).await,
        Command::Show(arguments) => show::run(arguments).await,
        Command::Export(arguments) => export::run(arguments).await,
        Command::Report(arguments) => report::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::CheckReceipt(arguments) => receipt::check(&arguments),
    }
}

/// Which log, and who reads it.
#[derive(clap::Args)]
struct Place {
    #[command(flatten)]
    who: As,
    /// Whose log: `gateway`, or the agency of a node.
    #[arg(long, value_name = "PLACE", default_value = "gateway")]
    at: String,
}

impl Place {
    fn log(&self) -> Result<RemoteLog, Failure> {
        RemoteLog::of(&self.who.auditor()?, &self.at)
    }
}

/// A moment as RFC 3339 in UTC, to the millisecond.
fn moment(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(|| format!("{at_ms} ms"), |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// An action as one JSON object; its fields are a promise to scripts.
fn action_json(action: &RecordedAction) -> Value {
    let (opening, completion) = (&action.opening, action.completion.as_ref());
    let ruling = completion.and_then(|completion| completion.said.ruling.as_ref());
    json!({
        "id": action.id.to_string(),
        "entry": opening.index,
        "opened": moment(opening.at_ms),
        "actor": opening.said.actor,
        "agency": action.agency(),
        "via": opening.said.via,
        "action": opening.said.action,
        "resource": opening.said.resource,
        "question": opening.said.question,
        "purpose": opening.said.purpose,
        "case_number": opening.said.case_number,
        "reason": opening.said.reason,
        "completion_entry": completion.map(|completion| completion.index),
        "completed": completion.map(|completion| moment(completion.at_ms)),
        "outcome": outcome_word(action.outcome()),
        "detail": completion.and_then(|completion| completion.said.detail.clone()),
        "decision": action.decision().map(|decision| decision.as_str()),
        "rule": ruling.map(|ruling| ruling.rule.clone()),
        "policy": ruling.map(|ruling| ruling.policy.clone()),
        "obligations": ruling.map(|ruling| ruling.obligations.clone()),
        "counts": completion.map(|completion| completion.said.counts.clone()),
    })
}
