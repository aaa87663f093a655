//! Adds up rows of equal cells. For the gateway, which has no key and reads neither names nor counts.

use std::collections::BTreeMap;

use super::{
    CELLS_MAX, PARTS_MAX, SUMS_MAX,
    row::{NAME_BYTES, Row, SUM_BYTES, TALLY_ROW_BYTES},
};

/// Why a part's rows are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not whole rows.
    #[error("rows are cut off")]
    Cut,
    /// A key that is not above the one before it.
    #[error("rows are out of order or double")]
    Order,
    /// More rows than a part, or cells than an answer, may have.
    #[error("there are more than {CELLS_MAX} cells; ask about longer periods, a shorter time, or fewer places")]
    TooMany,
    /// No question has this part.
    #[error("the question has no such part")]
    Part,
}

/// One part's rows as they come.
#[derive(Debug, Default)]
pub struct Part {
    rows: Vec<Row>,
}

impl Part {
    /// Takes some more rows.
    ///
    /// # Errors
    /// [`Fault`]; the part is then of no use.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let rows = bytes.chunks_exact(TALLY_ROW_BYTES);
        if !rows.remainder().is_empty() {
            return Err(Fault::Cut);
        }
        for row in rows {
            let row = Row::read(row).ok_or(Fault::Cut)?;
            if self.rows.last().is_some_and(|last| last.key >= row.key) {
                return Err(Fault::Order);
            }
            // One of them counts the others.
            if self.rows.len() > CELLS_MAX {
                return Err(Fault::TooMany);
            }
            self.rows.push(row);
        }
        Ok(())
    }

    /// How many there are.
    pub fn rows(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// Sums by cell. A row with another name under the same key is another cell: one of the two is false, and the
/// home node can tell which.
#[derive(Debug, Default)]
pub struct Sums(BTreeMap<Sealed, Sum>);

/// Key and sealed name.
type Sealed = ([u8; 16], [u8; NAME_BYTES]);

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    count: u64,
    proof: u128,
    parts: u32,
}

impl Sums {
    /// Adds a part that came whole, or nothing of it.
    ///
    /// # Errors
    /// [`Fault`] when there are too many cells, or the part stands in the sums already.
    pub fn add(&mut self, part: usize, rows: &Part) -> Result<(), Fault> {
        let bit = 1u32 << u32::try_from(part).ok().filter(|_| part < PARTS_MAX).ok_or(Fault::Part)?;
        if self.0.values().any(|sum| sum.parts & bit != 0) {
            return Err(Fault::Part);
        }
        let new = rows.rows.iter().filter(|row| !self.0.contains_key(&(row.key, row.name))).count();
        if self.0.len() + new > SUMS_MAX {
            return Err(Fault::TooMany);
        }
        for row in &rows.rows {
            let sum = self.0.entry((row.key, row.name)).or_default();
            sum.count = sum.count.wrapping_add(row.count);
            sum.proof = sum.proof.wrapping_add(row.proof);
            sum.parts |= bit;
        }
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The sums on their way to the home node, in order of their keys, cut into pieces of whole sums.
    pub fn pieces(&self, sums: usize) -> Vec<Vec<u8>> {
        let all: Vec<_> = self.0.iter().collect();
        let piece = |chunk: &[(&Sealed, &Sum)]| {
            let mut bytes = Vec::with_capacity(chunk.len() * SUM_BYTES);
            for ((key, name), sum) in chunk {
                Row { key: *key, name: *name, count: sum.count, proof: sum.proof }.write(&mut bytes);
                bytes.extend_from_slice(&sum.parts.to_be_bytes());
            }
            bytes
        };
        all.chunks(sums.max(1)).map(piece).collect()
    }
}
