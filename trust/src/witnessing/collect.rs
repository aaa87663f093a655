//! Having witnesses: after each checkpoint, and now and then while nothing happens, all of them are
//! asked for their cosignatures, which are kept with the checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{Reply, Submission, Witness};
use super::keys::{PartyKeys, SignedKeys};
use super::memory::{Known, locked};
use crate::audit::AuditError;
use crate::audit::checkpoint::SignedCheckpoint;
use crate::audit::merkle::Hash;
use crate::audit::witness::AddCheckpoint;
use crate::clock::Clock;
use crate::error::Refusal;
use crate::identity::SpiffeId;

/// How long one witness may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the others may take once enough have cosigned, and all of them at the end of a process.
const LINGER: Duration = Duration::from_secs(1);
/// The longest wait before absent witnesses are asked again.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A witness may know another size than was thought, once or twice.
const ATTEMPTS: usize = 3;

/// How witnesses are reached.
pub trait Transport: Send + Sync + 'static {
    /// Brings a submission to a witness, and its answer back.
    fn submit(&self, witness: SpiffeId, submission: Submission) -> BoxFuture<'static, Result<Reply, Refusal>>;
}

/// The task that collects cosignatures.
pub struct Collecting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Collecting {
    /// Asks once more, for what was written last, and ends.
    pub async fn end(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the collecting of cosignatures ended by itself");
        }
    }
}

/// Starts to collect cosignatures for the log of `witness` from all parties that it knows of.
pub fn collect(witness: &Arc<Witness>, transport: impl Transport) -> Collecting {
    let (stop, stopped) = oneshot::channel();
    let collector = Collector::new(witness.clone(), Arc::new(transport));
    Collecting { stop, task: tokio::spawn(collector.run(stopped)) }
}

pub(super) struct Collector {
    witness: Arc<Witness>,
    transport: Arc<dyn Transport>,
    progress: BTreeMap<SpiffeId, Progress>,
    /// Whose keys lie beside the log.
    stated: BTreeSet<SpiffeId>,
}

/// What one witness is known to have done.
#[derive(Debug, Default, Clone)]
struct Progress {
    /// Size of the checkpoint that it holds, as far as is known.
    held: u64,
    cosigned: Option<Cosigned>,
}

impl Progress {
    /// The signature under the checkpoint of a size.
    fn line(&self, size: u64) -> Option<&str> {
        let cosigned = self.cosigned.as_ref().filter(|cosigned| cosigned.size == size && !cosigned.line.is_empty());
        cosigned.map(|cosigned| cosigned.line.as_str())
    }
}

#[derive(Debug, Clone)]
struct Cosigned {
    size: u64,
    line: String,
    /// The witness's own time, or ours if that lies before it.
    at_ms: i64,
}

/// Why there is no cosignature.
enum Trouble {
    /// The witness is away, refuses, or says what it does not prove.
    Passing(Refusal),
    /// It holds a checkpoint that this log signed and does not lead to.
    Contradicted { held: u64, note: String },
    /// It knows this log under another key.
    Replaced,
    /// The log refuses all work, or its files cannot be read.
    Log(AuditError),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Passing(refusal)
    }
}

impl From<AuditError> for Trouble {
    fn from(error: AuditError) -> Self {
        Self::Log(error)
    }
}

impl Collector {
    pub(super) fn new(witness: Arc<Witness>, transport: Arc<dyn Transport>) -> Self {
        let mut collector = Self { witness, transport, progress: BTreeMap::new(), stated: BTreeSet::new() };
        collector.follow_parties();
        collector.remember();
        collector
    }

    /// Members join and leave.
    fn follow_parties(&mut self) {
        let parties = self.witness.memory.parties();
        self.progress.retain(|party, _| parties.contains(party));
        for party in parties {
            self.progress.entry(party).or_default();
        }
    }

    /// Takes up what was cosigned before the start.
    fn remember(&mut self) {
        let Some(cosigned) = self.witness.log.cosigned().borrow().clone() else { return };
        for (party, progress) in &mut self.progress {
            let slot = self.witness.memory.of(party);
            let known = slot.and_then(|slot| locked(&slot).known().map(|known| known.keys.cosigner.clone()));
            if let Some(Ok(Some(time_s))) = known.map(|key| key.cosigned_at(&cosigned.note)) {
                progress.held = cosigned.size;
                // The line itself is asked for anew: the witness may have gone on.
                let at_ms = moment_ms(time_s, &self.witness.clock);
                progress.cosigned = Some(Cosigned { size: cosigned.size, line: String::new(), at_ms });
            }
        }
        self.tell_log();
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let settings = self.witness.settings.clone();
        let mut published = self.witness.log.published();
        // At the start nobody is left out: whoever holds more than this log must be heard.
        let (mut linger, mut retry) = (PATIENCE, settings.interval());
        while self.witness.log.check().is_ok() {
            published.borrow_and_update();
            let complete = tokio::select! {
                complete = self.round(PATIENCE, linger) => complete,
                _ = &mut stopped => break,
            };
            self.witness.log.witnesses_asked();
            linger = LINGER;
            let earliest = Instant::now() + settings.interval();
            let changed = async {
                let changed = published.changed().await;
                sleep_until(earliest).await;
                changed.is_ok()
            };
            retry = if complete { settings.interval() } else { (retry * 2).min(RETRY_MAX) };
            tokio::select! {
                _ = &mut stopped => break,
                () = sleep(if complete { settings.renewal() } else { retry }) => {}
                goes_on = changed => if !goes_on { return },
            }
        }
        // What was written last.
        if self.witness.log.check().is_ok() {
            self.round(LINGER, LINGER).await;
        }
    }

    /// Asks every witness that has not cosigned the newest checkpoint lately; true when all have.
    pub(super) async fn round(&mut self, patience: Duration, linger: Duration) -> bool {
        self.follow_parties();
        let published = self.witness.log.published().borrow().clone();
        let stale_ms = self.witness.clock.now_ms().saturating_sub(self.witness.settings.renewal().as_millis() as i64);
        let mut asked = FuturesUnordered::new();
        for (party, progress) in &self.progress {
            let fresh = |cosigned: &Cosigned| {
                cosigned.size == published.size && !cosigned.line.is_empty() && cosigned.at_ms > stale_ms
            };
            if !progress.cosigned.as_ref().is_some_and(fresh) {
                asked.push(self.asking(party.clone(), progress.held, published.clone(), patience));
            }
        }
        let (mut missing, mut until) = (asked.len(), Instant::now() + patience);
        while let Ok(Some((party, result))) = tokio::time::timeout_at(until, asked.next()).await {
            missing -= usize::from(result.is_ok());
            self.take(&party, published.size, result);
            if self.count(published.size) >= self.witness.settings.quorum {
                until = until.min(Instant::now() + linger);
            }
        }
        drop(asked);
        self.keep(&published).await;
        self.tell_log();
        missing == 0
    }

    fn asking(
        &self,
        party: SpiffeId,
        held: u64,
        published: SignedCheckpoint,
        patience: Duration,
    ) -> BoxFuture<'static, (SpiffeId, Result<Cosigned, Trouble>)> {
        let (witness, transport) = (self.witness.clone(), self.transport.clone());
        Box::pin(async move {
            let asked = ask(&witness, &*transport, &party, held, &published);
            let away = || {
                let told = "The witness does not answer in time; it is asked again.";
                Trouble::Passing(Refusal::new(crate::error::Kind::TimedOut, "deadline_passed", told))
            };
            let result = timeout(patience, asked).await.unwrap_or_else(|_| Err(away()));
            (party, result)
        })
    }

    fn take(&mut self, party: &SpiffeId, size: u64, result: Result<Cosigned, Trouble>) {
        let Some(progress) = self.progress.get_mut(party) else { return };
        match result {
            Ok(cosigned) => *progress = Progress { held: size, cosigned: Some(cosigned) },
            Err(Trouble::Passing(refusal)) => {
                tracing::info!(%party, reason = refusal.reason, "no cosignature: {}", refusal.message);
            }
            Err(Trouble::Contradicted { held, note }) => {
                self.witness.log.contradicted(&party.to_string(), held, &note);
            }
            Err(Trouble::Replaced) => self.witness.log.replaced(&party.to_string()),
            Err(Trouble::Log(error)) => tracing::warn!(%error, "no cosignatures for this log"),
        }
    }

    /// How many have cosigned a size.
    fn count(&self, size: u64) -> usize {
        self.lines(size).count()
    }

    fn lines(&self, size: u64) -> impl Iterator<Item = &str> {
        self.progress.values().filter_map(move |progress| progress.line(size))
    }

    async fn keep(&mut self, published: &SignedCheckpoint) {
        if self.count(published.size) < self.witness.settings.quorum {
            return;
        }
        let note = self.lines(published.size).fold(published.note.clone(), |note, line| note + line);
        let kept = self.witness.log.cosigned().borrow().as_ref().is_some_and(|kept| kept.note == note);
        if !kept && let Err(error) = self.witness.log.keep_cosigned(note.clone()).await {
            tracing::warn!(%error, "cosignatures were not kept");
            return;
        }
        if let Err(error) = self.keep_keys(published.size, &note) {
            tracing::warn!(%error, "the keys of the witnesses were not kept beside their cosignatures");
        }
    }

    /// Keeps the keys of all who have signed, once for the same witnesses.
    fn keep_keys(&mut self, size: u64, note: &str) -> Result<(), Refusal> {
        let signers = self.progress.iter().filter(|(_, progress)| progress.line(size).is_some());
        let signers: BTreeSet<SpiffeId> = signers.map(|(party, _)| party.clone()).collect();
        if signers != self.stated {
            let keys = serde_json::to_vec_pretty(&self.witness.stated_keys(note)?);
            let keys = keys.map_err(|error| Refusal::internal("audit_keys_not_kept", &error))?;
            let kept = self.witness.log.keep_keys(&keys);
            kept.map_err(|error| Refusal::internal("audit_keys_not_kept", &error))?;
            self.stated = signers;
        }
        Ok(())
    }

    /// Tells the log when enough witnesses had last cosigned.
    fn tell_log(&self) {
        let cosigned = self.progress.values().filter_map(|progress| progress.cosigned.as_ref());
        let mut moments: Vec<i64> = cosigned.map(|cosigned| cosigned.at_ms).collect();
        moments.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(at_ms) = moments.get(self.witness.settings.quorum - 1) {
            self.witness.log.witnessed(*at_ms);
        }
    }
}

/// Asks one witness, twice or three times where it knows another size than was thought.
async fn ask(
    witness: &Witness,
    transport: &dyn Transport,
    party: &SpiffeId,
    mut held: u64,
    published: &SignedCheckpoint,
) -> Result<Cosigned, Trouble> {
    for _ in 0..ATTEMPTS {
        let proof = witness.log.proofs(published.size).consistency(held)?;
        let request = AddCheckpoint { old: held, proof, note: published.note.clone() }.to_string();
        let keys = SignedKeys::sign(&witness.identity, &witness.own, witness.clock.now_ms())?;
        let reply = transport.submit(party.clone(), Submission { request, keys }).await?;
        match reply.status {
            200 => return taken(witness, party, published, &reply),
            403 => return Err(disowned(witness, &reply)),
            409 | 422 => held = corrected(witness, published, held, &reply)?,
            status => return Err(unproven(&format!("The witness refuses with status {status}.")).into()),
        }
    }
    Err(unproven("The witness does not say the same twice.").into())
}

/// Checks a cosignature; the witness's keys are pinned with its first one.
fn taken(
    witness: &Witness,
    party: &SpiffeId,
    published: &SignedCheckpoint,
    reply: &Reply,
) -> Result<Cosigned, Trouble> {
    let keys = keys_of(witness, party, &reply.keys)?;
    let note = format!("{}{}", published.note, reply.cosignature);
    let time_s = keys.cosigner.cosigned_at(&note).ok().flatten().ok_or_else(|| {
        Refusal::denied("cosignature_forged", "What came back is not this witness's cosignature; it is not used.")
    })?;
    let at_ms = moment_ms(time_s, &witness.clock);
    Ok(Cosigned { size: published.size, line: reply.cosignature.clone(), at_ms })
}

fn keys_of(witness: &Witness, party: &SpiffeId, stated: &SignedKeys) -> Result<PartyKeys, Refusal> {
    let slot = witness.memory.of(party).ok_or_else(|| unproven("The witness is none of this log's."))?;
    let mut slot = locked(&slot);
    if let Some(known) = slot.known() {
        return Ok(known.keys.clone());
    }
    let keys = stated.verify(&witness.identity, party, witness.clock.now_ms())?;
    let known = Known { keys: keys.clone(), signed: stated.clone(), held: None };
    slot.keep(known).map_err(|error| Refusal::internal("witness_not_kept", &error))?;
    Ok(keys)
}

/// What a witness holds instead. What speaks against this log is believed only under its own signature.
fn corrected(witness: &Witness, published: &SignedCheckpoint, thought: u64, reply: &Reply) -> Result<u64, Trouble> {
    if reply.held.is_empty() && thought > 0 {
        // It has forgotten this log, or never knew it.
        return Ok(0);
    }
    let held = witness.own.log.verify(&reply.held);
    let held = held.map_err(|_| unproven("The witness contradicts this log without proof."))?;
    let leads_there = |root: Hash| root == held.root;
    let is_ours = held.size <= published.size && leads_there(witness.log.proofs(published.size).root_at(held.size)?);
    if !is_ours && held.size <= published.size && held.size != thought {
        // What cannot be proved is offered all the same, so that the witness sees it too and names it.
        return Ok(held.size);
    }
    if !is_ours {
        return Err(Trouble::Contradicted { held: held.size, note: reply.held.clone() });
    }
    if held.size == thought {
        return Err(unproven("The witness refuses a proof that holds.").into());
    }
    Ok(held.size)
}

/// A witness knows another key. That is believed only under this party's own signature.
fn disowned(witness: &Witness, reply: &Reply) -> Trouble {
    let pinned = reply.pinned.as_ref().map(|pinned| pinned.verify_past(&witness.identity, witness.identity.id()));
    match pinned {
        Some(Ok(keys)) if keys.log != witness.own.log => Trouble::Replaced,
        _ => unproven("The witness does not accept this log's signature, and does not prove why.").into(),
    }
}

fn unproven(told: &str) -> Refusal {
    Refusal::denied("witness_refuses", told)
}

fn moment_ms(time_s: u64, clock: &Clock) -> i64 {
    i64::try_from(time_s).unwrap_or(i64::MAX).saturating_mul(1_000).min(clock.now_ms())
}
