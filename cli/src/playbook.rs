//! `sallyport playbook`: what whoever writes playbooks works with, from the files alone.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sallyport_lead::{
    people::People,
    playbook::{PLAYBOOK_BYTES_MAX, Playbook, Playbooks, Problem},
    qe,
};
use sallyport_trust::operator_file::read_text;
use serde_json::{Value, json};

use crate::{corridor, failure::Failure, terminal};

/// Arguments of `sallyport playbook`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Find what is missing in an agency's playbooks: scores, people, deadlines, escalations.
    Check {
        /// Directory of the playbooks.
        #[arg(value_name = "DIR", default_value = "policies/cbp/playbooks")]
        directory: PathBuf,
        /// The node's configuration, to look persons and roles up in.
        #[arg(long, value_name = "FILE")]
        node: Option<PathBuf>,
        /// A corridor's file, whose lawful exceptions the playbooks must have checked; may be given several times.
        #[arg(long = "corridor", value_name = "FILE")]
        corridors: Vec<PathBuf>,
        /// One JSON object instead of sentences.
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of the commands.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Command::Check { directory, node, corridors, json } = &arguments.command;
    let files = files(directory)?;
    let people = node.as_deref().map(people).transpose()?;
    let named = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let read = Playbooks::read(named, people.as_ref());
    let (playbooks, mut problems) = match &read {
        Ok(playbooks) => (playbooks.iter().collect(), Vec::new()),
        Err(problems) => (Vec::new(), problems.clone()),
    };
    // What unreadable playbooks check is not known.
    if read.is_ok() {
        problems.extend(unchecked(corridors, &playbooks)?);
    }
    if *json {
        println!("{}", terminal::json(&to_json(&playbooks, &problems)));
    } else {
        print(&playbooks, &problems);
    }
    if problems.is_empty() && playbooks.is_empty() {
        let what = format!("{} holds no playbook (*.toml), so no watch can be armed", directory.display());
        return Err(Failure::check("no_playbooks", what));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let what = match read {
        Ok(_) => "an exception that a corridor allows is checked by none of the playbooks",
        Err(_) => "the playbooks are not whole; none of them is used until they are",
    };
    Err(Failure::check("playbooks_have_gaps", what))
}

/// The lawful exceptions of corridors that no playbook has checked: a driver who was diverted would be stopped.
fn unchecked(corridors: &[PathBuf], playbooks: &[&Playbook]) -> Result<Vec<Problem>, Failure> {
    let checked: BTreeSet<&str> =
        playbooks.iter().flat_map(|book| book.exceptions()).map(|exception| exception.name.as_str()).collect();
    let mut problems = Vec::new();
    for path in corridors {
        let corridor = corridor::read(path)?;
        let missing = corridor.exceptions.iter().filter(|exception| !checked.contains(exception.code.as_str()));
        problems.extend(missing.map(|exception| Problem {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            place: format!("exception `{}`", exception.code),
            reason: "exception_unchecked",
            message: format!(
                "The corridor allows it ({}), and no playbook has it checked; write an [[exception]] of that name.",
                exception.words
            ),
        }));
    }
    Ok(problems)
}

fn print(playbooks: &[&Playbook], problems: &[Problem]) {
    problems.iter().for_each(|problem| println!("{}  [{}]", terminal::lines(&problem.to_string()), problem.reason));
    for playbook in playbooks {
        let covered: Vec<&str> = playbook.watches.iter().chain(&playbook.patterns).map(String::as_str).collect();
        let told = format!(
            "{}: {}. Covers {}; raises from QE {}.",
            playbook.name,
            playbook.title,
            covered.join(", "),
            qe(playbook.raises_from())
        );
        println!("{}", terminal::line(&told));
    }
    if problems.is_empty() && !playbooks.is_empty() {
        let plural = if playbooks.len() == 1 { "" } else { "s" };
        println!("{} playbook{plural}, nothing is missing.", playbooks.len());
    }
}

/// Its fields are a promise to scripts.
fn to_json(playbooks: &[&Playbook], problems: &[Problem]) -> Value {
    json!({
        "playbooks": playbooks.iter().map(|playbook| json!({
            "name": playbook.name,
            "title": playbook.title,
            "patterns": playbook.patterns,
            "watches": playbook.watches,
            "raises_from_qe": f64::from(playbook.raises_from()) / 1e6,
        })).collect::<Vec<_>>(),
        "problems": problems.iter().map(|problem| json!({
            "file": problem.file,
            "place": problem.place,
            "reason": problem.reason,
            "message": problem.message,
        })).collect::<Vec<_>>(),
    })
}

fn files(directory: &Path) -> Result<Vec<(String, String)>, Failure> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        Failure::input("playbooks_unreadable", format!("{} cannot be read ({})", path.display(), error.kind()))
    };
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| unreadable(directory, &error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = paths.iter().map(|path| {
        // What is too large comes too large, and the check says so.
        let text = read_text(path, PLAYBOOK_BYTES_MAX as u64).map_err(|error| unreadable(path, &error))?;
        Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text))
    });
    read.collect()
}

/// Names and roles in a node's configuration; what else stands there is not looked at.
fn people(path: &Path) -> Result<People, Failure> {
    #[derive(serde::Deserialize)]
    struct Node {
        #[serde(default)]
        person: Vec<sallyport_node::Person>,
    }
    let unusable = |problem: String| Failure::input("node_unreadable", format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let node: Node = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let role = |person: &sallyport_node::Person| person.attributes.get("role").cloned().unwrap_or_default();
    Ok(node.person.iter().map(|person| (person.name.clone(), role(person))).collect())
}
