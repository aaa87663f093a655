//! Tracks of devices measured against designated corridors.
//!
//! A corridor is a line with a width and with zones where standing is allowed. Each device that has
//! [joined](tracker) one is measured, point by point, until it arrives: whether it left it, stood where
//! it may not, fell silent, is overdue, or had its seal opened. The [model of noise](noise) says how much a
//! fix proves; the [events](event) say how strong what was found is.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no parameter that comes from a data set. Nothing here
//! knows who is in bond; that is for a question to join.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod corridor;
pub mod event;
pub mod geometry;
pub mod noise;
mod order;
pub mod picture;
mod plausible;
pub mod point;
mod stay;
pub mod tracker;
mod trip;

pub use corridor::{CORRIDORS_MAX, Corridor, CorridorError, CorridorId, Corridors, FILE_BYTES_MAX};
pub use event::{Kind, TrackEvent};
pub use order::WAIT_MS;
pub use plausible::SPEED_MAX_KMH;
pub use point::{Point, Seal};
pub use tracker::{Ignored, Tracker};
