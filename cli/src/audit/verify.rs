//! `sallyport audit verify`: checks audit logs from their files alone, copies of one log also against each
//! other, or has a party check its own.

use std::path::PathBuf;

use sallyport_trust::{
    audit::{Verified, is_one_history, verify_directory},
    auditing::Verification,
};
use serde_json::json;

use super::RemoteLog;
use crate::{failure::Failure, people::As, terminal};

/// Arguments of `sallyport audit verify`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Directories of audit logs.
    #[arg(required_unless_present = "auditor")]
    directories: Vec<PathBuf>,
    /// Who has a party check its own log, instead of directories: an auditor from the people file.
    #[arg(long = "as", value_name = "AUDITOR", conflicts_with = "directories")]
    auditor: Option<String>,
    /// Whose log: `gateway`, or the agency of a node.
    #[arg(long, value_name = "PLACE", default_value = "gateway", requires = "auditor")]
    at: String,
    /// File that says where logs and certificates are.
    #[arg(long, value_name = "FILE", default_value = "demo/people.toml", env = "SALLYPORT_PEOPLE")]
    people: PathBuf,
    /// One JSON object a log instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Verifies each log; the first that does not hold is the failure.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Some(auditor) = &arguments.auditor {
        let auditor = As::new(auditor, &arguments.people).auditor()?;
        return match RemoteLog::of(&auditor, &arguments.at)?.verify().await? {
            Verification::Holds(verified) => {
                tell("place", &arguments.at, &verified, arguments.json);
                Ok(())
            }
            Verification::Broken(problem) => Err(broken(&arguments.at, &problem)),
        };
    }
    let mut copies: Vec<(&PathBuf, Verified)> = Vec::new();
    for directory in &arguments.directories {
        let name = directory.display().to_string();
        let verified = verify_directory(directory).map_err(|error| broken(&name, &error))?;
        tell("directory", &name, &verified, arguments.json);
        copies.push((directory, verified));
        compare(&copies)?;
    }
    Ok(())
}

/// Compares the newest copy with those of the same log before it.
fn compare(copies: &[(&PathBuf, Verified)]) -> Result<(), Failure> {
    let Some(((directory, verified), before)) = copies.split_last() else { return Ok(()) };
    for (other, earlier) in before.iter().filter(|(_, earlier)| earlier.origin == verified.origin) {
        let one = is_one_history((directory, verified), (other, earlier))
            .map_err(|error| broken(&directory.display().to_string(), &error))?;
        if !one {
            return Err(Failure::check(
                "audit_logs_differ",
                format!(
                    "{} and {} are signed by {} and contradict each other. Keep both: together they prove that its \
                     owner has shown two histories",
                    other.display(),
                    directory.display(),
                    verified.origin
                ),
            ));
        }
    }
    Ok(())
}

fn broken(log: &str, problem: &dyn std::fmt::Display) -> Failure {
    Failure::check("audit_log_broken", format!("{log}: {problem}"))
}

/// Says that a log holds; `kind` is what it is named by.
fn tell(kind: &str, log: &str, verified: &Verified, as_json: bool) {
    if as_json {
        let object = json!({
            kind: log,
            "origin": verified.origin,
            "entries": verified.entries,
            "root": verified.root.to_string(),
            "open": verified.still_open,
            "completed": verified.completed,
            "pending": verified.pending,
            "holds": true,
        });
        println!("{}", terminal::json(&object));
    } else {
        println!(
            "{}: holds. {} entries, {} actions completed, {} still open; signed by {}.",
            terminal::line(log),
            verified.entries,
            verified.completed,
            verified.still_open,
            terminal::line(&verified.origin)
        );
    }
}
