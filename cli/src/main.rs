//! `sallyport`: the command line for people, and both servers in one binary for a demonstration.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod ask;
mod audit;
mod bench;
mod budgets;
mod calibrate;
mod catalog;
mod certs;
mod corridor;
mod demo;
mod desk;
mod disclosures;
mod epoch;
mod failure;
mod federation;
mod feed;
mod generate;
mod held;
mod lead;
mod pattern;
mod people;
mod playbook;
mod policy;
mod public_key;
mod receipt;
mod release;
mod sample;
mod serve;
mod shift;
mod svg;
mod terminal;
mod watch;

use std::{panic::AssertUnwindSafe, process::ExitCode};

use clap::{Parser, Subcommand};

use failure::Failure;

/// Ask across agencies, get only joined match scores.
#[derive(Parser)]
#[command(name = "sallyport", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring up three agencies and a gateway on this machine and ask the first question.
    Demo(demo::Arguments),
    /// Ask a question from a file, or look up an identifier.
    Ask(Box<ask::Arguments>),
    /// Ask how traffic shifted between places when something changed at one of them.
    Shift(shift::Arguments),
    /// List your questions that owners hold, and what became of them.
    Held(held::Arguments),
    /// For release officers: decide about questions that rules hold for them.
    Release(release::Arguments),
    /// What waits for people of your agency to act on it: list, show, take in hand, record the outcome.
    Lead(Box<lead::Arguments>),
    /// What the outcomes of leads teach: how well scores rank, and weights for you to accept.
    Calibrate(calibrate::Arguments),
    /// Let a question stand, so that what is new becomes a lead.
    Watch(watch::Arguments),
    /// Check playbooks: who acts on what, how, and by when.
    Playbook(playbook::Arguments),
    /// Fetch proof that a question of yours, answered within the hour, stands in the node's audit log.
    Receipt(receipt::FetchArguments),
    /// Show what can be asked of whom.
    Catalog(catalog::Arguments),
    /// Publish, show and ask patterns: named questions that agencies share.
    Pattern(pattern::Arguments),
    /// Show what your agency disclosed of one subject, and to whom.
    Disclosures(Box<disclosures::Arguments>),
    /// For partners: send positions, and see which were refused.
    Feed(feed::Arguments),
    /// Write generated sample data with a planted truth.
    Sample(generate::Arguments),
    /// Make, renew and revoke development certificates.
    Certs(certs::Arguments),
    /// Check and draw corridors: the routes that transport in bond must keep to.
    Corridor(corridor::Arguments),
    /// Check, explain, rehearse and sign a policy.
    Policy(Box<policy::Arguments>),
    /// Read, report on and check audit logs.
    Audit(Box<audit::Arguments>),
    /// For operators: the epoch in use and the next one.
    Epoch(epoch::Arguments),
    /// For operators: who takes part.
    Member(epoch::MemberArguments),
    /// Measure how fast this machine tags, joins and looks up.
    Bench(bench::Arguments),
    /// Run a gateway.
    Gateway(serve::Arguments),
    /// Run an agency's node.
    AgencyNode(serve::Arguments),
}

fn main() -> ExitCode {
    terminal::say_nothing_of_a_closed_pipe();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::machine("no runtime", &error).report(),
    };
    // What a command has started ends with it, also when nobody reads on.
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(cli.command))));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
        Err(panicked) if terminal::is_closed_pipe(&*panicked) => ExitCode::from(terminal::CLOSED_PIPE),
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Ask(arguments) => ask::run(*arguments).await,
        Command::Shift(arguments) => shift::run(arguments).await,
        Command::Held(arguments) => held::run(arguments).await,
        Command::Release(arguments) => release::run(arguments).await,
        Command::Lead(arguments) => lead::run(*arguments).await,
        Command::Calibrate(arguments) => calibrate::run(arguments).await,
        Command::Watch(arguments) => watch::run(arguments).await,
        Command::Playbook(arguments) => playbook::run(&arguments),
        Command::Receipt(arguments) => receipt::fetch(arguments).await,
        Command::Catalog(arguments) => catalog::run(arguments).await,
        Command::Pattern(arguments) => pattern::run(arguments).await,
        Command::Disclosures(arguments) => disclosures::run(*arguments).await,
        Command::Feed(arguments) => feed::run(arguments).await,
        Command::Sample(arguments) => generate::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Corridor(arguments) => corridor::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Audit(arguments) => audit::run(*arguments).await,
        Command::Epoch(arguments) => epoch::run(arguments).await,
        Command::Member(arguments) => epoch::member(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Gateway(arguments) => serve::gateway(arguments).await,
        Command::AgencyNode(arguments) => serve::agency_node(arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_command_is_described_without_contradiction() {
        super::Cli::command().debug_assert();
    }
}
