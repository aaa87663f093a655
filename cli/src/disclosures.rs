//! `sallyport disclosures`: what an agency's node disclosed of one subject, and to whom.

use chrono::{DateTime, SecondsFormat};
use sallyport_proto::node::v1::{Disclosure, DisclosuresRequest, DisclosuresResponse};
use serde_json::{Value, json};

use crate::{answer::print_table, ask::lookup::Identifiers, desk::Desk, failure::Failure, people::As, terminal};

/// Arguments of `sallyport disclosures`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    who: As,
    #[command(flatten)]
    subject: Identifiers,
    /// Why you look, in the words that your node's policy knows; it is audited.
    #[arg(long, default_value = "")]
    purpose: String,
    /// The case it belongs to, for the audit log.
    #[arg(long = "case", default_value = "")]
    case_number: String,
    /// Why, in your own words, for the audit log.
    #[arg(long, default_value = "")]
    reason: String,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Asks the officer's own node and shows what it tells.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { who, subject, purpose, case_number, reason, json } = arguments;
    let (subject, identifier) = subject.one()?;
    let request = DisclosuresRequest { subject: subject.to_owned(), identifier, purpose, case_number, reason };
    let told = Desk::of(&who.person()?)?.disclosures(request).await?;
    if json {
        println!("{}", terminal::json(&to_json(&told)));
    } else {
        print(&told);
    }
    Ok(())
}

/// Its fields are a promise to scripts.
fn to_json(told: &DisclosuresResponse) -> Value {
    let disclosures = told.disclosures.iter().map(|disclosure| {
        json!({
            "at": at(disclosure),
            "asker": disclosure.asker,
            "agency": disclosure.agency,
            "purpose": disclosure.purpose,
            "case_number": disclosure.case_number,
            "reason": disclosure.reason,
            "dataset": disclosure.dataset,
            "nature": disclosure.nature,
            "rows": disclosure.rows,
            "question_id": disclosure.question_id,
        })
    });
    json!({ "disclosures": disclosures.collect::<Vec<_>>(), "more": told.more })
}

fn print(told: &DisclosuresResponse) {
    if told.disclosures.is_empty() {
        println!("Nothing was disclosed of this subject, as far back as disclosures are kept.");
        return;
    }
    let rows = told.disclosures.iter().map(|disclosure| {
        vec![
            at(disclosure).unwrap_or_default(),
            disclosure.asker.clone(),
            disclosure.purpose.clone(),
            disclosure.case_number.clone(),
            disclosure.reason.clone(),
            disclosure.dataset.clone(),
            disclosure.nature.clone(),
            disclosure.rows.clone(),
            disclosure.question_id.chars().take(12).collect(),
        ]
    });
    print_table(
        &["when", "to whom", "purpose", "case", "reason", "data set", "what", "of which rows", "question"],
        rows.collect(),
    );
    if told.more > 0 {
        println!("{} older ones are not shown.", told.more);
    }
}

fn at(disclosure: &Disclosure) -> Option<String> {
    Some(DateTime::from_timestamp_millis(disclosure.at_ms)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}
