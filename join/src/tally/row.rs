//! What counts look like on their way.

/// Bytes of a place's name, at most.
pub const PLACE_BYTES_MAX: usize = 32;
/// Events in one cell of one part, at most: sums of all parts stay far from the end of 64 bits.
pub const COUNT_MAX: u64 = 1 << 48;
/// Bytes of a row: key, sealed name, hidden count, hidden proof.
pub const TALLY_ROW_BYTES: usize = 16 + NAME_BYTES + 8 + 16;
/// Bytes of a sum: a row, and the parts in it as bits.
pub const SUM_BYTES: usize = TALLY_ROW_BYTES + 4;
/// Bytes of a cell's name: length and place, padded, and the period. Three blocks less what no name needs.
pub(super) const NAME_BYTES: usize = 40;

/// A place in a period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// What the data call the place.
    pub place: String,
    /// The day on which the period begins, counted from 1970-01-01.
    pub begin: i32,
}

impl Cell {
    /// The name in its fixed form; nothing for a place without a name, or with one that is too long.
    pub(super) fn name(&self) -> Option<[u8; NAME_BYTES]> {
        let place = self.place.as_bytes();
        if place.is_empty() || place.len() > PLACE_BYTES_MAX {
            return None;
        }
        let mut name = [0; NAME_BYTES];
        name[0] = place.len() as u8;
        name[1..=place.len()].copy_from_slice(place);
        name[NAME_BYTES - 4..].copy_from_slice(&self.begin.to_be_bytes());
        Some(name)
    }

    /// The cell of a name; nothing when it is in no such form.
    pub(super) fn named(name: &[u8; NAME_BYTES]) -> Option<Self> {
        let place = name.get(1..=usize::from(name[0]))?;
        let begin = i32::from_be_bytes(name[NAME_BYTES - 4..].try_into().ok()?);
        let cell = Self { place: String::from_utf8(place.to_vec()).ok()?, begin };
        (cell.name()? == *name && !cell.place.chars().any(char::is_control)).then_some(cell)
    }
}

/// What stands in place of a name in the row that counts a part's cells; no cell has such a name.
pub(super) fn whole(part: u8) -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    name[NAME_BYTES - 1] = part;
    name
}

/// A row as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: [u8; 16],
    pub(super) name: [u8; NAME_BYTES],
    pub(super) count: u64,
    pub(super) proof: u128,
}

impl Row {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<16>()?;
        let (name, rest) = rest.split_first_chunk::<NAME_BYTES>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let (proof, rest) = rest.split_first_chunk::<16>()?;
        let (count, proof) = (u64::from_be_bytes(*count), u128::from_be_bytes(*proof));
        rest.is_empty().then_some(Self { key: *key, name: *name, count, proof })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.name);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.proof.to_be_bytes());
    }
}
