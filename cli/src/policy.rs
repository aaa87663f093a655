//! `sallyport policy`: what whoever writes rules works with, from the policy's files alone. No server is
//! asked and no policy in force is changed.

mod check;
mod explain;
mod rehearse;
mod sign;

use std::path::{Path, PathBuf};

use sallyport_trust::policy::{Policy, PolicyError, PolicyFiles};

use crate::failure::Failure;

/// Arguments of `sallyport policy`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Find what is wrong with a policy: rules that never decide, that others cover, that no case shows.
    Check(check::Arguments),
    /// Say why a request is allowed, denied or held.
    Explain(explain::Arguments),
    /// Put past questions from audit logs to a proposed policy and show what would change.
    Rehearse(rehearse::Arguments),
    /// Put a policy's files into one signed, versioned bundle.
    Sign(sign::Arguments),
}

/// Runs one of the commands.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Check(arguments) => check::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Rehearse(arguments) => rehearse::run(arguments),
        Command::Sign(arguments) => sign::run(arguments),
    }
}

/// Which policy a command is about.
#[derive(clap::Args)]
struct Named {
    /// Directory with rules.toml and cases.toml, or a bundle, whose signature is not judged here.
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

impl Named {
    /// The party that a bundle is for; a directory does not say.
    fn party(&self) -> Result<Option<String>, Failure> {
        PolicyFiles::party(&self.path).map_err(|error| refused(&self.path, &error))
    }

    fn files(&self) -> Result<PolicyFiles, Failure> {
        PolicyFiles::read(&self.path).map_err(|error| refused(&self.path, &error))
    }

    /// The policy; its cases are not run.
    fn policy(&self) -> Result<Policy, Failure> {
        Policy::untested(&self.files()?).map_err(|error| refused(&self.path, &error))
    }
}

fn refused(path: &Path, error: &PolicyError) -> Failure {
    Failure::input(error.reason(), format!("{}: {error}", path.display()))
}
