//! The connections that are open, how many there may be, and who was turned away.
//!
//! Counts and closes; it never reads what a connection carries. A place is given back when the
//! connection is dropped, however it ended. A connection stays open only as long as its certificate
//! would be let in anew: see [`Connections::close_unfit`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;

use super::authorities::{Leaf, Purpose};
use super::connection::Closing;
use super::limits::Limits;
use super::reason::Reason;
use super::spiffe::SpiffeId;

/// Who is at the other end of a connection; an extension of every request.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerIdentity(Arc<Shown>);

/// What the peer showed in its handshake.
#[derive(PartialEq, Eq)]
struct Shown {
    leaf: Leaf,
    chain: Vec<CertificateDer<'static>>,
    purpose: Purpose,
}

impl PeerIdentity {
    /// The peer that showed this chain, which the handshake has judged.
    pub(super) fn of(chain: Option<&[CertificateDer<'_>]>, purpose: Purpose) -> Result<Self, Reason> {
        let chain = chain.unwrap_or_default();
        let leaf = Leaf::read(chain.first().ok_or(Reason::CertificateMissing)?)?;
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(Self(Arc::new(Shown { leaf, chain, purpose })))
    }

    /// The peer's name.
    pub fn id(&self) -> &SpiffeId {
        &self.0.leaf.id
    }

    /// When the certificate that the peer showed expires.
    pub fn expires(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.leaf.not_after_s, 0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The serial number of the certificate that the peer showed, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.0.leaf.serial
    }

    /// The certificates that the peer showed, its own first, as base64 of DER: for [`super::Identity::is_revoked`],
    /// later.
    pub fn shown(&self) -> Vec<String> {
        self.0.chain.iter().map(|certificate| STANDARD.encode(certificate)).collect()
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// The end of the connection that the peer is at.
    pub(super) fn purpose(&self) -> Purpose {
        self.0.purpose
    }
}

impl std::fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerIdentity({})", self.id())
    }
}

/// The open connections of one direction, and its counters.
pub struct Connections {
    total: usize,
    per_peer: usize,
    open: Mutex<Open>,
    refused: Vec<AtomicU64>,
}

#[derive(Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, (PeerIdentity, Arc<Closing>)>,
    per_peer: HashMap<SpiffeId, usize>,
}

/// A connection's place among the open ones.
pub(super) struct Admission {
    connections: Arc<Connections>,
    number: u64,
    pub(super) closing: Arc<Closing>,
}

/// Connections of one peer that were closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Whose they were.
    pub peer: SpiffeId,
    /// Why the peer would not be let in anew.
    pub reason: Reason,
    /// How many.
    pub connections: u64,
}

impl Connections {
    /// No connections yet, with the limits for them.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Self::within(limits.connections, limits.connections_per_peer)
    }

    /// For connections that this process opens by itself.
    pub(super) fn unlimited() -> Arc<Self> {
        Self::within(usize::MAX, usize::MAX)
    }

    fn within(total: usize, per_peer: usize) -> Arc<Self> {
        let refused = Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { total, per_peer, open: Mutex::default(), refused })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.lock().entries.len()
    }

    /// How many handshakes and connections were refused since the start, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().zip(&self.refused).map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
    }

    /// Closes the connections of which `chosen` says so, without waiting for requests under way.
    /// Returns how many.
    pub fn close_where(&self, chosen: impl Fn(&PeerIdentity) -> bool) -> usize {
        let open = self.lock();
        let closing = open.entries.values().filter(|(peer, _)| chosen(peer));
        closing.map(|(_, closing)| closing.close()).count()
    }

    /// Closes the connections whose certificate `verdict` refuses; each certificate is judged once.
    pub(super) fn close_unfit(&self, verdict: impl Fn(&PeerIdentity) -> Result<(), Reason>) -> Vec<Closed> {
        // Judging takes its time, so connections come and go meanwhile.
        let open: Vec<(PeerIdentity, Arc<Closing>)> = self.lock().entries.values().cloned().collect();
        let mut judged: HashMap<&[CertificateDer<'_>], Result<(), Reason>> = HashMap::new();
        let mut closed: Vec<Closed> = Vec::new();
        for (peer, closing) in &open {
            let Err(reason) = *judged.entry(peer.chain()).or_insert_with(|| verdict(peer)) else { continue };
            closing.close();
            match closed.iter_mut().find(|one| one.peer == *peer.id() && one.reason == reason) {
                Some(one) => one.connections += 1,
                None => closed.push(Closed { peer: peer.id().clone(), reason, connections: 1 }),
            }
        }
        closed
    }

    /// Gives a verified peer a place.
    pub(super) fn admit(self: &Arc<Self>, peer: &PeerIdentity) -> Result<Admission, Reason> {
        let mut open = self.lock();
        let of_peer = open.per_peer.get(peer.id()).copied().unwrap_or(0);
        if open.entries.len() >= self.total || of_peer >= self.per_peer {
            return Err(Reason::TooManyConnections);
        }
        let number = open.next;
        open.next += 1;
        let closing = Arc::new(Closing::default());
        open.entries.insert(number, (peer.clone(), closing.clone()));
        open.per_peer.insert(peer.id().clone(), of_peer + 1);
        Ok(Admission { connections: self.clone(), number, closing })
    }

    /// Counts a refusal. The log gets the first of its kind and then ever fewer, so that nobody can
    /// fill the disk by knocking.
    pub(super) fn count(&self, reason: Reason) {
        let Some(counter) = self.refused.get(reason as usize) else { return };
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(reason = reason.as_str(), count, "connection refused");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        let Some((peer, _)) = open.entries.remove(&self.number) else { return };
        if let Some(count) = open.per_peer.get_mut(peer.id()) {
            *count -= 1;
            if *count == 0 {
                open.per_peer.remove(peer.id());
            }
        }
    }
}
