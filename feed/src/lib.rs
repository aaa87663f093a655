//! Position feeds: what a partner's file or stream says, read, judged and never trusted.
//!
//! Everything here is pure: no I/O of its own, no clock (the present moment is an argument), and nothing
//! that a bad record can make panic or grow. A bad record is refused with its [`Reason`]; it never takes
//! its neighbours with it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod position;
pub mod reason;

pub use position::{Position, Seal};
pub use reason::{Reason, RefusedPoint};
