//! `sallyport certs`: development certificates, never for production.

use std::path::PathBuf;

use sallyport_trust::{
    clock::Clock,
    identity::development_ca::{DevelopmentSet, development_set},
};

use crate::failure::Failure;

/// Arguments of `sallyport certs`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
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
}

/// Makes what is missing and leaves what still serves.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let users = arguments.users.iter().map(|user| {
        user.split_once('/').ok_or_else(|| Failure::input("user_name", format!("write {user} as AGENCY/NAME")))
    });
    let users: Vec<(&str, &str)> = users.collect::<Result<_, _>>()?;
    let agencies: Vec<&str> = arguments.agencies.iter().map(String::as_str).collect();
    let auditors: Vec<&str> = arguments.auditors.iter().map(String::as_str).collect();
    let set = DevelopmentSet {
        federation: &arguments.federation,
        agencies: &agencies,
        users: &users,
        auditors: &auditors,
        partners: &[],
    };
    let issued = development_set(&arguments.directory, &set, Clock::system())
        .map_err(|error| Failure::machine("certificates cannot be made", &error))?;
    for certificate in &issued {
        println!("{}  {}", certificate.files.certificate.display(), certificate.id);
    }
    println!("Development certificates only: their authority's key lies beside them.");
    Ok(())
}
