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
    sallyport_gateway::run(config, Clock::system(), announce, ended()).await.map_err(|error| {
        use sallyport_gateway::RunError as E;
        let fault = match &error {
            E::Identity(_) => Fault::Input("identity"),
            E::WrongRole(_) => Fault::Input("wrong_role"),
            E::Policy { problem, .. } => Fault::Input(problem.reason()),
            E::Audit(_) => Fault::Machine("audit_unavailable"),
            E::Listen { .. } => Fault::Machine("cannot_listen"),
            E::Serve(_) | E::Signals(_) => Fault::Machine("machine"),
        };
        fault.failure("the gateway cannot run", &error)
    })
}

/// Runs a node until it is asked to end.
pub(crate) async fn agency_node(arguments: Arguments) -> Result<(), Failure> {
    start_logging(&arguments)?;
    let config = sallyport_node::Config::load(&arguments.config)
        .map_err(|error| Failure::input("configuration", error.to_string()))?;
    sallyport_node::run(config, Clock::system(), announce, ended()).await.map_err(|error| {
        use sallyport_node::RunError as E;
        let fault = match &error {
            E::Identity(_) => Fault::Input("identity"),
            E::WrongRole(..) => Fault::Input("wrong_role"),
            E::Policy { problem, .. } => Fault::Input(problem.reason()),
            E::Tracks(_) => Fault::Input("tracks"),
            E::Audit(_) => Fault::Machine("audit_unavailable"),
            E::Listen { .. } => Fault::Machine("cannot_listen"),
            E::State(_) | E::Epoch(_) | E::Holdings(_) | E::Positions(_) => Fault::Machine("state_unusable"),
            E::Serve(_) | E::Signals(_) => Fault::Machine("machine"),
        };
        fault.failure("the node cannot run", &error)
    })
}

/// Why a server does not run, by its stable reason.
enum Fault {
    /// What it was given is wrong.
    Input(&'static str),
    /// The machine does not play along.
    Machine(&'static str),
}

impl Fault {
    fn failure(self, what: &str, error: &dyn std::fmt::Display) -> Failure {
        match self {
            Self::Input(reason) => Failure::input(reason, format!("{what}: {error}")),
            Self::Machine(reason) => Failure::machine_with(reason, what, error),
        }
    }
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
