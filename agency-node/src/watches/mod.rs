//! Watches: questions that stand at their home node and are asked again when there is something new.
//!
//! Each asking is a question like any other: authorised by every party under the policy of that moment, on
//! behalf of the person who armed the watch or renewed it last, and audited everywhere. What it finds in own
//! data becomes [leads](crate::leads). A watch that no playbook covers is not armed.

mod desk;
mod run;
mod watch;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sallyport_trust::error::{Kind, Refusal};
use tokio::sync::Notify;

pub(crate) use desk::{Wanted, arm, disarm, list, renew};
pub(crate) use run::keep_watch;
pub(crate) use watch::{Standing, Watch};
pub(crate) use wire::{hear, told};

use crate::folder::Folder;

/// Watches of one agency, at most.
const WATCHES_MAX: usize = 200;

/// All watches of the agency.
pub(crate) struct Watches {
    folder: Folder,
    kept: Mutex<BTreeMap<String, Watch>>,
    /// Data sets of which there are news that no watch has asked for yet.
    news: Mutex<BTreeSet<String>>,
    bell: Notify,
}

impl Watches {
    /// Opens what is kept under `state`.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let remedy = "restore it from a backup, or remove it and arm the watch again";
        let (folder, kept) = Folder::open::<Watch>(&state.join("watches"), remedy)?;
        let kept = kept.into_iter().map(|watch| (watch.name.clone(), watch)).collect();
        Ok(Self { folder, kept: Mutex::new(kept), news: Mutex::default(), bell: Notify::new() })
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Watch>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A data set has new rows.
    pub(crate) fn news(&self, dataset: &str) {
        if self.kept().values().any(|watch| watch.datasets.iter().any(|name| name == dataset)) {
            self.news.lock().unwrap_or_else(PoisonError::into_inner).insert(dataset.to_owned());
            self.bell.notify_one();
        }
    }

    fn take_news(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, name: &str) -> Result<Watch, Refusal> {
        self.kept().get(name).cloned().ok_or_else(unknown)
    }

    fn all(&self) -> Vec<Watch> {
        self.kept().values().cloned().collect()
    }

    /// Keeps a new watch, in the place of one of its name that was ended; durable when this returns.
    fn add(&self, watch: Watch) -> Result<Watch, Refusal> {
        let mut kept = self.kept();
        let before = kept.get(&watch.name);
        if before.is_some_and(|before| !before.is_disarmed()) {
            return Err(Refusal::new(
                Kind::Conflict,
                "watch_name_taken",
                "There is a watch of that name; renew it, disarm it first, or take another name.",
            ));
        }
        if before.is_none() && kept.len() >= WATCHES_MAX {
            return Err(Refusal::new(
                Kind::Exhausted,
                "too_many_watches",
                format!("There are {WATCHES_MAX} watches; the operator removes files of old ones."),
            ));
        }
        self.write(&watch)?;
        kept.insert(watch.name.clone(), watch.clone());
        drop(kept);
        self.bell.notify_one();
        Ok(watch)
    }

    /// As [`Watches::change_quietly`], and it may be due.
    fn change(&self, name: &str, change: impl FnOnce(&mut Watch) -> Result<(), Refusal>) -> Result<Watch, Refusal> {
        let watch = self.change_quietly(name, change)?;
        self.bell.notify_one();
        Ok(watch)
    }

    /// Changes a watch; durable when this returns, or nothing has changed.
    fn change_quietly(
        &self,
        name: &str,
        change: impl FnOnce(&mut Watch) -> Result<(), Refusal>,
    ) -> Result<Watch, Refusal> {
        let mut kept = self.kept();
        let mut watch = kept.get(name).cloned().ok_or_else(unknown)?;
        change(&mut watch)?;
        self.write(&watch)?;
        kept.insert(watch.name.clone(), watch.clone());
        Ok(watch)
    }

    fn write(&self, watch: &Watch) -> Result<(), Refusal> {
        self.folder.write(&watch.name, watch).map_err(|error| Refusal::internal("watch_not_kept", &error))
    }
}

fn unknown() -> Refusal {
    Refusal::new(Kind::NotFound, "watch_unknown", "There is no watch of that name; `sallyport watch list` lists them.")
}
