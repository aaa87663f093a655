//! The one join: keys that are fresh for every question, evidence that opens only on a match, and the
//! merge that finds the matches.
//!
//! Everything here is pure: no I/O, no clock, no randomness. [`keys`] is for nodes, which share the
//! epoch's secret; [`merge`] is for the gateway, which has no secret and opens a row's evidence only
//! when at least t data sets have sent their shares of it. No type here holds an identifier; the
//! place of a [`tally::Cell`] is a name that nodes alone seal and open.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agreement;
pub mod entity;
pub mod evidence;
pub mod field;
pub mod interval;
pub mod keys;
pub mod link;
pub mod merge;
pub mod row;
pub mod score;
pub mod tally;
