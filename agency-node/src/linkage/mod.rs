//! How this node's identifiers become comparable with those of others, without leaving it.
//!
//! - [`oprf`]: tags, by distributed blinded evaluation (pure)
//! - `epoch`: the keys of an epoch and the secret that its nodes share
//! - `course`, `progress`, `epochs`: which epochs there are, how far each member is, and their change
//! - `evaluate`: what this node does for others' tags, within a quota
//! - `tags`, [`tag_file`]: the tags of an epoch and how they are kept
//! - `tagging`: what it asks others to do for its own

pub(crate) mod course;
pub(crate) mod epoch;
pub(crate) mod epochs;
pub(crate) mod evaluate;
pub mod oprf;
pub(crate) mod progress;
pub(crate) mod relay;
pub mod tag_file;
pub(crate) mod tagging;
pub(crate) mod tags;
