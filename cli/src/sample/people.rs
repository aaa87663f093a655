//! Who is in the sample, and what each one carries: phone, plate, passport.
//!
//! A person is a number; everything about the person follows from that number and the seed, so nobody
//! has to be remembered. Travellers, subscribers and drivers overlap a little, as in life: of every
//! 1,000 people on a list a few stand on two lists and very few on all three, and these are quiet on
//! each ([`QUIET`] people at the head of every pattern), so that only planted subjects are strong in
//! several data sets.

use super::activity::PATTERN;
use super::numbering::{CAPACITY, Numbering, Phone};
use super::random::{Shuffle, Stream, mix, scale, weighted};
use super::{MAX_PEOPLE, MAX_PLANTED, SampleOptions, deviations};

/// People of each pattern who may stand on more than one list.
pub(super) const QUIET: u64 = 98;
/// Of these, from the start: on all three lists; then travellers who are subscribers; the rest are
/// travellers who are drivers.
const ON_ALL: u64 = 8;
const SUBSCRIBERS_END: u64 = 58;

const PASSPORT_PER_MILLE: u64 = 700;
const TRUSTED_PER_MILLE: u64 = 120;
const PLATES: u64 = 26 * 26 * 26 * 10_000;
const PASSPORTS: u64 = 100_000_000;

/// Everybody in the largest sample has a number, a plate and a passport of their own.
const _: () = {
    let everybody = 3 * MAX_PEOPLE + strangers(MAX_PEOPLE) + MAX_PLANTED as u64;
    let everybody = everybody + deviations::people(deviations::MAX_DEVIATORS);
    assert!(everybody <= CAPACITY);
    assert!(everybody <= PLATES);
    assert!(everybody <= PASSPORTS);
};

/// States by share of the plates seen at land ports.
const STATES: [(&str, u32); 16] = [
    ("TX", 310),
    ("CA", 240),
    ("AZ", 110),
    ("NM", 40),
    ("MI", 60),
    ("NY", 60),
    ("WA", 40),
    ("NH", 20),
    ("ME", 20),
    ("VT", 15),
    ("FL", 20),
    ("IL", 20),
    ("OH", 15),
    ("CO", 15),
    ("NV", 10),
    ("OK", 5),
];

/// One person of the sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Person(u64);

/// Everybody in the sample.
pub(super) struct People {
    travellers: u64,
    phones: u64,
    trucks: u64,
    planted: u64,
    numbering: Numbering,
    plates: Shuffle,
    passports: Shuffle,
    key: u64,
}

impl People {
    /// The people of a sample.
    pub(super) fn new(options: &SampleOptions) -> Self {
        let mut stream = Stream::new(options.seed, "people");
        let planted = u64::from(options.planted);
        let everybody = options.travellers + options.phones + options.trucks + planted;
        let everybody = everybody + strangers(options.phones) + deviations::people(options.deviators);
        Self {
            travellers: options.travellers,
            phones: options.phones,
            trucks: options.trucks,
            planted,
            numbering: Numbering::new(everybody, &mut stream),
            plates: Shuffle::new(PLATES, &mut stream),
            passports: Shuffle::new(PASSPORTS, &mut stream),
            key: stream.bits(),
        }
    }

    /// Traveller `index` of the border agency's list.
    pub(super) fn traveller(&self, index: u64) -> Person {
        Person(index)
    }

    /// Subscriber `index` of the telephone records.
    pub(super) fn subscriber(&self, index: u64) -> Person {
        if index % PATTERN < SUBSCRIBERS_END && index < self.travellers {
            Person(index)
        } else {
            Person(self.travellers + index)
        }
    }

    /// Driver `index` of the industry partner.
    pub(super) fn driver(&self, index: u64) -> Person {
        if may_drive(index) && index < self.travellers {
            Person(index)
        } else {
            Person(self.travellers + self.phones + index)
        }
    }

    /// Planted subject `index`.
    pub(super) fn planted(&self, index: u64) -> Person {
        Person(self.travellers + self.phones + self.trucks + index)
    }

    /// How many people there are who are called but stand on no list.
    pub(super) fn strangers(&self) -> u64 {
        strangers(self.phones)
    }

    /// Stranger `index`.
    pub(super) fn stranger(&self, index: u64) -> Person {
        Person(self.travellers + self.phones + self.trucks + self.planted + index)
    }

    /// How many of the strangers, from the first, are called by everybody.
    pub(super) fn popular(&self) -> u64 {
        self.strangers() / 50 + 1
    }

    /// Person `index` of the deviations, whom no list of ordinary people has.
    pub(super) fn of_deviations(&self, index: u64) -> Person {
        Person(self.stranger(self.strangers()).0 + index)
    }

    /// Whether traveller `index` is also one of the partner's drivers.
    pub(super) fn drives(&self, index: u64) -> bool {
        may_drive(index) && index < self.trucks
    }

    /// The person's own number.
    pub(super) fn phone(&self, person: Person) -> Phone {
        self.numbering.phone(person.0)
    }

    /// The person's plate in canonical form: three letters, four digits.
    pub(super) fn plate(&self, person: Person) -> [u8; 7] {
        let mut place = self.plates.apply(person.0);
        let mut plate = [0u8; 7];
        for (at, sign) in plate.iter_mut().enumerate().rev() {
            let (first, count) = if at < 3 { (b'A', 26) } else { (b'0', 10) };
            *sign = first + (place % count) as u8;
            place /= count;
        }
        plate
    }

    /// The state of the person's plate.
    pub(super) fn state(&self, person: Person) -> &'static str {
        weighted(&STATES, self.trait_of(person, 1)).copied().unwrap_or("TX")
    }

    /// The person's passport, if any: a letter and eight digits (ICAO 9303 allows nine signs).
    pub(super) fn passport(&self, person: Person) -> Option<[u8; 9]> {
        if scale(self.trait_of(person, 2), 1000) >= PASSPORT_PER_MILLE {
            return None;
        }
        let mut place = self.passports.apply(person.0);
        let mut passport = *b"Q00000000";
        for digit in passport[1..].iter_mut().rev() {
            *digit += (place % 10) as u8;
            place /= 10;
        }
        Some(passport)
    }

    /// Whether the person is in a trusted traveller programme.
    pub(super) fn trusted(&self, person: Person) -> bool {
        scale(self.trait_of(person, 3), 1000) < TRUSTED_PER_MILLE
    }

    /// 64 bits that stay the same for this person and this `kind` of trait.
    pub(super) fn trait_of(&self, person: Person, kind: u64) -> u64 {
        mix(self.key.wrapping_add(kind), person.0)
    }
}

const fn strangers(phones: u64) -> u64 {
    phones / 2 + 10
}

fn may_drive(index: u64) -> bool {
    let place = index % PATTERN;
    place < ON_ALL || (SUBSCRIBERS_END..QUIET).contains(&place)
}

/// Writes a plate as somebody may have typed it; all forms are one plate once signs other than letters
/// and digits are left out and letters are capitals.
pub(super) fn write_plate(plate: [u8; 7], out: &mut Vec<u8>, stream: &mut Stream) {
    let (letters, digits) = plate.split_at(3);
    let between: &[u8] = match stream.below(100) {
        0..8 => b"-",
        8..12 => b" ",
        12..15 => {
            out.extend(plate.iter().map(u8::to_ascii_lowercase));
            return;
        }
        _ => b"",
    };
    for part in [letters, between, digits] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lists_overlap_only_among_the_quiet_and_phones_plates_and_passports_are_distinct() {
        let options = SampleOptions::default();
        let people = People::new(&options);
        let list =
            |count: u64, of: &dyn Fn(u64) -> Person| -> HashSet<u64> { (0..count).map(|index| of(index).0).collect() };
        let travellers = list(options.travellers, &|i| people.traveller(i));
        let subscribers = list(options.phones, &|i| people.subscriber(i));
        let drivers = list(options.trucks, &|i| people.driver(i));
        let strangers = list(people.strangers(), &|i| people.stranger(i));
        let planted = list(u64::from(options.planted), &|i| people.planted(i));

        let both: HashSet<u64> = travellers.intersection(&subscribers).copied().collect();
        assert_eq!(both.len(), 4 * 58);
        assert_eq!(travellers.intersection(&drivers).count(), 2 * 48);
        assert_eq!(both.intersection(&drivers).count(), 2 * 8);
        assert!(both.iter().all(|person| person % PATTERN < QUIET));

        let mut everybody: HashSet<u64> = &travellers | &subscribers;
        everybody.extend(drivers);
        for list in [strangers, planted] {
            assert!(everybody.is_disjoint(&list));
            everybody.extend(list);
        }
        let distinct = |of: &dyn Fn(Person) -> String| -> usize {
            everybody.iter().map(|p| of(Person(*p))).collect::<HashSet<_>>().len()
        };
        assert_eq!(distinct(&|p| people.phone(p).e164()), everybody.len());
        assert_eq!(distinct(&|p| format!("{:?}", people.plate(p))), everybody.len());
        let passports: Vec<_> = everybody.iter().filter_map(|p| people.passport(Person(*p))).collect();
        let share = passports.len() * 1000 / everybody.len();
        assert!((650..750).contains(&share), "{share}");
        assert_eq!(passports.iter().collect::<HashSet<_>>().len(), passports.len());
    }
}
