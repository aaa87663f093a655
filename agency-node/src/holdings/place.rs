//! Where rows were: each one's cell, numbered as identifiers are, together with the cells next to it.
//!
//! The cells around are numbered and tagged although no row is in them: a meeting may be just across. So are
//! the cells that stand for their areas, by whose tags different places are told apart.

use std::collections::HashMap;

use arrow::array::{StringArray, UInt32Array};

use super::Subjects;
use crate::identifier::{Canonical, Cell, Context, IdentifierType, canonicalise};

/// What the prepared rows, the manifest and the subjects' tables call cells.
pub(crate) const CELL: &str = "cell";

/// Numbers the cells of a data set while it is prepared.
#[derive(Default)]
pub(super) struct Places {
    numbers: HashMap<Cell, Option<u32>>,
    /// Rows whose place is missing or none.
    pub(super) unusable: u64,
}

impl Places {
    /// The rows' cells; nothing for a row without a usable place.
    pub(super) fn numbers(
        &mut self,
        (latitudes, longitudes): (&StringArray, &StringArray),
        table: &mut Subjects,
    ) -> UInt32Array {
        let numbers = latitudes.iter().zip(longitudes).map(|(latitude, longitude)| {
            let cell = latitude.zip(longitude).and_then(read);
            self.unusable += u64::from(cell.is_none());
            *self.numbers.entry(cell?).or_insert_with_key(|cell| number(*cell, table))
        });
        numbers.collect()
    }

    /// How many there are, without those around.
    pub(super) fn different(&self) -> u64 {
        self.numbers.len() as u64
    }
}

fn read((latitude, longitude): (&str, &str)) -> Option<Cell> {
    Cell::at(latitude.parse().ok()?, longitude.parse().ok()?)
}

/// The cell's number, after those around and their areas have theirs.
fn number(cell: Cell, table: &mut Subjects) -> Option<u32> {
    for near in cell.with_neighbours() {
        table.add(canonical(near)?);
        table.add(canonical(near.area())?);
    }
    table.number(&canonical(cell)?)
}

fn canonical(cell: Cell) -> Option<Canonical> {
    canonicalise(IdentifierType::Cell, &cell.spelling(), &Context::default()).ok()
}

/// A cell and those next to it, itself first, each with the area that it belongs to.
pub(super) fn near(cells: &Subjects, number: u32) -> Vec<(u32, u32)> {
    let cell = cells.identifier(number).and_then(Cell::of);
    let near = cell.into_iter().flat_map(Cell::with_neighbours);
    near.filter_map(|near| Some((cells.number(&canonical(near)?)?, cells.number(&canonical(near.area())?)?))).collect()
}
