//! Opened rows in, pairs of records with their patterns of agreement out. Bounded in memory and work.
//!
//! A pair is worth comparing when it shares at least one key that finds pairs. Keys are taken from the
//! rarest to the commonest until the budget of [`Limits`] is used; what is left out is reported. Every
//! key that two compared records share counts, also the commonest. A pair whose agreements are together
//! too common for any prior to lift it is not kept.

use std::collections::HashMap;

use super::{
    Scheme,
    chance::Chance,
    compare::{Comparison, Observed},
    index::{ByRecord, Stored},
};

/// Steps of a rarity in one bit.
pub const RARITY_STEPS_PER_BIT: f32 = 8.0;

/// What an opened row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRow {
    /// What its sender calls the record.
    pub record: u128,
    /// Kind of the key.
    pub kind: u8,
    /// [`rarity`] of the key's value at its sender.
    pub rarity: u8,
    /// Fields that the record has, whether they agree or not: [`Scheme::present`].
    pub present: u16,
}

/// Surprise of a value: −log2(count / records) in eighths of a bit, 0 to 255 (31.9 bits).
pub fn rarity(count: u64, records: u64) -> u8 {
    let share = count.max(1) as f64 / records.max(1) as f64;
    (-share.log2() * f64::from(RARITY_STEPS_PER_BIT)).round().clamp(0.0, 255.0) as u8
}

/// What a [`Gatherer`] takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of both sides; 16 bytes each. Later ones are counted and dropped.
    pub rows_max: usize,
    /// Pairs that one key may find.
    pub pairs_per_key_max: u64,
    /// Pairs found by all keys together, those found repeatedly counted each time; 16 bytes each at worst.
    pub pairs_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows_max: 40_000_000, pairs_per_key_max: 20_000, pairs_max: 20_000_000 }
    }
}

/// What was compared and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows taken.
    pub rows: u64,
    /// Rows beyond [`Limits::rows_max`], or of more records than were announced.
    pub rows_refused: u64,
    /// Keys too common to find pairs: they still compare.
    pub keys_skipped: u64,
    /// Pairs that share a key that finds pairs.
    pub pairs_found: u64,
    /// Of them, those whose agreements were rare enough to keep.
    pub pairs_kept: u64,
}

impl Report {
    /// Adds what another comparison did.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.rows_refused += other.rows_refused;
        self.keys_skipped += other.keys_skipped;
        self.pairs_found += other.pairs_found;
        self.pairs_kept += other.pairs_kept;
    }
}

#[derive(Debug, Default)]
struct Side {
    announced: u32,
    numbers: HashMap<u128, u32>,
    references: Vec<u128>,
    present: Vec<u16>,
    /// In the order of their keys.
    rows: Vec<Stored>,
}

impl Side {
    /// The number of a record; `None` when more come than were announced.
    fn number(&mut self, row: &KeyRow) -> Option<u32> {
        let next = self.references.len() as u32;
        let number = *self.numbers.entry(row.record).or_insert(next);
        if number == next {
            if next >= self.announced {
                self.numbers.remove(&row.record);
                return None;
            }
            self.references.push(row.record);
            self.present.push(0);
        }
        self.present[number as usize] |= row.present;
        Some(number)
    }
}

/// Takes the opened rows of two data sets, key by key.
#[derive(Debug)]
pub struct Gatherer {
    scheme: Scheme,
    limits: Limits,
    sides: [Side; 2],
    /// End of each key's rows at either side.
    ends: Vec<[u32; 2]>,
    report: Report,
}

impl Gatherer {
    /// For two data sets that announced so many records each.
    pub fn new(scheme: Scheme, limits: Limits, records: [u32; 2]) -> Self {
        let sides = records.map(|announced| Side { announced, ..Side::default() });
        Self { scheme, limits, sides, ends: Vec::new(), report: Report::default() }
    }

    /// One key that opened, with its rows of both sides. Keys come once each, in any order.
    pub fn push(&mut self, left: &[KeyRow], right: &[KeyRow]) {
        let key = self.ends.len() as u32;
        let rows_max = self.limits.rows_max.min(u32::MAX as usize - 1) as u64;
        for (side, rows) in self.sides.iter_mut().zip([left, right]) {
            for row in rows {
                let number = if self.report.rows < rows_max { side.number(row) } else { None };
                let Some(record) = number else {
                    self.report.rows_refused += 1;
                    continue;
                };
                self.report.rows += 1;
                side.rows.push(Stored { record, key, kind: row.kind, rarity: row.rarity });
            }
        }
        self.ends.push([0, 1].map(|side: usize| self.sides[side].rows.len() as u32));
    }

    /// Compares what came.
    pub fn finish(self) -> Observed {
        let groups = self.groups();
        let (finding, keys_skipped) = self.finding(&groups);
        let records = [0, 1].map(|side: usize| ByRecord::new(&self.sides[side].rows, &self.sides[side].present));
        let chance = Chance::count(&groups, &records, &self.scheme);
        let announced = [0, 1].map(|side: usize| self.sides[side].announced);
        let mut comparison = Comparison::new(&self.scheme, &chance, &groups, &records, &finding, announced);
        comparison.run();
        let (pairs, patterns, pairs_found) = comparison.into_parts();
        let pairs_kept = pairs.len() as u64;
        let report = Report { keys_skipped, pairs_found, pairs_kept, ..self.report };
        let references = self.sides.map(|side| side.references);
        Observed { pairs, patterns, chance, references, announced, report }
    }

    /// Which keys find pairs, from the rarest on, within the limits; and how many are too common.
    fn finding(&self, groups: &[[&[Stored]; 2]]) -> (Vec<bool>, u64) {
        let finders = |rows: &[Stored]| rows.iter().filter(|row| self.scheme.finds_pairs(row.kind)).count() as u64;
        let pairs = |group: &[&[Stored]; 2]| finders(group[0]).saturating_mul(finders(group[1]));
        let mut sizes: Vec<(u64, usize)> = groups.iter().map(pairs).zip(0..).filter(|(pairs, _)| *pairs > 0).collect();
        sizes.sort_unstable();
        let mut finding = vec![false; groups.len()];
        let (mut sum, mut skipped) = (0u64, 0);
        for (pairs, key) in sizes {
            sum = sum.saturating_add(pairs);
            finding[key] = pairs <= self.limits.pairs_per_key_max && sum <= self.limits.pairs_max;
            skipped += u64::from(!finding[key]);
        }
        (finding, skipped)
    }

    /// Each key's rows of both sides.
    fn groups(&self) -> Vec<[&[Stored]; 2]> {
        let mut starts = [0usize; 2];
        let group = |ends: &[u32; 2]| {
            let group = [0, 1].map(|side: usize| &self.sides[side].rows[starts[side]..ends[side] as usize]);
            starts = ends.map(|end| end as usize);
            group
        };
        self.ends.iter().map(group).collect()
    }
}
