//! A playbook: what a match of a pattern or a watch obliges people to do.
//!
//! It is written as TOML, [checked](check) whole before it is used, and never used in part. Whoever asks
//! [`Playbooks::covering`] gets a playbook without a gap, or a sentence that says what is missing.

mod chain;
mod check;
mod plan;
mod ranges;
mod written;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use plan::exception_for;
pub use plan::{Exception, Plan, Step};

use crate::{
    invalid::Invalid,
    people::{Actor, People},
};

/// Playbooks of one agency, at most.
pub const PLAYBOOKS_MAX: usize = 1_000;
/// Bytes of one playbook, at most.
pub const PLAYBOOK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one text in a playbook, at most.
pub const TEXT_BYTES_MAX: usize = 500;

/// A playbook that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playbook {
    /// Its name among the agency's playbooks.
    pub name: String,
    /// What it is about, for people.
    pub title: String,
    /// Patterns that it covers, as `AGENCY.NAME`, whatever their version.
    pub patterns: Vec<String>,
    /// Watches that it covers.
    pub watches: Vec<String>,
    /// Severities from the mildest on; they meet without a gap.
    bands: Vec<Band>,
}

/// A range of scores and what they oblige to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Band {
    /// In millionths, itself included.
    from_qe: u32,
    plan: Plan,
}

impl Playbook {
    /// What a match of this score obliges to; nothing below the score that the playbook raises from.
    pub fn plan(&self, qe_millionths: u32) -> Option<&Plan> {
        self.bands.iter().rev().find(|band| band.from_qe <= qe_millionths).map(|band| &band.plan)
    }

    /// The exception of this name, if the actor may say whether it holds.
    ///
    /// # Errors
    /// [`Invalid`] when there is none, or somebody else says it.
    pub fn exception(&self, name: &str, by: &Actor) -> Result<&Exception, Invalid> {
        plan::exception_for(self.exceptions(), name, by)
    }

    /// The lawful exceptions that it has checked.
    pub fn exceptions(&self) -> &[Exception] {
        self.bands.first().map_or(&[], |band| &band.plan.exceptions)
    }

    /// The lowest score that raises a lead, in millionths.
    pub fn raises_from(&self) -> u32 {
        self.bands.first().map_or(0, |band| band.from_qe)
    }
}

/// What needs a playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered<'a> {
    /// A watch by its name, with the pattern that it asks if it asks one. A playbook for the watch goes
    /// before one for the pattern.
    Watch(&'a str, Option<&'a str>),
    /// A pattern as `AGENCY.NAME`, with or without `@VERSION`.
    Pattern(&'a str),
    /// A playbook by its own name, as a person chose it.
    Named(&'a str),
}

/// Nothing covers what was named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Uncovered(pub String);

impl Uncovered {
    /// Stable reason in `snake_case`.
    pub const REASON: &str = "playbook_missing";
}

/// All playbooks of an agency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playbooks(Vec<Playbook>);

impl Playbooks {
    /// Reads and checks playbooks, each with its file's name. Persons and roles are looked up among
    /// `people`; without them they are taken as written.
    ///
    /// # Errors
    /// Every problem of every playbook; no playbook is used then.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        people: Option<&People>,
    ) -> Result<Self, Vec<Problem>> {
        check::read(files, people).map(Self)
    }

    /// All of them, in the order of their files.
    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.0.iter()
    }

    /// The playbook that covers this.
    ///
    /// # Errors
    /// What to write so that it is covered.
    pub fn covering(&self, what: Covered<'_>) -> Result<&Playbook, Uncovered> {
        let of_watch = |name: &str| self.0.iter().find(|book| book.watches.iter().any(|watch| watch == name));
        let of_pattern = |name: &str| {
            let unversioned = name.split_once('@').map_or(name, |(name, _)| name);
            self.0.iter().find(|book| book.patterns.iter().any(|pattern| pattern == unversioned))
        };
        let found = match what {
            Covered::Watch(watch, pattern) => of_watch(watch).or_else(|| pattern.and_then(of_pattern)),
            Covered::Pattern(pattern) => of_pattern(pattern),
            Covered::Named(name) => self.0.iter().find(|book| book.name == name),
        };
        found.ok_or_else(|| uncovered(what))
    }
}

fn uncovered(what: Covered<'_>) -> Uncovered {
    Uncovered(match what {
        Covered::Watch(watch, None) => format!(
            "No playbook covers the watch `{watch}`: write one with watches = [\"{watch}\"] that says who acts, what \
             they do and by when."
        ),
        Covered::Watch(watch, Some(pattern)) => format!(
            "No playbook covers the watch `{watch}` or its pattern `{pattern}`: write one with watches = \
             [\"{watch}\"] that says who acts, what they do and by when."
        ),
        Covered::Pattern(pattern) => format!(
            "No playbook covers the pattern `{pattern}`: write one with patterns = [\"{pattern}\"] that says who acts, \
             what they do and by when."
        ),
        Covered::Named(name) => {
            format!("There is no playbook `{name}`; `sallyport playbook check` lists those that there are.")
        }
    })
}

/// What is wrong with a playbook, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in it, such as ``severity `high` ``; empty for the whole.
    pub place: String,
    /// Stable reason in `snake_case`.
    pub reason: &'static str,
    /// What is wrong and what to write.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.place.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{colon}{}", self.file, self.place, self.message)
    }
}
