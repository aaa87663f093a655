//! The gateway: plans a question, fans it out, joins what comes back, scores it and returns the best.
//!
//! It holds no agency data and no linkage key. Nothing here can hold an identifier of a subject: there
//! is no type for one. What does not match is neither stored nor logged nor returned.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod ask;
mod catalog;
mod config;
mod contributors;
mod counts;
mod links;
mod persons;
mod relay;
mod reload;
mod rpc;
mod run;
mod streams;
mod witness;

pub use config::{Config, NodeAddress};
pub use run::{RunError, run};
