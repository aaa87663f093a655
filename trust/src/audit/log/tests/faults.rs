//! Every step of every thread fails, both before it was done and after.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::*;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::cosignature::Cosigner;
use crate::audit::disk::{read_if_there, read_tile};
use crate::audit::merkle::root_at;
use crate::audit::tiles::{TileError, decode_hashes, stored_hash};

/// Lets one step fail, and with it, if the process is to die there, all that follow.
struct Plan {
    /// Kind of the step, and how many of that kind come before it; none in a run without a fault.
    fault: Option<(String, usize)>,
    when: When,
    dies: bool,
    failed: bool,
    /// How many steps of each kind there were.
    seen: BTreeMap<String, usize>,
}

impl Plan {
    fn step(&mut self, name: &str, when: When) -> io::Result<()> {
        if self.failed && self.dies {
            return Err(io::Error::other("the process has died"));
        }
        if when != self.when {
            return Ok(());
        }
        // How wide a partial tile is depends on how callers came together.
        let kind = if name.contains(".p/") { "partial tile" } else { name };
        let seen = self.seen.entry(kind.to_owned()).or_default();
        *seen += 1;
        if !self.failed
            && self.fault.as_ref().is_some_and(|(fault, before)| (fault.as_str(), before + 1) == (kind, *seen))
        {
            self.failed = true;
            return Err(io::Error::other("injected fault"));
        }
        Ok(())
    }
}

/// Indices acknowledged, with what the caller knows was recorded under each.
type Acknowledged = BTreeMap<u64, EntryId>;

async fn work(log: &AuditLog, acknowledged: &mut Acknowledged) {
    for _ in 0..3 {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..50 {
            let log = log.clone();
            tasks.spawn(async move {
                let mut acknowledged = Vec::new();
                if let Ok(entry) = log.begin(opening(number)).await {
                    let id = entry.id();
                    acknowledged.push((entry.index(), id));
                    let receipt = entry.complete(answered()).await;
                    acknowledged.extend(receipt.map(|receipt| (receipt.completion, id)));
                }
                acknowledged
            });
        }
        acknowledged.extend(tasks.join_all().await.into_iter().flatten());
        // Refused where the fault has struck already.
        let _ = log.flush().await;
        cosign(log).await;
    }
}

/// As witnesses do it: under the newest checkpoint, and once more when there is a newer one already.
async fn cosign(log: &AuditLog) {
    let (witness, _) = Cosigner::generate("witness.test/w1").unwrap();
    let published = log.published().borrow().clone();
    let line = witness.cosign(&published.note, 1_790_000_000).unwrap();
    let _ = log.keep_cosigned(published.note + line.as_str()).await;
}

fn checkpoint(directory: &Path, key: &VerifierKey) -> Checkpoint {
    let note = read_if_there(&directory.join("checkpoint")).unwrap().unwrap();
    key.verify(std::str::from_utf8(&note).unwrap()).unwrap()
}

/// The checkpoint that was cosigned last, if one was.
fn cosigned(directory: &Path, key: &VerifierKey) -> Option<Checkpoint> {
    let note = read_if_there(&directory.join("cosigned")).unwrap()?;
    Some(key.verify(std::str::from_utf8(&note).unwrap()).unwrap())
}

/// The root that the log has today at an earlier size.
fn root_then(directory: &Path, size_now: u64, size_then: u64) -> crate::audit::merkle::Hash {
    let read = |tile| decode_hashes(&read_tile(directory, tile).unwrap().unwrap());
    root_at(size_then, |height, index| stored_hash::<TileError>(height, index, size_now, read)).unwrap()
}

/// Runs the work with one fault or none; returns whether it struck, and how many steps there were.
async fn survives(fault: Option<(String, usize)>, when: When, dies: bool) -> (bool, BTreeMap<String, usize>) {
    let directory = scratch();
    let steps = format!("{fault:?}");
    let plan = Arc::new(Mutex::new(Plan { fault, when, dies, failed: false, seen: BTreeMap::new() }));
    let step = |plan: &Arc<Mutex<Plan>>| {
        let plan = Arc::clone(plan);
        move |name: &str, when| plan.lock().unwrap().step(name, when)
    };
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let key = recovered.signer.verifier().clone();
    let tiles = Watched { storage: TileFiles::new(directory.path()), step: step(&plan) };
    let journal = |storage| Watched { storage, step: step(&plan) };
    let signer = |signer| WatchedSigner { signer, step: step(&plan) };
    let pace = Pace { segment_limit_bytes: 20_000, ..Pace::default() };
    let mut acknowledged = Acknowledged::new();
    let mut signed = Vec::new();
    if let Ok(log) = AuditLog::start(recovered, journal, tiles, signer, clock(), pace) {
        work(&log, &mut acknowledged).await;
        if let Err(error) = log.check() {
            let refused = log.begin(opening(0)).await.map(|entry| entry.index());
            assert_eq!(refused, Err(error.clone()));
            assert!(matches!(error, AuditError::Unwritable { .. }));
            assert_eq!(log.flush().await, Err(error));
        }
        drop(log);
        signed.push(checkpoint(directory.path(), &key));
        signed.extend(cosigned(directory.path(), &key));
    }
    drop(open(directory.path()));
    let verified = verify_directory(directory.path()).unwrap_or_else(|error| panic!("step {steps}: {error}"));
    let written = entries(directory.path(), verified.entries);
    for (index, id) in acknowledged {
        assert_eq!(written[index as usize].entry, id, "step {steps}: acknowledged entry {index}");
    }
    for signed in signed {
        let root = root_then(directory.path(), verified.entries, signed.size);
        assert_eq!(root, signed.root, "step {steps}: a checkpoint that does not hold");
    }
    let plan = plan.lock().unwrap();
    (plan.failed, plan.seen.clone())
}

async fn every_step(when: When, dies: bool) {
    let (_, steps) = survives(None, when, dies).await;
    let expected = [
        "append",
        "sync",
        "begin_segment",
        "stage",
        "sync_staged",
        "sync_names",
        "sign",
        "checkpoint",
        "cosigned",
        "partial tile",
        "tile/0/000",
        "tile/entries/000",
        "remove_partials",
        "trim_journal",
    ];
    assert!(steps.keys().map(String::as_str).collect::<BTreeSet<_>>() == BTreeSet::from(expected), "{steps:?}");
    for (kind, count) in steps {
        for before in 0..count {
            let (struck, _) = survives(Some((kind.clone(), before)), when, dies).await;
            // Callers may come together in fewer batches the next time.
            assert!(struck || before > 0, "{kind} never failed");
        }
    }
}

#[tokio::test]
async fn each_step_fails_undone() {
    every_step(When::Before, false).await;
}

#[tokio::test]
async fn each_step_fails_though_done() {
    every_step(When::After, false).await;
}

#[tokio::test]
async fn the_process_dies_before_each_step() {
    every_step(When::Before, true).await;
}

#[tokio::test]
async fn the_process_dies_after_each_step() {
    every_step(When::After, true).await;
}

#[tokio::test]
async fn a_failed_sync_is_never_acknowledged_and_poisons_the_log() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    let mut syncs = 0;
    let step = move |name: &str, when| {
        syncs += usize::from((name, when) == ("sync", When::After));
        if name == "sync" && syncs > 1 { Err(io::Error::other("disk on fire")) } else { Ok(()) }
    };
    let journal = |storage| Watched { storage, step };
    let tiles = TileFiles::new(directory.path());
    let log = AuditLog::start(recovered, journal, tiles, |signer| signer, clock(), Pace::default()).unwrap();
    let entry = log.begin(opening(1)).await.unwrap();
    let unwritable = AuditError::Unwritable { cause: "disk on fire".to_owned() };
    assert_eq!(entry.complete(answered()).await, Err(unwritable.clone()));
    // The disk is well again, but what the failed sync left behind is not known.
    assert_eq!(log.begin(opening(2)).await.map(|entry| entry.index()), Err(unwritable.clone()));
    assert_eq!(log.check(), Err(unwritable));
    drop(log);
    record(&open(directory.path()), 1).await;
    assert!(verify_directory(directory.path()).is_ok());
}

/// `/dev/full` takes an open file and refuses each write for lack of space.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_refuses_all_work() {
    let directory = scratch();
    let recovered = recover(directory.path(), ORIGIN).unwrap();
    std::fs::remove_file(directory.path().join("journal").join(journal::segment_name(0))).unwrap();
    std::os::unix::fs::symlink("/dev/full", directory.path().join("journal").join(journal::segment_name(0))).unwrap();
    let full = JournalFile::open(directory.path(), 0).unwrap();
    let tiles = TileFiles::new(directory.path());
    let log = AuditLog::start(recovered, |_| full, tiles, |signer| signer, clock(), Pace::default()).unwrap();
    let error = log.begin(opening(1)).await.map(|entry| entry.index()).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(error.to_string().contains("no work is done"), "{error}");
    assert_eq!(log.begin(opening(2)).await.map(|entry| entry.index()), Err(error));
}

/// A file system of its own with so little room; it goes with this.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        mount(directory.path(), "size=1m").then_some(Self(directory))
    }
}

#[cfg(target_os = "linux")]
fn mount(path: &Path, options: &str) -> bool {
    let mut command = std::process::Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path);
    command.output().is_ok_and(|output| output.status.success())
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_fills_up_loses_nothing_and_the_log_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a small file system");
        return;
    };
    let directory = disk.0.path().join("audit");
    let log = open(&directory);
    let mut acknowledged = Acknowledged::new();
    let mut number = 0;
    let error = loop {
        let large = Opening { reason: Some("x".repeat(2000)), ..opening(number) };
        match log.begin(large).await {
            Ok(entry) => {
                acknowledged.insert(entry.index(), entry.id());
                // Dropped, it is abandoned, for which nobody waits.
                drop(entry);
            }
            Err(error) => break error,
        }
        number += 1;
        assert!(number < 10_000, "a mebibyte holds no such log");
    };
    assert!(matches!(&error, AuditError::Unwritable { cause } if cause.contains("No space left")), "{error}");
    assert_eq!(log.begin(opening(0)).await.map(|entry| entry.index()), Err(error));
    let key = log.verifier_key().clone();
    let signed = checkpoint(&directory, &key);
    drop(log);
    assert!(mount(disk.0.path(), "remount,size=16m"));
    let log = open(&directory);
    record(&log, 10).await;
    drop(log);
    let verified = verify_directory(&directory).unwrap();
    assert_eq!(root_then(&directory, verified.entries, signed.size), signed.root);
    let written = entries(&directory, verified.entries);
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    for (index, id) in acknowledged {
        assert_eq!(written[index as usize].entry, id, "acknowledged entry {index}");
    }
}
