//! How counts move between places when something changes at one of them. Pure: no I/O, no clock.
//!
//! [`period`] cuts time into days, weeks and months in UTC; [`measure`] compares each place's share of all
//! counts after a change with its shares before it. Nothing here knows where counts come from.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod measure;
pub mod period;

pub use measure::{Direction, SHIFT_FROM_Z, Series, Shift, Shifts, Unmeasurable, measure};
pub use period::{PERIODS_MAX, Period};
