//! Data sets whose files change while the node runs: read again beside those in use, which answer until the
//! new ones take their place in one step.
//!
//! Numbers of subjects and of records are never given to others, so a question that has begun may go on
//! with either state. Only one refresh runs at a time, and none before [`Holdings::prepare`] has ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Holdings, HoldingsError, prepare};
use crate::dataset::Dataset;

/// What was last seen of the files of data sets.
#[derive(Default)]
pub(crate) struct Seen(HashMap<String, String>);

impl Holdings {
    /// Reads again what has changed and then stayed the same for one look; the names of those data sets are added to
    /// `refreshed`, also when reading another one fails.
    ///
    /// # Errors
    /// As [`Holdings::prepare`]; what was prepared before is used on.
    pub(crate) async fn refresh(&self, seen: &mut Seen, refreshed: &mut BTreeSet<String>) -> Result<(), HoldingsError> {
        for dataset in self.datasets.iter().filter(|dataset| dataset.live) {
            let Some(before) = self.manifest(&dataset.name) else { continue };
            let now = prepare::state_of(&self.state, dataset)?;
            if now == before.fingerprint {
                continue;
            }
            // What is still being written is left alone until it rests.
            if seen.0.insert(dataset.name.clone(), now.clone()).as_ref() == Some(&now) {
                self.read_again(dataset.clone(), before.fingerprint).await?;
                refreshed.insert(dataset.name.clone());
            }
        }
        Ok(())
    }

    async fn read_again(&self, dataset: Dataset, before: String) -> Result<(), HoldingsError> {
        let (inner, state) = (self.inner.clone(), self.state.clone());
        let work = tokio::task::spawn_blocking(move || {
            let lock = || inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (mut subjects, mut numbering) = {
                let mut inner = lock();
                let of = |kind| inner.subjects.get(&kind).map(|subjects| (kind, subjects.clone()));
                let subjects: BTreeMap<_, _> = dataset.subject_types().filter_map(of).collect();
                (subjects, inner.numbering.remove(&dataset.name).unwrap_or_default())
            };
            let prepared = prepare::prepare(&state, &dataset, &mut subjects, &mut numbering);
            let mut inner = lock();
            inner.numbering.insert(dataset.name.clone(), numbering);
            let manifest = prepared?;
            manifest.tell(&dataset.name);
            let kept = [before.as_str(), manifest.fingerprint.as_str()];
            let swept = prepare::sweep(&state, &dataset, &kept).map_err(HoldingsError::state);
            inner.subjects.append(&mut subjects);
            inner.records.remove(&dataset.name);
            inner.manifests.insert(dataset.name.clone(), manifest);
            swept
        });
        work.await.map_err(|error| HoldingsError::Engine(error.to_string()))?
    }
}
