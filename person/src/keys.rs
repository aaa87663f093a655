//! The keys of a record: which forms of its fields the usual errors leave equal.
//!
//! One error in a word leaves its beginning or its end as it was, so both are keys; one error in a date
//! leaves two of its three numbers. Misheard names keep their sound, nicknames their root. What two
//! fields say together is rare enough to find pairs where the fields alone are too common.

use std::collections::BTreeSet;

use crate::{
    birth::BirthDate,
    diminutive::roots,
    kind::Kind,
    minhash::{band, bigrams},
    phonetic::sound,
    record::PersonRecord,
    text::{end, joined, start, words},
};

/// Keys of one record, at most: one per kind, but two roots, three further names, two bands.
pub const KEYS_MAX: usize = 48;

/// Further words of a name that become keys.
const FURTHER_NAMES_MAX: usize = 3;

/// MinHash bands.
const BANDS: usize = 2;

/// Characters of a key's text, at most; longer texts are cut.
pub const KEY_CHARS_MAX: usize = 96;

/// One key of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it says; travels sealed in the row.
    pub kind: Kind,
    /// What is tagged: the kind's name space, a colon, the canonical text. Never leaves the node.
    pub text: String,
}

/// What a record gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// At most [`KEYS_MAX`], each (kind, text) once.
    pub keys: Vec<Key>,
    /// A birth date was given, and nothing of it could be used.
    pub birth_date_unusable: bool,
}

/// The keys of a record; none for a record without a usable field.
pub fn keys(record: &PersonRecord<'_>) -> Keys {
    let mut keys = Keys::default();
    let names = Names::of(record);
    names.keys(&mut keys);
    let birth = read_birth(record, &mut keys);
    birth_keys(&birth, &mut keys);
    address_keys(record, &mut keys);
    other_keys(record, &mut keys);
    combined_keys(record, &names, &birth, &mut keys);
    keys.keys.truncate(KEYS_MAX);
    keys
}

impl Keys {
    fn add(&mut self, kind: Kind, text: &str) {
        let key = Key { kind, text: format!("{}:{}", kind.space(), start(text, KEY_CHARS_MAX)) };
        if !text.is_empty() && !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// The whole text, its beginning, and its end where that is not the whole again.
    fn add_parts(&mut self, text: &str, whole: Kind, first: (Kind, usize), last: Option<(Kind, usize)>) {
        self.add(whole, text);
        self.add(first.0, start(text, first.1));
        if let Some((kind, length)) = last.filter(|(_, length)| text.chars().count() > *length) {
            self.add(kind, end(text, length));
        }
    }

    /// The whole text and its two halves, measured from either end: an odd middle belongs to both.
    fn add_halves(&mut self, text: &str, whole: Kind, first: Kind, last: Kind) {
        let half = text.chars().count().div_ceil(2);
        self.add(whole, text);
        self.add(first, start(text, half));
        self.add(last, end(text, half));
    }
}

/// The words of a name, in their roles.
struct Names {
    given: Option<String>,
    given_all: String,
    surname: String,
    further: Vec<String>,
}

impl Names {
    fn of(record: &PersonRecord<'_>) -> Names {
        let mut given = words(record.given_names.unwrap_or(""));
        let mut surname = words(record.surname.unwrap_or(""));
        let full = record.full_name.unwrap_or("");
        if given.is_empty() && surname.is_empty() {
            (given, surname) = split(full);
        }
        let mut further: Vec<String> = given.iter().skip(1).cloned().collect();
        if surname.len() > 1 {
            further.extend(surname.iter().cloned());
        }
        for word in words(full) {
            if !given.contains(&word) && !surname.contains(&word) {
                further.push(word);
            }
        }
        // An initial is no name to compare.
        further.retain(|word| word.chars().nth(1).is_some() || !word.is_ascii());
        further.truncate(FURTHER_NAMES_MAX);
        let given_all = given.concat();
        Names { given: given.into_iter().next(), given_all, surname: surname.concat(), further }
    }

    fn keys(&self, keys: &mut Keys) {
        if let Some(given) = &self.given {
            keys.add(Kind::Given, given);
            for root in roots(given) {
                keys.add(Kind::GivenRoot, root);
            }
            keys.add(Kind::GivenSound, &sound(given).unwrap_or_default());
            keys.add(Kind::GivenStart, start(&self.given_all, 4));
            if self.given_all.chars().count() > 4 {
                keys.add(Kind::GivenEnd, end(&self.given_all, 4));
            }
        }
        keys.add_parts(&self.surname, Kind::Surname, (Kind::SurnameStart, 4), Some((Kind::SurnameEnd, 4)));
        keys.add(Kind::SurnameSound, &self.surname_sound());
        for word in &self.further {
            keys.add(Kind::FurtherName, word);
        }
    }

    fn given_sound(&self) -> String {
        self.given.as_deref().and_then(sound).unwrap_or_default()
    }

    fn surname_sound(&self) -> String {
        sound(&self.surname).unwrap_or_default()
    }
}

/// Given names and surname of a whole name: what stands before a comma is the surname, else the last
/// word is, if there are two.
fn split(full: &str) -> (Vec<String>, Vec<String>) {
    if let Some((before, after)) = full.split_once(',') {
        let (surname, given) = (words(before), words(after));
        if !surname.is_empty() && !given.is_empty() && surname.len() <= 2 {
            return (given, surname);
        }
    }
    let mut given = words(full);
    let surname = if given.len() > 1 { given.pop() } else { None };
    (given, surname.into_iter().collect())
}

fn read_birth(record: &PersonRecord<'_>, keys: &mut Keys) -> BirthDate {
    let Some(raw) = record.birth_date.filter(|raw| !raw.trim().is_empty()) else { return BirthDate::default() };
    let read = BirthDate::read(raw, record.date_order);
    keys.birth_date_unusable = read.is_none();
    read.unwrap_or_default()
}

fn birth_keys(birth: &BirthDate, keys: &mut Keys) {
    let (year, month, day) = (birth.year, birth.month(), birth.day());
    if let Some((year, month, day)) = birth.complete() {
        keys.add(Kind::Birth, &format!("{year:04}{month:02}{day:02}"));
    }
    if let Some((year, less, more)) = birth.transposable() {
        keys.add(Kind::BirthTransposed, &format!("{year:04}{less:02}{more:02}"));
    }
    if let (Some(year), Some(month)) = (year, month) {
        keys.add(Kind::BirthYearMonth, &format!("{year:04}{month:02}"));
    }
    if let (Some(year), Some(day)) = (year, day) {
        keys.add(Kind::BirthYearDay, &format!("{year:04}{day:02}"));
    }
    if let (Some(month), Some(day)) = (month, day) {
        keys.add(Kind::BirthMonthDay, &format!("{month:02}{day:02}"));
    }
}

fn address_keys(record: &PersonRecord<'_>, keys: &mut Keys) {
    let text = |field: Option<&str>| field.and_then(joined).unwrap_or_default();
    keys.add(Kind::StreetNumber, &text(record.street_number));
    keys.add_parts(&text(record.street), Kind::Street, (Kind::StreetStart, 5), Some((Kind::StreetEnd, 10)));
    keys.add_parts(&text(record.premises), Kind::Premises, (Kind::PremisesStart, 5), None);
    keys.add_parts(&text(record.town), Kind::Town, (Kind::TownStart, 4), Some((Kind::TownEnd, 5)));
    keys.add_halves(&text(record.postcode), Kind::Postcode, Kind::PostcodeStart, Kind::PostcodeEnd);
    keys.add(Kind::Region, &text(record.region));
}

fn other_keys(record: &PersonRecord<'_>, keys: &mut Keys) {
    let text = |field: Option<&str>| field.and_then(joined).unwrap_or_default();
    keys.add(Kind::Sex, start(&text(record.sex), 1));
    keys.add_halves(&text(record.document), Kind::Document, Kind::DocumentStart, Kind::DocumentEnd);
    keys.add_parts(&text(record.birth_place), Kind::BirthPlace, (Kind::BirthPlaceStart, 5), None);
    keys.add_parts(&text(record.occupation), Kind::Occupation, (Kind::OccupationStart, 5), None);
    keys.add_parts(&text(record.contact), Kind::Contact, (Kind::ContactStart, 5), Some((Kind::ContactEnd, 8)));
}

fn combined_keys(record: &PersonRecord<'_>, names: &Names, birth: &BirthDate, keys: &mut Keys) {
    let (given, surname) = (names.given_sound(), names.surname_sound());
    if !given.is_empty() && !surname.is_empty() {
        let (first, second) = if given <= surname { (&given, &surname) } else { (&surname, &given) };
        keys.add(Kind::NamesSound, &format!("{first}|{second}"));
    }
    if let Some(year) = birth.year.filter(|_| !surname.is_empty()) {
        keys.add(Kind::SurnameSoundYear, &format!("{surname}|{year:04}"));
    }
    if let (Some((year, month, day)), Some(given)) = (birth.complete(), &names.given) {
        keys.add(Kind::InitialBirth, &format!("{}|{year:04}{month:02}{day:02}", start(given, 1)));
    }
    let number = record.street_number.and_then(joined);
    if let (Some(number), Some(postcode)) = (number, record.postcode.and_then(joined)) {
        keys.add(Kind::NumberPostcode, &format!("{number}|{postcode}"));
    }
    let pairs = resemblance(record, names);
    for number in 0..BANDS {
        // Of a short text, the whole text is key enough.
        if let Some(text) = band(&pairs, number).filter(|_| pairs.len() >= 10) {
            keys.add(Kind::Resemblance, &text);
        }
    }
}

/// The letter pairs of names and address, without regard to fields.
fn resemblance(record: &PersonRecord<'_>, names: &Names) -> BTreeSet<(char, char)> {
    let places = [record.street, record.premises, record.town, record.birth_place];
    let places: Vec<String> = places.into_iter().flatten().flat_map(words).collect();
    let names = [names.given_all.as_str(), names.surname.as_str()].into_iter();
    bigrams(names.chain(places.iter().map(String::as_str)))
}
