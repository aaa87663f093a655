//! Compares the pairs that keys find: intersects the keys of two records and reads the pattern.

use std::collections::HashMap;

use super::{
    Chance, FIELDS_MAX, Report, Scheme,
    gather::RARITY_STEPS_PER_BIT,
    index::{ByRecord, Stored},
};

/// A pair is kept when its bits of agreement lack at most this many to the size of the larger side:
/// with one partner for each record, what is dropped had a probability below 2^−8.
pub const SLACK_BITS: f32 = 8.0;

/// One compared pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Number of the record at the left, in [`Observed::references`].
    pub left: u32,
    /// Number of the record at the right.
    pub right: u32,
    /// Place of its pattern in [`Observed::patterns`].
    pub pattern: u32,
    /// Bits by which its agreements are rarer than is typical of their levels; may be negative.
    pub rarer_bits: f32,
}

/// How a pair agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pattern {
    /// Best agreeing level of each field, 0 for disagreement.
    pub levels: [u8; FIELDS_MAX],
    /// Fields that both records have; the others say nothing.
    pub present: u16,
}

/// Everything that the model needs.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Compared pairs.
    pub pairs: Vec<Pair>,
    /// Their distinct patterns.
    pub patterns: Vec<Pattern>,
    /// Agreement by chance.
    pub chance: Chance,
    /// What the senders call their records.
    pub references: [Vec<u128>; 2],
    /// Records announced at either side.
    pub announced: [u32; 2],
    /// What was left out.
    pub report: Report,
}

/// The comparison at work.
pub(super) struct Comparison<'a> {
    scheme: &'a Scheme,
    chance: &'a Chance,
    groups: &'a [[&'a [Stored]; 2]],
    records: &'a [ByRecord; 2],
    finding: &'a [bool],
    bits_min: f32,
    numbers: HashMap<Pattern, u32>,
    patterns: Vec<Pattern>,
    pairs: Vec<Pair>,
    found: u64,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        scheme: &'a Scheme,
        chance: &'a Chance,
        groups: &'a [[&'a [Stored]; 2]],
        records: &'a [ByRecord; 2],
        finding: &'a [bool],
        announced: [u32; 2],
    ) -> Self {
        let bits_min = (announced[0].max(announced[1]).max(1) as f32).log2() - SLACK_BITS;
        let (numbers, patterns, pairs) = Default::default();
        Self { scheme, chance, groups, records, finding, bits_min, numbers, patterns, pairs, found: 0 }
    }

    /// All pairs, record by record of the left.
    pub(super) fn run(&mut self) {
        // The left record for which a right one was last seen, plus one.
        let mut seen = vec![0u32; self.records[1].records() as usize];
        let mut others = Vec::new();
        for left in 0..self.records[0].records() {
            others.clear();
            for row in self.records[0].rows(left) {
                if !self.finding[row.key as usize] || !self.scheme.finds_pairs(row.kind) {
                    continue;
                }
                for other in self.groups[row.key as usize][1] {
                    let seen = &mut seen[other.record as usize];
                    if self.scheme.finds_pairs(other.kind) && *seen != left + 1 {
                        *seen = left + 1;
                        others.push(other.record);
                    }
                }
            }
            self.found += others.len() as u64;
            for right in &others {
                self.compare(left, *right);
            }
        }
    }

    /// Pairs, patterns, and how many pairs were found.
    pub(super) fn into_parts(self) -> (Vec<Pair>, Vec<Pattern>, u64) {
        (self.pairs, self.patterns, self.found)
    }

    fn compare(&mut self, left: u32, right: u32) {
        let present = self.records[0].present(left) & self.records[1].present(right);
        let mut pattern = Pattern { present, ..Pattern::default() };
        let mut bits = [0f32; FIELDS_MAX];
        self.for_each_equal(left, right, |one, other| {
            let Some(place) = self.scheme.place(one.kind, other.kind) else { return };
            let field = usize::from(place.field);
            // The commoner of the two senders' values: the one that says less.
            let rarity = f32::from(one.rarity.min(other.rarity)) / RARITY_STEPS_PER_BIT;
            if place.level > pattern.levels[field] {
                (pattern.levels[field], bits[field]) = (place.level, rarity);
            } else if place.level == pattern.levels[field] {
                bits[field] = bits[field].max(rarity);
            }
            pattern.present |= 1 << field;
        });
        if bits.iter().sum::<f32>() < self.bits_min {
            return;
        }
        let typical = |field: usize| self.chance.typical_bits[field][usize::from(pattern.levels[field])] as f32;
        let agreeing = (0..FIELDS_MAX).filter(|&field| pattern.levels[field] > 0);
        let rarer_bits = agreeing.map(|field| bits[field] - typical(field)).sum();
        let number = *self.numbers.entry(pattern).or_insert_with(|| {
            self.patterns.push(pattern);
            self.patterns.len() as u32 - 1
        });
        self.pairs.push(Pair { left, right, pattern: number, rarer_bits });
    }

    /// Calls with the rows of both records for every key that both have.
    fn for_each_equal(&self, left: u32, right: u32, mut call: impl FnMut(&Stored, &Stored)) {
        let (lefts, rights) = (self.records[0].rows(left), self.records[1].rows(right));
        let mut from = 0;
        for one in lefts {
            while rights.get(from).is_some_and(|other| other.key < one.key) {
                from += 1;
            }
            for other in rights[from..].iter().take_while(|other| other.key == one.key) {
                call(one, other);
            }
        }
    }
}
