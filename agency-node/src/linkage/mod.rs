//! How this node's identifiers become comparable with those of others, without leaving it.
//!
//! - [`oprf`]: tags, by distributed blinded evaluation (pure)
//! - `epoch`: the keys of an epoch and the secret that its nodes share
//! - `evaluate`: what this node does for others' tags, within a quota
//! - [`tag_file`]: how tags are kept
//! - `tagging`: what it asks others to do for its own

pub(crate) mod epoch;
pub(crate) mod evaluate;
pub mod oprf;
pub(crate) mod relay;
pub mod tag_file;
pub(crate) mod tagging;
