//! Canonical text: one spelling for what is written in several ways, in any script.
//!
//! NFKD (Unicode Standard Annex 15), lower case, marks taken off letters of Latin, Greek and Cyrillic,
//! transliteration where [`crate::translit`] has a rule. Letters of every other script stay what they
//! are, with the marks that belong to them, composed again (NFC). Only letters, digits and those
//! marks survive; all else parts words. Nothing here guesses a language.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::translit::latin;

/// Characters read of one text; what follows is not compared.
pub const TEXT_CHARS_MAX: usize = 128;

/// Words read of one text.
pub const WORDS_MAX: usize = 12;

/// The canonical words of `raw`, at most [`WORDS_MAX`], none empty.
///
/// Apostrophes join ("O'Brien" is one word), every other sign parts.
pub fn words(raw: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut base_loses_marks = false;
    let mut before = None;
    for c in raw.chars().take(TEXT_CHARS_MAX).nfkd() {
        if is_combining_mark(c) {
            let vowel_sign = matches!(c, '\u{0591}'..='\u{05C7}' | '\u{064B}'..='\u{065F}' | '\u{0670}');
            if !base_loses_marks && !vowel_sign {
                push(&mut words, c);
            }
            continue;
        }
        if is_apostrophe(c) {
            continue;
        }
        for lower in c.to_lowercase().filter(|c| !is_combining_mark(*c)) {
            base_loses_marks = lower.is_ascii() || matches!(lower, '\u{00C0}'..='\u{052F}' | '\u{1E00}'..='\u{1FFF}');
            let spelling = latin(before, lower);
            before = Some(lower);
            match spelling {
                Some(letters) => letters.chars().for_each(|letter| push(&mut words, letter)),
                None if lower.is_alphanumeric() => push(&mut words, lower),
                None if words.last().is_some_and(|word| !word.is_empty()) => words.push(String::new()),
                None => {}
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words.truncate(WORDS_MAX);
    words.into_iter().map(|word| word.nfc().collect()).collect()
}

/// All words in one, so that a blank too many or too few does not matter. `None` without any letter
/// or digit.
pub fn joined(raw: &str) -> Option<String> {
    let joined = words(raw).concat();
    (!joined.is_empty()).then_some(joined)
}

/// The first `count` characters, or all of them.
pub fn start(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(position, _)| &text[..position])
}

/// The last `count` characters, or all of them.
pub fn end(text: &str, count: usize) -> &str {
    let from = text.chars().count().saturating_sub(count);
    text.char_indices().nth(from).map_or("", |(position, _)| &text[position..])
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '\u{00B4}' | '\u{02B9}' | '\u{02BC}' | '\u{02BB}' | '\u{2018}' | '\u{2019}' | '\u{2032}')
}

fn push(words: &mut [String], c: char) {
    if let Some(word) = words.last_mut() {
        word.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_name_written_in_several_ways_is_one_text() {
        for (one, other) in [
            ("José", "JOSE"),
            ("Müller", "Mu\u{0308}ller"),
            ("O'Brien", "O\u{2019}BRIEN"),
            ("Straße", "STRASSE"),
            ("Łódź", "lodz"),
            ("Ｓｍｉｔｈ", "Smith"),
            ("Σωκράτης", "ΣΩΚΡΑΤΗΣ"),
            ("İstanbul", "istanbul"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(words(one), words(other), "{one} {other}");
        }
    }

    #[test]
    fn rules_of_transliteration_bring_scripts_together() {
        assert_eq!(joined("Горбачёв").as_deref(), Some("gorbachev"));
        assert_eq!(joined("Παπαδόπουλος").as_deref(), Some("papadopoulos"));
    }

    #[test]
    fn names_in_other_scripts_are_kept_whole() {
        assert_eq!(words("王 小明"), ["王", "小明"]);
        assert_eq!(words("ガンジー"), ["ガンジー"]);
        assert_eq!(words("김철수"), ["김철수"]);
        assert_eq!(words("राहुल गांधी"), ["राहुल", "गांधी"]);
        assert_eq!(words("مُحَمَّد"), words("محمد"));
        assert_ne!(words("राहुल"), words("रहल"));
    }

    #[test]
    fn signs_part_words_and_alone_are_nothing() {
        assert_eq!(words("Smith-Jones, (jr.)"), ["smith", "jones", "jr"]);
        assert_eq!(joined(" -- ?! "), None);
        assert_eq!(joined("kate lin"), joined("katelin"));
    }

    #[test]
    fn start_and_end_count_characters_and_not_bytes() {
        assert_eq!((start("żółw", 2), end("żółw", 2)), ("żó", "łw"));
        assert_eq!((start("ab", 4), end("ab", 4)), ("ab", "ab"));
    }

    proptest! {
        #[test]
        fn canonical_text_is_canonical_and_bounded(raw in any::<String>()) {
            let once = words(&raw);
            prop_assert!(once.len() <= WORDS_MAX);
            prop_assert!(once.iter().all(|word| !word.is_empty()));
            // A compatibility character gives at most 18 characters.
            prop_assert!(once.concat().chars().count() <= 18 * TEXT_CHARS_MAX * 4);
        }
    }
}
