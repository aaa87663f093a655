//! `[tracks]` in the node's configuration: which corridors tracks are measured against, and who hears of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::dataset::Sensitivity;

/// How tracks are measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackSettings {
    /// A directory of corridors, `*.geojson`, relative to the configuration's folder; read again when they
    /// change.
    pub corridors: PathBuf,
    /// Who may see that there are track events.
    #[serde(default = "default_sensitivity")]
    pub sensitivity: Sensitivity,
    /// Agencies whose nodes are told that there are new ones, never whose.
    #[serde(default)]
    pub news_to: Vec<String>,
    /// How long an event is kept, in days: 1 to 3,650.
    #[serde(default = "default_retention_days")]
    pub retention_days: u32,
}

fn default_sensitivity() -> Sensitivity {
    Sensitivity::LawEnforcementSensitive
}

fn default_retention_days() -> u32 {
    90
}

impl TrackSettings {
    pub(crate) fn anchor(&mut self, folder: &Path) {
        self.corridors = folder.join(&self.corridors);
    }
}
