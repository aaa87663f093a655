//! `sallyport audit verify`: checks audit logs from their files alone, copies of one log also against
//! each other.

use std::path::PathBuf;

use sallyport_trust::audit::{Verified, is_one_history, verify_directory};
use serde_json::json;

use crate::{failure::Failure, receipt};

/// Arguments of `sallyport audit`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Recompute every hash of a log and check its signed checkpoint.
    Verify {
        /// Directories of audit logs.
        #[arg(required = true)]
        directories: Vec<PathBuf>,
        /// One JSON object a log instead of sentences.
        #[arg(long)]
        json: bool,
    },
    /// Check a receipt offline, and say what it proves.
    CheckReceipt(receipt::Arguments),
}

/// Verifies each directory; the first that does not hold is the failure.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (directories, json) = match &arguments.command {
        Command::Verify { directories, json } => (directories, json),
        Command::CheckReceipt(arguments) => return receipt::check(arguments),
    };
    let mut copies: Vec<(&PathBuf, Verified)> = Vec::new();
    for directory in directories {
        let verified = verify_directory(directory)
            .map_err(|error| Failure::check("audit_log_broken", format!("{}: {error}", directory.display())))?;
        if *json {
            println!(
                "{}",
                json!({
                    "directory": directory,
                    "origin": verified.origin,
                    "entries": verified.entries,
                    "open": verified.still_open,
                    "completed": verified.completed,
                    "pending": verified.pending,
                    "holds": true,
                })
            );
        } else {
            println!(
                "{}: holds. {} entries, {} actions completed, {} still open; signed by {}.",
                directory.display(),
                verified.entries,
                verified.completed,
                verified.still_open,
                verified.origin
            );
        }
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
            .map_err(|error| Failure::check("audit_log_broken", format!("{}: {error}", directory.display())))?;
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
