//! `sallyport audit show`: one action, and the proof that the log holds it.

use sallyport_trust::{
    audit::{
        EntryId,
        archive::Wanted,
        merkle::{Hash, leaf_hash},
    },
    auditing::Shown,
};
use serde_json::{Value, json};

use super::{Place, action_json, remote::Checked};
use crate::{failure::Failure, terminal};

/// Arguments of `sallyport audit show`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Index of an entry, or an action's name of 32 digits.
    action: String,
    #[command(flatten)]
    place: Place,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// Shows one action.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let shown = arguments.place.log()?.show(wanted(&arguments.action)?).await?;
    let object = to_json(&shown);
    if arguments.json {
        println!("{}", terminal::json(&object));
    } else {
        print(&object);
        println!(
            "\nIts entries are proved to be under the checkpoint of {} over {} entries, root {}.",
            terminal::line(&shown.checkpoint.origin),
            shown.checkpoint.size,
            shown.checkpoint.root
        );
        println!("The log's key is {}", terminal::line(&shown.verifier_key));
    }
    Ok(())
}

fn wanted(text: &str) -> Result<Wanted, Failure> {
    // A name of digits alone is still a name: an index is never so long.
    if let Ok(id) = text.parse::<EntryId>() {
        return Ok(Wanted::Id(id));
    }
    text.parse().map(Wanted::Index).map_err(|_| {
        Failure::input("action_name", "name an entry by its index, or an action by its name of 32 hexadecimal digits")
    })
}

fn to_json(shown: &Checked<Shown>) -> Value {
    let Shown { action, opening_proof, completion_proof } = &shown.answer;
    let proof = |entry: &[u8], proof: &[Hash]| {
        json!({
            "leaf": leaf_hash(entry).to_string(),
            "proof": proof.iter().map(Hash::to_string).collect::<Vec<_>>(),
            "text": String::from_utf8_lossy(entry),
        })
    };
    let completion = action.completion.as_ref();
    let mut object = action_json(action);
    object["opening_inclusion"] = proof(&action.opening.bytes, opening_proof);
    object["completion_inclusion"] = completion.map_or(Value::Null, |it| proof(&it.bytes, completion_proof));
    object["checkpoint"] = json!({
        "origin": shown.checkpoint.origin,
        "entries": shown.checkpoint.size,
        "root": shown.checkpoint.root.to_string(),
        "verifier_key": shown.verifier_key,
    });
    object
}

/// Names and values, each on a line of its own; what is not there is left out.
fn print(object: &Value) {
    let lines = [
        ("action", "id"),
        ("entry", "entry"),
        ("begun", "opened"),
        ("who", "actor"),
        ("brought by", "via"),
        ("did", "action"),
        ("on", "resource"),
        ("question", "question"),
        ("purpose", "purpose"),
        ("case", "case_number"),
        ("reason", "reason"),
        ("decision", "decision"),
        ("rule", "rule"),
        ("policy", "policy"),
        ("obligations", "obligations"),
        ("ended", "outcome"),
        ("because", "detail"),
        ("counts", "counts"),
        ("completed", "completed"),
        ("its entry", "completion_entry"),
    ];
    for (title, field) in lines {
        let text = match &object[field] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Object(pairs) if pairs.is_empty() => continue,
            Value::Object(pairs) => {
                pairs.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        println!("  {title:12}  {}", terminal::line(&text));
    }
    for (title, field) in [("opening", "opening_inclusion"), ("completion", "completion_inclusion")] {
        if let Value::String(leaf) = &object[field]["leaf"] {
            println!("  {title:12}  leaf hash {leaf}");
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
