//! An agency's node: it holds the agency's own data, decides about every question itself, and is the
//! only place where a score meets a name, its own agency's.
//!
//! What may leave a node is a closed list: `contribute` sends sealed rows, `reveal` the evidence of records
//! of persons that are in enough data sets, `describe` what can be asked, `linkage` blinded points and
//! sealed contributions, `ask` a signed question, `consent` what became of held questions, `feed`
//! to a partner what became of its own points, and `desk` answers to the agency's own people. Record types
//! cannot be serialised.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod about;
mod account;
mod ask;
mod awaited;
mod behaviour;
mod books;
mod budget;
mod change;
mod config;
mod consent;
mod contribute;
mod counts;
mod dataset;
mod describe;
mod disclosure;
mod disk;
mod feed;
mod folder;
mod history;
mod holdings;
mod housekeeping;
pub mod identifier;
mod leads;
mod link;
pub mod linkage;
mod lookup;
mod node;
mod operate;
mod patterns;
pub mod positions;
pub mod pseudonym;
mod receipt;
mod refresh;
mod resolve;
mod reveal;
mod rpc;
mod run;
mod secret;
mod settle;
mod tracks;
mod watches;
mod witness;

pub use budget::Budget;
pub use config::{Config, ConfigError, Person};
pub use feed::{FeedSettings, FeedSettingsError};
pub use leads::LeadSettings;
pub use run::{RunError, run};
pub use sallyport_lead::period::{NoPeriod, Period};
pub use tracks::{TrackSettings, track_point};

pub(crate) use sallyport_lead::period;
