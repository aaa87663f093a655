//! The connections that are open, how many there may be, and who was turned away.
//!
//! Counts and closes; it never reads what a connection carries. A place is given back when the
//! connection is dropped, however it ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;

use super::acceptor::PeerIdentity;
use super::limits::Limits;
use super::reason::Reason;
use super::spiffe::SpiffeId;

/// The open connections of a listener, and its counters.
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

/// Set once, when a connection has to end now.
#[derive(Default)]
pub(super) struct Closing {
    pub(super) closed: AtomicBool,
    pub(super) waker: AtomicWaker,
}

/// A connection's place among the open ones.
pub(super) struct Admission {
    connections: Arc<Connections>,
    number: u64,
    pub(super) closing: Arc<Closing>,
}

impl Connections {
    /// No connections yet, with the limits for them.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            total: limits.connections,
            per_peer: limits.connections_per_peer,
            open: Mutex::default(),
            refused: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        })
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
        closing
            .map(|(_, closing)| {
                closing.closed.store(true, Ordering::Release);
                closing.waker.wake();
            })
            .count()
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
