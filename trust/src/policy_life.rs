//! A policy in the life of a process: put in force at the start, and again whenever its files change or
//! SIGHUP asks for it, without a restart.
//!
//! Every policy that comes into force, and every one that is refused, has an entry in the audit log:
//! [`LOAD_POLICY`], on behalf of whoever signed it, with the hash and the version, or with the reason. A
//! refused policy stops a start, and leaves a running process with the policy that it has. The first policy's
//! entry is written by the watch, as soon as the log takes entries: before it does, nothing is done under
//! that policy either.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::audit::{AuditError, AuditLog, Completion, Decision, Opening, Outcome, Ruling};
use crate::identity::SpiffeId;
use crate::life::HangUps;
use crate::policy::{PolicyError, PolicySettings, PolicySource, PolicyStore, Prepared, Provenance, Stamps};

/// The action of its entries: a policy comes into force, or is refused.
pub const LOAD_POLICY: &str = "load_policy";

/// Why there is no policy to start with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nothing is done that cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// The entry of a process's first policy, still to be written.
pub struct FirstEntry(Opening, Completion);

/// Puts the first policy of a process in force, before its log requires witnesses; a refused one is written
/// down at once.
///
/// # Errors
/// [`OpenError`]: the process must not start.
pub async fn open(
    source: PolicySource,
    audit: &AuditLog,
    process: &SpiffeId,
) -> Result<(PolicyStore, FirstEntry), OpenError> {
    let record = Record { audit, process };
    let (source, prepared) = blocking(move || {
        let prepared = source.prepare();
        (source, prepared)
    })
    .await?;
    let opening = record.opening(prepared.as_ref().ok());
    match in_force(prepared, |prepared| PolicyStore::start(source, prepared)) {
        Ok((store, completion)) => Ok((store, FirstEntry(opening, completion))),
        Err(error) => {
            audit.begin(opening).await?.complete(refused(&error)).await?;
            tell_refused(&error);
            Err(error.into())
        }
    }
}

/// The watch over a policy's files.
pub struct Watch(JoinHandle<()>);

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the operating system does not let the process listen for signals.
    pub fn begin(
        (policy, first): (Arc<PolicyStore>, FirstEntry),
        audit: AuditLog,
        process: SpiffeId,
        settings: &PolicySettings,
    ) -> io::Result<Self> {
        let every = Duration::from_secs(settings.check_every_s);
        let stamps = policy.source().stamps();
        let hang_ups = HangUps::listen()?;
        Ok(Self(tokio::spawn(async move {
            // Until the log takes it nothing is done under the policy either.
            while let Err(error) = first.write(&audit).await {
                tracing::error!(%error, "the policy in force cannot be written down yet");
                tokio::time::sleep(every).await;
            }
            watch(policy, audit, process, every, stamps, hang_ups).await;
        })))
    }

    /// Ends the watch; a policy that is being put in force is finished or not begun.
    pub async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl FirstEntry {
    async fn write(&self, audit: &AuditLog) -> Result<(), AuditError> {
        audit.begin(self.0.clone()).await?.complete(self.1.clone()).await.map(drop)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(
    policy: Arc<PolicyStore>,
    audit: AuditLog,
    process: SpiffeId,
    every: Duration,
    mut seen: Stamps,
    mut hang_ups: HangUps,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            () = hang_ups.next() => true,
        };
        let stamps = policy.source().stamps();
        if stamps == seen && !asked {
            continue;
        }
        // What the log could not take is tried again at the next look.
        match reload(&policy, &audit, &process).await {
            Err(OpenError::Audit(error)) => {
                tracing::error!(%error, "the policy cannot be read anew without an audit log")
            }
            Ok(()) | Err(OpenError::Policy(_)) => seen = stamps,
        }
    }
}

async fn reload(policy: &Arc<PolicyStore>, audit: &AuditLog, process: &SpiffeId) -> Result<(), OpenError> {
    let reading = policy.clone();
    let prepared = blocking(move || reading.source().prepare()).await?;
    let is_in_force = prepared.as_ref().is_ok_and(|prepared| {
        prepared.policy_hash() == policy.policy_hash() && *prepared.provenance() == policy.provenance()
    });
    if is_in_force {
        tracing::info!("the policy in force is the one that its files hold");
        return Ok(());
    }
    Record { audit, process }.put(prepared, |prepared| policy.put_in_force(prepared)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PolicyError> {
    spawn_blocking(work).await.map_err(|error| PolicyError::Engine { problem: error.to_string() })
}

/// Writes down what becomes of a policy.
struct Record<'a> {
    audit: &'a AuditLog,
    process: &'a SpiffeId,
}

impl Record<'_> {
    /// Open audit entry → put in force → complete audit entry.
    async fn put(
        &self,
        prepared: Result<Prepared, PolicyError>,
        put: impl FnOnce(Prepared) -> Result<(), PolicyError>,
    ) -> Result<(), OpenError> {
        let entry = self.audit.begin(self.opening(prepared.as_ref().ok())).await?;
        match in_force(prepared, put) {
            Ok(((), completion)) => entry.complete(completion).await.map(drop)?,
            Err(error) => {
                entry.complete(refused(&error)).await?;
                tell_refused(&error);
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn opening(&self, prepared: Option<&Prepared>) -> Opening {
        let signer = prepared.and_then(|prepared| prepared.provenance().signer.as_ref());
        Opening {
            actor: signer.unwrap_or(self.process).to_string(),
            via: signer.map(|_| self.process.to_string()),
            action: LOAD_POLICY.to_owned(),
            resource: "policy".to_owned(),
            ..Opening::default()
        }
    }
}

/// Puts a policy in force, tells of it, and returns what completes its entry.
fn in_force<T>(
    prepared: Result<Prepared, PolicyError>,
    put: impl FnOnce(Prepared) -> Result<T, PolicyError>,
) -> Result<(T, Completion), PolicyError> {
    let prepared = prepared?;
    let came = Came { policy: prepared.policy_hash().to_owned(), provenance: prepared.provenance().clone() };
    let done = put(prepared)?;
    came.tell();
    Ok((done, came.completion()))
}

fn refused(error: &PolicyError) -> Completion {
    Completion { detail: Some(error.reason().to_owned()), ..Completion::new(Outcome::Denied) }
}

fn tell_refused(error: &PolicyError) {
    tracing::error!(reason = error.reason(), "the policy is refused: {error}");
}

/// A policy that has come into force.
struct Came {
    policy: String,
    provenance: Provenance,
}

impl Came {
    fn completion(self) -> Completion {
        let rule = if self.provenance.signer.is_some() { "policy-signer" } else { "policy-directory" };
        let obligations = BTreeMap::new();
        let mut completion = Completion::new(Outcome::Answered);
        completion.counts.extend(self.provenance.version.map(|version| ("version".to_owned(), version)));
        completion.ruling =
            Some(Ruling { decision: Decision::Allow, rule: rule.to_owned(), policy: self.policy, obligations });
        completion
    }

    fn tell(&self) {
        match (&self.provenance.signer, self.provenance.version) {
            (Some(signer), Some(version)) => {
                tracing::info!(policy = self.policy, version, %signer, "a signed policy came into force");
            }
            _ => tracing::info!(policy = self.policy, "the policy of a directory came into force"),
        }
    }
}
