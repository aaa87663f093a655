//! A policy in the life of a process: put in force at the start, and again whenever its files change or
//! SIGHUP asks for it, without a restart.
//!
//! Every policy that comes into force, and every one that is refused, has an entry in the audit log:
//! [`LOAD_POLICY`], on behalf of whoever signed it, with the hash and the version, or with the reason. A
//! refused policy stops a start, and leaves a running process with the policy that it has.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::audit::{AuditError, AuditLog, Completion, Decision, Opening, Outcome, Ruling};
use crate::identity::SpiffeId;
use crate::life::HangUps;
use crate::policy::{PolicyError, PolicySettings, PolicySource, PolicyStore, Prepared, Stamps};

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

/// Puts the first policy of a process in force.
///
/// # Errors
/// [`OpenError`]: the process must not start.
pub async fn open(source: PolicySource, audit: &AuditLog, process: &SpiffeId) -> Result<PolicyStore, OpenError> {
    let record = Record { audit, process };
    let (source, prepared) = blocking(move || {
        let prepared = source.prepare();
        (source, prepared)
    })
    .await?;
    record.put(prepared, |prepared| PolicyStore::start(source, prepared)).await
}

/// The watch over a policy's files.
pub struct Watch(JoinHandle<()>);

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the operating system does not let the process listen for signals.
    pub fn begin(
        policy: Arc<PolicyStore>,
        audit: AuditLog,
        process: SpiffeId,
        settings: &PolicySettings,
    ) -> io::Result<Self> {
        let every = Duration::from_secs(settings.check_every_s);
        let stamps = policy.source().stamps();
        let hang_ups = HangUps::listen()?;
        Ok(Self(tokio::spawn(watch(policy, audit, process, every, stamps, hang_ups))))
    }

    /// Ends the watch; a policy that is being put in force is finished or not begun.
    pub async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
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
    async fn put<T>(
        &self,
        prepared: Result<Prepared, PolicyError>,
        put_in_force: impl FnOnce(Prepared) -> Result<T, PolicyError>,
    ) -> Result<T, OpenError> {
        let entry = self.audit.begin(self.opening(prepared.as_ref().ok())).await?;
        let mut completion = Completion::new(Outcome::Answered);
        let done = prepared.and_then(|prepared| {
            completion.ruling = Some(ruling(&prepared));
            completion.counts.extend(prepared.provenance().version.map(|version| ("version".to_owned(), version)));
            tell(&prepared);
            put_in_force(prepared)
        });
        if let Err(error) = &done {
            completion = Completion { detail: Some(error.reason().to_owned()), ..Completion::new(Outcome::Denied) };
        }
        // What is told is written down.
        entry.complete(completion).await?;
        if let Err(error) = &done {
            tracing::error!(reason = error.reason(), "the policy is refused: {error}");
        }
        Ok(done?)
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

fn ruling(prepared: &Prepared) -> Ruling {
    let rule = if prepared.provenance().signer.is_some() { "policy-signer" } else { "policy-directory" };
    Ruling {
        decision: Decision::Allow,
        rule: rule.to_owned(),
        policy: prepared.policy_hash().to_owned(),
        obligations: BTreeMap::new(),
    }
}

fn tell(prepared: &Prepared) {
    let provenance = prepared.provenance();
    match (&provenance.signer, provenance.version) {
        (Some(signer), Some(version)) => {
            tracing::info!(policy = prepared.policy_hash(), version, %signer, "a signed policy comes into force");
        }
        _ => tracing::info!(policy = prepared.policy_hash(), "the policy of a directory comes into force"),
    }
}
