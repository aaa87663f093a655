//! `sallyport policy rehearse`: what a proposed policy would have decided on past questions.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, SecondsFormat};
use sallyport_trust::{
    audit::{own_key, verify_each},
    policy::{Change, Policy, Rehearsal, Report},
};
use serde_json::json;

use super::Named;
use crate::{failure::Failure, terminal};

/// Arguments of `sallyport policy rehearse`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: Named,
    /// Directories of the party's audit logs; each is verified while it is read.
    #[arg(long, value_name = "AUDIT_DIR", required = true, num_args = 1..)]
    log: Vec<PathBuf>,
    /// Only decisions from this date or time on, such as 2026-11-01.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    since: i64,
    /// Only decisions before this date or time.
    #[arg(long, value_name = "TIME", value_parser = moment_ms)]
    until: Option<i64>,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Rehearses.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = arguments.policy.policy()?;
    let mut rehearsal = Rehearsal::of(&policy, arguments.since, arguments.until.unwrap_or(i64::MAX));
    for log in &arguments.log {
        is_of_the_party(arguments.policy.party()?, &policy, log)?;
        verify_each(log, |entry| rehearsal.entry(entry)).map_err(|error| broken(log, &error))?;
    }
    let report = rehearsal.report();
    if arguments.json {
        println!("{}", terminal::json(&json!(report)));
    } else {
        print(&report);
    }
    Ok(())
}

fn broken(log: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::check("audit_log_broken", format!("{}: {error}", log.display()))
}

/// Another party's decisions say nothing about a policy. A bundle names its party; a directory shows it by
/// the agencies whose data its rules name. The gateway's rules may name anyone's.
fn is_of_the_party(bundle: Option<String>, policy: &Policy, log: &Path) -> Result<(), Failure> {
    let origin = own_key(log).map_err(|error| broken(log, &error))?.name().to_owned();
    let party = origin.rsplit('/').next().unwrap_or_default();
    let owners = policy.owners();
    let (fits, whose) = match &bundle {
        Some(named) => (named == party, named.clone()),
        None => {
            let fits = party == "gateway" || owners.is_empty() || owners.contains(party);
            (fits, owners.into_iter().collect::<Vec<_>>().join(", "))
        }
    };
    if fits {
        return Ok(());
    }
    let told = format!(
        "{} is the log of {origin}, and the policy is for {whose}: name the log of the same party",
        log.display()
    );
    Err(Failure::input("policy_of_another_party", told))
}

/// A date, which begins at midnight UTC, or a time with its offset.
fn moment_ms(text: &str) -> Result<i64, String> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.timestamp_millis()).map_err(|_| "write 2026-11-01 or 2026-11-01T08:00:00Z".to_owned())
}

fn print(report: &Report) {
    println!(
        "{} decisions: {} come out as they did, {} would change, {} cannot be rehearsed.",
        report.decisions,
        report.unchanged,
        report.changes.iter().map(|change| change.count).sum::<u64>(),
        report.not_rehearsable
    );
    report.changes.iter().for_each(print_change);
    println!("\nPolicy {}.", report.policy);
}

fn print_change(change: &Change) {
    let reason = change.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let (from, to) = (change.from, change.to);
    say(&format!("\n{from} by {} → {to} by {}{reason}: {}", change.rule_then, change.rule_now, change.count));
    change.obligations.iter().for_each(|obligation| say(&format!("    {obligation}")));
    for example in &change.examples {
        let at = DateTime::from_timestamp_millis(example.at_ms)
            .map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let purpose = example.purpose.as_ref().map_or_else(String::new, |purpose| format!(" for {purpose}"));
        say(&format!("    {at}  {}  {}{purpose}  entry {}", example.actor, example.action, example.entry));
    }
}

fn say(text: &str) {
    println!("{}", terminal::lines(text));
}
