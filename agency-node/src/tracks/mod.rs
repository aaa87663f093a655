//! Tracks of devices against corridors, as they come: positions that are durable are measured, and what they
//! show is a data set of the node, `AGENCY.track_events`.
//!
//! Positions stay where they are. Whether a truck moves under bond is not known here and not asked: whoever knows
//! it joins their movements with these events like any two data sets.

mod designated;
mod events;
mod follow;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use sallyport_track::Tracker;
use serde::{Deserialize, Serialize};

pub(crate) use follow::follow;
pub use follow::track_point;
pub use settings::TrackSettings;

use crate::{dataset::Dataset, disk};
use designated::Designated;
use events::Events;

const SNAPSHOT: &str = "trackers.json";
const EVENTS: &str = "track_events.csv";

/// Every device's tracker, and what their tracks have shown.
pub(crate) struct Tracks {
    directory: PathBuf,
    designated: Designated,
    measured: Measured,
    events: Events,
    /// Positions of devices beyond those that can be followed, since it was told last.
    unmeasured: u64,
}

/// How far the store of positions has been measured.
#[derive(Default, Serialize, Deserialize)]
struct Measured {
    /// The next batch.
    place: u64,
    /// By feed and device.
    trackers: BTreeMap<String, BTreeMap<String, Followed>>,
}

/// A device and when the node last heard of it, by the node's clock.
#[derive(Serialize, Deserialize)]
struct Followed {
    #[serde(default)]
    heard_ms: i64,
    #[serde(flatten)]
    tracker: Tracker,
}

impl Tracks {
    /// Reads the corridors and what is kept under `state`. Trackers that cannot be read begin anew.
    ///
    /// # Errors
    /// A corridor that is unclear, or files that cannot be used.
    pub(crate) fn open(state: &Path, settings: &TrackSettings) -> io::Result<Self> {
        let directory = state.join("tracks");
        disk::create_directory(&directory)?;
        let measured = match fs::read(directory.join(SNAPSHOT)) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "the trackers cannot be read; tracks are measured from what is left of them");
                Measured::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Measured::default(),
            Err(error) => return Err(error),
        };
        let file = directory.join(EVENTS);
        let tracks = Self {
            designated: Designated::open(&settings.corridors)?,
            measured,
            events: Events::open(&file)?,
            directory,
            unmeasured: 0,
        };
        if !file.is_file() {
            tracks.write_events()?;
        }
        Ok(tracks)
    }

    /// The data set of what tracks have shown, described as if it stood in the configuration; none when the
    /// agency describes one of that name itself.
    pub(crate) fn dataset(&self, agency: &str, settings: &TrackSettings, datasets: &[Dataset]) -> Option<Dataset> {
        let described = events::dataset(agency, settings, self.directory.join(EVENTS));
        datasets.iter().all(|dataset| dataset.name != described.name).then_some(described)
    }

    fn write_events(&self) -> io::Result<()> {
        disk::replace(&self.directory.join(EVENTS), &self.events.written()?)
    }

    /// Events are written before: what is measured again after a crash gives the same ones.
    fn write_snapshot(&self) -> io::Result<()> {
        disk::replace(&self.directory.join(SNAPSHOT), &serde_json::to_vec(&self.measured)?)
    }
}
