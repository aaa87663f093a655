//! `sallyport catalog`: what can be asked of whom.

use sallyport_proto::{
    common::v1::{DatasetDescription, Outcome},
    gateway::v1::NodeCatalog,
};
use serde_json::{Value, json};

use crate::{
    answer::{day, print_table},
    budgets,
    desk::Desk,
    failure::Failure,
    people::As,
    terminal,
};

/// Arguments of `sallyport catalog`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    who: As,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Shows every node's data sets that the person may know of.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let nodes = Desk::of(&arguments.who.person()?)?.catalog().await?;
    if arguments.json {
        let nodes: Vec<_> = nodes.iter().map(node_json).collect();
        println!("{}", terminal::json(&json!({ "nodes": nodes })));
    } else {
        nodes.iter().for_each(print_node);
    }
    Ok(())
}

fn node_json(node: &NodeCatalog) -> Value {
    json!({
        "agency": node.agency,
        "answered": node.outcome() == Outcome::Answered,
        "reason": node.reason,
        "datasets": node.datasets.iter().map(dataset_json).collect::<Vec<_>>(),
        "patterns": node.patterns.len(),
        "budgets": node.budgets.iter().map(budgets::to_json).collect::<Vec<_>>(),
    })
}

fn dataset_json(dataset: &DatasetDescription) -> Value {
    let identifiers = dataset
        .identifiers
        .iter()
        .map(|identifier| json!({ "name": identifier.name, "type": identifier.r#type, "tagged": identifier.tagged }));
    let attributes = dataset
        .attributes
        .iter()
        .map(|attribute| json!({ "name": attribute.name, "type": attribute.r#type, "title": attribute.title }));
    json!({
        "name": dataset.name,
        "title": dataset.title,
        "owner": dataset.owner,
        "sensitivity": dataset.sensitivity,
        "identifiers": identifiers.collect::<Vec<_>>(),
        "attributes": attributes.collect::<Vec<_>>(),
        "has_time": dataset.has_time,
        "has_place": dataset.has_place,
        "counted_by": dataset.counted_by,
        "rows": dataset.rows,
        "unusable": dataset.unusable,
        "untagged": dataset.untagged,
        "oldest": day(dataset.oldest_day),
        "newest": day(dataset.newest_day),
        "gaps": dataset.gaps,
        "retention_days": dataset.retention_days,
    })
}

fn print_node(node: &NodeCatalog) {
    println!("\n{}", terminal::line(&node.agency));
    if node.outcome() != Outcome::Answered {
        println!("  lists nothing to you now [{}]", terminal::line(&node.reason));
        return;
    }
    let rows = node.datasets.iter().map(|dataset| {
        let identifiers = dataset.identifiers.iter().map(|i| format!("{} ({})", i.name, i.r#type));
        let attributes = dataset.attributes.iter().map(|a| format!("{} ({})", a.name, a.r#type));
        vec![
            dataset.name.clone(),
            dataset.title.clone(),
            dataset.rows.to_string(),
            match (day(dataset.oldest_day), day(dataset.newest_day)) {
                (Some(oldest), Some(newest)) => format!("{oldest} to {newest}"),
                _ => "no times".to_owned(),
            },
            identifiers.chain(dataset.has_place.then(|| "place".to_owned())).collect::<Vec<_>>().join(", "),
            attributes.collect::<Vec<_>>().join(", "),
            dataset.counted_by.join(", "),
            dataset.gaps.join("; "),
        ]
    });
    print_table(
        &["data set", "what it is", "rows", "period", "subjects by", "filters", "counted by", "not recorded"],
        rows.collect(),
    );
    if !node.patterns.is_empty() {
        println!("  patterns: {}; `sallyport pattern list` shows them", node.patterns.len());
    }
    node.budgets.iter().for_each(|budget| println!("  {}", terminal::line(&budgets::renewing(budget))));
}
