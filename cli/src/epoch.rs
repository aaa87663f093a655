//! `sallyport epoch` and `sallyport member`: what an operator decides at the own agency's node.
//!
//! A decision holds for that node alone. Every member's operator decides the same at theirs; until all
//! nodes are through, questions are answered in the epoch before.

use sallyport_proto::node::v1::{
    ChangeEpochRequest, EpochMember, EpochResponse, EpochStage, EpochState, GiveUp, NewKeys,
    change_epoch_request::Change,
};
use serde_json::{Value, json};

use crate::{answer::print_table, desk::Desk, failure::Failure, people::As, terminal};

/// Arguments of `sallyport epoch`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The epoch in use, the next one, and how far every member is with it.
    Show(Common),
    /// Begin the next epoch: the same members draw new keys.
    Next(Begin),
    /// Give up the epoch that is being prepared.
    Cancel(Common),
}

/// Arguments of `sallyport member`.
#[derive(clap::Args)]
pub(crate) struct MemberArguments {
    #[command(subcommand)]
    command: MemberCommand,
}

#[derive(clap::Subcommand)]
enum MemberCommand {
    /// Begin an epoch in which one more agency takes part; the others keep their keys.
    Add(Member),
    /// Begin an epoch without an agency; the others draw new keys.
    Remove(Member),
}

#[derive(clap::Args)]
struct Member {
    /// The agency.
    #[arg(value_name = "AGENCY")]
    agency: String,
    #[command(flatten)]
    begin: Begin,
}

#[derive(clap::Args)]
struct Begin {
    /// Number of the new epoch, if it is not the next one; the same at every node.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    who: As,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Shows or changes the epoch.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Show(common) => {
            let state = Desk::of(&common.who.person()?)?.epoch().await?;
            common.print(&state);
            Ok(())
        }
        Command::Next(begin) => begin.change(Change::NewKeys(NewKeys {})).await,
        Command::Cancel(common) => Begin { number: None, common }.change(Change::GiveUp(GiveUp {})).await,
    }
}

/// Changes the members.
pub(crate) async fn member(arguments: MemberArguments) -> Result<(), Failure> {
    match arguments.command {
        MemberCommand::Add(member) => member.begin.change(Change::AddMember(member.agency)).await,
        MemberCommand::Remove(member) => member.begin.change(Change::RemoveMember(member.agency)).await,
    }
}

impl Begin {
    async fn change(self, change: Change) -> Result<(), Failure> {
        let request = ChangeEpochRequest { epoch: self.number.unwrap_or_default(), change: Some(change) };
        let state = Desk::of(&self.common.who.person()?)?.change_epoch(request).await?;
        self.common.print(&state);
        if !self.common.json && state.next.is_some() {
            println!("\nThe operator of every other member does the same at their node. Until all are through,");
            println!("questions are answered in the epoch in use; `sallyport epoch show` tells how far it is.");
        }
        Ok(())
    }
}

impl Common {
    fn print(&self, state: &EpochResponse) {
        if self.json {
            println!("{}", terminal::json(&as_json(state)));
            return;
        }
        if let Some(in_use) = &state.in_use {
            println!("In use: epoch {}{}", in_use.epoch, digest(in_use));
            print_members(in_use);
        }
        if let Some(next) = &state.next {
            let keys = if next.keeps_keys { "who was there keeps the keys" } else { "everybody draws new keys" };
            println!("\nNext: epoch {}{}, {keys}", next.epoch, digest(next));
            print_members(next);
        }
        if !state.earlier.is_empty() {
            let earlier: Vec<String> = state.earlier.iter().map(u64::to_string).collect();
            println!(
                "\nOthers may still ask in epoch {}; it ends when every member uses the new one.",
                earlier.join(", ")
            );
        }
        for proposal in &state.proposals {
            println!(
                "\n{} has begun epoch {} with: {}. Begin it here too, if that was agreed on.",
                terminal::line(&proposal.agency),
                proposal.epoch,
                terminal::line(&proposal.members.join(", "))
            );
        }
    }
}

/// For comparing by telephone.
fn digest(state: &EpochState) -> String {
    if state.digest.is_empty() { String::new() } else { format!(" ({})", terminal::line(&state.digest)) }
}

fn print_members(state: &EpochState) {
    let rows = state.members.iter().map(|member| {
        vec![
            member.agency.clone(),
            stage(member).to_owned(),
            match member.stage() {
                EpochStage::Unspecified | EpochStage::Unheard => "-".to_owned(),
                _ => format!("{:.1} %", f64::from(member.tagged_thousandths) / 10.0),
            },
            member.waiting_because.clone(),
        ]
    });
    print_table(&["member", "state", "tagged", "why it waits"], rows.collect());
}

fn stage(member: &EpochMember) -> &'static str {
    match member.stage() {
        EpochStage::Unspecified | EpochStage::Unheard => "unheard",
        EpochStage::Begun => "begun",
        EpochStage::Tagging => "tagging",
        EpochStage::Complete => "complete",
        EpochStage::InUse => "in use",
    }
}

fn as_json(state: &EpochResponse) -> Value {
    json!({
        "in_use": state.in_use.as_ref().map(epoch_json),
        "next": state.next.as_ref().map(epoch_json),
        "earlier": state.earlier,
        "proposals": state.proposals.iter().map(|proposal| json!({
            "agency": proposal.agency, "epoch": proposal.epoch, "members": proposal.members,
        })).collect::<Vec<_>>(),
    })
}

fn epoch_json(state: &EpochState) -> Value {
    let members = state.members.iter().map(|member| {
        json!({
            "agency": member.agency,
            "stage": stage(member),
            "tagged_thousandths": member.tagged_thousandths,
            "waiting_because": member.waiting_because,
        })
    });
    json!({
        "epoch": state.epoch,
        "digest": state.digest,
        "keeps_keys": state.keeps_keys,
        "members": members.collect::<Vec<_>>(),
    })
}
