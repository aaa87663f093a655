//! The positions that partners send to this node: durable before they are acknowledged, each once.
//!
//! # From a batch to a follower
//!
//! ```text
//! append ─► queue ─► writer ─► journal, one fdatasync a group ─► acknowledged ─► subscriptions
//!                                 └───► keeper ─► table by day, quarantine ─► compaction, retention
//! ```
//!
//! Two threads, because senders wait for the one and not for the other. The *writer* makes batches durable in
//! the journal. The *keeper* moves them into a Delta Lake table every few seconds, and deletes segments that
//! are in the table and longer ago than followers come back.
//!
//! Batches of a stream are numbered from 1 without a gap. A number that was taken before is acknowledged again
//! and not kept again, so a sender that lost an acknowledgement repeats the batch. All batches have one order,
//! and a *place* in it that a follower can remember.
//!
//! # The files
//!
//! ```text
//! journal/<first place>            batches, on their way into the table and for followers
//! table/day=<date>/part-….parquet  positions, sorted by feed, device and time
//! table/_delta_log/                versions of the table (Delta Lake protocol)
//! quarantine/<feed>/<first place>  refused points, JSON lines
//! lock                             one process at a time
//! ```
//!
//! # What it never does
//!
//! It never acknowledges what is not durable, never takes anything after a write that failed, never drops bytes
//! that an acknowledged batch may be in, and never judges a position: that was done before. It holds no
//! identifier but the partners' names of their devices, and tells none of them in an error or a log.

mod batch;
mod cursor;
mod error;
#[cfg(test)]
mod fixtures;
mod journal;
mod keeper;
mod quarantine;
mod recovery;
mod segment;
mod settings;
mod store;
mod streams;
mod subscription;
mod table;
mod writer;

pub use batch::{BATCH_LIMIT_BYTES, BATCH_LIMIT_POINTS, Batch, Placed, Reached};
pub use error::StoreError;
pub use quarantine::Quarantined;
pub use settings::Settings;
pub use store::{Store, directory, files};
pub use subscription::Subscription;
