//! The agency's playbooks as they lie on the disk, read again when a file changes. Playbooks that are not
//! whole are never used: what was read before stays. A node that starts with such playbooks has none, so
//! it raises nothing, and does everything else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use sallyport_lead::{
    people::People,
    playbook::{PLAYBOOK_BYTES_MAX, PLAYBOOKS_MAX, Playbooks, Problem},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    operator_file::{Stamps, read_text},
};

/// Why a playbook is none, where it cannot be read.
const UNREADABLE: &str = "playbook_file_unreadable";

pub(super) struct Shelf {
    directory: PathBuf,
    people: People,
    /// None in force because those on the disk are not whole.
    current: ArcSwapOption<Playbooks>,
    seen: Mutex<Stamps>,
}

impl Shelf {
    /// Reads the playbooks; an agency without the directory has none.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn open(directory: PathBuf, people: People) -> io::Result<Self> {
        let stamps = stamps(&directory)?;
        let (playbooks, seen) = match read(&stamps, &people) {
            Ok(playbooks) => (Some(Arc::new(playbooks)), stamps),
            Err(problems) => {
                tracing::error!("no playbook is in force: {}", in_one_line(&problems));
                (None, if is_unreadable(&problems) { Stamps::default() } else { stamps })
            }
        };
        Ok(Self { directory, people, current: ArcSwapOption::new(playbooks), seen: Mutex::new(seen) })
    }

    /// The playbooks in force.
    ///
    /// # Errors
    /// `playbooks_not_whole` when there are none because of what is missing in them.
    pub(super) fn playbooks(&self) -> Result<Arc<Playbooks>, Refusal> {
        self.current.load_full().ok_or_else(|| {
            Refusal::new(
                Kind::Conflict,
                "playbooks_not_whole",
                "No playbook of this node is in force, as something is missing in them; `sallyport playbook check DIR \
                 --node FILE` tells what.",
            )
        })
    }

    /// Reads them again if a file has changed.
    pub(super) fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = match stamps(&self.directory) {
            Ok(stamps) if stamps == *seen => return,
            Ok(stamps) => stamps,
            Err(error) => return tracing::warn!(%error, "the playbooks cannot be looked at"),
        };
        match read(&stamps, &self.people) {
            Ok(playbooks) => {
                tracing::info!(playbooks = playbooks.iter().count(), "playbooks read");
                self.current.store(Some(Arc::new(playbooks)));
            }
            Err(problems) => {
                tracing::warn!("the playbooks of before stay in force: {}", in_one_line(&problems));
                // Permissions change without a stamp: what cannot be read is tried again.
                if is_unreadable(&problems) {
                    return;
                }
            }
        }
        *seen = stamps;
    }
}

fn stamps(directory: &Path) -> io::Result<Stamps> {
    if !directory.is_dir() {
        return Ok(Stamps::default());
    }
    Stamps::of(directory, "toml", PLAYBOOKS_MAX)
}

fn read(stamps: &Stamps, people: &People) -> Result<Playbooks, Vec<Problem>> {
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for path in stamps.paths() {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_text(path, PLAYBOOK_BYTES_MAX as u64) {
            Ok(text) => files.push((file, text)),
            Err(error) => unreadable.push(Problem {
                file,
                place: String::new(),
                reason: UNREADABLE,
                message: format!("It cannot be read ({error})."),
            }),
        }
    }
    if !unreadable.is_empty() {
        return Err(unreadable);
    }
    Playbooks::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str())), Some(people))
}

fn is_unreadable(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.reason == UNREADABLE)
}

fn in_one_line(problems: &[Problem]) -> String {
    let told: Vec<String> = problems.iter().map(|problem| problem.to_string().replace('\n', " ")).collect();
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sallyport_lead::playbook::Covered;

    use super::*;

    const SAMPLE: &str = include_str!("../../../policies/cbp/playbooks/in-bond-corridor.toml");

    fn people() -> People {
        [("okafor", "analyst"), ("reyes", "watch_commander")].into_iter().collect()
    }

    #[test]
    fn playbooks_are_read_again_and_one_that_is_not_whole_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().join("playbooks"), people()).unwrap();
        let covers = |watch: &str| shelf.playbooks().unwrap().covering(Covered::Watch(watch, None)).is_ok();
        assert!(!covers("in-bond-off-corridor"));
        fs::create_dir(folder.path().join("playbooks")).unwrap();
        let file = folder.path().join("playbooks/a.toml");
        fs::write(&file, SAMPLE).unwrap();
        shelf.refresh();
        assert!(covers("in-bond-off-corridor"));
        fs::write(&file, SAMPLE.replace("watch_commander", "nobody").replace("in-bond-off", "off")).unwrap();
        shelf.refresh();
        assert!(covers("in-bond-off-corridor") && !covers("off-corridor"));
        let started = Shelf::open(folder.path().join("playbooks"), people()).unwrap();
        assert_eq!(started.playbooks().unwrap_err().reason, "playbooks_not_whole");
        fs::write(&file, SAMPLE.replace("in-bond-off", "off")).unwrap();
        shelf.refresh();
        started.refresh();
        assert!(covers("off-corridor") && started.playbooks().is_ok());
    }

    #[test]
    fn a_playbook_that_cannot_be_read_takes_nothing_out_of_force() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.toml"), SAMPLE).unwrap();
        let shelf = Shelf::open(folder.path().to_owned(), people()).unwrap();
        fs::write(folder.path().join("b.toml"), [0xff, 0xfe]).unwrap();
        shelf.refresh();
        assert!(shelf.playbooks().unwrap().covering(Covered::Watch("in-bond-off-corridor", None)).is_ok());
        let started = Shelf::open(folder.path().to_owned(), people()).unwrap();
        assert_eq!(started.playbooks().unwrap_err().reason, "playbooks_not_whole");
    }
}
