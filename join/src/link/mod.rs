//! Links: events of two data sets that belong together, found by equal keys, about whomever they name.
//!
//! A plain row says something about the subject that its key stands for. A link's row has a key that
//! stands for a *circumstance* (this subject within this interval; this contact; this spelling of a
//! name) and names, sealed, the one it is about. Where two parties have a row with the same key, the
//! gateway opens both: it learns two references and their evidence, and never the time, the contact or
//! the name.
//!
//! - [`seal`]: keys and rows, for nodes
//! - [`merge`]: finds and opens what has equal keys, for the gateway
//! - [`gather`]: adds up what was opened for everyone who is ranked

pub mod gather;
pub mod merge;
pub mod seal;

/// Bytes of a link's row: key, share, sealed reference, sealed evidence; 16 bytes each.
pub const LINK_ROW_BYTES: usize = 64;

/// What one party's row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkEvidence {
    /// 0 to 1,000: the strongest of the events that the row stands for.
    pub strength_thousandths: u16,
    /// Days since 1970-01-01 of the newest of them; 0 without time.
    pub newest_day: u16,
    /// How many events the row stands for; 65,535 means that many or more.
    pub events: u16,
    /// For records of persons, and 0 otherwise: the kind of the key, as [`crate::agreement`] numbers it.
    pub kind: u8,
    /// For records of persons: [`crate::agreement::rarity`] of the key's value at its sender.
    pub rarity: u8,
    /// For records of persons: the fields that the record has, a bit each. For events at a place:
    /// what [`seal::LinkKeys::places`] calls it.
    pub fields: u16,
}

/// An opened row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPiece {
    /// What its sender calls the one whom the row is about: a plain join key, or a record's pseudonym.
    pub reference: u128,
    /// What it says.
    pub evidence: LinkEvidence,
}

#[cfg(test)]
mod tests;
