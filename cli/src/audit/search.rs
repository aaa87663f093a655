//! `sallyport audit search`: recorded actions by any combination of conditions.

use sallyport_trust::{
    audit::{
        action::RecordedAction,
        archive::Page,
        query::{Query, outcome_word},
    },
    identity::{Role, SpiffeId},
};
use serde_json::json;

use super::{
    Place, action_json,
    filter::Filter,
    moment,
    remote::{Checked, RemoteLog},
};
use crate::{answer::print_table, failure::Failure, terminal};

/// Characters of a detail in the table, at most; every stable reason fits.
const DETAIL_CHARS_MAX: usize = 40;

/// Arguments of `sallyport audit search`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// Actions at a time, 1 to 500.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Go on with actions begun before this entry.
    #[arg(long, value_name = "ENTRY")]
    before: Option<u64>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Searches and shows one page.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let query = arguments.filter.query()?;
    let mut log = arguments.place.log()?;
    let page = log.search(&query, arguments.before, arguments.limit).await?;
    if arguments.json {
        let actions: Vec<_> = page.answer.actions.iter().map(action_json).collect();
        let checkpoint = json!({
            "origin": page.checkpoint.origin,
            "entries": page.checkpoint.size,
            "root": page.checkpoint.root.to_string(),
        });
        let object = json!({ "actions": actions, "next_before": page.answer.next_before, "checkpoint": checkpoint });
        println!("{}", terminal::json(&object));
    } else {
        print(&page);
        if page.answer.actions.is_empty() {
            explain(&mut log, &query).await?;
        }
    }
    Ok(())
}

/// Says which names stand nowhere in the log: they are mistyped, or of another party's log.
async fn explain(log: &mut RemoteLog, query: &Query) -> Result<(), Failure> {
    for (name, alone) in query.names() {
        let is_known = alone != *query && !log.search(&alone, None, 1).await?.answer.actions.is_empty();
        if !is_known {
            println!("{} stands nowhere in this log, at any time; mind the spelling.", terminal::line(&name));
        }
    }
    Ok(())
}

fn print(page: &Checked<Page>) {
    if page.answer.actions.is_empty() {
        println!("No recorded action fits.");
    } else {
        print_table(
            &["entry", "begun (UTC)", "who", "did", "on", "purpose", "case", "decision", "rule", "ended"],
            page.answer.actions.iter().map(row).collect(),
        );
    }
    println!(
        "{} actions, under the checkpoint of {} over {} entries.",
        page.answer.actions.len(),
        terminal::line(&page.checkpoint.origin),
        page.checkpoint.size
    );
    if let Some(before) = page.answer.next_before {
        println!("For older ones add --before {before}.");
    }
}

fn row(action: &RecordedAction) -> Vec<String> {
    let said = &action.opening.said;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let ended = match action.detail() {
        "" => outcome_word(action.outcome()).to_owned(),
        detail => format!("{} [{}]", outcome_word(action.outcome()), cut(detail)),
    };
    vec![
        action.opening.index.to_string(),
        moment(action.opening.at_ms),
        short_name(&said.actor),
        said.action.clone(),
        said.resource.clone(),
        text(&said.purpose),
        text(&said.case_number),
        action.decision().map_or("-", |decision| decision.as_str()).to_owned(),
        Some(action.rule()).filter(|rule| !rule.is_empty()).unwrap_or("-").to_owned(),
        ended,
    ]
}

/// A detail that fits a table; the whole of it is in `audit show` and in JSON.
fn cut(detail: &str) -> String {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

/// Whoever acted, as short as it stays clear: `hsi/rivera` for a person, `hsi` for a node.
pub(super) fn short_name(actor: &str) -> String {
    match actor.parse::<SpiffeId>().map(|id| id.role) {
        Ok(Role::User { agency, name }) => format!("{agency}/{name}"),
        Ok(Role::Node { agency }) => agency,
        Ok(Role::Gateway) => "gateway".to_owned(),
        Ok(Role::Auditor { name }) => format!("auditor {name}"),
        Ok(Role::Feed { partner }) => format!("feed of {partner}"),
        Err(_) => actor.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_does_not_widen_the_table_and_a_reason_stays_whole() {
        let digest = format!("disclosures_sha256_{}", "é".repeat(64));
        assert_eq!(cut(&digest).chars().count(), DETAIL_CHARS_MAX + 1);
        assert_eq!(cut("checkpoint_inconsistent"), "checkpoint_inconsistent");
    }
}
