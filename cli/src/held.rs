//! `sallyport held`: a person's own questions of which owners hold a part.

use sallyport_proto::node::v1::{OwnHeldDataset, OwnHeldQuestion, ReleaseState};
use sallyport_trust::question::{COUNTS, words::moment};
use serde_json::{Value, json};

use crate::{desk::Desk, failure::Failure, people::As, release::state_name, terminal};

/// Arguments of `sallyport held`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    who: As,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Asks the person's node, which asks the owners.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let questions = Desk::of(&arguments.who.person()?)?.held_questions().await?;
    if arguments.json {
        let questions: Vec<_> = questions.iter().map(question_json).collect();
        println!("{}", terminal::json(&json!({ "questions": questions })));
    } else if questions.is_empty() {
        println!("Nobody holds a question of yours.");
    } else {
        questions.iter().for_each(|question| print(question, &arguments.who));
    }
    Ok(())
}

fn question_json(question: &OwnHeldQuestion) -> Value {
    let datasets = question.datasets.iter().map(|dataset| {
        json!({
            "dataset": dataset.dataset,
            "state": state_name(dataset.state()),
            "reason": dataset.reason,
            "until": Some(dataset.until_ms).filter(|&until_ms| until_ms > 0).map(moment),
        })
    });
    json!({
        "question_id": question.question_id,
        "title": question.title,
        "subject": question.subject,
        "looked_up": question.looked_up,
        "purpose": question.purpose,
        "case_number": question.case_number,
        "asked_at": moment(question.asked_at_ms),
        "expires_at": moment(question.expires_at_ms),
        "datasets": datasets.collect::<Vec<_>>(),
    })
}

fn print(question: &OwnHeldQuestion, who: &As) {
    let what = match question.looked_up {
        0 if question.subject == COUNTS => "counts of events".to_owned(),
        0 => format!("a ranking by {}", question.subject),
        count => format!("a look-up of {count} {}", question.subject),
    };
    let title = if question.title.is_empty() { String::new() } else { format!("{}: ", question.title) };
    let why = format!("{} {}", question.purpose, question.case_number);
    println!(
        "{}",
        terminal::line(&format!("{title}{what}, for {}, asked {}", why.trim(), moment(question.asked_at_ms)))
    );
    for dataset in &question.datasets {
        println!("  {}  {}", terminal::line(&dataset.dataset), terminal::line(&standing(dataset)));
    }
    let in_state = |state| question.datasets.iter().any(|dataset| dataset.state() == state);
    if in_state(ReleaseState::Granted) && in_state(ReleaseState::Waiting) {
        println!("  completing it uses up what is granted for one answer: better wait until all have decided");
    }
    println!(
        "  complete it until {}: sallyport ask --complete {} {}\n",
        moment(question.expires_at_ms),
        terminal::line(&question.question_id),
        terminal::line(&who.words())
    );
}

fn standing(dataset: &OwnHeldDataset) -> String {
    let until = moment(dataset.until_ms);
    match dataset.state() {
        ReleaseState::Waiting => format!("waits for people of the owner, until {until}"),
        ReleaseState::Granted => format!("granted for one answer: complete it before {until}"),
        ReleaseState::Standing => format!("granted for every such question before {until}"),
        ReleaseState::Refused => format!("refused: {}", dataset.reason),
        ReleaseState::Used => "was granted and answered; completed again, it is asked for anew".to_owned(),
        ReleaseState::Answered => "answered".to_owned(),
        ReleaseState::Expired | ReleaseState::Unspecified => {
            "its owner is away, or the wait is over; completed, it is asked for anew".to_owned()
        }
    }
}
