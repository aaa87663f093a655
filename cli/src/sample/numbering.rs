//! Telephone numbers that belong to nobody, and the ways people write them down.
//!
//! The range reserved for fiction (555-0100 to 555-0199) holds 100 numbers an area code: too few. Used
//! instead: every geographic area code of the United States with exchange 555, whose lines are not given
//! to subscribers, without 555-1212 and 555-4334, which are in service (directory assistance). That is
//! 9,998 lines × 356 area codes = 3.56 million numbers. A larger sample goes on to the test exchanges 958
//! and 959, the carrier access exchange 950 and the service codes N11, none of which is assigned to
//! subscribers: 42.7 million numbers in all. All of them pass the numbering plan's patterns, so a
//! phone-number library takes them for valid.

use super::random::{Shuffle, Stream};

/// Exchanges never assigned to subscribers, in the order in which they are used.
const EXCHANGES: [u64; 12] = [555, 958, 959, 950, 211, 311, 411, 511, 611, 711, 811, 911];

/// Lines used in each exchange: all but the two in [`LINES_IN_SERVICE`].
const LINES: u64 = 9_998;

/// Lines of exchange 555 that reach somebody; left out of every exchange.
const LINES_IN_SERVICE: [u64; 2] = [1212, 4334];

/// Geographic area codes of the United States (without territories).
#[rustfmt::skip]
const AREA_CODES: [u16; 356] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220,
    223, 224, 225, 227, 228, 229, 231, 234, 235, 239, 240, 248, 251, 252, 253, 254, 256, 260,
    262, 267, 269, 270, 272, 276, 279, 281, 283, 301, 302, 303, 304, 305, 307, 308, 309, 310,
    312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 324, 325, 326, 327, 329, 330, 331,
    332, 334, 336, 337, 339, 341, 346, 347, 350, 351, 352, 353, 360, 361, 363, 364, 369, 380,
    385, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423,
    424, 425, 430, 432, 434, 435, 440, 442, 443, 445, 447, 448, 458, 463, 464, 469, 470, 475,
    478, 479, 480, 484, 501, 502, 503, 504, 505, 507, 508, 509, 510, 512, 513, 515, 516, 517,
    518, 520, 530, 531, 534, 539, 540, 541, 551, 557, 559, 561, 562, 563, 564, 567, 570, 571,
    572, 573, 574, 575, 580, 582, 585, 586, 601, 602, 603, 605, 606, 607, 608, 609, 610, 612,
    614, 615, 616, 617, 618, 619, 620, 623, 626, 628, 629, 630, 631, 636, 640, 641, 645, 646,
    650, 651, 656, 657, 659, 660, 661, 662, 667, 669, 678, 680, 681, 682, 686, 689, 701, 702,
    703, 704, 706, 707, 708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 725, 726, 727,
    728, 730, 731, 732, 734, 737, 738, 740, 743, 747, 748, 754, 757, 760, 762, 763, 765, 769,
    770, 771, 772, 773, 774, 775, 779, 781, 785, 786, 801, 802, 803, 804, 805, 806, 808, 810,
    812, 813, 814, 815, 816, 817, 818, 820, 821, 826, 828, 830, 831, 832, 835, 838, 839, 840,
    843, 845, 847, 848, 850, 854, 856, 857, 858, 859, 860, 862, 863, 864, 865, 870, 872, 878,
    901, 903, 904, 906, 907, 908, 909, 910, 912, 913, 914, 915, 916, 917, 918, 919, 920, 925,
    928, 929, 930, 931, 934, 936, 937, 938, 940, 941, 943, 945, 947, 948, 949, 951, 952, 954,
    956, 959, 970, 971, 972, 973, 975, 978, 979, 980, 984, 985, 986, 989,
];

/// How many people can have a number of their own.
pub(super) const CAPACITY: u64 = EXCHANGES.len() as u64 * AREA_CODES.len() as u64 * LINES;

/// A ten-digit national number, as ASCII digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Phone([u8; 10]);

impl Phone {
    /// The number in E.164: `+1` and ten digits.
    pub(super) fn e164(self) -> String {
        let mut text = String::from("+1");
        text.extend(self.0.iter().map(|digit| char::from(*digit)));
        text
    }

    /// A number that differs in its last digit.
    pub(super) fn look_alike(self) -> Self {
        let mut digits = self.0;
        loop {
            digits[9] = b'0' + (digits[9] - b'0' + 1) % 10;
            let line = digits[6..].iter().fold(0, |line, digit| line * 10 + u64::from(digit - b'0'));
            if !LINES_IN_SERVICE.contains(&line) {
                return Self(digits);
            }
        }
    }

    /// Writes the number as somebody may have typed it: always readable, in one of seven forms.
    pub(super) fn write(self, out: &mut Vec<u8>, stream: &mut Stream) {
        let (area, exchange, line) = (&self.0[..3], &self.0[3..6], &self.0[6..]);
        let parts: [&[u8]; 6] = match stream.below(100) {
            0..30 => [b"(", area, b") ", exchange, b"-", line],
            30..55 => [b"", area, b"-", exchange, b"-", line],
            55..65 => [b"+1 ", area, b" ", exchange, b" ", line],
            65..70 => [b"+1 ", area, b"-", exchange, b"-", line],
            70..80 => [b"1.", area, b".", exchange, b".", line],
            80..93 => [b"", area, b"", exchange, b"", line],
            _ => [b"+1", area, b"", exchange, b"", line],
        };
        for part in parts {
            out.extend_from_slice(part);
        }
    }

    /// Writes what cannot be read back as one number: without its area code, with letters in the place
    /// of digits, `unknown`, or nothing.
    pub(super) fn write_unusable(self, out: &mut Vec<u8>, stream: &mut Stream) {
        match stream.below(100) {
            0..40 => {
                out.extend_from_slice(&self.0[3..6]);
                out.push(b'-');
                out.extend_from_slice(&self.0[6..]);
            }
            40..65 => self.write_misread(out, stream),
            65..80 => out.extend_from_slice(b"unknown"),
            _ => {}
        }
    }

    /// One or two digits taken for the letter they look like: `603-555-O123`. Every exchange in use
    /// holds a digit that has such a letter.
    fn write_misread(self, out: &mut Vec<u8>, stream: &mut Stream) {
        let mut digits = self.0;
        let first = stream.below(10) as usize;
        let mut misread = 1 + stream.below(2);
        for at in (0..10).map(|step| (first + step) % 10) {
            let letter = match digits[at] {
                b'0' => b'O',
                b'1' => b'l',
                b'5' => b'S',
                b'8' => b'B',
                _ => continue,
            };
            digits[at] = letter;
            misread -= 1;
            if misread == 0 {
                break;
            }
        }
        for (at, digit) in digits.iter().enumerate() {
            if at == 3 || at == 6 {
                out.push(b'-');
            }
            out.push(*digit);
        }
    }
}

/// Gives each of a population its own number.
pub(super) struct Numbering(Shuffle);

impl Numbering {
    /// Numbers for `people` (at most [`CAPACITY`]) people, from as few exchanges as will do.
    pub(super) fn new(people: u64, stream: &mut Stream) -> Self {
        let per_exchange = AREA_CODES.len() as u64 * LINES;
        let exchanges = people.div_ceil(per_exchange).clamp(1, EXCHANGES.len() as u64);
        Self(Shuffle::new(exchanges * per_exchange, stream))
    }

    /// The number of person `index`; no two people within the population share one.
    pub(super) fn phone(&self, index: u64) -> Phone {
        let place = self.0.apply(index);
        let mut line = place % LINES;
        for taken in LINES_IN_SERVICE {
            line += u64::from(line >= taken);
        }
        let areas = AREA_CODES.len() as u64;
        let area = u64::from(AREA_CODES[(place / LINES % areas) as usize]);
        let exchange = EXCHANGES[(place / LINES / areas) as usize % EXCHANGES.len()];
        let mut left = (area * 1_000 + exchange) * 10_000 + line;
        let mut digits = [0u8; 10];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        Phone(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phonenumber::Mode;
    use phonenumber::country::US;
    use std::collections::HashSet;

    fn canonical(text: &str) -> Option<String> {
        let number = phonenumber::parse(Some(US), text).ok()?;
        phonenumber::is_valid(&number).then(|| number.format().mode(Mode::E164).to_string())
    }

    #[test]
    fn every_area_code_and_exchange_is_valid_for_the_library() {
        for area in AREA_CODES {
            for exchange in EXCHANGES {
                let number = format!("+1{area}{exchange}0142");
                let parsed = phonenumber::parse(Some(US), &number).expect("parses");
                assert!(phonenumber::is_valid(&parsed), "{number}");
                assert_eq!(parsed.country().id(), Some(US), "{number}");
            }
        }
    }

    #[test]
    fn every_form_reads_back_as_the_same_number_and_no_unusable_one_does() {
        let mut stream = Stream::new(3, "forms");
        let numbering = Numbering::new(CAPACITY, &mut stream);
        let (mut forms, mut empty) = (HashSet::new(), 0);
        for index in 0..3_000 {
            let phone = numbering.phone(index * 9_973);
            let mut text = Vec::new();
            phone.write(&mut text, &mut stream);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(canonical(&text), Some(phone.e164()), "{text}");
            forms.insert(text.replace(|c: char| c.is_ascii_digit(), "9"));

            let mut text = Vec::new();
            phone.write_unusable(&mut text, &mut stream);
            let text = String::from_utf8(text).unwrap();
            empty += u32::from(text.is_empty());
            // The library reads letters as keys of a telephone; a letter in a number is an error here.
            let lettered = text.chars().any(|c| c.is_ascii_alphabetic());
            assert!(lettered || canonical(&text).is_none(), "{text}");
        }
        assert_eq!(forms.len(), 7, "{forms:?}");
        assert!(empty > 300);
    }

    #[test]
    fn people_have_distinct_numbers_and_small_samples_stay_in_555() {
        let numbering = Numbering::new(40_000, &mut Stream::new(5, "people"));
        let numbers: HashSet<String> = (0..40_000).map(|i| numbering.phone(i).e164()).collect();
        assert_eq!(numbers.len(), 40_000);
        assert!(numbers.iter().all(|number| &number[5..8] == "555"));
        for taken in ["5551212", "5554334"] {
            assert!(numbers.iter().all(|number| !number.ends_with(taken)));
        }
    }
}
