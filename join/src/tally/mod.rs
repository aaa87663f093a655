//! Counts that are added up by whoever can read neither what is counted nor how much.
//!
//! A data set's counts travel as rows, one for each cell: a place in a period. A row's key, and the cell's
//! name sealed under it, are the same at every node of one question, so equal cells meet; the count is hidden
//! by a mask of the question, the part and the cell. The gateway [adds up](sum) rows of equal cells and says
//! which parts are in a sum; the home node, which derives the same keys, [opens](TallyKeys::open) the name and
//! takes the masks away. It learns sums, and a single data set's count where that one alone has the cell. A
//! part that did not come is simply not in a sum.
//!
//! A proof goes with each count: a secret multiple of it under a mask of its own, which adds up alike. Who
//! changes a sum without the question's keys must guess 64 bits. One row more of each part, which looks like the
//! others, counts its cells. So the gateway can leave out a part, and neither change a count nor leave out a cell
//! without being found out.

mod keys;
mod row;
pub mod sum;
#[cfg(test)]
mod tests;

pub use keys::{Opened, OpenedSums, TallyKeys};
pub use row::{COUNT_MAX, Cell, PLACE_BYTES_MAX, SUM_BYTES, TALLY_ROW_BYTES};

/// Parts of a question, at most.
pub const PARTS_MAX: usize = 16;
/// Cells of one part, and of a whole answer, at most.
pub const CELLS_MAX: usize = 100_000;
/// Sums of an answer, at most: of cells, and one for each part that counts its cells.
pub const SUMS_MAX: usize = CELLS_MAX + PARTS_MAX;
