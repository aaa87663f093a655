//! `sallyport audit verify`: checks audit logs from their files alone, copies of one log also against each
//! other, or has a party check its own.

mod roots;

use std::path::{Path, PathBuf};

use sallyport_trust::{
    audit::{Verified, checkpoint::VerifierKey, cosignature::CosignerKey, is_one_history},
    auditing::Verification,
};
use serde_json::json;

use self::roots::{Checked, check};
use super::RemoteLog;
use crate::{failure::Failure, people::As, public_key, terminal};

/// Arguments of `sallyport audit verify`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Directories of audit logs, such as demo/cbp/audit; or name an auditor with --as instead.
    directories: Vec<PathBuf>,
    /// The federation's authorities (PEM): the keys of the log and its witnesses must be stated under them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "witness", "auditor"])]
    authorities: Option<PathBuf>,
    /// The log's key (`audit.vkey`) or a file with it, obtained elsewhere.
    #[arg(long, value_name = "VKEY", conflicts_with = "auditor", value_parser = public_key::given::<VerifierKey>)]
    key: Option<VerifierKey>,
    /// A witness's key or a file with it, obtained elsewhere; may be repeated.
    #[arg(long, value_name = "VKEY", requires = "key", value_parser = public_key::given::<CosignerKey>)]
    witness: Vec<CosignerKey>,
    /// Who has a party check its own log, instead of directories: an auditor from the people file.
    #[arg(long = "as", value_name = "AUDITOR", conflicts_with = "directories")]
    auditor: Option<String>,
    /// Whose log: `gateway`, or the agency of a node.
    #[arg(long, value_name = "PLACE", default_value = "gateway", requires = "auditor")]
    at: String,
    /// File that says where logs and certificates are.
    #[arg(long, value_name = "FILE", default_value = "demo/people.toml", env = "SALLYPORT_PEOPLE")]
    people: PathBuf,
    /// One JSON object a log instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Verifies each log; the first that does not hold is the failure.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Some(auditor) = &arguments.auditor {
        let auditor = As::new(auditor, &arguments.people).auditor()?;
        return match RemoteLog::of(&auditor, &arguments.at)?.verify().await? {
            Verification::Holds(verified) => {
                tell("place", &arguments.at, &verified, None, arguments.json);
                Ok(())
            }
            Verification::Broken(problem) => Err(broken(&arguments.at, &problem)),
        };
    }
    if arguments.directories.is_empty() {
        return Err(Failure::input(
            "audit_directory",
            "name the directory of a log, such as demo/cbp/audit, or have a party check its own: --as AUDITOR --at PLACE",
        ));
    }
    let mut copies: Vec<(&PathBuf, Verified)> = Vec::new();
    for directory in &arguments.directories {
        let name = directory.display().to_string();
        is_log(directory)?;
        let (verified, checked) = check(&arguments, directory)?;
        tell("directory", &name, &verified, Some(&checked), arguments.json);
        copies.push((directory, verified));
        compare(&copies)?;
    }
    Ok(())
}

/// Points from a party's folder to the log in it.
fn is_log(directory: &Path) -> Result<(), Failure> {
    let inside = directory.join("audit");
    if !directory.join("checkpoint").exists() && inside.join("checkpoint").exists() {
        let told = format!("{} is no audit log; did you mean {}?", directory.display(), inside.display());
        return Err(Failure::input("audit_directory", told));
    }
    Ok(())
}

/// Compares the newest copy with those of the same log before it.
fn compare(copies: &[(&PathBuf, Verified)]) -> Result<(), Failure> {
    let Some(((directory, verified), before)) = copies.split_last() else { return Ok(()) };
    for (other, earlier) in before.iter().filter(|(_, earlier)| earlier.origin == verified.origin) {
        let one = is_one_history((directory, verified), (other, earlier))
            .map_err(|error| broken(&directory.display().to_string(), &error))?;
        if !one {
            return Err(Failure::check(
                "audit_logs_differ",
                format!(
                    "{} and {} are signed by {} and contradict each other. Keep both: together they prove that its \
                     owner has shown two histories",
                    other.display(),
                    directory.display(),
                    verified.origin
                ),
            ));
        }
    }
    Ok(())
}

fn broken(log: &str, problem: &dyn std::fmt::Display) -> Failure {
    Failure::check("audit_log_broken", format!("{log}: {problem}"))
}

/// Says that a log holds; `kind` is what it is named by. Of a log that its own party has checked, nobody
/// else has seen more than the party's word.
fn tell(kind: &str, log: &str, verified: &Verified, checked: Option<&Checked>, as_json: bool) {
    if as_json {
        let mut object = json!({
            kind: log,
            "origin": verified.origin,
            "entries": verified.entries,
            "root": verified.root.to_string(),
            "open": verified.still_open,
            "completed": verified.completed,
            "pending": verified.pending,
            "holds": true,
        });
        if let Some(checked) = checked {
            object["key_rests_on"] = checked.rests_on().into();
            object["cosigned"] = checked.to_json();
        }
        println!("{}", terminal::json(&object));
        return;
    }
    println!(
        "{}: holds. {} entries, {} actions completed, {} still open; signed by {}.",
        terminal::line(log),
        verified.entries,
        verified.completed,
        verified.still_open,
        terminal::line(&verified.origin)
    );
    for line in checked.map(|checked| checked.sentences(verified.entries)).unwrap_or_default() {
        println!("  {}", terminal::line(&line));
    }
}
