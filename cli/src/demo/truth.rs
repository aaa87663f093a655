//! What was planted, compared with what an answer says.

use std::{fs, path::Path};

use sallyport_proto::node::v1::DeskAnswer;
use serde_json::{Value, json};

use crate::{answer, failure::Failure};

/// How well the answer meets the planted truth.
pub(super) struct Truth {
    pub(super) planted: Vec<String>,
    pub(super) found: usize,
    in_order: bool,
}

impl Truth {
    pub(super) fn sentence(&self, what: &str) -> String {
        let Self { planted, found, in_order } = self;
        let order = if *in_order { ", in the right order" } else { "" };
        format!("\n{0} {what} were planted in the data; {found} of them are the first {0}{order}.", planted.len())
    }

    pub(super) fn beside(&self, answer: &DeskAnswer) -> Value {
        let mut object = answer::to_json(answer);
        object["truth"] = json!({ "planted": self.planted.len(), "found": self.found, "in_order": self.in_order });
        object
    }
}

/// Compares the first ranks of an answer with the list in a file.
pub(super) fn compare(path: &Path, answer: &DeskAnswer) -> Result<Truth, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::machine("the truth cannot be read", &error))?;
    // rank,phone,…
    let planted: Vec<String> =
        text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).map(str::to_owned).collect();
    // The answer shows phones with their last four digits hidden.
    let masked: Vec<String> = planted
        .iter()
        .map(|phone| format!("{}XXXX", phone.trim_start_matches('+').get(..7).unwrap_or_default()))
        .collect();
    let mut first: Vec<&str> =
        answer.matches.iter().take(planted.len()).filter_map(|found| found.label.as_deref()).collect();
    let in_order = masked.iter().map(String::as_str).eq(first.iter().copied());
    let found = masked
        .iter()
        .filter(|phone| {
            let place = first.iter().position(|label| label == phone);
            place.map(|place| first.swap_remove(place)).is_some()
        })
        .count();
    Ok(Truth { planted, found, in_order })
}
