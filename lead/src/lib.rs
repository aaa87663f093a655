//! From a match to somebody who acts on it: playbooks, and the life of a lead.
//!
//! A [`playbook`] says for a pattern or a watch who acts at which score, what they do, by when, whom it
//! goes to if nobody does, and which lawful exceptions are checked first. A [`lead`] is a match that
//! somebody must act on: a list of events, and what follows from them. Its [`clock`]s and the [`ruling`]s
//! that keep a match from being raised again follow from events and a moment alone.
//! [`calibrate`] learns weights from outcomes.
//!
//! Everything here is pure: no I/O, no clock, no randomness. Subjects are named here, so nothing of a
//! lead ever leaves the node of the agency that raised it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod calibrate;
pub mod clock;
pub mod event;
pub mod invalid;
pub mod lead;
pub mod people;
pub mod period;
pub mod playbook;
pub mod ruling;

/// QE in millionths as people write it: `1.414`.
pub fn qe(millionths: u32) -> String {
    format!("{}.{:03}", millionths / 1_000_000, millionths / 1_000 % 1_000)
}
