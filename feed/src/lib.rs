//! Position feeds: what a partner's file or stream says, read, judged and never trusted.
//!
//! - [`format`]: files and streams → records, each a position or a reason for which it is refused
//! - [`plausibility`]: whether a position can be; state per device, bounded
//! - [`devices`]: for which devices a partner may send
//!
//! Everything here is pure: it reads from what it is given, has no clock (the present moment is an
//! argument), and nothing that a bad record can make panic or grow. A bad record is refused with its
//! [`Reason`]; it never takes its neighbours with it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod devices;
pub mod format;
mod lines;
pub mod plausibility;
pub mod position;
pub mod reason;

pub use devices::Devices;
pub use format::{Format, Reader, Reading, Record};
pub use plausibility::{Bounds, Plausibility};
pub use position::{Position, Seal};
pub use reason::{Reason, RefusedPoint};

/// Positions in one batch, at most.
pub const BATCH_POSITIONS_MAX: usize = 1000;
