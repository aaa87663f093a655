//! Who witnesses whom, so that no party can rewrite its audit log alone.
//!
//! Every party of a federation cosigns the checkpoints of the others, and has its own cosigned by them:
//! the gateway those of all nodes, each node those of the gateway and of its peers, whose messages the
//! gateway carries. A witness remembers the newest checkpoint of each log, and goes on only to one that
//! is proved to continue it. So a log that was truncated, forked or put back from an older copy is
//! noticed at its next checkpoint: the witness names it in its own log, and hands back the checkpoint
//! it holds. That is proof, for it carries the log's own signature; a log that is shown it refuses
//! everything from then on. A witness that claims such a thing without proof is passed over.
//!
//! - [`keys`]: which keys a party's log and cosignatures have, under its identity
//! - `memory`: what a party knows of the others, durably
//! - [`answer`]: being a witness
//! - [`collect`]: having witnesses; `prove`: receipts for what they have cosigned
//! - [`settings`]: how many, how often, how long without
//!
//! A cosignature writes no audit entry, at the witness or on the way: that entry would need a new
//! checkpoint, which would need a cosignature. What was cosigned stands under the checkpoint itself. A
//! refusal that speaks against a log is an entry.

pub mod answer;
pub mod collect;
pub mod keys;
mod memory;
mod prove;
pub mod rpc;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

pub use answer::{Reply, Submission, Witness};
pub use collect::{Collecting, Transport, collect};
pub use keys::{PartyKeys, SignedKeys};
pub use settings::{WitnessError, WitnessSettings};

use crate::identity::{Role, SpiffeId};

/// The name of a party's log and of its cosignatures: `FEDERATION/gateway` or `FEDERATION/AGENCY`.
/// `None` for those who keep no log.
pub fn origin(party: &SpiffeId) -> Option<String> {
    match &party.role {
        Role::Gateway => Some(format!("{}/gateway", party.federation)),
        Role::Node { agency } => Some(format!("{}/{agency}", party.federation)),
        Role::User { .. } | Role::Feed { .. } | Role::Auditor { .. } => None,
    }
}
