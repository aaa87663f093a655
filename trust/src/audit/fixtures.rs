//! What the tests of the audit log share.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use tempfile::TempDir;

use super::checkpoint::{CheckpointError, SignCheckpoint, Signer, VerifierKey};
use super::disk::{JournalStorage, TileFiles, TileStorage, read_tile};
use super::log::AuditLog;
use super::merkle::Hash;
use super::recovery::CHECKPOINT_FILE;
use super::tiles::{TILE_WIDTH, TileId, TileKind, TileTree, split_bundle};
use super::{Completion, Entry, Opening, Outcome};
use crate::clock::Clock;
use crate::policy::{
    Action, Attributes, Context, Decision as PolicyDecision, Permit, PolicyStore, Request, attribute, kind,
};

pub(super) const ORIGIN: &str = "sallyport.test/agency/hsi";

/// A directory in memory where the system has one: some tests restart a log hundreds of times.
pub(super) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(super) fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp_millis(1_790_000_000_000).unwrap())
}

pub(super) fn open(directory: &Path) -> AuditLog {
    AuditLog::open(directory, ORIGIN, clock()).unwrap()
}

/// An opening told from others by its case number.
pub(super) fn opening(number: usize) -> Opening {
    Opening {
        actor: "spiffe://border.example/agency/hsi/user/ana".to_owned(),
        action: "ask".to_owned(),
        resource: "question".to_owned(),
        case_number: Some(format!("case {number}")),
        ..Opening::default()
    }
}

pub(super) fn answered() -> Completion {
    Completion::new(Outcome::Answered)
}

/// Begins and completes `count` actions, one after the other.
pub(super) async fn record(log: &AuditLog, count: usize) {
    for number in 0..count {
        log.begin(opening(number)).await.unwrap().complete(answered()).await.unwrap();
    }
}

/// Begins and completes `count` actions at the same time.
pub(super) async fn record_together(log: &AuditLog, count: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        let log = log.clone();
        tasks.spawn(async move { log.begin(opening(number)).await?.complete(answered()).await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
}

/// The entries of a log with nothing pending, out of its bundles.
pub(super) fn entries(directory: &Path, size: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let width = (size - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
        let bundle = TileId { kind: TileKind::Entries, index, width };
        let bytes = read_tile(directory, bundle).unwrap().unwrap();
        entries.extend(split_bundle(&bytes).unwrap().iter().map(|e| Entry::from_bytes(e).unwrap()));
    }
    entries
}

/// A log as the publisher leaves it, written entry by entry without waiting for anything.
pub(super) struct Ledger {
    pub(super) directory: TempDir,
    tree: TileTree,
    signer: Signer,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let (signer, _) = Signer::generate(ORIGIN).unwrap();
        let ledger = Self { directory: scratch(), tree: TileTree::default(), signer };
        fs::create_dir(ledger.log()).unwrap();
        ledger
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    pub(super) fn key(&self) -> VerifierKey {
        self.signer.verifier().clone()
    }

    /// Adds entries and publishes a checkpoint over all.
    pub(super) fn publish(&mut self, entries: &[Entry]) {
        let mut files = TileFiles::new(&self.log());
        for entry in entries {
            self.tree.push(&entry.to_bytes().unwrap()).unwrap();
        }
        for (tile, bytes) in self.tree.take_full().into_iter().chain(self.tree.edge()) {
            files.put(&tile.path(), &bytes).unwrap();
        }
        let note = self.signer.sign(self.tree.size(), self.tree.root()).unwrap();
        files.put(CHECKPOINT_FILE, note.as_bytes()).unwrap();
    }
}

/// A permit to audit, from the policy that comes with the project.
pub(super) fn permit() -> Permit {
    let policy = PolicyStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/gateway")).unwrap();
    let request = Request {
        subject: Attributes::new().with(attribute::ROLE, "auditor"),
        resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, "sallyport.demo"),
        action: Action::Audit,
        context: Context::default(),
    };
    match policy.decide(&request) {
        PolicyDecision::Allow(permit) => permit,
        other => panic!("{other:?}"),
    }
}

/// All files below a directory, as paths relative to it, in order.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, at: &Path, found: &mut Vec<PathBuf>) {
        for file in fs::read_dir(at).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}

/// The directory as a kill at this moment would leave it.
pub(super) fn copy(directory: &Path) -> TempDir {
    let target = scratch();
    for file in files(directory) {
        let to = target.path().join(&file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(directory.join(&file), to).unwrap();
    }
    target
}

/// Both storages of a log, with `step` asked before and after each of their steps.
pub(super) struct Watched<S, F> {
    pub(super) storage: S,
    pub(super) step: F,
}

/// What a step is about to do, or has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

/// A signer with `step` asked before and after each signature.
pub(super) struct WatchedSigner<F> {
    pub(super) signer: Signer,
    pub(super) step: F,
}

impl<F: Step> SignCheckpoint for WatchedSigner<F> {
    fn sign(&mut self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        (self.step)("sign", When::Before).map_err(|_| CheckpointError::Crypto)?;
        let note = self.signer.sign(size, root)?;
        (self.step)("sign", When::After).map_err(|_| CheckpointError::Crypto)?;
        Ok(note)
    }
}

pub(super) trait Step: FnMut(&str, When) -> io::Result<()> + Send + 'static {}
impl<F: FnMut(&str, When) -> io::Result<()> + Send + 'static> Step for F {}

impl<S, F: Step> Watched<S, F> {
    fn watch(&mut self, name: &str, run: impl FnOnce(&mut S) -> io::Result<()>) -> io::Result<()> {
        (self.step)(name, When::Before)?;
        run(&mut self.storage)?;
        (self.step)(name, When::After)
    }
}

impl<S: JournalStorage, F: Step> JournalStorage for Watched<S, F> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.watch("append", |storage| storage.append(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.watch("sync", |storage| storage.sync())
    }

    fn begin_segment(&mut self, first: u64) -> io::Result<()> {
        self.watch("begin_segment", |storage| storage.begin_segment(first))
    }
}

impl<S: TileStorage, F: Step> TileStorage for Watched<S, F> {
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.watch("stage", |storage| storage.stage(bytes))
    }

    fn sync_staged(&mut self) -> io::Result<()> {
        self.watch("sync_staged", |storage| storage.sync_staged())
    }

    fn place(&mut self, path: &str) -> io::Result<()> {
        self.watch(path, |storage| storage.place(path))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.watch("sync_names", |storage| storage.sync_names())
    }

    fn remove_partials(&mut self, path: &str) -> io::Result<()> {
        self.watch("remove_partials", |storage| storage.remove_partials(path))
    }

    fn trim_journal(&mut self, sealed: u64) -> io::Result<()> {
        self.watch("trim_journal", |storage| storage.trim_journal(sealed))
    }
}
