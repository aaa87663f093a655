//! The ceiling: the same model, but the fields themselves are compared, which no party may do.
//!
//! The pairs are those that keys found; each field's level comes from Jaro–Winkler similarity or
//! edit distance; how often a level comes by chance is counted over random pairs.

use std::collections::HashMap;

use sallyport_join::agreement::{Chance, FIELDS_MAX, LEVELS_MAX, Observed, Pair, Pattern, chance::Table};
use sallyport_person::{BirthDate, DateOrder, diminutive::roots, text::joined};
use strsim::{damerau_levenshtein, jaro_winkler};

use crate::data::{DataSet, Person};

/// Fields as the plain comparison numbers them.
const FIELDS: [&str; 14] = [
    "given",
    "surname",
    "birth",
    "sex",
    "number",
    "street",
    "premises",
    "town",
    "postcode",
    "region",
    "document",
    "birth place",
    "occupation",
    "contact",
];

/// Random pairs that are compared to learn what agrees by chance.
const SAMPLE: u64 = 300_000;

struct Prepared {
    texts: Vec<Option<String>>,
    birth: Option<BirthDate>,
}

fn prepare(person: &Person) -> Prepared {
    let texts = FIELDS.iter().map(|field| person.get(field).and_then(joined)).collect();
    let birth = person.get("birth").and_then(|raw| BirthDate::read(raw, DateOrder::default()));
    Prepared { texts, birth }
}

/// The pairs that keys found, compared in full.
pub(crate) fn observe(set: &DataSet, found: &Observed) -> Observed {
    let sides = set.sides.each_ref().map(|side| side.iter().map(prepare).collect::<Vec<_>>());
    let shares = frequencies(&sides);
    let chance = chance(&sides, &shares);
    let (mut numbers, mut patterns, mut pairs) = (HashMap::new(), Vec::new(), Vec::new());
    for pair in &found.pairs {
        let reference = [found.references[0][pair.left as usize], found.references[1][pair.right as usize]];
        let (one, other) = (&sides[0][reference[0] as usize], &sides[1][reference[1] as usize]);
        let pattern = compare(one, other);
        let rarer_bits = (0..FIELDS.len())
            .filter(|&field| is_best(field, pattern.levels[field]))
            .filter_map(|field| {
                Some(-shares[field].get(one.texts[field].as_deref()?)?.log2() - typical(&chance, field))
            })
            .sum::<f64>() as f32;
        let number = *numbers.entry(pattern).or_insert_with(|| {
            patterns.push(pattern);
            patterns.len() as u32 - 1
        });
        pairs.push(Pair { pattern: number, rarer_bits, ..*pair });
    }
    Observed { pairs, patterns, chance, ..found.clone() }
}

const BEST: u8 = 6;

fn is_best(field: usize, level: u8) -> bool {
    level == BEST && FIELDS[field] != "birth"
}

fn typical(chance: &Chance, field: usize) -> f64 {
    chance.typical_bits[field][usize::from(BEST)]
}

/// Share of each value of each field among both sides' records.
fn frequencies(sides: &[Vec<Prepared>; 2]) -> Vec<HashMap<&str, f64>> {
    let all = (sides[0].len() + sides[1].len()) as f64;
    let of = |field: usize| {
        let mut counts: HashMap<&str, f64> = HashMap::new();
        let texts = sides.iter().flatten().filter_map(|person| person.texts[field].as_deref());
        texts.for_each(|text| *counts.entry(text).or_default() += 1.0 / all);
        counts
    };
    (0..FIELDS.len()).map(of).collect()
}

/// Counts levels over pairs that a multiplicative sequence picks; equal values are counted exactly.
fn chance(sides: &[Vec<Prepared>; 2], shares: &[HashMap<&str, f64>]) -> Chance {
    let mut at_level: Table = [[0.0; LEVELS_MAX]; FIELDS_MAX];
    let mut have = [0.0; FIELDS_MAX];
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for _ in 0..SAMPLE {
        let pattern = compare(&sides[0][next(sides[0].len())], &sides[1][next(sides[1].len())]);
        for field in 0..FIELDS.len() {
            if pattern.present >> field & 1 == 1 {
                have[field] += 1.0;
                at_level[field][usize::from(pattern.levels[field])] += 1.0;
            }
        }
    }
    for (field, shares) in shares.iter().enumerate() {
        let total: f64 = shares.values().sum();
        let equal: f64 = shares.values().map(|share| share * share).sum::<f64>() / (total * total).max(1e-12);
        at_level[field][usize::from(BEST)] = equal * have[field];
    }
    Chance::from_counts(&at_level, &at_level, &have, SAMPLE as f64)
}

fn compare(one: &Prepared, other: &Prepared) -> Pattern {
    let mut pattern = Pattern::default();
    for (field, name) in FIELDS.iter().enumerate() {
        let (Some(left), Some(right)) = (&one.texts[field], &other.texts[field]) else { continue };
        let level = match *name {
            "birth" => match (&one.birth, &other.birth) {
                (Some(left), Some(right)) => birth_level(left, right, one.texts[field] == other.texts[field]),
                _ => continue,
            },
            "given" | "surname" => name_level(one, other, field),
            "sex" | "region" => u8::from(left == right) * BEST,
            "number" | "postcode" | "document" => number_level(left, right),
            _ => text_level(left, right),
        };
        pattern.levels[field] = level;
        pattern.present |= 1 << field;
    }
    pattern
}

fn text_level(one: &str, other: &str) -> u8 {
    if one == other {
        return BEST;
    }
    let similarity = jaro_winkler(one, other);
    u8::from(similarity >= 0.95) + u8::from(similarity >= 0.9) + u8::from(similarity >= 0.8)
}

fn name_level(one: &Prepared, other: &Prepared, field: usize) -> u8 {
    let text = |person: &'_ Prepared, field: usize| person.texts[field].clone().unwrap_or_default();
    let level = text_level(&text(one, field), &text(other, field));
    if level == BEST {
        return level;
    }
    if field == 0 && roots(&text(one, 0)).iter().any(|root| roots(&text(other, 0)).contains(root)) {
        return 5;
    }
    if jaro_winkler(&text(one, field), &text(other, 1 - field)) >= 0.95 { 4 } else { level }
}

fn number_level(one: &str, other: &str) -> u8 {
    if one == other {
        return BEST;
    }
    match damerau_levenshtein(one, other) {
        1 if one.len() > 3 => 3,
        2 if one.len() > 5 => 2,
        1 => 1,
        _ => 0,
    }
}

fn birth_level(one: &BirthDate, other: &BirthDate, same: bool) -> u8 {
    if same && one.complete().is_some() {
        return BEST;
    }
    if one.transposable().is_some() && one.transposable() == other.transposable() {
        return 5;
    }
    let parts = |date: &BirthDate| [date.year.map(u32::from), date.month().map(u32::from), date.day().map(u32::from)];
    let equal = |(one, other): &(Option<u32>, Option<u32>)| one.is_some() && one == other;
    let equal: Vec<bool> = parts(one).into_iter().zip(parts(other)).map(|pair| equal(&pair)).collect();
    match equal.as_slice() {
        [true, _, true] => 4,
        [true, true, _] => 3,
        [_, true, true] => 2,
        [true, ..] => 1,
        _ => 0,
    }
}
