//! Judging connections again, after their handshake, by what is in force at that moment.

use std::sync::Arc;

use super::connections::PeerIdentity;
use super::credentials::Credentials;
use super::reason::Reason;
use super::tls::{Live, unix_time};
use crate::clock::Clock;

/// Judges connections that are open or about to be.
#[derive(Clone)]
pub(super) struct Reviewer {
    live: Live,
    clock: Clock,
}

impl Reviewer {
    pub(super) fn new(live: Live, clock: Clock) -> Self {
        Self { live, clock }
    }

    /// What is in force now, to be compared later.
    pub(super) fn in_force(&self) -> Arc<Credentials> {
        self.live.load_full()
    }

    /// Judges again what a handshake has judged by `before`, if that is no longer in force.
    pub(super) fn judge_if_changed(&self, peer: &PeerIdentity, before: &Arc<Credentials>) -> Result<(), Reason> {
        if Arc::ptr_eq(before, &self.live.load()) { Ok(()) } else { self.judge(peer) }
    }

    /// Whether the peer would be let in now.
    pub(super) fn judge(&self, peer: &PeerIdentity) -> Result<(), Reason> {
        let (leaf, intermediates) = peer.chain().split_first().ok_or(Reason::CertificateMissing)?;
        self.live.load().verify(leaf, intermediates, peer.purpose(), unix_time(&self.clock)).map(drop)
    }

    /// Whether the peer's own certificate has expired; looks at nothing else.
    pub(super) fn judge_time(&self, peer: &PeerIdentity) -> Result<(), Reason> {
        // As in a handshake, a certificate holds until its last second is over.
        if self.clock.now().timestamp() > peer.expires().timestamp() { Err(Reason::CertificateExpired) } else { Ok(()) }
    }

    /// True when a revocation list has run out: then every connection must be judged again.
    pub(super) fn lists_are_out_of_date(&self) -> bool {
        self.live.load().authorities.is_out_of_date(self.clock.now().timestamp())
    }
}
