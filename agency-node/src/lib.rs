//! An agency's node: it holds the agency's own data, decides about every question itself, and is the
//! only place where a score meets a name, its own agency's.
//!
//! What may leave a node is a closed list: `contribute` sends sealed rows, `reveal` the evidence of records
//! of persons that are in enough data sets, `describe` what can be asked, `linkage` blinded points and
//! sealed contributions, `ask` a signed question, and `desk` answers to the agency's own people. Record
//! types cannot be serialised.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod ask;
mod behaviour;
mod config;
mod contribute;
mod dataset;
mod describe;
mod history;
mod holdings;
pub mod identifier;
mod link;
pub mod linkage;
mod lookup;
mod node;
pub mod pseudonym;
mod receipt;
mod resolve;
mod reveal;
mod rpc;
mod run;
mod settle;
mod witness;

pub use config::{Config, ConfigError};
pub use run::{RunError, run};
