//! `sallyport audit verify`: checks an audit log from its files alone.

use std::path::PathBuf;

use sallyport_trust::audit::verify_directory;
use serde_json::json;

use crate::failure::Failure;

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
}

/// Verifies each directory; the first that does not hold is the failure.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Command::Verify { directories, json } = &arguments.command;
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
    }
    Ok(())
}
