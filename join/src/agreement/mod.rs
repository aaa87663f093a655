//! Persons despite errors: from which keys two records agree on, how likely they are one person.
//!
//! Each record of two data sets gives a few dozen keys of different *kinds* (`sallyport-person` makes
//! them, at the nodes). Where both sides have an equal key, both rows open, and say: which record, which
//! kind, how rare that value is at its sender, which fields the record has at all. From these alone,
//! and without labels, this module computes
//!
//! 1. [`gather`]: the pairs of records that may be one person, and the pattern in which they agree;
//! 2. [`chance`]: how often each agreement comes by chance (the u of Fellegi and Sunter), counted;
//! 3. [`model`]: how often it comes between records of one person (the m), by expectation maximisation;
//!    which agreements come together ([`dependence`]); the weight of each pair in bits and its probability;
//! 4. [`choose`]: which pairs are links, at a threshold that the probabilities themselves give.
//!
//! [`link`] is all of it. Nothing here can hold a name, a date or a place: kinds are numbers, and what
//! they mean to a [`Scheme`] is a field's number and a level. No I/O, no clock, no randomness.
//!
//! Sources: Newcombe et al., Science 130 (1959), for the weight of rare values; Fellegi, Sunter, "A
//! Theory for Record Linkage", JASA 64 (1969); Dempster, Laird, Rubin, "Maximum Likelihood from
//! Incomplete Data via the EM Algorithm", JRSS B 39 (1977); Winkler, "Using the EM Algorithm for Weight
//! Computation in the Fellegi-Sunter Model" (1988) and "Frequency-Based Matching" (2000).

pub mod chance;
pub mod choose;
pub mod compare;
pub mod dependence;
pub mod gather;
mod index;
pub mod model;
pub mod scheme;

pub use chance::Chance;
pub use choose::{Choice, Link, PAIR_BITS_MIN, Resolution};
pub use compare::{Observed, Pair, Pattern};
pub use dependence::Dependence;
pub use gather::{Gatherer, KeyRow, Limits, Report, rarity};
pub use model::Model;
pub use scheme::Scheme;

/// Fields of a scheme, at most: a record's fields are bits of a `u16`.
pub const FIELDS_MAX: usize = 16;

/// Levels of a field, at most; 0 is disagreement.
pub const LEVELS_MAX: usize = 16;

/// What came of linking two data sets.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Links, most probable first.
    pub links: Vec<Link>,
    /// Pairs below the threshold, of which each is more than one in a thousand probable.
    pub below: Vec<Link>,
    /// Patterns of agreement, as links number them.
    pub patterns: Vec<Pattern>,
    /// The threshold and what to expect of it.
    pub choice: Choice,
    /// The parameters that were found.
    pub model: Model,
    /// What was compared and what was left out.
    pub report: Report,
}

/// Links two data sets whose opened rows `gatherer` holds.
pub fn link(gatherer: Gatherer, resolution: Resolution) -> Linked {
    link_observed(gatherer.finish(), resolution)
}

/// Links two data sets that were compared.
pub fn link_observed(observed: Observed, resolution: Resolution) -> Linked {
    let model = Model::fit(&observed);
    let (links, below, choice) = choose::choose(&observed, &model, resolution);
    Linked { links, below, patterns: observed.patterns, choice, model, report: observed.report }
}

#[cfg(test)]
mod tests;
