//! Whose word the key of a log rests on, and which witnesses have seen the log.

use std::path::Path;

use sallyport_trust::{
    audit::{
        Cosigned, KEYS_FILE, Verified, checkpoint::VerifierKey, cosignature::CosignerKey, own_key, verify_witnessed,
    },
    identity::{Anchors, SpiffeId},
    witnessing::SignedKeys,
};
use serde_json::{Value, json};

use super::{Arguments, broken};
use crate::{audit::moment, failure::Failure};

/// Larger files are no statements of keys.
const KEYS_LIMIT_BYTES: u64 = 1024 * 1024;

/// What a log was checked with, and what witnesses have seen of it.
pub(super) struct Checked {
    root: Root,
    cosigned: Option<Witnessed>,
}

/// Whose word the key rests on.
enum Root {
    /// The file beside the log.
    Itself,
    /// Whoever typed the key.
    Given,
    /// The party's certificate.
    Certificate(SpiffeId),
}

struct Witnessed {
    entries: u64,
    /// Those whose cosignatures were checked, with their times in seconds since 1970.
    checked: Vec<(String, u64)>,
    /// Names whose keys are not known here.
    unchecked: Vec<String>,
}

/// Verifies a log with the keys that the arguments lead to.
pub(super) fn check(arguments: &Arguments, directory: &Path) -> Result<(Verified, Checked), Failure> {
    let name = directory.display().to_string();
    let (root, key, witnesses) = keys(arguments, directory)?;
    let (verified, cosigned) = verify_witnessed(directory, &key).map_err(|error| broken(&name, &error))?;
    let cosigned = cosigned.map(|cosigned| Witnessed::of(&cosigned, &witnesses)).transpose();
    let cosigned = cosigned.map_err(|error| broken(&name, &error))?;
    Ok((verified, Checked { root, cosigned }))
}

fn keys(arguments: &Arguments, directory: &Path) -> Result<(Root, VerifierKey, Vec<CosignerKey>), Failure> {
    if let Some(key) = &arguments.key {
        return Ok((Root::Given, key.clone(), arguments.witness.clone()));
    }
    let Some(authorities) = &arguments.authorities else {
        let key = own_key(directory).map_err(|error| broken(&directory.display().to_string(), &error))?;
        return Ok((Root::Itself, key, Vec::new()));
    };
    let anchors = Anchors::read(authorities).map_err(|error| Failure::input("authorities", error.to_string()))?;
    let stated = statements(&directory.join(KEYS_FILE))?;
    let stated = stated.iter().map(|keys| keys.verify_outside(&anchors)).collect::<Result<Vec<_>, _>>();
    let stated = stated.map_err(|refusal| broken(&directory.display().to_string(), &refusal.message))?;
    // The log's own keys first. Nobody is a witness of their own log.
    let mut stated = stated.into_iter();
    let (party, own) = stated.next().ok_or_else(|| Failure::check("audit_keys_missing", "nobody states a key"))?;
    let witnesses = stated.map(|(_, keys)| keys.cosigner).filter(|cosigner| *cosigner != own.cosigner).collect();
    Ok((Root::Certificate(party), own.log, witnesses))
}

fn statements(path: &Path) -> Result<Vec<SignedKeys>, Failure> {
    let missing = |problem: &dyn std::fmt::Display| {
        let told = "it comes to lie beside the log with the first cosignatures; take it from there, or give --key";
        Failure::check("audit_keys_missing", format!("{}: {problem}; {told}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| missing(&error))?.len();
    if size > KEYS_LIMIT_BYTES {
        return Err(missing(&"larger than 1 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| missing(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| missing(&error))
}

impl Witnessed {
    fn of(cosigned: &Cosigned, witnesses: &[CosignerKey]) -> Result<Self, impl std::fmt::Display + use<>> {
        let mut checked = Vec::new();
        for witness in witnesses {
            match cosigned.by(witness) {
                Ok(time_s) => checked.extend(time_s.map(|time_s| (witness.name().to_owned(), time_s))),
                Err(error) => return Err(error),
            }
        }
        let is_unchecked = |name: &&String| checked.iter().all(|(known, _)| known != *name);
        let unchecked = cosigned.names.iter().filter(is_unchecked).cloned().collect();
        Ok(Self { entries: cosigned.checkpoint.size, checked, unchecked })
    }
}

impl Checked {
    pub(super) fn rests_on(&self) -> String {
        match &self.root {
            Root::Itself => "the audit.vkey beside the log, its own word".to_owned(),
            Root::Given => "the key given on the command line".to_owned(),
            Root::Certificate(party) => format!("the certificate of {party}, under the authorities given"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let Some(cosigned) = &self.cosigned else { return Value::Null };
        let checked = cosigned.checked.iter().map(|(name, time_s)| json!({ "name": name, "cosigned_at": at(*time_s) }));
        json!({
            "entries": cosigned.entries,
            "witnesses": checked.collect::<Vec<_>>(),
            "unchecked": cosigned.unchecked,
        })
    }

    /// What a person has to know beside that the log holds.
    pub(super) fn sentences(&self, entries: u64) -> Vec<String> {
        let mut told = vec![format!("Its key rests on {}.", self.rests_on())];
        if matches!(self.root, Root::Itself) {
            told.push("Whose log it is, is proved with --authorities FILE or --key VKEY only.".to_owned());
        }
        let Some(cosigned) = &self.cosigned else {
            told.push("No witness has cosigned it: an older or another copy would look as good.".to_owned());
            return told;
        };
        let covered = format!("{} of {entries} entries", cosigned.entries);
        let seen = |(name, time_s): &(String, u64)| format!("{name} has cosigned {covered}, at {}.", at(*time_s));
        told.extend(cosigned.checked.iter().map(seen));
        if !cosigned.unchecked.is_empty() {
            let names = cosigned.unchecked.join(", ");
            told.push(format!("Not checked, for want of their keys: cosignatures of {covered} by {names}."));
        }
        told
    }
}

fn at(time_s: u64) -> String {
    moment(i64::try_from(time_s).unwrap_or(i64::MAX).saturating_mul(1_000))
}
