//! Tracks of devices measured against designated corridors.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod corridor;
pub mod geometry;

pub use corridor::{Corridor, CorridorError, CorridorId, Corridors};
