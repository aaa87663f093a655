//! How much a store keeps, and how long.

use serde::Deserialize;

use super::error::StoreError;

const MIB: u64 = 1024 * 1024;

/// Settings of a node's positions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Mebibytes of the journal that are kept after they were settled, for followers that come back: 16 to
    /// 65,536.
    pub history_mib: u64,
    /// Mebibytes of the journal that may wait to be settled; then batches are refused until there is room: 16
    /// to 65,536.
    pub waiting_mib: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history_mib: 256, waiting_mib: 1024 }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let within = |mib: u64| (16..=65_536).contains(&mib);
        if !within(self.history_mib) || !within(self.waiting_mib) {
            return Err(StoreError::Setting("`history_mib` and `waiting_mib` are 16 to 65,536"));
        }
        Ok(())
    }

    pub(super) fn journal_limit_bytes(&self) -> u64 {
        (self.history_mib + self.waiting_mib) * MIB
    }
}
