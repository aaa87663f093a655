//! The words of an index: each text that many actions share is kept once and named by a number.
//!
//! Pure. The dictionary is bounded, whoever writes into the log: a word that no longer fits is
//! [`OTHER`], and an action with such a word is a candidate for every search.

use std::collections::HashMap;

/// Stands for a text that is not there.
pub(super) const NONE: u16 = 0;
/// Stands for every word that did not fit.
pub(super) const OTHER: u16 = 1;
/// Number of the first word.
const FIRST: u16 = 2;

/// Words kept, at most.
const WORDS_MAX: usize = (u16::MAX - FIRST) as usize;
/// Bytes of all words together, at most.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Words by number and numbers by word.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u16>,
    bytes: usize,
}

impl Words {
    /// The number of a word, which is kept if it is new and fits.
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if word.is_empty() {
            return NONE;
        }
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        if self.words.len() >= WORDS_MAX || self.bytes + word.len() > BYTES_MAX {
            return OTHER;
        }
        let number = FIRST + self.words.len() as u16;
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
        self.bytes += word.len();
        number
    }

    /// For every number whether its word fits; [`OTHER`] always does and [`NONE`] never.
    pub(super) fn fitting(&self, fits: impl Fn(&str) -> bool) -> Vec<bool> {
        [false, true].into_iter().chain(self.words.iter().map(|word| fits(word))).collect()
    }

    /// The words in the order of their numbers, each after its length in two bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes + 2 * self.words.len());
        for word in &self.words {
            bytes.extend_from_slice(&(word.len() as u16).to_be_bytes());
            bytes.extend_from_slice(word.as_bytes());
        }
        bytes
    }

    /// Reads what [`Words::to_bytes`] wrote; none when it is anything else.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut words = Self::default();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk()?;
            let (word, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let expected = FIRST as usize + words.words.len();
            (usize::from(words.number(std::str::from_utf8(word).ok()?)) == expected).then_some(())?;
            bytes = rest;
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_file_and_keep_their_numbers() {
        let mut words = Words::default();
        let numbers = ["ask", "hsi.calls", "ask", "", "é"].map(|word| words.number(word));
        assert_eq!(numbers, [2, 3, 2, NONE, 4]);
        let mut read = Words::from_bytes(&words.to_bytes()).unwrap();
        assert_eq!((read.number("é"), read.number("new")), (4, 5));
        assert_eq!(read.fitting(|word| word == "ask"), [false, true, true, false, false, false]);
        for broken in [&b"\x00"[..], b"\x00\x05ask", b"\x00\x01a\x00\x01a", b"\x00\x01\xff", b"\x00\x00"] {
            assert!(Words::from_bytes(broken).is_none(), "{broken:?}");
        }
    }

    #[test]
    fn a_full_dictionary_calls_new_words_other() {
        let mut words = Words::default();
        let numbers: Vec<u16> = (0..WORDS_MAX + 2).map(|n| words.number(&n.to_string())).collect();
        assert_eq!(numbers[WORDS_MAX - 1..], [u16::MAX - 1, OTHER, OTHER]);
        assert_eq!(words.number("17"), FIRST + 17);
        let mut long = Words::default();
        let count = (0..5000).filter(|n| long.number(&format!("{n:01000}")) != OTHER).count();
        assert_eq!(count, BYTES_MAX / 1000);
    }
}
