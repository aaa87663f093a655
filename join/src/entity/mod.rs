//! Entities: records of several data sets that are one subject's, through whatever connects them.
//!
//! A record has several keys: its identifiers (a phone, a plate, a document) and the
//! [`crate::agreement`] keys of a person's name, birth date and place. Two agencies that share no
//! identifier meet through a third that holds two of them.
//!
//! - [`collect`]: takes what opened, key by key, and keeps what connects
//! - [`group`]: joins records along their bonds, the surest first, within bounds that are reported
//!
//! Keys open at two data sets; how many data sets an entity must span is applied to the whole entity.
//! Nothing here can hold an identifier, a name or a time. No I/O, no clock, no randomness.

pub mod collect;
pub mod group;

use crate::agreement::{FIELDS_MAX, Pattern, scheme::IDENTIFIER_FIELD};

/// What connects records: identifiers and fields of a person, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections(u32);

/// Types of identifiers, by number; kinds of keys from [`IDENTIFIER_KINDS_FROM`] on.
pub const IDENTIFIERS: [&str; 7] = ["phone", "plate", "vin", "passport", "container", "usdot", "device"];

/// The kind of a key that is the first type of [`IDENTIFIERS`]; the others follow.
pub const IDENTIFIER_KINDS_FROM: u8 = 56;

impl Connections {
    /// An identifier of this kind is the same.
    pub fn identifier(kind: u8) -> Self {
        Self(1 << (FIELDS_MAX + usize::from(kind.saturating_sub(IDENTIFIER_KINDS_FROM)).min(15)))
    }

    /// The fields that agree.
    pub fn agreeing(pattern: &Pattern) -> Self {
        let fields = (0..FIELDS_MAX).filter(|&field| pattern.levels[field] > 0);
        let bits = fields.map(|field| match usize::from(IDENTIFIER_FIELD) == field {
            true => Self::identifier(IDENTIFIER_KINDS_FROM + pattern.levels[field] - 1).0,
            false => 1 << field,
        });
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In words, identifiers first.
    pub fn names(self, fields: &[&'static str]) -> Vec<&'static str> {
        let identifiers = IDENTIFIERS.iter().zip(FIELDS_MAX..);
        let named = identifiers.chain(fields.iter().zip(0..));
        named.filter(|(_, bit)| self.0 >> bit & 1 == 1).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests;
