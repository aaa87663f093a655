//! `sallyport ask`: a question from a file, or a look-up.

pub(crate) mod lookup;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use sallyport_proto::{gateway::v1::Progress, node::v1::DeskAnswer};
use sallyport_trust::{
    clock::Clock,
    error::Refusal,
    operator_file::read_text,
    question::{Question, QuestionFile, parse_question},
};

use crate::{answer, desk::Desk, failure::Failure, people::As, receipt, terminal};

/// Bytes of a question file or a list of identifiers, at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments of `sallyport ask`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The question, a TOML file. Without one, the identifiers given are looked up in every data set
    /// that can be asked.
    file: Option<PathBuf>,
    /// Complete the answer to a question of yours that an owner held: its id, or the first digits.
    #[arg(long, value_name = "QUESTION_ID", conflicts_with = "file")]
    complete: Option<String>,
    #[command(flatten)]
    who: As,
    #[command(flatten)]
    lookup: lookup::LookUpArguments,
    /// Save proof that the question stands in the node's audit log, for `sallyport audit check-receipt`, in a
    /// new file.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

enum Asked {
    Question(Box<Question>, Vec<String>),
    LookUp(lookup::LookUp),
    Held(String),
}

/// Asks and shows the answer.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let from_file = arguments.file.as_deref().map(read).transpose()?;
    let from_file = from_file.map(|text| parse_question(&text, Clock::system().now_ms())).transpose()?;
    // What is wrong with the words is said before anybody is asked anything.
    let asked = match (arguments.complete, from_file) {
        (Some(id), _) => Asked::Held(id),
        (None, Some(QuestionFile { question, mut lookup })) => {
            lookup.extend(arguments.lookup.identifiers(&question.subject)?);
            Asked::Question(Box::new(question), lookup)
        }
        (None, None) => Asked::LookUp(arguments.lookup.without_file()?),
    };
    let reserved = arguments.receipt.as_deref().map(receipt::Reserved::new).transpose()?;
    let mut desk = Desk::of(&arguments.who.person()?)?;
    let question_id = match asked {
        Asked::Held(id) => show(arguments.json, &arguments.who, |progress| desk.complete(&id, progress)).await?,
        Asked::Question(question, lookup) => {
            show(arguments.json, &arguments.who, |progress| desk.ask(&question, lookup, progress)).await?
        }
        Asked::LookUp(lookup) => {
            let (question, lookup) = lookup.question(&desk.catalog().await?)?;
            show(arguments.json, &arguments.who, |progress| desk.ask(&question, lookup, progress)).await?
        }
    };
    let Some(reserved) = reserved else { return Ok(()) };
    let saved = receipt::save(&mut desk, &question_id, reserved).await;
    if saved.is_err() {
        let id = terminal::line(&question_id);
        eprintln!("The answer stands; within the hour the same person gets its receipt with `sallyport receipt {id}`.");
    }
    saved
}

/// Waits for an answer while its progress is shown, then shows it; the question's id.
pub(crate) async fn show<F>(
    json: bool,
    who: &As,
    ask: impl FnOnce(Box<dyn FnMut(&Progress) + Send>) -> F,
) -> Result<String, Failure>
where
    F: Future<Output = Result<DeskAnswer, Refusal>>,
{
    let visible = !json && std::io::stderr().is_terminal();
    let bar = if visible { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let shown = bar.clone();
    let answer = ask(Box::new(move |progress| {
        shown.set_message(format!("{} rows joined, {} matches", progress.rows_merged, progress.subjects_matched));
        shown.tick();
    }))
    .await;
    bar.finish_and_clear();
    let answer = answer?;
    if json {
        println!("{}", terminal::json(&answer::to_json(&answer)));
    } else {
        answer::print(&answer);
        answer::print_what_is_held(&answer, who);
    }
    Ok(answer.question_id)
}

/// A file that a person names, as text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |what: String| Failure::input("file_unreadable", format!("{}: {what}", path.display()));
    let text = read_text(path, FILE_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX { Err(unreadable("larger than 1 MiB".to_owned())) } else { Ok(text) }
}
