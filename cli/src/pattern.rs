//! `sallyport pattern`: named, versioned questions that one agency publishes and others ask.
//!
//! What is shown was verified here, with the person's own certificate authorities; what is asked is
//! verified again at the person's node.

use std::{fs, io::IsTerminal, path::PathBuf};

use sallyport_proto::{
    common::v1::Outcome,
    gateway::v1::NodeCatalog,
    node::v1::{AskPattern, ask_pattern::Which},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::Identity,
    question::{Pattern, PatternName, SignedPattern, parse_moment},
};
use serde_json::{Value, json};

use crate::{
    answer::print_table,
    ask::{self, lookup::LookUpArguments},
    desk::{self, Desk},
    failure::Failure,
    people::As,
    terminal,
};

/// Arguments of `sallyport pattern`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Sign a pattern as your own agency's and put it in the catalog.
    Publish(Publish),
    /// Show the patterns that you may run.
    List(List),
    /// Show one pattern.
    Show(Show),
    /// Ask what a pattern asks, for your own purpose and case.
    Ask(Box<Ask>),
}

#[derive(clap::Args)]
struct Publish {
    /// The pattern, a TOML file.
    file: PathBuf,
    #[command(flatten)]
    who: As,
    /// One JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    who: As,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Show {
    /// AGENCY.NAME, AGENCY.NAME@VERSION, or a signed file, which ends in .json.
    pattern: String,
    #[command(flatten)]
    who: As,
    /// The pattern's file as its author wrote it.
    #[arg(long)]
    toml: bool,
    /// Write the signed file, to pass it on by other means.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object instead of lines.
    #[arg(long, conflicts_with = "toml")]
    json: bool,
}

#[derive(clap::Args)]
struct Ask {
    /// AGENCY.NAME, AGENCY.NAME@VERSION, or a signed file, which ends in .json.
    pattern: String,
    #[command(flatten)]
    who: As,
    #[command(flatten)]
    lookup: LookUpArguments,
    /// Ask as if it were this moment: a date, or a time with its zone.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Publishes, shows or asks.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Publish(arguments) => publish(arguments).await,
        Command::List(arguments) => list(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Ask(arguments) => ask(*arguments).await,
    }
}

async fn publish(arguments: Publish) -> Result<(), Failure> {
    let person = arguments.who.person()?;
    let text = ask::read(&arguments.file)?;
    // What is wrong with the words is said before anybody is asked anything.
    Pattern::parse(&person.agency, &text)?;
    let published = Desk::of(&person)?.publish_pattern(text).await?;
    let signed = SignedPattern::try_from(published.pattern.unwrap_or_default())?;
    let pattern = signed.verify(&*desk::identity(&person)?)?;
    if arguments.json {
        let mut object = description(&pattern);
        object["known"] = json!(published.known);
        println!("{}", terminal::json(&object));
    } else if published.known {
        println!("{} had been published before, with the same content.", pattern.name());
    } else {
        println!("{} is published, signed by the node of {}.", pattern.name(), person.agency);
    }
    Ok(())
}

async fn list(arguments: List) -> Result<(), Failure> {
    let person = arguments.who.person()?;
    let identity = desk::identity(&person)?;
    let nodes = Desk::of(&person)?.catalog().await?;
    if arguments.json {
        let patterns: Vec<Value> = nodes.iter().flat_map(listed).map(|signed| listed_json(&identity, signed)).collect();
        let silent: Vec<Value> = nodes.iter().filter(|node| !answered(node)).map(silent_json).collect();
        println!("{}", terminal::json(&json!({ "patterns": patterns, "silent": silent })));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = nodes.iter().flat_map(listed).map(|signed| row(&identity, signed)).collect();
    if rows.is_empty() {
        println!("No pattern is listed to you.");
    } else {
        print_table(&["pattern", "looks for", "data sets", "thresholds", "signature"], rows);
    }
    for node in nodes.iter().filter(|node| !answered(node)) {
        println!("{} lists nothing to you now [{}]", terminal::line(&node.agency), terminal::line(&node.reason));
    }
    Ok(())
}

fn answered(node: &NodeCatalog) -> bool {
    node.outcome() == Outcome::Answered
}

/// A node's patterns, newest version first; none that says to be another agency's.
fn listed(node: &NodeCatalog) -> Vec<SignedPattern> {
    let signed = node.patterns.iter().filter_map(|pattern| SignedPattern::try_from(pattern.clone()).ok());
    let mut own: Vec<SignedPattern> = signed.filter(|signed| signed.agency() == node.agency).collect();
    own.sort_by_cached_key(|signed| {
        signed.claimed().map(|pattern| (pattern.name().name, std::cmp::Reverse(pattern.version())))
    });
    own
}

fn row(identity: &Identity, signed: SignedPattern) -> Vec<String> {
    let signature = signed.verify(identity).map_or_else(|refusal| refusal.reason, |_| "holds".to_owned());
    let Some(pattern) = signed.claimed() else {
        return vec![format!("{}.?", signed.agency()), "-".to_owned(), "-".to_owned(), "-".to_owned(), signature];
    };
    let datasets = Vec::from_iter(pattern.summary().datasets.iter().cloned());
    let (name, looks_for) = (pattern.name().to_string(), pattern.looks_for().to_owned());
    vec![name, looks_for, datasets.join(", "), thresholds(&pattern), signature]
}

fn thresholds(pattern: &Pattern) -> String {
    let summary = pattern.summary();
    let minimum_qe = minimum_qe(pattern);
    format!("QE {minimum_qe}, {} data sets, best {}", summary.minimum_datasets, summary.top)
}

fn minimum_qe(pattern: &Pattern) -> f64 {
    f64::from(pattern.minimum_qe_millionths()) / 1e6
}

fn description(pattern: &Pattern) -> Value {
    let (name, summary) = (pattern.name(), pattern.summary());
    json!({
        "pattern": name.to_string(),
        "agency": name.agency,
        "name": name.name,
        "version": pattern.version(),
        "looks_for": pattern.looks_for(),
        "learned_from": pattern.learned_from(),
        "subject": summary.subject,
        "datasets": summary.datasets,
        "minimum_qe": minimum_qe(pattern),
        "minimum_datasets": summary.minimum_datasets,
        "top": summary.top,
    })
}

fn listed_json(identity: &Identity, signed: SignedPattern) -> Value {
    let mut object = signed.claimed().as_ref().map_or_else(|| json!({ "agency": signed.agency() }), description);
    object["signature"] = json!(signed.verify(identity).map_or_else(|refusal| refusal.reason, |_| "holds".to_owned()));
    object
}

fn silent_json(node: &NodeCatalog) -> Value {
    json!({ "agency": node.agency, "reason": node.reason })
}

/// A pattern as a person names it.
enum Given {
    Published(PatternName),
    File(SignedPattern),
}

impl Given {
    fn of(text: &str) -> Result<Self, Failure> {
        if text.ends_with(".json") {
            return Ok(Self::File(SignedPattern::from_json(&ask::read(text.as_ref())?)?));
        }
        Ok(Self::Published(text.parse()?))
    }
}

async fn show(arguments: Show) -> Result<(), Failure> {
    let given = Given::of(&arguments.pattern)?;
    let person = arguments.who.person()?;
    let signed = match given {
        Given::File(signed) => signed,
        Given::Published(name) => chosen(&Desk::of(&person)?.catalog().await?, &name)?,
    };
    let pattern = signed.verify(&*desk::identity(&person)?)?;
    if let Some(path) = &arguments.out {
        fs::write(path, signed.to_json()?)
            .map_err(|error| Failure::machine(&format!("{} cannot be written", path.display()), &error))?;
    }
    if arguments.toml && std::io::stdout().is_terminal() {
        print!("{}", terminal::lines(signed.text()));
    } else if arguments.toml {
        print!("{}", signed.text());
    } else if arguments.json {
        println!("{}", terminal::json(&description(&pattern)));
    } else {
        print_pattern(&pattern);
    }
    Ok(())
}

fn chosen(catalog: &[NodeCatalog], name: &PatternName) -> Result<SignedPattern, Refusal> {
    let owner = catalog.iter().find(|node| node.agency == name.agency);
    match owner {
        Some(node) if !matches!(node.outcome(), Outcome::Answered | Outcome::Denied) => {
            let message = format!("The node of {} cannot be asked now; try again.", name.agency);
            Err(Refusal::new(Kind::Unavailable, "pattern_owner_away", message))
        }
        _ => SignedPattern::choose(owner.into_iter().flat_map(listed), name),
    }
}

fn print_pattern(pattern: &Pattern) {
    let summary = pattern.summary();
    let datasets = Vec::from_iter(summary.datasets.iter().cloned());
    let learned_from = Some(pattern.learned_from()).filter(|words| !words.is_empty()).unwrap_or("-");
    let lines = [
        ("pattern", pattern.name().to_string()),
        ("looks for", pattern.looks_for().to_owned()),
        ("learned from", learned_from.to_owned()),
        ("subject", summary.subject.clone()),
        ("data sets", datasets.join(", ")),
        ("thresholds", thresholds(pattern)),
        ("signature", format!("holds: the node of {}", pattern.name().agency)),
    ];
    for (what, text) in lines {
        println!("{what:<13} {}", terminal::line(&text));
    }
}

async fn ask(arguments: Ask) -> Result<(), Failure> {
    let which = match Given::of(&arguments.pattern)? {
        Given::Published(name) => Which::Published(name.to_string()),
        Given::File(signed) => Which::File(signed.into()),
    };
    let (why, (lookup_type, lookup)) = (arguments.lookup.why()?, arguments.lookup.typed()?);
    let pattern = AskPattern {
        which: Some(which),
        purpose: why.purpose,
        case_number: why.case_number,
        reason: why.reason,
        lookup_type: lookup_type.to_owned(),
        as_of_ms: arguments.as_of.map(|text| parse_moment("--as-of", &text)).transpose()?,
    };
    let mut desk = Desk::of(&arguments.who.person()?)?;
    ask::show(arguments.json, &arguments.who, |progress| desk.ask_pattern(pattern, lookup, progress)).await.map(drop)
}
