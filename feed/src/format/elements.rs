//! JSON documents taken apart into their records, in bounded memory and without parsing them.
//!
//! Records are the elements of an array at the top, those of the array `features` of an object at the
//! top, or else the values at the top themselves. A record longer than the limit is skipped to its end.
//! Whether a record is JSON is for its reader to find.

use std::io::{self, BufRead};

/// The longest record of a document, in bytes: a day of positions every two seconds in one feature.
pub(super) const ELEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The member whose elements are records.
const FEATURES: &[u8] = b"features";

pub(super) struct Elements<R> {
    input: R,
    scan: Scan,
    number: u64,
}

/// One record.
#[derive(Debug, PartialEq)]
pub(super) enum Element<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It was longer than [`ELEMENT_BYTES_MAX`].
    TooLong,
}

#[derive(Default)]
struct Scan {
    held: Vec<u8>,
    too_long: bool,
    /// Brackets that are open.
    depth: u32,
    /// Brackets within which records stand: 0, 1 for an array at the top, 2 for features.
    base: u32,
    in_string: bool,
    escaped: bool,
    /// The text last seen directly in an object at the top, cut.
    name: Vec<u8>,
    /// What follows the features is no record.
    passing: bool,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, scan: Scan::default(), number: 0 }
    }

    /// The next record with its number from 1; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Element<'_>)>> {
        self.scan.clear();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            let complete = available.iter().position(|&byte| self.scan.take(byte));
            let used = complete.map_or(available.len(), |at| at + 1);
            self.input.consume(used);
            if complete.is_some() {
                break;
            }
        }
        if self.scan.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let element = if self.scan.too_long { Element::TooLong } else { Element::Whole(&self.scan.held) };
        Ok(Some((self.number, element)))
    }
}

impl Scan {
    fn clear(&mut self) {
        self.held.clear();
        self.too_long = false;
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && !self.too_long
    }

    /// Takes one byte; whether a record is complete with it.
    fn take(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.within_string(byte);
            return false;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.name.clear();
                self.hold(byte);
                false
            }
            b'[' | b'{' => self.open(byte),
            b']' | b'}' => self.close(byte),
            b',' if self.depth == self.base && self.base > 0 => !self.is_empty(),
            // Outside of brackets a line is a record, so that what is no JSON ends somewhere.
            b'\n' if self.depth == 0 => !self.is_empty(),
            b' ' | b'\t' | b'\r' | b'\n' | 0x1e if self.is_empty() => false,
            0xef | 0xbb | 0xbf if self.depth == 0 && self.is_empty() => false,
            _ => {
                self.hold(byte);
                false
            }
        }
    }

    fn within_string(&mut self, byte: u8) {
        self.hold(byte);
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            return;
        }
        if self.depth == 1 && self.name.len() <= FEATURES.len() {
            self.name.push(byte);
        }
    }

    fn open(&mut self, byte: u8) -> bool {
        let array_at_top = self.depth == 0 && self.is_empty() && byte == b'[';
        let features = self.depth == 1 && self.base == 0 && !self.passing && byte == b'[' && self.name == FEATURES;
        self.depth = self.depth.saturating_add(1);
        if array_at_top || features {
            self.base = self.depth;
            self.clear();
        } else {
            self.hold(byte);
        }
        false
    }

    fn close(&mut self, byte: u8) -> bool {
        let ends_records = self.base > 0 && self.depth == self.base;
        self.depth = self.depth.saturating_sub(1);
        if ends_records {
            self.passing = self.base == 2;
            self.base = 0;
            return !self.is_empty();
        }
        self.hold(byte);
        if self.depth == 0 && self.passing {
            self.passing = false;
            self.clear();
            return false;
        }
        self.depth == self.base
    }

    fn hold(&mut self, byte: u8) {
        if self.passing || self.too_long {
            return;
        }
        if self.held.len() == ELEMENT_BYTES_MAX {
            self.too_long = true;
            self.held.clear();
            return;
        }
        self.held.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Read, repeat};

    use super::*;

    fn elements(text: &str) -> Vec<String> {
        let mut elements = Elements::new(BufReader::with_capacity(3, Cursor::new(text)));
        let mut all = Vec::new();
        while let Some((number, element)) = elements.next().unwrap() {
            assert_eq!(number, all.len() as u64 + 1);
            let Element::Whole(bytes) = element else { panic!("too long") };
            all.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn records_are_found_wherever_they_stand() {
        assert_eq!(elements(r#" [ {"a":1}, {"b":[2,{}]} ] "#), [r#"{"a":1}"#, r#"{"b":[2,{}]}"#]);
        assert_eq!(elements("{\"a\":1}\n{\"b\":\n2}{\"c\":3}"), ["{\"a\":1}", "{\"b\":\n2}", "{\"c\":3}"]);
        assert_eq!(
            elements(r#"{"type":"FeatureCollection","features":[{"f":1},{"g":"]}\"["}],"after":[{"no":1}]}"#),
            [r#"{"f":1}"#, r#"{"g":"]}\"["}"#]
        );
        assert_eq!(elements("[]"), Vec::<String>::new());
        assert_eq!(elements("[1,2]"), ["1", "2"]);
        assert_eq!(elements("nonsense\n{\"a\":1}"), ["nonsense", "{\"a\":1}"]);
        assert_eq!(elements(r#"{"cut":"#), [r#"{"cut":"#]);
    }

    #[test]
    fn only_the_features_at_the_top_are_records() {
        let nested = r#"{"properties":{"features":[1,2]},"x":"features"}"#;
        assert_eq!(elements(nested), [nested]);
    }

    #[test]
    fn a_record_of_ten_megabytes_costs_no_more_than_the_limit() {
        let long = repeat(b'x').take(10_000_000);
        let input = (&b"{\"features\":[{\"a\":1},{\"l\":\""[..]).chain(long).chain(&b"\"},{\"b\":2}]}"[..]);
        let mut elements = Elements::new(BufReader::new(input));
        assert_eq!(elements.next().unwrap(), Some((1, Element::Whole(b"{\"a\":1}"))));
        assert_eq!(elements.next().unwrap(), Some((2, Element::TooLong)));
        assert_eq!(elements.next().unwrap(), Some((3, Element::Whole(b"{\"b\":2}"))));
        assert_eq!(elements.next().unwrap(), None);
        assert!(elements.scan.held.capacity() <= 2 * ELEMENT_BYTES_MAX);
    }
}
