//! The audit log: an append-only Merkle log in which every action is opened before the work and
//! completed before its answer leaves. **No entry, no action.**
//!
//! An action is two entries. [`AuditLog::begin`] writes the *opening* (who, on whose behalf, what,
//! why) and returns when it is durable; only then may the work start. [`OpenEntry::complete`] writes
//! the *completion* (how it ended, what the policy decided, how much was touched) and returns when
//! that is durable; only then may the answer leave. Work that is dropped on the way is completed as
//! abandoned; work cut off by a crash stays open for everyone to see. When the log cannot be
//! written, nothing is done.
//!
//! # From a caller to a checkpoint
//!
//! ```text
//! begin, complete ─► queue ─► writer ─► journal, one fdatasync a batch ─► callers go on
//!                                 └───► publisher ─► tiles ─► signed checkpoint
//! ```
//!
//! Two threads, because callers wait for the one and not for the other. The *writer* makes entries
//! durable in the journal, as many with one wait for the disk as are queued. The *publisher* cuts
//! durable entries into tiles and signs a checkpoint at most every
//! [`PUBLISH_INTERVAL_MS`]; full tiles are synced before the checkpoint over them, so nothing signed
//! is ever missing after a crash, and the journal is trimmed as far as they reach. The first
//! failure of any write poisons the log: nothing is acknowledged until the process opens it again.
//!
//! # The files
//!
//! ```text
//! checkpoint              signed tree head (C2SP tlog-checkpoint, signed-note)
//! tile/<L>/<N>[.p/<W>]    hashes           (C2SP tlog-tiles)
//! tile/entries/<N>[…]     the entries, JSON
//! cosigned                the newest checkpoint with signatures of enough witnesses
//! keys.json               keys of the log and of those witnesses, under their certificates
//! contradiction           a checkpoint that a witness holds and this log does not lead to, if there is one
//! audit.vkey              the key that verifies the checkpoint
//! audit.key               the key that signs it, for the owner alone
//! journal/<first>         entries on their way into full tiles
//! lock                    one writer at a time
//! ```
//!
//! Hashing is RFC 6962, so programs of third parties can check the log; [`verify_directory`] does it
//! here, from the files alone.
//!
//! # Reading it
//!
//! [`archive`] answers auditors from what the newest checkpoint covers: an [`archive::Archive`] finds
//! actions by an index that lies beside the log and can be thrown away, and reads them, proved, from
//! the log. [`report`] counts them.
//!
//! # Witnesses
//!
//! By itself a log shows that it is consistent, not that it is the one that others were shown: an older
//! copy of a log is a good log. So other parties cosign its checkpoints ([`cosignature`], [`witness`]),
//! which [`crate::witnessing`] brings about. Where they are required, no work begins before they were
//! asked once and none when they stay away for longer than a grace period; and a log that is shown its
//! own signature under another history refuses everything from then on.
//!
//! # What it never does
//!
//! It never holds an identifier of a subject, a tag or a score: an [`Entry`] has no field for one.
//! It never changes or removes an entry, never signs what is not durable, never drops bytes that an
//! acknowledged entry may be in, and never repairs a log that disagrees with its own checkpoint.

pub mod action;
pub mod archive;
pub mod checkpoint;
mod compare;
pub mod cosignature;
pub(crate) mod disk;
pub mod entry;
mod error;
#[cfg(test)]
mod fixtures;
mod index;
mod journal;
mod log;
pub mod merkle;
pub mod note;
pub mod proofs;
pub mod published;
mod publisher;
pub mod query;
mod recovery;
pub mod report;
mod standing;
pub mod tiles;
mod verify;
pub mod witness;
mod writer;

pub use compare::is_one_history;
pub use entry::{Completion, Decision, Entry, EntryError, EntryId, Opening, Outcome, Phase, Ruling};
pub use error::AuditError;
pub use journal::JournalError;
pub use log::{AuditLog, OpenEntry, PUBLISH_INTERVAL_MS, Place};
pub use recovery::KEYS_FILE;
pub use verify::{
    Cosigned, TIME_TOLERANCE_MS, Verified, VerifyError, own_key, verify_directory, verify_directory_with, verify_each,
    verify_witnessed,
};
