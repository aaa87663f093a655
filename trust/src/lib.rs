//! What the gateway and the nodes share: who someone is, what they may do, what is written down about
//! it, and how a question looks. It holds no data and starts no work of its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod audit;
pub mod auditing;
pub mod clock;
pub mod error;
pub mod guard;
pub mod identity;
pub mod life;
pub mod observe;
pub mod operator_file;
pub mod policy;
pub mod policy_life;
pub mod question;
pub mod receipt;
mod refusals;
pub mod serve;
pub mod witnessing;
