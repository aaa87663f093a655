//! `sallyport policy explain`: one request, and why a policy decides it as it does.

use std::collections::BTreeMap;

use sallyport_trust::policy::{ACTION, Explanation, Request, RuleReading};
use serde_json::json;

use super::{Named, refused};
use crate::{failure::Failure, terminal};

/// Arguments of `sallyport policy explain`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: Named,
    /// Who asks, such as `role=analyst`.
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    subject: Vec<String>,
    /// What it concerns, such as `dataset=cbp.crossings`; owner and kind follow from a data set.
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    resource: Vec<String>,
    /// Purpose, case and the like, such as `purpose=counter-narcotics`.
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    context: Vec<String>,
    /// What is to be done, such as `ask`.
    #[arg(long, required_unless_present = "case")]
    action: Option<String>,
    /// Explain a case of the policy's own table instead.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["subject", "resource", "context", "action"])]
    case: Option<String>,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Explains.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let request = match &arguments.case {
        Some(name) => arguments.policy.files()?.case(name).map_err(|error| refused(&arguments.policy.path, &error))?,
        None => written(arguments)?,
    };
    let explanation = arguments.policy.policy()?.explain(&request);
    if arguments.json {
        println!("{}", terminal::json(&json!(explanation)));
    } else {
        print(&explanation);
    }
    Ok(())
}

fn written(arguments: &Arguments) -> Result<Request, Failure> {
    let mut request = BTreeMap::from([(ACTION.to_owned(), arguments.action.clone().unwrap_or_default())]);
    for (part, pairs) in
        [("subject", &arguments.subject), ("resource", &arguments.resource), ("context", &arguments.context)]
    {
        for pair in pairs {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::input("explain_request", format!("write {part} `{pair}` as NAME=VALUE")))?;
            request.insert(format!("{part}.{name}"), value.to_owned());
        }
    }
    if let Some(dataset) = request.get("resource.dataset").cloned() {
        let owner = dataset.split('.').next().unwrap_or_default().to_owned();
        request.entry("resource.owner".to_owned()).or_insert(owner);
        request.entry("resource.kind".to_owned()).or_insert_with(|| "dataset".to_owned());
    }
    if !request.contains_key("resource.owner") {
        return Err(Failure::input(
            "explain_request",
            "say what it concerns: --resource dataset=cbp.crossings, or --resource owner=cbp kind=catalog",
        ));
    }
    Request::from_written(&request).map_err(|problem| Failure::input("explain_request", problem))
}

fn print(explanation: &Explanation) {
    let reason = explanation.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    say(&format!("Decision: {}{reason}. {}", explanation.decision, explanation.sentence));
    if !explanation.deciding.is_empty() {
        say("\nRules that decide:");
        explanation.deciding.iter().for_each(say_rule);
    }
    if !explanation.obligations.is_empty() {
        say("\nWhat an answer must keep to:");
        for obligation in &explanation.obligations {
            say(&format!("  {} = {}, by {}", obligation.name, obligation.value, obligation.rules.join(", ")));
        }
    }
    if !explanation.nearest.is_empty() {
        say("\nRules that come nearest to allowing it, and what they miss:");
        explanation.nearest.iter().for_each(say_rule);
    }
    if !explanation.missing.is_empty() {
        say(&format!("\nMissing, or not of their type: {}.", explanation.missing.join(", ")));
    }
    say(&format!("\nPolicy {}.", explanation.policy));
}

fn say_rule(rule: &RuleReading) {
    say(&format!("  {} ({}, {})", rule.id, rule.effect, rule.outcome));
    rule.failing.iter().for_each(|condition| say(&format!("      {condition}")));
}

fn say(text: &str) {
    println!("{}", terminal::lines(text));
}
