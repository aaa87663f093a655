//! What an owner lets the events of a data set be counted by.

use serde::{Deserialize, Serialize};

use super::{AttributeType, Dataset};
use crate::holdings::TIME;

/// What events may be counted by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Attributes with the names of places, text or whole numbers.
    pub by: Vec<String>,
    /// The whole number that says how many events a row stands for; without it a row is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Attributes, and `time`, that say what a row is about. A row that says the same again is counted once;
    /// rows that contradict each other about the same thing are not counted. Without it every row counts.
    #[serde(default)]
    pub once: Vec<String>,
}

impl Counts {
    pub(super) fn validate(&self, dataset: &Dataset) -> Result<(), String> {
        let kind = |name: &String| dataset.attribute.iter().find(|one| one.name == *name).map(|one| one.kind);
        if dataset.time.is_none() {
            return Err("has [dataset.counts] and no [dataset.time]: events are counted by time".to_owned());
        }
        if self.by.is_empty() {
            return Err("say in [dataset.counts] what may be counted by, such as by = [\"port\"]".to_owned());
        }
        let is_place = |name: &&String| matches!(kind(name), Some(AttributeType::Text | AttributeType::Integer));
        if let Some(name) = self.by.iter().find(|name| !is_place(name)) {
            return Err(format!("`{name}` in [dataset.counts] is no declared attribute of type text or integer"));
        }
        if let Some(name) = self.of.as_ref().filter(|name| kind(name) != Some(AttributeType::Integer)) {
            return Err(format!("`{name}` in [dataset.counts] is no declared attribute of type integer"));
        }
        if let Some(name) = self.once.iter().find(|name| *name != TIME && kind(name).is_none()) {
            return Err(format!("`{name}` in `once` of [dataset.counts] is neither `time` nor a declared attribute"));
        }
        if !self.once.is_empty() && !self.once.iter().any(|name| name == TIME) {
            return Err(
                "`once` in [dataset.counts] needs `time`: rows of different times say different things".to_owned()
            );
        }
        Ok(())
    }
}
