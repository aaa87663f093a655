//! The ceiling: the same model, but the fields themselves are compared, which no party may do.
//!
//! The pairs are those that equal keys of the same texts find; each field's level comes from Jaro–Winkler
//! similarity or edit distance; how often a level comes by chance is counted over random pairs.

use std::collections::{HashMap, HashSet};

use sallyport_join::{
    agreement::{
        Chance, FIELDS_MAX, Gatherer, KeyRow, LEVELS_MAX, Limits, Observed, Pair, Pattern, Resolution, Scheme,
        chance::Table, link_observed, rarity,
    },
    entity::{collect::join, group::Entity},
};
use sallyport_person::{BirthDate, DateOrder, Keys, PersonRecord, diminutive::roots, keys, text::joined};
use strsim::{damerau_levenshtein, jaro_winkler};

use super::files::{FIELDS, Person, Persons};

const GIVEN: usize = 0;
const SURNAME: usize = 1;
const FULL_NAME: usize = 2;
const BIRTH: usize = 3;

/// Pairs in one person by the plain comparison, at the threshold that it picks by itself.
pub(super) fn links(persons: &Persons, made: &[Vec<Keys>; 2]) -> HashSet<(u32, u32)> {
    let resolution = if persons.once { Resolution::OneToOne } else { Resolution::ManyToMany };
    let linked = link_observed(observe(persons, &found_by_keys(made)), resolution);
    let (entities, _) = join(&[((0, 1), linked)].into(), Vec::new(), &[persons.once; 2]);
    let of_side = |entity: &Entity, side: u8| -> Vec<u32> {
        let members = entity.members.iter().filter(|member| member.record.party == side);
        members.map(|member| member.record.reference as u32).collect()
    };
    let pairs = entities.iter().flat_map(|entity| {
        let (left, right) = (of_side(entity, 0), of_side(entity, 1));
        left.into_iter().flat_map(move |one| right.clone().into_iter().map(move |other| (one, other)))
    });
    pairs.collect()
}

/// The keys of each record.
pub(super) fn keys_of(persons: &Persons) -> [Vec<Keys>; 2] {
    persons.sides.each_ref().map(|side| side.iter().map(|person| keys(&record(person))).collect())
}

fn record(person: &Person) -> PersonRecord<'_> {
    let text = |name: &str| person.text(FIELDS.iter().position(|(field, _)| *field == name)?);
    PersonRecord {
        given_names: text("given_names"),
        surname: text("surname"),
        full_name: text("full_name"),
        birth_date: text("birth_date"),
        date_order: DateOrder::default(),
        sex: text("sex"),
        street_number: text("street_number"),
        street: text("street"),
        premises: text("premises"),
        town: text("town"),
        postcode: text("postcode"),
        region: text("region"),
        document: text("document"),
        birth_place: text("birth_place"),
        occupation: text("occupation"),
        contact: text("contact"),
    }
}

/// Random pairs that are compared to learn what agrees by chance.
const SAMPLE: u64 = 300_000;

struct Prepared {
    texts: Vec<Option<String>>,
    birth: Option<BirthDate>,
}

fn prepare(person: &Person) -> Prepared {
    // The parts of a name say what the whole name says.
    let compared = (0..FIELDS.len()).filter(|field| *field != FULL_NAME || person.text(SURNAME).is_none());
    let mut texts = vec![None; FIELDS.len()];
    compared.for_each(|field| texts[field] = person.text(field).and_then(joined));
    let birth = person.text(BIRTH).and_then(|raw| BirthDate::read(raw, DateOrder::default()));
    Prepared { texts, birth }
}

/// The pairs whose keys meet.
fn found_by_keys(made: &[Vec<Keys>; 2]) -> Observed {
    let scheme = Scheme::persons();
    let mut values: HashMap<&str, [Vec<(u128, u8)>; 2]> = HashMap::new();
    for (side, records) in made.iter().enumerate() {
        for (record, keys) in (0u128..).zip(records) {
            for key in &keys.keys {
                values.entry(&key.text).or_default()[side].push((record, key.kind.number()));
            }
        }
    }
    let present = |side: usize, record: u128| {
        scheme.present(made[side][record as usize].keys.iter().map(|key| key.kind.number()))
    };
    let announced = made.each_ref().map(|records| records.len() as u32);
    let mut gatherer = Gatherer::new(scheme.clone(), Limits::default(), announced);
    let mut met: Vec<_> = values.into_iter().filter(|(_, sides)| !sides.iter().any(Vec::is_empty)).collect();
    met.sort_unstable_by_key(|(text, _)| *text);
    for (_, sides) in met {
        let rows: [Vec<KeyRow>; 2] = std::array::from_fn(|side| {
            let row = |&(record, kind): &(u128, u8)| {
                let same = sides[side].iter().filter(|(_, other)| *other == kind).count() as u64;
                let rarity = rarity(same, u64::from(announced[side]));
                KeyRow { record, kind, rarity, present: present(side, record) }
            };
            sides[side].iter().map(row).collect()
        });
        gatherer.push(&rows[0], &rows[1]);
    }
    gatherer.finish()
}

/// The same pairs, compared in full.
fn observe(persons: &Persons, found: &Observed) -> Observed {
    let sides = persons.sides.each_ref().map(|side| side.iter().map(prepare).collect::<Vec<_>>());
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
    level == BEST && field != BIRTH
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
    for (field, (name, _)) in FIELDS.iter().enumerate() {
        let (Some(left), Some(right)) = (&one.texts[field], &other.texts[field]) else { continue };
        let level = match *name {
            "birth_date" => match (&one.birth, &other.birth) {
                (Some(left), Some(right)) => birth_level(left, right, one.texts[field] == other.texts[field]),
                _ => continue,
            },
            "given_names" | "surname" => name_level(one, other, field),
            "sex" | "region" => u8::from(left == right) * BEST,
            "street_number" | "postcode" | "document" => number_level(left, right),
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
    if field == GIVEN && roots(&text(one, GIVEN)).iter().any(|root| roots(&text(other, GIVEN)).contains(root)) {
        return 5;
    }
    if jaro_winkler(&text(one, field), &text(other, GIVEN + SURNAME - field)) >= 0.95 { 4 } else { level }
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
