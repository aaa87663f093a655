//! Parties that witness each other without a network: what goes wrong on the way is done by hand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::collect::Collector;
use super::*;
use crate::audit::checkpoint::SignedCheckpoint;
use crate::audit::cosignature::Cosigner;
use crate::audit::{AuditError, AuditLog, Completion, Opening, Outcome, verify_directory};
use crate::clock::Clock;
use crate::error::{Kind, Refusal};
use crate::identity::Identity;
use crate::identity::tests::{Fixture, id, now};

const PATIENCE: Duration = Duration::from_secs(30);

/// What all parties share: the authority, and the time.
struct World {
    fixture: Fixture,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        Self { fixture: Fixture::new(), clock: Clock::manual(now()) }
    }

    fn identity(&self, name: &str) -> Arc<Identity> {
        self.fixture.identity(name)
    }

    fn three(&self) -> [Party; 3] {
        NAMES.map(|name| Party::start(self, name))
    }
}

/// A party with its files.
struct Party {
    directory: tempfile::TempDir,
    clock: Clock,
    id: SpiffeId,
    witness: Arc<Witness>,
    log: AuditLog,
}

const NAMES: [&str; 3] = ["gateway", "agency/hsi/node", "agency/cbp/node"];

impl Party {
    fn start(world: &World, name: &str) -> Self {
        Self::restart(world, name, tempfile::tempdir().unwrap(), WitnessSettings::default())
    }

    fn restart(world: &World, name: &str, directory: tempfile::TempDir, settings: WitnessSettings) -> Self {
        let (id, clock) = (id(name), world.clock.clone());
        let log = AuditLog::open(&directory.path().join("audit"), &origin(&id).unwrap(), clock.clone()).unwrap();
        let parties: Vec<SpiffeId> =
            NAMES.iter().map(|name| crate::identity::tests::id(name)).filter(|party| *party != id).collect();
        let memory = directory.path().join("witness");
        let identity = world.identity(name);
        let witness = Witness::open(&identity, &log, &memory, &parties, &settings, clock.clone()).unwrap();
        Self { directory, clock, id, witness, log }
    }

    fn collector(&self, others: &[&Party]) -> (Collector, Arc<Wire>) {
        let others = others.iter().map(|party| party.witness.clone()).collect();
        let wire = Arc::new(Wire { from: self.id.clone(), others, tamper: Arc::new(Mutex::new(Box::new(Ok))) });
        (Collector::new(self.witness.clone(), wire.clone()), wire)
    }

    /// Has everything written so far cosigned by those who are there; true when all of them did.
    async fn cosigned_by(&self, others: &[&Party]) -> bool {
        self.log.flush().await.unwrap_or_default();
        let all = self.collector(others).0.round(PATIENCE, PATIENCE).await;
        self.log.witnesses_asked();
        all
    }

    async fn record(&self, actions: usize) -> Result<(), AuditError> {
        for _ in 0..actions {
            let entry = self.log.begin(Opening {
                actor: self.id.to_string(),
                action: "ask".to_owned(),
                resource: "federation".to_owned(),
                ..Opening::default()
            });
            entry.await?.complete(Completion::new(Outcome::Answered)).await?;
        }
        Ok(())
    }

    /// The action that was written down with this detail, as soon as it is there: both its entries.
    async fn named(&self, detail: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            self.log.witnesses_asked();
            self.log.flush().await.unwrap();
            let size = self.log.published().borrow().size;
            let entries = (0..size).map(|n| String::from_utf8(self.log.proofs(size).entry(n).unwrap()).unwrap());
            let entries: Vec<String> = entries.collect();
            let told = format!(r#""outcome":"denied","detail":"{detail}""#);
            if let Some(at) = entries.iter().position(|entry| entry.contains(&told)) {
                return entries[at - 1..=at].join("\n");
            }
            assert!(Instant::now() < until, "never named: {detail}");
            tokio::task::yield_now().await;
        }
    }

    async fn record_anyway(&self) {
        self.log.witnesses_asked();
        self.record(1).await.unwrap();
        self.log.flush().await.unwrap();
    }

    fn cosigned(&self) -> Option<SignedCheckpoint> {
        self.log.cosigned().borrow().clone()
    }

    fn audit(&self) -> PathBuf {
        self.directory.path().join("audit")
    }
}

type Tamper = Box<dyn FnMut(Reply) -> Result<Reply, Refusal> + Send>;

/// Brings submissions to the parties that are there, and lets a test change what comes back.
struct Wire {
    from: SpiffeId,
    others: Vec<Arc<Witness>>,
    tamper: Arc<Mutex<Tamper>>,
}

impl Transport for Wire {
    fn submit(&self, to: SpiffeId, submission: Submission) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let reached = self.others.iter().find(|other| *other.identity.id() == to).cloned();
        let (from, tamper) = (self.from.clone(), self.tamper.clone());
        Box::pin(async move {
            let away = || Refusal::new(Kind::Unavailable, "peer_unreachable", "nobody there");
            let reply = reached.ok_or_else(away)?.answer(&from, None, submission).await?;
            (tamper.lock().unwrap())(reply)
        })
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_cosigns_everyone_and_the_files_stay_what_they_are() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    for (party, others) in [(&gateway, [&hsi, &cbp]), (&hsi, [&gateway, &cbp]), (&cbp, [&gateway, &hsi])] {
        assert!(party.cosigned_by(&others).await);
        party.record(3).await.unwrap();
        assert!(party.cosigned_by(&others).await);
        let note = std::fs::read_to_string(party.audit().join("checkpoint")).unwrap();
        assert_eq!(note, std::fs::read_to_string(party.audit().join("cosigned")).unwrap());
        for other in others {
            assert!(matches!(other.witness.own.cosigner.cosigned_at(&note), Ok(Some(_))), "{note}");
        }
        let stated: Vec<SignedKeys> =
            serde_json::from_slice(&std::fs::read(party.audit().join("keys.json")).unwrap()).unwrap();
        let stated: Vec<_> = stated.iter().map(|keys| keys.read().unwrap().0).collect();
        assert_eq!((stated[0] == party.witness.own, stated.len()), (true, 3));
        assert!(others.iter().all(|other| stated.contains(&other.witness.own)), "whoever has cosigned is named");
        let verified = verify_directory(&party.audit()).unwrap();
        assert_eq!(verified.entries, 6, "a cosignature writes no entry at all");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_what_was_cosigned() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
    let before = hsi.cosigned();
    let Party { directory, witness, log, .. } = hsi;
    drop((witness, log));
    let hsi = Party::restart(&world, NAMES[1], directory, WitnessSettings::default());
    assert_eq!(hsi.cosigned(), before);
    let note = std::fs::read_to_string(hsi.audit().join("checkpoint")).unwrap();
    assert_eq!(Some(note), before.map(|before| before.note));
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_is_noticed_named_and_stopped_for_good() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    hsi.cosigned_by(&[&gateway, &cbp]).await;
    hsi.record(2).await.unwrap();
    hsi.log.flush().await.unwrap();
    let older = tempfile::tempdir().unwrap();
    copy(&hsi.audit(), &older.path().join("audit"));
    hsi.record(3).await.unwrap();
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
    let newest = tempfile::tempdir().unwrap();
    copy(&hsi.audit(), newest.path());
    let restored = Party::restart(&world, NAMES[1], older, WitnessSettings::default());
    restored.cosigned_by(&[&gateway]).await;
    let refused = AuditError::Contradicted { witness: gateway.id.to_string(), held: 10, own: 4 };
    assert_eq!(restored.record(1).await, Err(refused.clone()));
    assert_eq!(restored.log.flush().await, Err(refused.clone()), "nothing is signed");
    let named = gateway.named("checkpoint_behind").await;
    let who = format!(r#""actor":"{}","action":"witness","resource":"border.example/hsi""#, hsi.id);
    assert!(named.contains(&who), "{named}");
    // Nor does it start again, with or without its witnesses.
    let Party { directory, witness, log, .. } = restored;
    drop((witness, log));
    let audit = directory.path().join("audit");
    let again = || AuditLog::open(&audit, &origin(&id(NAMES[1])).unwrap(), world.clock.clone());
    assert_eq!(again().unwrap_err(), refused);
    // The newest copy put over it is accepted without more ado.
    copy(newest.path(), &audit);
    drop(again().unwrap());
    assert!(!audit.join("contradiction").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forked_log_is_noticed_by_whoever_saw_the_other_history() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    hsi.cosigned_by(&[&gateway, &cbp]).await;
    hsi.record(2).await.unwrap();
    hsi.log.flush().await.unwrap();
    let fork = tempfile::tempdir().unwrap();
    copy(&hsi.audit(), &fork.path().join("audit"));
    hsi.record(2).await.unwrap();
    hsi.cosigned_by(&[&gateway]).await;
    // The other history is as long, then longer; CBP has seen neither and cosigns it.
    let forked = Party::restart(&world, NAMES[1], fork, WitnessSettings::default());
    forked.log.witnesses_asked();
    forked.clock.advance_ms(1);
    forked.record(2).await.unwrap();
    forked.cosigned_by(&[&cbp]).await;
    assert!(forked.log.check().is_ok());
    forked.cosigned_by(&[&gateway]).await;
    assert_eq!(forked.log.check(), Err(AuditError::Contradicted { witness: gateway.id.to_string(), held: 8, own: 8 }));
    gateway.named("checkpoint_forked").await;
    let held = std::fs::read_to_string(forked.audit().join("contradiction")).unwrap();
    let (_, note) = held.split_once('\n').unwrap();
    assert_eq!(forked.log.verifier_key().verify(note).unwrap().size, 8, "the proof is under the log's own signature");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_begun_anew_under_another_key_is_stopped() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
    let anew = Party::start(&world, NAMES[1]);
    anew.cosigned_by(&[&gateway]).await;
    assert_eq!(anew.log.check(), Err(AuditError::Replaced { witness: gateway.id.to_string() }));
    gateway.named("log_key_changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_without_proof_stops_nobody() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    assert!(gateway.cosigned_by(&[&hsi, &cbp]).await);
    let others = gateway.cosigned().unwrap().note;
    let lies: Vec<(&str, Tamper)> = vec![
        ("a size", Box::new(|reply| Ok(Reply { status: 409, ..reply }))),
        ("noise", Box::new(|reply| Ok(Reply { status: 409, held: "noise".to_owned(), ..reply }))),
        ("another's log", Box::new(move |reply| Ok(Reply { status: 409, held: others.clone(), ..reply }))),
        ("inconsistent", Box::new(|reply| Ok(Reply { status: 422, ..reply }))),
        ("another key", Box::new(|reply| Ok(Reply { status: 403, pinned: Some(reply.keys.clone()), ..reply }))),
        ("no status", Box::new(|reply| Ok(Reply { status: 0, ..reply }))),
        ("away", Box::new(|_| Err(Refusal::new(Kind::Unavailable, "peer_unreachable", "away")))),
    ];
    for (lie, tamper) in lies {
        hsi.record_anyway().await;
        let (mut collector, wire) = hsi.collector(&[&gateway, &cbp]);
        *wire.tamper.lock().unwrap() = tamper;
        assert!(!collector.round(PATIENCE, PATIENCE).await, "{lie}");
        assert_eq!(hsi.log.check(), Ok(()), "{lie}");
    }
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await, "the truth is taken afterwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_cosignature_is_not_kept() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    // Whoever carries messages between nodes signs in the witness's name, with the witness's statement
    // or its own.
    let forger = Cosigner::generate("border.example/cbp").unwrap().0;
    let own_word = {
        let keys = PartyKeys { log: gateway.witness.own.log.clone(), cosigner: forger.key().clone() };
        SignedKeys::sign(&gateway.witness.identity, &keys, gateway.clock.now_ms()).unwrap()
    };
    hsi.record_anyway().await;
    let note = hsi.log.published().borrow().note.clone();
    let forged = forger.cosign(&note, 1_790_000_000).unwrap();
    for known_before in [false, true] {
        for word in [None, Some(own_word.clone())] {
            let (mut collector, wire) = hsi.collector(&[&cbp]);
            let forged = forged.clone();
            *wire.tamper.lock().unwrap() = Box::new(move |reply| {
                let keys = word.clone().unwrap_or(reply.keys);
                Ok(Reply { status: 200, cosignature: forged.clone(), keys, ..reply })
            });
            assert!(!collector.round(PATIENCE, PATIENCE).await);
            assert_eq!(hsi.cosigned(), None, "known before: {known_before}");
        }
        if !known_before {
            // A cosignature for another checkpoint, moved under this one.
            let (mut collector, wire) = hsi.collector(&[&cbp]);
            gateway.cosigned_by(&[&cbp]).await;
            let line = gateway.cosigned().unwrap().note.replace(&gateway.log.published().borrow().note, "");
            assert!(line.starts_with("\u{2014} border.example/cbp "), "{line}");
            *wire.tamper.lock().unwrap() = Box::new(move |reply| Ok(Reply { cosignature: line.clone(), ..reply }));
            assert!(!collector.round(PATIENCE, PATIENCE).await);
            assert_eq!(hsi.cosigned(), None);
        }
    }
    assert!(!hsi.cosigned_by(&[&cbp]).await);
    assert!(hsi.cosigned().is_some(), "CBP's own cosignature is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_pinned_only_under_the_partys_own_identity() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    let submission = |party: &Party, keys: SignedKeys| Submission {
        request: format!("old 0\n\n{}", party.log.published().borrow().note),
        keys,
    };
    let stated =
        |signer: &Party, keys: &PartyKeys, at_ms: i64| SignedKeys::sign(&signer.witness.identity, keys, at_ms).unwrap();
    let now = hsi.clock.now_ms();
    let refused = async |party: &SpiffeId, submission: Submission| {
        gateway
            .witness
            .answer(party, None, submission)
            .await
            .map(|reply| reply.status)
            .map_err(|refusal| refusal.reason)
    };
    let own = &hsi.witness.own;
    for (keys, reason) in [
        (stated(&cbp, own, now), "audit_keys_wrong_signer"),
        (stated(&hsi, &cbp.witness.own, now), "audit_keys_wrong_signer"),
        (stated(&hsi, own, now - 200_000), "question_stale"),
        (SignedKeys { statement: "nothing\n".to_owned(), ..stated(&hsi, own, now) }, "signature_invalid"),
    ] {
        assert_eq!(refused(&hsi.id, submission(&hsi, keys)).await, Err(reason.to_owned()));
    }
    assert_eq!(refused(&cbp.id, submission(&hsi, stated(&cbp, &cbp.witness.own, now))).await, Ok(404));
    let stranger = id("agency/zoll/node");
    assert_eq!(refused(&stranger, submission(&hsi, stated(&hsi, own, now))).await, Err("wrong_role".to_owned()));
    assert!(!gateway.directory.path().join("witness/node-hsi.json").exists(), "nothing was pinned");
    assert_eq!(refused(&hsi.id, submission(&hsi, stated(&hsi, own, now))).await, Ok(200));
    assert!(gateway.directory.path().join("witness/node-hsi.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_witnesses_work_goes_on_for_the_grace_period_and_no_longer() {
    let world = World::new();
    let settings = WitnessSettings { grace_s: 100, quorum: 2, ..WitnessSettings::default() };
    let directory = tempfile::tempdir().unwrap();
    let hsi = Party::restart(&world, NAMES[1], directory, settings.clone());
    let [gateway, _, cbp] = world.three();
    // Nothing begins before the witnesses were asked.
    assert!(tokio::time::timeout(Duration::from_millis(20), hsi.record(1)).await.is_err());
    assert!(!hsi.cosigned_by(&[]).await);
    hsi.record(1).await.unwrap();
    hsi.clock.advance_ms(100_000);
    hsi.record(1).await.unwrap();
    let open =
        hsi.log.begin(Opening { actor: "a".into(), action: "ask".into(), resource: "r".into(), ..Opening::default() });
    let open = open.await.unwrap();
    hsi.clock.advance_ms(1);
    let away = Err(AuditError::WitnessesAway { grace_s: 100 });
    assert_eq!(hsi.record(1).await, away);
    open.complete(Completion::new(Outcome::Answered)).await.expect("what had begun is completed");
    // One of two is no quorum.
    hsi.cosigned_by(&[&gateway]).await;
    assert_eq!(hsi.record(1).await, away);
    assert_eq!(hsi.cosigned(), None);
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
    hsi.record(1).await.unwrap();
    // A restart begins no new grace period.
    hsi.clock.advance_ms(101_000);
    let Party { directory, witness, log, .. } = hsi;
    drop((witness, log));
    let hsi = Party::restart(&world, NAMES[1], directory, settings);
    assert!(!hsi.cosigned_by(&[]).await);
    assert_eq!(hsi.record(1).await, away);
    assert!(hsi.cosigned_by(&[&gateway, &cbp]).await);
    hsi.record(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_outlives_a_restart_and_damage_stops_the_start() {
    let world = World::new();
    let [gateway, hsi, cbp] = world.three();
    hsi.cosigned_by(&[&gateway, &cbp]).await;
    hsi.record(5).await.unwrap();
    hsi.cosigned_by(&[&gateway, &cbp]).await;
    let Party { directory, witness, log, .. } = gateway;
    drop((witness, log));
    let file = directory.path().join("witness/node-hsi.json");
    let gateway = Party::restart(&world, NAMES[0], directory, WitnessSettings::default());
    let held = memory::locked(&gateway.witness.memory.of(&hsi.id).unwrap()).known().unwrap().held.clone().unwrap();
    assert_eq!(held.0.size, 10);
    let Party { directory, witness, log, .. } = gateway;
    drop((witness, log));
    let text = std::fs::read_to_string(&file).unwrap();
    for wrong in [text.replacen("\\n10\\n", "\\n11\\n", 1), text[..text.len() / 2].to_owned(), String::new()] {
        std::fs::write(&file, wrong).unwrap();
        let log =
            AuditLog::open(&directory.path().join("audit"), "border.example/gateway", world.clock.clone()).unwrap();
        let opened = Witness::open(
            &world.identity(NAMES[0]),
            &log,
            &directory.path().join("witness"),
            &[id(NAMES[1])],
            &WitnessSettings::default(),
            world.clock.clone(),
        );
        assert!(matches!(opened.map(|_| ()), Err(AuditError::Damaged { .. })));
    }
}
