//! How much a store keeps, and how long.

use std::time::Duration;

use serde::Deserialize;

use super::error::StoreError;

const MIB: u64 = 1024 * 1024;

/// Settings of a node's positions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Days that positions are kept in the table, counted by when they were: 1 to 3,650. Whole days go.
    pub retention_days: u32,
    /// Longest time in seconds from an acknowledgement to the table: 1 to 3,600.
    pub settle_seconds: u64,
    /// Hours that a file which was removed from the table stays on disk, for those who are reading it: 1 to
    /// 8,760.
    pub safe_hours: u32,
    /// Mebibytes of the journal that are kept after they were settled, for followers that come back: 16 to
    /// 65,536.
    pub history_mib: u64,
    /// Mebibytes of the journal that may wait to be settled; then batches are refused until there is room: 16
    /// to 65,536.
    pub waiting_mib: u64,
    /// Mebibytes of refused points that are kept of each feed, beyond what waits: 1 to 65,536.
    pub quarantine_mib: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention_days: 90,
            settle_seconds: 30,
            safe_hours: 168,
            history_mib: 256,
            waiting_mib: 1024,
            quarantine_mib: 16,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let limits = 16..=65_536;
        let problem = if !(1..=3_650).contains(&self.retention_days) {
            "`retention_days` is 1 to 3,650"
        } else if !(1..=3_600).contains(&self.settle_seconds) {
            "`settle_seconds` is 1 to 3,600"
        } else if !(1..=8_760).contains(&self.safe_hours) {
            "`safe_hours` is 1 to 8,760"
        } else if !limits.contains(&self.history_mib) || !limits.contains(&self.waiting_mib) {
            "`history_mib` and `waiting_mib` are 16 to 65,536"
        } else if !(1..=65_536).contains(&self.quarantine_mib) {
            "`quarantine_mib` is 1 to 65,536"
        } else {
            return Ok(());
        };
        Err(StoreError::Setting(problem))
    }

    pub(super) fn pace(&self) -> Duration {
        Duration::from_secs(self.settle_seconds)
    }

    pub(super) fn safe_ms(&self) -> i64 {
        i64::from(self.safe_hours) * 3_600_000
    }

    pub(super) fn history_bytes(&self) -> u64 {
        self.history_mib * MIB
    }

    pub(super) fn journal_limit_bytes(&self) -> u64 {
        (self.history_mib + self.waiting_mib) * MIB
    }

    pub(super) fn quarantine_bytes(&self) -> u64 {
        self.quarantine_mib * MIB
    }
}
