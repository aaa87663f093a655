//! `sallyport certs`: development certificates, never for production.

mod life;

use std::path::PathBuf;

use sallyport_trust::{
    clock::Clock,
    identity::development_ca::{DevelopmentSet, development_set},
};

use crate::failure::Failure;

/// Arguments of `sallyport certs`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: Make,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List them: how long each is valid, what should be renewed, what was revoked.
    Show(life::Show),
    /// Issue those anew that are past half their time.
    Renew(life::Renew),
    /// Put one on the authority's revocation list.
    Revoke(life::Revoke),
}

/// What to make, if no subcommand is given.
#[derive(clap::Args)]
struct Make {
    /// Where to put them.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    directory: PathBuf,
    /// Trust domain: the first part of every name.
    #[arg(long, default_value = crate::federation::FEDERATION)]
    federation: String,
    /// Agencies whose nodes need a certificate.
    #[arg(long = "agency", value_name = "AGENCY", default_values = crate::federation::AGENCIES)]
    agencies: Vec<String>,
    /// People, as AGENCY/NAME.
    #[arg(long = "user", value_name = "AGENCY/NAME", default_values = ["hsi/rivera", "hsi/adeyemi", "cbp/okafor", "cbp/novak", "acme/lind", "acme/silva"])]
    users: Vec<String>,
    /// Auditors.
    #[arg(long = "auditor", value_name = "NAME", default_values = [crate::federation::AUDITOR])]
    auditors: Vec<String>,
    /// Industry partners whose feeds need a certificate.
    #[arg(long = "partner", value_name = "PARTNER", default_values = ["acme"])]
    partners: Vec<String>,
}

/// Runs the subcommand, or makes certificates.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        None => make(&arguments.make),
        Some(Command::Show(arguments)) => life::show(arguments),
        Some(Command::Renew(arguments)) => life::renew(arguments),
        Some(Command::Revoke(arguments)) => life::revoke(arguments),
    }
}

/// Makes what is missing and leaves what still serves.
fn make(arguments: &Make) -> Result<(), Failure> {
    let users = arguments.users.iter().map(|user| {
        user.split_once('/').ok_or_else(|| Failure::input("user_name", format!("write {user} as AGENCY/NAME")))
    });
    let users: Vec<(&str, &str)> = users.collect::<Result<_, _>>()?;
    let agencies: Vec<&str> = arguments.agencies.iter().map(String::as_str).collect();
    let auditors: Vec<&str> = arguments.auditors.iter().map(String::as_str).collect();
    let partners: Vec<&str> = arguments.partners.iter().map(String::as_str).collect();
    let set = DevelopmentSet {
        federation: &arguments.federation,
        agencies: &agencies,
        users: &users,
        auditors: &auditors,
        partners: &partners,
    };
    let issued = development_set(&arguments.directory, &set, Clock::system())
        .map_err(|error| Failure::machine("certificates cannot be made", &error))?;
    for certificate in &issued {
        println!("{}  {}", certificate.files.certificate.display(), certificate.id);
    }
    println!("Development certificates only: their authority's key lies beside them.");
    Ok(())
}
