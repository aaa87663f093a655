//! `sallyport ask`: a question from a file, or a look-up.

mod lookup;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use sallyport_trust::question::{Question, QuestionFile, parse_question};

use crate::{answer, desk::Desk, failure::Failure, people::As, receipt, terminal};

/// Bytes of a question file or a list of identifiers, at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments of `sallyport ask`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The question, a TOML file. Without one, the identifiers given are looked up in every data set
    /// that can be asked.
    file: Option<PathBuf>,
    #[command(flatten)]
    who: As,
    #[command(flatten)]
    lookup: lookup::LookUpArguments,
    /// Save proof that the question stands in the node's audit log, for `sallyport audit check-receipt`.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

enum Asked {
    Question(Box<Question>, Vec<String>),
    LookUp(lookup::LookUp),
}

/// Asks and shows the answer.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let from_file = arguments.file.as_deref().map(read).transpose()?;
    let from_file = from_file.map(|text| parse_question(&text)).transpose()?;
    // What is wrong with the words is said before anybody is asked anything.
    let asked = match from_file {
        Some(QuestionFile { question, mut lookup }) => {
            lookup.extend(arguments.lookup.identifiers(&question.subject)?);
            Asked::Question(Box::new(question), lookup)
        }
        None => Asked::LookUp(arguments.lookup.without_file()?),
    };
    let mut desk = Desk::of(&arguments.who.person()?)?;
    let (question, lookup) = match asked {
        Asked::Question(question, lookup) => (*question, lookup),
        Asked::LookUp(lookup) => lookup.question(&desk.catalog().await?)?,
    };
    let answer = show_progress(&mut desk, &question, lookup, arguments.json).await?;
    if arguments.json {
        println!("{}", terminal::json(&answer::to_json(&answer)));
    } else {
        answer::print(&answer);
    }
    if let Some(file) = &arguments.receipt {
        receipt::save(&mut desk, &answer.question_id, file).await?;
    }
    Ok(())
}

async fn show_progress(
    desk: &mut Desk,
    question: &Question,
    lookup: Vec<String>,
    quiet: bool,
) -> Result<sallyport_proto::node::v1::DeskAnswer, Failure> {
    let visible = !quiet && std::io::stderr().is_terminal();
    let bar = if visible { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let answer = desk
        .ask(question, lookup, |progress| {
            bar.set_message(format!("{} rows joined, {} matches", progress.rows_merged, progress.subjects_matched));
            bar.tick();
        })
        .await;
    bar.finish_and_clear();
    Ok(answer?)
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |what: String| Failure::input("file_unreadable", format!("{}: {what}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable("larger than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}
