//! `sallyport lead`: what waits for people of the agency to act on it, and what they do with it.

mod outcome;
mod words;

use chrono::{DateTime, SecondsFormat};
use sallyport_proto::node::v1::{
    ActOnLeadRequest, ClearSubjectRequest, Conclude, Pursue, RaiseLeadRequest, RuleOnException,
    act_on_lead_request::Act, raise_lead_response::Raised,
};
use serde_json::json;

use crate::{answer::print_table, ask::lookup::Identifiers, desk::Desk, failure::Failure, people::As, terminal};
use outcome::OutcomeArguments;
pub(crate) use words::{json as to_json, print, standing};

/// Arguments of `sallyport lead`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the leads that you may see, the most urgent first.
    List {
        #[command(flatten)]
        who: As,
        /// Also those that are closed.
        #[arg(long)]
        closed: bool,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show one of them whole: evidence, steps, exceptions, deadlines, history.
    Show {
        #[command(flatten)]
        which: Which,
        /// One JSON object instead of sentences.
        #[arg(long)]
        json: bool,
    },
    /// Raise a match of your own answer by hand.
    Raise {
        #[command(flatten)]
        who: As,
        /// Id of your question, as its answer says.
        #[arg(long, value_name = "ID")]
        question: String,
        /// The match by its rank in the answer.
        #[arg(long)]
        rank: u32,
        /// Under this playbook, instead of the one that covers the pattern that was asked.
        #[arg(long, value_name = "NAME", default_value = "")]
        playbook: String,
    },
    /// Take a lead in hand, or give it to somebody.
    Assign {
        #[command(flatten)]
        which: Which,
        /// Who has it in hand from now on; yourself when absent.
        #[arg(long, value_name = "NAME", default_value = "")]
        to: String,
    },
    /// Say that you act on a lead that you have in hand.
    Pursue {
        #[command(flatten)]
        which: Which,
    },
    /// Say that you do not act on it, and why.
    Decline {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        reason: String,
    },
    /// Write something down.
    Note {
        #[command(flatten)]
        which: Which,
        text: String,
    },
    /// Record what came of it.
    Outcome {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        outcome: OutcomeArguments,
        /// In your own words.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say that a lawful exception holds, so that nobody need act.
    ConfirmException {
        #[command(flatten)]
        ruling: Ruling,
    },
    /// Say that a lawful exception was looked for and does not hold.
    RejectException {
        #[command(flatten)]
        ruling: Ruling,
    },
    /// Record before any lead that a lawful exception holds for a subject, named by --plate or the like.
    Clear {
        #[command(flatten)]
        who: As,
        #[command(flatten)]
        subject: Box<Identifiers>,
        /// How you know.
        #[arg(long, default_value = "")]
        reason: String,
        #[arg(long, value_name = "NAME")]
        playbook: String,
        #[arg(long, value_name = "NAME")]
        exception: String,
    },
    /// Open a closed lead again, with the reason.
    Reopen {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        reason: String,
    },
}

/// Which lead, and who says so.
#[derive(clap::Args)]
struct Which {
    /// As the list calls it.
    id: String,
    #[command(flatten)]
    who: As,
}

/// What somebody found about an exception.
#[derive(clap::Args)]
struct Ruling {
    #[command(flatten)]
    which: Which,
    /// As the lead's playbook calls it.
    exception: String,
    /// How you know.
    #[arg(long)]
    note: String,
}

/// Does what the person says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::List { who, closed, json } => list(&who, closed, json).await,
        Command::Show { which, json } => show(which, json).await,
        Command::Raise { who, question, rank, playbook } => {
            raise(&who, RaiseLeadRequest { question_id: question, rank, playbook }).await
        }
        Command::Assign { which, to } => act(which, Act::Assign(to)).await,
        Command::Pursue { which } => act(which, Act::Pursue(Pursue {})).await,
        Command::Decline { which, reason } => act(which, Act::Decline(reason)).await,
        Command::Note { which, text } => act(which, Act::Note(text)).await,
        Command::Outcome { which, outcome, note } => {
            let outcome = Some(outcome.outcome(chrono::Utc::now())?);
            act(which, Act::Conclude(Conclude { outcome, note })).await
        }
        Command::ConfirmException { ruling } => rule(ruling, true).await,
        Command::RejectException { ruling } => rule(ruling, false).await,
        Command::Clear { who, subject, reason, playbook, exception } => {
            let (subject_type, subject) = subject.one()?;
            let subject_type = subject_type.to_owned();
            clear(&who, ClearSubjectRequest { playbook, exception, subject_type, subject, note: reason }).await
        }
        Command::Reopen { which, reason } => act(which, Act::Reopen(reason)).await,
    }
}

async fn list(who: &As, closed: bool, json: bool) -> Result<(), Failure> {
    let listed = Desk::of(&who.person()?)?.list_leads(closed).await?;
    if json {
        let leads: Vec<_> = listed.leads.iter().map(words::json).collect();
        println!("{}", terminal::json(&json!({ "leads": leads, "more": listed.more })));
        return Ok(());
    }
    if listed.leads.is_empty() {
        println!("No lead waits for anybody.");
        return Ok(());
    }
    let rows = listed.leads.iter().map(words::row).collect();
    print_table(&["id", "severity", "what", "subject", "QE", "state", "who", "next", "by", "level"], rows);
    if listed.more > 0 {
        println!("  and {} more, which show when these are closed", listed.more);
    }
    println!("\n`sallyport lead show ID` tells all; `assign` takes it in hand.");
    Ok(())
}

async fn show(which: Which, json: bool) -> Result<(), Failure> {
    let lead = Desk::of(&which.who.person()?)?.show_lead(which.id).await?;
    if json {
        println!("{}", terminal::json(&words::json(&lead)));
    } else {
        words::print(&lead);
    }
    Ok(())
}

async fn raise(who: &As, request: RaiseLeadRequest) -> Result<(), Failure> {
    match Desk::of(&who.person()?)?.raise_lead(request).await? {
        Raised::New(id) => println!("Raised as lead {}.", terminal::line(&id)),
        Raised::Known(id) => println!("Lead {} is about it already.", terminal::line(&id)),
        Raised::SuppressedUntilMs(until_ms) => {
            println!("Not raised: it was ruled to be nothing until {}.", at(until_ms))
        }
    }
    Ok(())
}

async fn act(which: Which, act: Act) -> Result<(), Failure> {
    let request = ActOnLeadRequest { id: which.id, act: Some(act) };
    let lead = Desk::of(&which.who.person()?)?.act_on_lead(request).await?;
    println!("{}", terminal::line(&words::standing(&lead)));
    Ok(())
}

async fn rule(ruling: Ruling, holds: bool) -> Result<(), Failure> {
    let Ruling { which, exception, note } = ruling;
    let found = if holds { "holds" } else { "does not hold" };
    let noted = terminal::line(&format!("Noted: `{exception}` {found}."));
    act(which, Act::Exception(RuleOnException { exception, holds, note })).await?;
    println!("{noted}");
    Ok(())
}

async fn clear(who: &As, request: ClearSubjectRequest) -> Result<(), Failure> {
    let until_ms = Desk::of(&who.person()?)?.clear_subject(request).await?;
    println!("Not raised under this playbook until {}.", at(until_ms));
    Ok(())
}

/// A moment as scripts read it.
pub(crate) fn at(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}
