//! `sallyport gateway` and `sallyport agency-node`: the servers, in this one binary.

use std::path::PathBuf;

use sallyport_trust::{clock::Clock, observe::init_tracing, serve::terminated};

use crate::failure::Failure;

/// Arguments of both servers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The process's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

/// Runs a gateway until it is asked to end.
pub(crate) async fn gateway(arguments: Arguments) -> Result<(), Failure> {
    start_logging(&arguments)?;
    let config = sallyport_gateway::Config::load(&arguments.config)
        .map_err(|error| Failure::input("configuration", error.to_string()))?;
    sallyport_gateway::run(config, Clock::system(), announce, ended())
        .await
        .map_err(|error| Failure::machine("the gateway cannot run", &error))
}

/// Runs a node until it is asked to end.
pub(crate) async fn agency_node(arguments: Arguments) -> Result<(), Failure> {
    start_logging(&arguments)?;
    let config = sallyport_node::Config::load(&arguments.config)
        .map_err(|error| Failure::input("configuration", error.to_string()))?;
    sallyport_node::run(config, Clock::system(), announce, ended())
        .await
        .map_err(|error| Failure::machine("the node cannot run", &error))
}

fn start_logging(arguments: &Arguments) -> Result<(), Failure> {
    init_tracing(arguments.log_json).map_err(|error| Failure::machine("logging cannot start", &error))
}

/// The first line on standard output, for whoever started the process.
fn announce(address: std::net::SocketAddr) {
    println!("listening on {address}");
}

async fn ended() {
    if let Err(error) = terminated().await {
        eprintln!("signals cannot be heard ({error}); end the process by force");
        std::future::pending::<()>().await;
    }
}
