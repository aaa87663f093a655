//! `sallyport feed`: a partner sends positions to a node, and looks at those that were refused.

mod batches;
mod client;
mod push;
mod quarantine;
mod sender;
mod summary;

pub(crate) use client::connection;

use crate::{failure::Failure, people::Feed};

/// Arguments of `sallyport feed`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Send positions from a file, or from the standard input for as long as it lasts.
    Push(push::Arguments),
    /// Show points of yours that the node refused.
    Quarantine(quarantine::Arguments),
}

/// Runs a subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Push(arguments) => push::run(arguments).await,
        Command::Quarantine(arguments) => quarantine::run(arguments).await,
    }
}

/// Sends positions, CSV with a header, and returns when all of them are durable at the node.
pub(crate) async fn send(partner: &Feed, positions: String) -> Result<(), Failure> {
    push::text(partner, positions).await
}
