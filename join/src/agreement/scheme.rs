//! What kinds of keys mean to the weight: which field agrees, and at which level.
//!
//! Kinds within a field are correlated (names that are equal sound equal), so a field counts once, at
//! the best level that agrees. Kinds without a field find pairs and say nothing more.

use super::{FIELDS_MAX, LEVELS_MAX};
use crate::entity::{IDENTIFIER_KINDS_FROM, IDENTIFIERS};

/// Kinds are numbers below this.
pub const KINDS_MAX: usize = 64;

/// The field of identifiers that agree: of which type says the level, from 1. It is never absent and
/// never disagrees, as another telephone says nothing; so no record has its bit.
pub const IDENTIFIER_FIELD: u8 = 15;

/// A field at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// 0 to [`FIELDS_MAX`] − 1.
    pub field: u8,
    /// 1 (weakest agreement) to [`LEVELS_MAX`] − 1.
    pub level: u8,
}

/// The meaning of kinds and of two different kinds that agree.
#[derive(Debug, Clone)]
pub struct Scheme {
    fields: Vec<&'static str>,
    /// Meaning of [kind at the left][kind at the right].
    places: Vec<[Option<Place>; KINDS_MAX]>,
    finds_pairs: [bool; KINDS_MAX],
}

impl Scheme {
    /// A scheme with these fields, at most [`FIELDS_MAX`], and no kinds yet.
    pub fn new(fields: &[&'static str]) -> Self {
        let fields = fields.iter().copied().take(FIELDS_MAX).collect();
        Self { fields, places: vec![[None; KINDS_MAX]; KINDS_MAX], finds_pairs: [false; KINDS_MAX] }
    }

    /// `kind` at both sides means that `field` agrees at `level`; common enough values excepted, it
    /// finds pairs. Numbers out of range are ignored.
    pub fn kind(mut self, kind: u8, field: u8, level: u8) -> Self {
        self.set(kind, kind, field, level);
        if let Some(finds) = self.finds_pairs.get_mut(usize::from(kind)) {
            *finds = true;
        }
        self
    }

    /// `kind` finds pairs and belongs to no field.
    pub fn finder(mut self, kind: u8) -> Self {
        if let Some(finds) = self.finds_pairs.get_mut(usize::from(kind)) {
            *finds = true;
        }
        self
    }

    /// `kind` compares pairs that others found, and finds none.
    pub fn comparer(mut self, kind: u8, field: u8, level: u8) -> Self {
        self.set(kind, kind, field, level);
        self
    }

    /// `left` at the left and `right` at the right: what stands in one field agrees with what stands
    /// in another at the other side.
    pub fn crossed(mut self, left: u8, right: u8, field: u8, level: u8) -> Self {
        self.set(left, right, field, level);
        self
    }

    fn set(&mut self, left: u8, right: u8, field: u8, level: u8) {
        let valid = usize::from(field) < self.fields.len() && (1..LEVELS_MAX).contains(&usize::from(level));
        let slot = self.places.get_mut(usize::from(left)).and_then(|row| row.get_mut(usize::from(right)));
        if let Some(slot) = slot.filter(|_| valid) {
            *slot = Some(Place { field, level });
        }
    }

    /// What it means that a key of kind `left` equals one of kind `right`.
    pub fn place(&self, left: u8, right: u8) -> Option<Place> {
        *self.places.get(usize::from(left))?.get(usize::from(right))?
    }

    /// Whether an equal key of this kind makes a pair worth comparing.
    pub fn finds_pairs(&self, kind: u8) -> bool {
        self.finds_pairs.get(usize::from(kind)).copied().unwrap_or(false)
    }

    /// Names of the fields, by number.
    pub fn fields(&self) -> &[&'static str] {
        &self.fields
    }

    /// The fields' bits of a record with keys of these kinds: what a node puts into its rows.
    pub fn present(&self, kinds: impl IntoIterator<Item = u8>) -> u16 {
        let places = kinds.into_iter().filter_map(|kind| self.place(kind, kind));
        let places = places.filter(|place| place.field != IDENTIFIER_FIELD);
        places.fold(0, |present, place| present | 1 << place.field)
    }

    /// The scheme of `sallyport-person`'s kinds; a test there holds the two together.
    pub fn persons() -> Self {
        let identifiers = (IDENTIFIER_KINDS_FROM..).zip(1u8..).take(IDENTIFIERS.len());
        let scheme = Self::new(&FIELDS);
        let scheme = identifiers.fold(scheme, |scheme, (kind, level)| scheme.kind(kind, IDENTIFIER_FIELD, level));
        let scheme = KINDS.iter().fold(scheme, |scheme, (kind, field, level)| scheme.kind(*kind, *field, *level));
        let scheme =
            CROSSED.iter().fold(scheme, |scheme, (left, right, place)| scheme.crossed(*left, *right, place.0, place.1));
        let scheme =
            COMPARERS.iter().fold(scheme, |scheme, (kind, field, level)| scheme.comparer(*kind, *field, *level));
        FINDERS.into_iter().fold(scheme, Self::finder)
    }
}

/// Fields of a person's record.
const FIELDS: [&str; 16] = [
    "given name",
    "surname",
    "birth date",
    "sex",
    "street number",
    "street",
    "premises",
    "town",
    "postcode",
    "region",
    "document",
    "birth place",
    "occupation",
    "contact",
    "further name",
    "identifier",
];

/// Kind, field, level.
#[rustfmt::skip]
const KINDS: [(u8, u8, u8); 37] = [
    // Given name: whole, root, sound, beginning, end.
    (0, 0, 6), (1, 0, 5), (2, 0, 3), (3, 0, 2), (4, 0, 1),
    // Surname: whole, sound, beginning, end; further name.
    (5, 1, 6), (6, 1, 3), (7, 1, 2), (8, 1, 1), (9, 14, 1),
    // Birth date: whole, transposed, year and day, year and month, month and day.
    (10, 2, 5), (11, 2, 4), (13, 2, 3), (12, 2, 2), (14, 2, 1),
    // Street number; street: whole, end, beginning; premises: whole, beginning.
    (16, 4, 1), (17, 5, 4), (19, 5, 2), (18, 5, 1), (20, 6, 4), (21, 6, 1),
    // Town, postcode.
    (22, 7, 3), (24, 7, 2), (23, 7, 1), (25, 8, 3), (26, 8, 2), (27, 8, 1),
    // Document, birth place, occupation, contact.
    (29, 10, 3), (30, 10, 2), (31, 10, 1), (32, 11, 2), (33, 11, 1), (34, 12, 2), (35, 12, 1),
    (36, 13, 3), (38, 13, 2), (37, 13, 1),
];

/// Left kind, right kind, and field and level: what stands at another place of the other record.
#[rustfmt::skip]
const CROSSED: [(u8, u8, (u8, u8)); 8] = [
    // Given name with surname and further name, and the other way round.
    (0, 5, (0, 4)), (0, 9, (0, 4)), (9, 0, (0, 4)),
    (5, 0, (1, 4)), (5, 9, (1, 4)), (9, 5, (1, 4)),
    // Street with premises.
    (17, 20, (5, 3)), (20, 17, (6, 3)),
];

/// Kind, field, level: sex and region.
const COMPARERS: [(u8, u8, u8); 2] = [(15, 3, 1), (28, 9, 1)];

/// Kinds that join fields.
const FINDERS: [u8; 5] = [39, 40, 41, 42, 43];
