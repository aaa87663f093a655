//! What stands in an audit log, read from its files alone.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// The entries of a log that are published.
pub(crate) fn entries(log: &Path) -> Vec<Value> {
    let (mut found, mut left) = (BTreeSet::new(), vec![log.join("tile/entries")]);
    while let Some(path) = left.pop() {
        if let Ok(inside) = fs::read_dir(&path) {
            left.extend(inside.map(|entry| entry.unwrap().path()));
            continue;
        }
        // A narrower tile goes when a wider one takes its place.
        let bytes = fs::read(&path).unwrap_or_default();
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            found.insert(String::from_utf8(entry.to_vec()).unwrap());
            rest = after;
        }
    }
    found.iter().map(|entry| serde_json::from_str(entry).unwrap()).collect()
}

/// Who did an action that ended for this reason, one for each time.
pub(crate) fn actors(log: &Path, action: &str, detail: &str) -> Vec<String> {
    let entries = entries(log);
    let ended: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["phase"]["complete"]["detail"] == detail)
        .map(|entry| &entry["entry"])
        .collect();
    entries
        .iter()
        .filter(|entry| entry["phase"]["open"]["action"] == action && ended.contains(&&entry["entry"]))
        .map(|entry| entry["phase"]["open"]["actor"].as_str().unwrap().to_owned())
        .collect()
}
