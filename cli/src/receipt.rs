//! Receipts: saving one after an answer, and checking one offline.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use chrono::DateTime;
use sallyport_trust::{
    audit::{Decision, Outcome, checkpoint::VerifierKey, cosignature::CosignerKey},
    identity::{Anchors, SpiffeId},
    receipt::{Proven, Receipt},
};
use serde_json::json;

use crate::{ask, desk::Desk, failure::Failure, people::As, public_key, terminal};

/// Arguments of `sallyport audit check-receipt`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The receipt, as `sallyport ask --receipt` wrote it.
    file: PathBuf,
    /// The federation's authorities (PEM): the receipt's keys must be stated under them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "witness"])]
    authorities: Option<PathBuf>,
    /// The log's key (`audit.vkey`) or a file with it, obtained elsewhere.
    #[arg(long, value_name = "VKEY", value_parser = public_key::given::<VerifierKey>)]
    key: Option<VerifierKey>,
    /// A witness's key or a file with it, obtained elsewhere; may be repeated.
    #[arg(long, value_name = "VKEY", requires = "key", value_parser = public_key::given::<CosignerKey>)]
    witness: Vec<CosignerKey>,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Whose word the keys rest on.
struct Trusted {
    log: VerifierKey,
    /// Whose log it is, where a certificate says so.
    party: Option<SpiffeId>,
    witnesses: Vec<CosignerKey>,
    because: &'static str,
}

/// Arguments of `sallyport receipt`.
#[derive(clap::Args)]
pub(crate) struct FetchArguments {
    /// The question's id, as its answer shows it, or at least the first 8 digits.
    question_id: String,
    #[command(flatten)]
    who: As,
    /// Where to save it; a file that is there already is left alone.
    #[arg(long, value_name = "FILE", default_value = "receipt")]
    output: PathBuf,
}

/// A file that a receipt will stand in: there before anybody is asked, gone again when nothing comes.
pub(crate) struct Reserved {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl Reserved {
    /// Makes the file, which must not be there.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let file = File::create_new(path).map_err(|error| {
            let told = match error.kind() {
                ErrorKind::AlreadyExists => "it is there already; name another file for the receipt".to_owned(),
                _ => format!("it cannot be written ({error}); name another file for the receipt"),
            };
            Failure::input("receipt_file", format!("{}: {told}", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    fn write(mut self, receipt: &str) -> Result<(), Failure> {
        let written = self.file.write_all(receipt.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| Failure::machine(&format!("{} cannot be written", self.path.display()), &error))?;
        self.is_written = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.is_written {
            // Best effort: what is left is an empty file, which is no receipt.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Fetches the receipt of a question that was answered lately.
pub(crate) async fn fetch(arguments: FetchArguments) -> Result<(), Failure> {
    let mut desk = Desk::of(&arguments.who.person()?)?;
    save(&mut desk, &arguments.question_id, Reserved::new(&arguments.output)?).await
}

/// Fetches the receipt of an answer and saves it.
pub(crate) async fn save(desk: &mut Desk, question_id: &str, file: Reserved) -> Result<(), Failure> {
    file.write(&desk.receipt(question_id).await?)
}

/// Checks a receipt and says what it proves.
pub(crate) fn check(arguments: &Arguments) -> Result<(), Failure> {
    match proven(arguments) {
        Ok((proven, trusted)) if arguments.json => println!("{}", terminal::json(&to_json(&proven, &trusted))),
        Ok((proven, trusted)) => tell(&proven, &trusted),
        Err(failure) => {
            if arguments.json {
                println!("{}", terminal::json(&json!({ "holds": false, "reason": failure.reason() })));
            }
            return Err(failure);
        }
    }
    Ok(())
}

fn proven(arguments: &Arguments) -> Result<(Proven, Trusted), Failure> {
    let receipt: Receipt = ask::read(&arguments.file)?.parse().map_err(wrong)?;
    let trusted = trusted(arguments, &receipt)?;
    let proven = receipt.check(&trusted.log, &trusted.witnesses).map_err(wrong)?;
    Ok((proven, trusted))
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::check("receipt_wrong", error.to_string())
}

/// The keys to check with: given, or vouched for by certificates. A receipt's own word is worth nothing:
/// whoever makes one up makes the keys up with it.
fn trusted(arguments: &Arguments, receipt: &Receipt) -> Result<Trusted, Failure> {
    if let Some(key) = &arguments.key {
        let because = "the keys given on the command line";
        return Ok(Trusted { log: key.clone(), party: None, witnesses: arguments.witness.clone(), because });
    }
    let path = arguments.authorities.as_ref().ok_or_else(|| {
        Failure::check(
            "receipt_without_root",
            "nothing is proved: the keys in a receipt are its own word. Say whom you trust: --authorities FILE, the \
             federation's authorities, or --key VKEY, the log's key as you have it from elsewhere",
        )
    })?;
    let anchors = Anchors::read(path).map_err(|error| Failure::input("authorities", error.to_string()))?;
    // Everybody's keys, the log's own first.
    let stated = receipt.keys.iter().map(|keys| keys.verify_outside(&anchors));
    let stated = stated.collect::<Result<Vec<_>, _>>().map_err(|refusal| wrong(refusal.message))?;
    let mut stated = stated.into_iter();
    let (party, own) = stated.next().ok_or_else(|| wrong("the receipt names no keys"))?;
    // Nobody is a witness of their own log.
    let witnesses =
        stated.map(|(_, keys)| keys.cosigner).filter(|cosigner| *cosigner != own.cosigner).collect::<Vec<_>>();
    if witnesses.is_empty() {
        return Err(wrong("the receipt names no witness"));
    }
    let because = "certificates under the authorities given";
    Ok(Trusted { log: own.log, party: Some(party), witnesses, because })
}

fn to_json(proven: &Proven, trusted: &Trusted) -> serde_json::Value {
    let ruling = proven.completion.ruling.as_ref();
    json!({
        "holds": true,
        "log": proven.checkpoint.origin,
        "party": trusted.party.as_ref().map(ToString::to_string),
        "keys_rest_on": trusted.because,
        "entries": proven.checkpoint.size,
        "witnesses": proven.witnesses.iter().map(|(name, time_s)| json!({
            "name": name,
            "cosigned_at": moment(i64::try_from(*time_s).unwrap_or(i64::MAX).saturating_mul(1_000)),
        })).collect::<Vec<_>>(),
        "actor": proven.opening.actor,
        "action": proven.opening.action,
        "question_id": proven.opening.question,
        "purpose": proven.opening.purpose,
        "case_number": proven.opening.case_number,
        "reason": proven.opening.reason,
        "opened_at": moment(proven.opened_at_ms),
        "completed_at": moment(proven.completed_at_ms),
        "outcome": outcome(proven.completion.outcome),
        "detail": proven.completion.detail,
        "counts": proven.completion.counts,
        "decision": ruling.map(|ruling| decision(ruling.decision)),
        "rule": ruling.map(|ruling| &ruling.rule),
        "policy": ruling.map(|ruling| &ruling.policy),
        "obligations": ruling.map(|ruling| &ruling.obligations),
    })
}

fn tell(proven: &Proven, trusted: &Trusted) {
    let said = |text: &Option<String>| terminal::line(text.as_deref().unwrap_or("-"));
    let pairs = |map: Vec<(&String, String)>| match map.is_empty() {
        true => "none".to_owned(),
        false => {
            terminal::line(&map.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "))
        }
    };
    let (opening, completion) = (&proven.opening, &proven.completion);
    println!("The receipt holds.\n");
    println!("  who          {}", terminal::line(&opening.actor));
    println!("  what         {} (question {})", terminal::line(&opening.action), said(&opening.question));
    println!(
        "  why          {}, case {}, {}",
        said(&opening.purpose),
        said(&opening.case_number),
        said(&opening.reason)
    );
    println!("  when         {} to {}", moment(proven.opened_at_ms), moment(proven.completed_at_ms));
    let detail = completion.detail.as_deref().map(|detail| format!(" [{}]", terminal::line(detail)));
    println!("  ended        {}{}", outcome(completion.outcome), detail.unwrap_or_default());
    if let Some(ruling) = &completion.ruling {
        println!("  decision     {} by {}", decision(ruling.decision), terminal::line(&ruling.rule));
        println!("  obligations  {}", pairs(ruling.obligations.iter().map(|(n, v)| (n, v.clone())).collect()));
        println!("  policy       {}", terminal::line(&ruling.policy));
    }
    println!("  counted      {}", pairs(completion.counts.iter().map(|(n, v)| (n, v.to_string())).collect()));
    println!("\nIt proves:");
    println!(
        "  The log {} holds both entries among its first {} and cannot take them back without being caught.",
        terminal::line(&proven.checkpoint.origin),
        proven.checkpoint.size
    );
    for (name, time_s) in &proven.witnesses {
        let at_ms = i64::try_from(*time_s).unwrap_or(i64::MAX).saturating_mul(1_000);
        println!("  {} has seen that, at {}.", terminal::line(name), moment(at_ms));
    }
    match &trusted.party {
        Some(party) => println!("  It is the log of {party}, whose certificate was valid when it named the log's key."),
        None => println!("  It is the log of whoever holds its key."),
    }
    println!("It does not prove:");
    println!("  That what the entries say is true: the log's owner wrote them, and its clock set the times.");
    println!("  What the answer was, or that nothing else was asked.");
    if proven.witnesses.is_empty() {
        println!("  That anybody else has seen this history: no witness's key was given.");
    }
    if trusted.party.is_some() {
        println!("  That no certificate had been revoked: revocation lists are not looked at.");
    }
}

fn moment(at_ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(at_ms);
    moment.map_or_else(|| format!("{at_ms} ms"), |moment| moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Denied => "denied",
        Outcome::Held => "held",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::TimedOut => "timed_out",
        Outcome::Abandoned => "abandoned",
    }
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Hold => "hold",
    }
}
