//! A node's process.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use sallyport_node::{Config, run};
use sallyport_trust::{clock::Clock, observe::init_tracing, serve::terminated};

/// An agency's node: its own data, its own policy, its own audit log.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The node's TOML file.
    #[arg(long)]
    config: PathBuf,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agency-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    init_tracing(arguments.log_json)?;
    let config = Config::load(&arguments.config)?;
    let ended = async {
        if let Err(error) = terminated().await {
            tracing::error!(%error, "signals cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    run(config, Clock::system(), |address| println!("listening on {address}"), ended).await?;
    Ok(())
}
