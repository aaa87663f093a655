//! What Sallyport does when somebody means harm or makes a mistake: real processes, real certificates,
//! real sockets. Nothing here shares code with the product but its clients and its certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "hostile/answers.rs"]
mod answers;
#[path = "hostile/attacker.rs"]
mod attacker;
#[path = "hostile/bad_configuration.rs"]
mod bad_configuration;
#[path = "hostile/bad_questions.rs"]
mod bad_questions;
#[path = "hostile/certificates.rs"]
mod certificates;
#[path = "hostile/consent.rs"]
mod consent;
#[path = "hostile/counts.rs"]
mod counts;
#[path = "hostile/dependencies.rs"]
mod dependencies;
#[path = "end_to_end/entries.rs"]
mod entries;
#[path = "hostile/forgeries.rs"]
mod forgeries;
#[path = "hostile/liars.rs"]
mod liars;
#[path = "hostile/pipes.rs"]
mod pipes;
#[path = "hostile/policies.rs"]
mod policies;
#[path = "hostile/privacy.rs"]
mod privacy;
#[path = "hostile/recorder.rs"]
mod recorder;
#[path = "hostile/roles.rs"]
mod roles;
#[path = "hostile/scan.rs"]
mod scan;
#[path = "hostile/signatures.rs"]
mod signatures;
#[path = "hostile/sockets.rs"]
mod sockets;
#[path = "hostile/world.rs"]
mod world;
