//! `sallyport policy check`: findings on a policy, as sentences or JSON.

use sallyport_trust::policy::{Review, Severity};
use serde_json::json;

use super::Named;
use crate::{failure::Failure, terminal};

/// Arguments of `sallyport policy check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: Named,
    /// Show the attributes that rules may speak of, with their names in GFIPM.
    #[arg(long)]
    attributes: bool,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Shows what was found; errors are the failure.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let review = arguments.policy.files()?.review();
    if arguments.json {
        println!("{}", terminal::json(&json!(review)));
    } else {
        print(&review, arguments.attributes);
    }
    if review.has_errors() {
        return Err(Failure::check("policy_has_errors", "the policy has errors; correct them before it is used"));
    }
    Ok(())
}

fn print(review: &Review, attributes: bool) {
    for finding in &review.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let about = finding.rule.as_ref().map_or_else(String::new, |rule| format!("rule `{rule}`: "));
        println!("{}", terminal::line(&format!("{severity}  {about}{}  [{}]", finding.sentence, finding.kind)));
    }
    if attributes {
        println!("{:42}  {:7}  {:13}  name in GFIPM", "attribute", "type", "supplied by");
        for attribute in &review.attributes {
            let from = attribute.from.map(|from| json!(from)).unwrap_or_default();
            println!(
                "{:42}  {:7}  {:13}  {}",
                attribute.name,
                attribute.r#type,
                from.as_str().unwrap_or_default(),
                attribute.gfipm.unwrap_or_default()
            );
        }
    }
    let errors = review.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!(
        "{} rules, {} cases: {errors} errors, {} warnings. Hash {}.",
        review.rules,
        review.cases,
        review.findings.len() - errors,
        review.policy
    );
}
