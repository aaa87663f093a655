//! Peers that were refused for who they are, counted until it is written down.
//!
//! Such a refusal comes before an audit entry is opened, or whoever has a certificate of any kind could
//! fill a disk. The counts take bounded room and become a bounded number of entries.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{error::Refusal, identity::SpiffeId};

/// Different peers and reasons that are told apart between two entries.
const KEPT_MAX: usize = 64;

/// Refusals since they were last written down.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Counts>);

#[derive(Default)]
pub(crate) struct Counts {
    /// By peer and reason.
    pub(crate) of_peers: BTreeMap<(SpiffeId, String), (Refusal, u64)>,
    /// Of more peers or reasons than are told apart.
    pub(crate) of_others: u64,
}

impl Refusals {
    pub(crate) fn count(&self, peer: &SpiffeId, refusal: &Refusal) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer.clone(), refusal.reason.clone());
        let has_room = counts.of_peers.len() < KEPT_MAX || counts.of_peers.contains_key(&key);
        if has_room {
            counts.of_peers.entry(key).or_insert_with(|| (refusal.clone(), 0)).1 += 1;
        } else {
            counts.of_others += 1;
        }
    }

    /// Takes what was counted.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_reasons_are_counted_apart_and_in_bounded_room() {
        let refusals = Refusals::default();
        let id = |n: usize| format!("spiffe://border.example/auditor/a{n}").parse::<SpiffeId>().unwrap();
        let (role, agency) = (Refusal::denied("wrong_role", "no"), Refusal::denied("wrong_agency", "no"));
        for refusal in [&role, &role, &agency] {
            refusals.count(&id(0), refusal);
        }
        (1..1_000).for_each(|n| refusals.count(&id(n), &role));
        refusals.count(&id(0), &role);
        let counts = refusals.take();
        let of = |reason: &str| counts.of_peers[&(id(0), reason.to_owned())].1;
        assert_eq!((of("wrong_role"), of("wrong_agency")), (3, 1));
        assert_eq!(counts.of_peers.len(), KEPT_MAX);
        let all: u64 = counts.of_peers.values().map(|(_, count)| count).sum::<u64>() + counts.of_others;
        assert_eq!(all, 1_003, "nobody is lost");
        assert!(refusals.take().of_peers.is_empty());
    }
}
