//! All corridors that a node measures against.

use std::collections::BTreeMap;

use super::{Corridor, CorridorError, CorridorId};

/// Corridors that can be loaded together, all versions counted.
pub const CORRIDORS_MAX: usize = 256;

/// The corridors in force, found by name and version.
#[derive(Debug, Clone, Default)]
pub struct Corridors {
    by_id: BTreeMap<CorridorId, Corridor>,
}

impl Corridors {
    /// Loads corridors from the names and texts of their files: all of them, or none.
    ///
    /// # Errors
    /// Whatever is unclear in a file, two versions of a corridor that are valid at the same time, and
    /// more than [`CORRIDORS_MAX`].
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CorridorError> {
        let mut corridors = Self::default();
        for (file, text) in files {
            let corridor = Corridor::parse(text).map_err(|error| error.of(file))?;
            corridors.add(corridor).map_err(|error| error.of(file))?;
        }
        Ok(corridors)
    }

    /// Adds one corridor.
    ///
    /// # Errors
    /// If another version of it is valid at the same time, or there are too many.
    pub fn add(&mut self, corridor: Corridor) -> Result<(), CorridorError> {
        let overlaps = |other: &Corridor| {
            let begins_before_end = |one: &Corridor, end: Option<i64>| end.is_none_or(|end| one.id.from_ms < end);
            other.id.name == corridor.id.name
                && begins_before_end(other, corridor.until_ms)
                && begins_before_end(&corridor, other.until_ms)
        };
        if self.by_id.values().any(overlaps) {
            return Err(CorridorError::new(
                "validity_overlaps",
                format!(
                    "Another version of `{}` is valid at the same time; end it with `valid_until` where this one begins.",
                    corridor.id.name
                ),
            ));
        }
        if self.by_id.len() >= CORRIDORS_MAX {
            return Err(CorridorError::new(
                "too_many_corridors",
                format!("At most {CORRIDORS_MAX} corridors can be loaded; take away what is no longer valid."),
            ));
        }
        self.by_id.insert(corridor.id.clone(), corridor);
        Ok(())
    }

    /// One corridor's version, if it is loaded.
    pub fn get(&self, id: &CorridorId) -> Option<&Corridor> {
        self.by_id.get(id)
    }

    /// All of them, by name and time.
    pub fn iter(&self) -> impl Iterator<Item = &Corridor> {
        self.by_id.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
