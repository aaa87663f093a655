//! Rows by record: what a pair is compared with.

/// A row as it is kept: 12 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// Number of the record in the order in which records appeared.
    pub(super) record: u32,
    /// Number of the key in the order in which keys came.
    pub(super) key: u32,
    pub(super) kind: u8,
    pub(super) rarity: u8,
}

/// The rows of each record of one side, in the order of their keys.
#[derive(Debug)]
pub(super) struct ByRecord {
    rows: Vec<Stored>,
    starts: Vec<u32>,
    present: Vec<u16>,
}

impl ByRecord {
    pub(super) fn new(rows: &[Stored], present: &[u16]) -> Self {
        let mut rows = rows.to_vec();
        rows.sort_unstable_by_key(|row| (row.record, row.key, row.kind));
        let mut starts = vec![0u32; present.len() + 1];
        for row in &rows {
            starts[row.record as usize + 1] += 1;
        }
        for record in 0..present.len() {
            starts[record + 1] += starts[record];
        }
        Self { rows, starts, present: present.to_vec() }
    }

    pub(super) fn records(&self) -> u32 {
        self.present.len() as u32
    }

    pub(super) fn rows(&self, record: u32) -> &[Stored] {
        let record = record as usize;
        &self.rows[self.starts[record] as usize..self.starts[record + 1] as usize]
    }

    pub(super) fn present(&self, record: u32) -> u16 {
        self.present[record as usize]
    }

    /// Records that have the field.
    pub(super) fn having(&self, field: usize) -> u64 {
        self.present.iter().filter(|present| *present >> field & 1 == 1).count() as u64
    }
}
