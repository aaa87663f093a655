//! Certificates in life: what a running process does about its own and those of others.
//!
//! Every few seconds, and at once on SIGHUP, it reads certificate, key, authorities and revocation lists
//! again and puts them in force as a whole, or keeps the old; closes connections whose certificate
//! would not be let in anew; says when its own certificate should be renewed; and writes into the audit
//! log who was refused.
//!
//! **Refusals cannot fill a disk**: those of handshakes are counted by reason, those of known peers by
//! peer and reason. The first is written down at the next look, later ones together after
//! [`Settings::refusals_every_s`]: at most one entry for each reason and direction, and at most 65 for
//! peers, however many knock.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use crate::{
    error::{Kind, Refusal},
    guard::{Act, Guard},
    identity::{Closed, Connections, Identity, IdentityError, LimitsError, Reason, limits},
    refusals::Counts,
};

/// How often an operator is reminded of a certificate that should be renewed.
const REMIND_EVERY: Duration = Duration::from_secs(86_400);

/// `[certificates]` in a process's TOML; every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often the files are looked at, and connections for expired certificates: 1 to 3,600 s.
    pub check_every_s: u64,
    /// How often refusals are written down at most: 1 to 86,400 s.
    pub refusals_every_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { check_every_s: 5, refusals_every_s: 60 }
    }
}

impl Settings {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`LimitsError`] with the first field outside its range.
    pub fn validate(&self) -> Result<(), LimitsError> {
        limits::check(&[
            ("check_every_s", self.check_every_s, 1, 3_600),
            ("refusals_every_s", self.refusals_every_s, 1, 86_400),
        ])
    }
}

/// The watch over a process's certificates.
pub struct Watch {
    end: oneshot::Sender<()>,
    watching: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch. `connections` are those of the process's listener.
    ///
    /// # Errors
    /// If the operating system does not let the process listen for signals.
    pub fn begin<P: AsRef<Guard> + Send + Sync + 'static>(
        party: Arc<P>,
        identity: Arc<Identity>,
        connections: Arc<Connections>,
        settings: &Settings,
    ) -> io::Result<Self> {
        let hang_ups = HangUps::listen()?;
        let (end, ended) = oneshot::channel();
        let every = Duration::from_secs(settings.check_every_s);
        let keeper = Keeper {
            party,
            identity,
            connections,
            refusals_every: Duration::from_secs(settings.refusals_every_s),
            refusals_at: None,
            written: HashMap::new(),
            failed: None,
            reminded: None,
        };
        Ok(Self { end, watching: tokio::spawn(keeper.watch(every, hang_ups, ended)) })
    }

    /// Ends the watch; what was refused until now is written down.
    pub async fn end(self) {
        let _ = self.end.send(());
        let _ = self.watching.await;
    }
}

/// SIGHUP, where there is one.
pub struct HangUps(#[cfg(unix)] tokio::signal::unix::Signal);

impl HangUps {
    /// Listens from now on, instead of ending the process.
    ///
    /// # Errors
    /// If the operating system does not let the process listen for signals.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Self);
        #[cfg(not(unix))]
        return Ok(Self());
    }

    /// Completes at the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}

struct Keeper<P> {
    party: Arc<P>,
    identity: Arc<Identity>,
    connections: Arc<Connections>,
    refusals_every: Duration,
    refusals_at: Option<Instant>,
    /// Refused connections that are written down, by direction and reason.
    written: HashMap<(&'static str, Reason), u64>,
    /// What was wrong with the files when they were last read.
    failed: Option<IdentityError>,
    /// Of which certificate's end an operator was reminded, and when.
    reminded: Option<(DateTime<Utc>, Instant)>,
}

impl<P: AsRef<Guard> + Send + Sync + 'static> Keeper<P> {
    async fn watch(mut self, every: Duration, mut hang_ups: HangUps, mut ended: oneshot::Receiver<()>) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = hang_ups.next() => tracing::info!("asked to read the certificates again"),
                _ = &mut ended => return self.write_refusals().await,
            }
            let changed = self.reload().await;
            self.close(self.identity.close_unfit(&self.connections, changed)).await;
            self.remind();
            if self.refusals_at.is_none_or(|at| at.elapsed() >= self.refusals_every) {
                self.write_refusals().await;
            }
        }
    }

    /// True when other credentials are in force.
    async fn reload(&mut self) -> bool {
        let before = self.identity.changes();
        let identity = self.identity.clone();
        let read = tokio::task::spawn_blocking(move || identity.reload()).await;
        let changed = before.has_changed().unwrap_or(false);
        let failure = match read {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => return changed,
        };
        if changed {
            tracing::info!(expires = %self.identity.expires(), "certificates, authorities and revocation lists read");
        }
        let refusal = failure.as_ref().map(refused);
        // The same fault is told once, however often it is met.
        if failure != self.failed
            && let Some(error) = &failure
        {
            let kept = if changed { "" } else { "; the old ones stay in force" };
            tracing::error!("certificates cannot be used{kept}: {error}");
            self.record(self.by_itself("reload", "certificates"), &[], refusal.as_ref()).await;
        } else if changed {
            self.record(self.by_itself("reload", "certificates"), &[], None).await;
        }
        self.failed = failure;
        changed
    }

    async fn close(&self, closed: Vec<Closed>) {
        for Closed { peer, reason, connections } in closed {
            tracing::warn!(%peer, reason = reason.as_str(), connections, "connections closed");
            let act = Act::by(&peer, "close_connections", "certificates");
            self.record(act, &[("connections", connections)], Some(&reason.into())).await;
        }
    }

    fn remind(&mut self) {
        let Some(advice) = self.identity.renewal_advice() else { return };
        let expires = self.identity.expires();
        let is_due = self.reminded.is_none_or(|(of, at)| of != expires || at.elapsed() >= REMIND_EVERY);
        if is_due {
            tracing::warn!("{advice}");
            self.reminded = Some((expires, Instant::now()));
        }
    }

    async fn write_refusals(&mut self) {
        let mut any = false;
        for (direction, connections) in
            [("listener", self.connections.clone()), ("outgoing", self.identity.outgoing().clone())]
        {
            for (reason, count) in connections.refused() {
                let written = self.written.get(&(direction, reason)).copied().unwrap_or(0);
                if count > written {
                    let act = self.by_itself("refuse_connections", direction);
                    if self.record(act, &[("refused", count - written)], Some(&reason.into())).await {
                        self.written.insert((direction, reason), count);
                    }
                    any = true;
                }
            }
        }
        let Counts { of_peers, of_others } = self.guard().refusals().take();
        for ((peer, _), (refusal, count)) in &of_peers {
            self.record(Act::by(peer, "refuse_calls", "calls"), &[("refused", *count)], Some(refusal)).await;
        }
        if of_others > 0 {
            let refusal = Refusal::denied("more_refusals", "More peers were refused than are told apart.");
            self.record(self.by_itself("refuse_calls", "calls"), &[("refused", of_others)], Some(&refusal)).await;
        }
        if any || !of_peers.is_empty() {
            self.refusals_at = Some(Instant::now());
        }
    }

    fn by_itself(&self, action: &str, resource: &str) -> Act {
        Act::by(self.identity.id(), action, resource)
    }

    /// True when it is written; if not, the guard has said so in the log of the process.
    async fn record(&self, act: Act, counts: &[(&str, u64)], refusal: Option<&Refusal>) -> bool {
        let Ok(mut trail) = self.guard().begin(act).await else { return false };
        counts.iter().for_each(|(name, count)| trail.count(name, *count));
        trail.complete(refusal).await.is_ok()
    }

    fn guard(&self) -> &Guard {
        (*self.party).as_ref()
    }
}

/// A fault of the files as it is written down: without paths.
fn refused(error: &IdentityError) -> Refusal {
    match error.reason() {
        Some(reason) => reason.into(),
        None => Refusal::new(Kind::Internal, "certificates_unusable", "The files cannot be used."),
    }
}
