//! The product as its users meet it: real processes, certificates, files and sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "end_to_end/answers.rs"]
mod answers;
#[path = "end_to_end/auditors.rs"]
mod auditors;
#[path = "end_to_end/budgets.rs"]
mod budgets;
#[path = "end_to_end/calibrate.rs"]
mod calibrate;
#[path = "end_to_end/consent.rs"]
mod consent;
#[path = "end_to_end/corridors.rs"]
mod corridors;
#[path = "end_to_end/deviations.rs"]
mod deviations;
#[path = "end_to_end/entries.rs"]
mod entries;
#[path = "end_to_end/faults.rs"]
mod faults;
#[path = "end_to_end/federation.rs"]
mod federation;
#[path = "end_to_end/feeds.rs"]
mod feeds;
#[path = "end_to_end/leads.rs"]
mod leads;
#[path = "end_to_end/life.rs"]
mod life;
#[path = "end_to_end/meetings.rs"]
mod meetings;
#[path = "end_to_end/members.rs"]
mod members;
#[path = "end_to_end/patterns.rs"]
mod patterns;
#[path = "end_to_end/persons.rs"]
mod persons;
#[path = "end_to_end/policy.rs"]
mod policy;
#[path = "end_to_end/receipts.rs"]
mod receipts;
#[path = "end_to_end/relations.rs"]
mod relations;
#[path = "end_to_end/shifts.rs"]
mod shifts;
#[path = "end_to_end/watches.rs"]
mod watches;
#[path = "end_to_end/witnesses.rs"]
mod witnesses;
