//! `sallyport ask`: a question from a file, or a look-up.

use std::{io::IsTerminal, path::PathBuf};

use indicatif::ProgressBar;
use sallyport_trust::question::{LOOKUP_MAX, QuestionFile, parse_question};

use crate::{answer, desk::Desk, failure::Failure, people::As};

/// Bytes of a question file or a list of identifiers, at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments of `sallyport ask`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The question, a TOML file.
    file: PathBuf,
    #[command(flatten)]
    who: As,
    /// Look up these identifiers of the question's subject type instead of ranking everyone; repeat it for more.
    #[arg(long = "lookup", value_name = "IDENTIFIER", visible_aliases = ["phone", "plate", "vin", "passport", "container", "usdot", "device"])]
    lookup: Vec<String>,
    /// Look up the identifiers in this file, one a line.
    #[arg(long, value_name = "FILE")]
    lookup_file: Option<PathBuf>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Asks and shows the answer.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let QuestionFile { question, mut lookup } = parse_question(&read(&arguments.file)?)?;
    lookup.extend(arguments.lookup);
    if let Some(file) = &arguments.lookup_file {
        lookup.extend(read(file)?.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    if lookup.len() > LOOKUP_MAX {
        return Err(Failure::input("lookup_too_long", format!("a look-up takes at most {LOOKUP_MAX} identifiers")));
    }
    let mut desk = Desk::of(&arguments.who.person()?)?;
    let bar = if arguments.json || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new_spinner()
    };
    let answer = desk
        .ask(&question, lookup, |progress| {
            bar.set_message(format!("{} rows joined, {} matches", progress.rows_merged, progress.subjects_matched));
            bar.tick();
        })
        .await;
    bar.finish_and_clear();
    let answer = answer?;
    if arguments.json {
        println!("{}", answer::to_json(&answer));
    } else {
        answer::print(&answer);
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    let unreadable = |what: String| Failure::input("file_unreadable", format!("{}: {what}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable("larger than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}
