//! The actions of the Delta protocol that this table uses, and the state that they lead to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Versions of the protocol that a reader and a writer need: those of the first tables, so that every reader
/// reads them.
pub(super) const PROTOCOL: Protocol = Protocol { min_reader_version: 1, min_writer_version: 2 };

/// One action, as it stands in a line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Protocol(Protocol),
    MetaData(MetaData),
    Add(Add),
    Remove(Remove),
    Txn(Transaction),
    CommitInfo(serde_json::Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: u32,
    pub(super) min_writer_version: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaData {
    pub(super) id: String,
    pub(super) format: Format,
    pub(super) schema_string: String,
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) created_time: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Format {
    pub(super) provider: String,
    #[serde(default)]
    pub(super) options: BTreeMap<String, String>,
}

/// A data file that belongs to the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    /// Below the table's directory.
    pub(super) path: String,
    pub(super) partition_values: BTreeMap<String, Option<String>>,
    pub(super) size: i64,
    /// Milliseconds since 1970.
    pub(super) modification_time: i64,
    /// False where rows only moved to another file.
    pub(super) data_change: bool,
    /// JSON: number of rows, smallest and largest values.
    #[serde(default)]
    pub(super) stats: Option<String>,
}

/// A data file that belongs to the table no more. It stays on disk for those who read an older version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub(super) path: String,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<i64>,
    pub(super) data_change: bool,
    #[serde(default)]
    pub(super) extended_file_metadata: Option<bool>,
    #[serde(default)]
    pub(super) partition_values: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(super) size: Option<i64>,
}

/// How far an application has come; written in the commit that brings what it tells of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transaction {
    pub(super) app_id: String,
    pub(super) version: u64,
    #[serde(default)]
    pub(super) last_updated: Option<i64>,
}

impl Add {
    /// The day of all its rows, `2026-11-24`.
    pub(super) fn day(&self) -> Option<&str> {
        self.partition_values.get(super::rows::DAY)?.as_deref()
    }

    /// Its number of rows, where that is written down.
    pub(super) fn rows(&self) -> Option<u64> {
        let stats: serde_json::Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        stats.get("numRecords")?.as_u64()
    }

    /// The action that takes it out of the table.
    pub(super) fn removed(&self, now_ms: i64, data_change: bool) -> Action {
        Action::Remove(Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(now_ms),
            data_change,
            extended_file_metadata: Some(true),
            partition_values: self.partition_values.clone(),
            size: Some(self.size),
        })
    }
}

/// A version of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Snapshot {
    /// The next version to be written.
    pub(super) next_version: u64,
    pub(super) protocol: Option<Protocol>,
    pub(super) metadata: Option<MetaData>,
    pub(super) files: BTreeMap<String, Add>,
    pub(super) removed: BTreeMap<String, Remove>,
    pub(super) transactions: BTreeMap<String, Transaction>,
}

impl Snapshot {
    /// Takes in one action; those of one commit in any order.
    pub(super) fn apply(&mut self, action: Action) {
        match action {
            Action::Protocol(protocol) => self.protocol = Some(protocol),
            Action::MetaData(metadata) => self.metadata = Some(metadata),
            Action::Add(add) => {
                self.removed.remove(&add.path);
                self.files.insert(add.path.clone(), add);
            }
            Action::Remove(remove) => {
                self.files.remove(&remove.path);
                self.removed.insert(remove.path.clone(), remove);
            }
            Action::Txn(transaction) => {
                self.transactions.insert(transaction.app_id.clone(), transaction);
            }
            Action::CommitInfo(_) => {}
        }
    }

    /// The actions that lead to this state; of removed files only those that were removed after a moment.
    pub(super) fn to_actions(&self, removed_after_ms: i64) -> Vec<Action> {
        let recent = |remove: &&Remove| remove.deletion_timestamp.is_some_and(|at_ms| at_ms > removed_after_ms);
        let mut actions: Vec<Action> = self.protocol.map(Action::Protocol).into_iter().collect();
        actions.extend(self.metadata.clone().map(Action::MetaData));
        actions.extend(self.transactions.values().cloned().map(Action::Txn));
        // In a checkpoint neither adding nor removing changes data.
        let add = |add: &Add| Action::Add(Add { data_change: false, ..add.clone() });
        let remove = |remove: &Remove| Action::Remove(Remove { data_change: false, ..remove.clone() });
        actions.extend(self.files.values().map(add));
        actions.extend(self.removed.values().filter(recent).map(remove));
        actions
    }
}
