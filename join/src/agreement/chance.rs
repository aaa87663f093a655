//! Agreement by chance: the u of Fellegi and Sunter, counted instead of guessed.
//!
//! For a key value v that c_A(v) records of one side and c_B(v) of the other have, c_A(v)·c_B(v) pairs
//! agree. Over all values that is the exact number of agreeing pairs among all pairs, with those of one
//! person among them; these are too few to matter. Where records of one key also agree at a better
//! level of the same field, they are counted there: within each key's records the same product over
//! the better keys is taken off. u = pairs at the level / pairs that both have the field.

use std::collections::BTreeMap;

use super::{
    FIELDS_MAX, LEVELS_MAX, Scheme,
    index::{ByRecord, Stored},
};

/// By field and level.
pub type Table = [[f64; LEVELS_MAX]; FIELDS_MAX];

/// How often records agree that are not one person's.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    /// Probability that two records which both have the field agree at this level and no better one;
    /// level 0: that they disagree. Each field's sum is 1.
    pub best: Table,
    /// Bits of surprise that an agreement at the level is of on average: −log2 of the probability
    /// that two records agree in a key of the level, whatever else agrees.
    pub typical_bits: Table,
    /// Share of pairs in which both records have the field.
    pub both_have: [f64; FIELDS_MAX],
}

impl Chance {
    /// Counts in each key's rows of both sides.
    pub(super) fn count(groups: &[[&[Stored]; 2]], records: &[ByRecord; 2], scheme: &Scheme) -> Self {
        let mut at_level = [[0f64; LEVELS_MAX]; FIELDS_MAX];
        let mut any = [[0f64; LEVELS_MAX]; FIELDS_MAX];
        let mut better = BTreeMap::new();
        for [left, right] in groups {
            for (left_kind, left_rows) in by_kind(left) {
                for (right_kind, right_rows) in by_kind(right) {
                    let Some(place) = scheme.place(left_kind, right_kind) else { continue };
                    let (field, level) = (usize::from(place.field), usize::from(place.level));
                    let pairs = left_rows.len() as f64 * right_rows.len() as f64;
                    better.clear();
                    tally(&left_rows, &records[0], scheme, place.field, place.level, 0, &mut better);
                    tally(&right_rows, &records[1], scheme, place.field, place.level, 1, &mut better);
                    any[field][level] += pairs;
                    at_level[field][level] += (pairs - overlap(&better)).max(0.0);
                }
            }
        }
        let pairs: [f64; FIELDS_MAX] =
            std::array::from_fn(|field| records[0].having(field) as f64 * records[1].having(field) as f64);
        let all = f64::from(records[0].records()) * f64::from(records[1].records());
        Self::from_counts(&at_level, &any, &pairs, all)
    }

    /// From numbers of pairs: agreeing at a level and no better; agreeing at a level whatever else;
    /// having the field; all.
    pub fn from_counts(at_level: &Table, any: &Table, have: &[f64; FIELDS_MAX], all: f64) -> Self {
        let mut best = *at_level;
        let mut typical_bits = [[0.0; LEVELS_MAX]; FIELDS_MAX];
        for field in 0..FIELDS_MAX {
            let pairs = have[field].max(1.0);
            for level in 1..LEVELS_MAX {
                // Half a pair where none was seen: rare is not impossible.
                best[field][level] = (at_level[field][level].max(0.5) / pairs).min(0.9);
                typical_bits[field][level] = -(any[field][level].max(0.5) / pairs).min(1.0).log2();
            }
            let agreeing: f64 = best[field][1..].iter().sum();
            let scale = if agreeing > 0.95 { 0.95 / agreeing } else { 1.0 };
            best[field][1..].iter_mut().for_each(|u| *u *= scale);
            best[field][0] = 1.0 - agreeing * scale;
        }
        Self { best, typical_bits, both_have: have.map(|pairs| pairs / all.max(1.0)) }
    }
}

/// The rows of each kind.
fn by_kind(rows: &[Stored]) -> BTreeMap<u8, Vec<u32>> {
    let mut kinds: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
    for row in rows {
        kinds.entry(row.kind).or_default().push(row.record);
    }
    kinds
}

/// Counts by (kind, key) how many of `records` at either side have a better key of the field.
fn tally(
    records: &[u32],
    side: &ByRecord,
    scheme: &Scheme,
    field: u8,
    level: u8,
    number: usize,
    better: &mut BTreeMap<(u8, u32), [u64; 2]>,
) {
    for record in records {
        for row in side.rows(*record) {
            if scheme.place(row.kind, row.kind).is_some_and(|p| p.field == field && p.level > level) {
                better.entry((row.kind, row.key)).or_default()[number] += 1;
            }
        }
    }
}

/// Pairs that agree better: those of the kind in which most do, as better kinds imply each other.
fn overlap(better: &BTreeMap<(u8, u32), [u64; 2]>) -> f64 {
    let mut kinds: BTreeMap<u8, f64> = BTreeMap::new();
    for ((kind, _), [left, right]) in better {
        *kinds.entry(*kind).or_default() += *left as f64 * *right as f64;
    }
    kinds.into_values().fold(0.0, f64::max)
}
