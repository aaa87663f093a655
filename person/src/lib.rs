//! Persons despite errors: the blocking keys of a person's record.
//!
//! Agencies compare nothing but the equality of keys. So that a misspelt name or a slipped digit
//! still meets its person, each record gives a few dozen [`keys`]: exact forms, and coarser forms that
//! the usual errors leave as they are. Each is tagged like any identifier. Which of them agree, and
//! how rare they are, is all that is ever compared; `sallyport_join::agreement` makes a weight of it.
//!
//! Everything here is pure: no I/O, no clock, no randomness, and no parameter that comes from a data
//! set. Nothing here decides whether two records are one person, and nothing here leaves a node but
//! as a tag.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod birth;
pub mod diminutive;
pub mod keys;
pub mod kind;
pub mod minhash;
pub mod phonetic;
pub mod record;
pub mod text;
pub mod translit;

pub use birth::{BirthDate, DateOrder};
pub use keys::{KEYS_MAX, Key, Keys, keys};
pub use kind::Kind;
pub use record::PersonRecord;
