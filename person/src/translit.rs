//! Letters that have an agreed Latin spelling: Latin letters that do not decompose, Cyrillic, Greek.
//!
//! Latin and Cyrillic as in ICAO Doc 9303 part 3, section 6 (what machine-readable passports print),
//! Greek letter by letter as in ELOT 743, with its "ου". Letters come in lower case and without marks. Scripts
//! without a rule here are left alone, never dropped.

/// The Latin spelling of a lower-case letter after the one before it, where there is a rule for it.
pub fn latin(before: Option<char>, letter: char) -> Option<&'static str> {
    match letter {
        'υ' if before == Some('ο') => Some("u"),
        'ß' => Some("ss"),
        'æ' => Some("ae"),
        'ø' => Some("o"),
        'œ' => Some("oe"),
        'đ' | 'ð' => Some("d"),
        'þ' => Some("th"),
        'ł' => Some("l"),
        'ħ' => Some("h"),
        'ı' => Some("i"),
        'ŋ' => Some("n"),
        'ŧ' => Some("t"),
        'ĸ' => Some("k"),
        'ə' => Some("a"),
        'α'..='ω' => greek(letter),
        'а'..='ӿ' => cyrillic(letter),
        _ => None,
    }
}

fn greek(letter: char) -> Option<&'static str> {
    const LETTERS: [&str; 25] = [
        "a", "v", "g", "d", "e", "z", "i", "th", "i", "k", "l", "m", "n", "x", "o", "p", "r", "s", "s", "t", "y", "f",
        "ch", "ps", "o",
    ];
    LETTERS.get(letter as usize - 'α' as usize).copied()
}

fn cyrillic(letter: char) -> Option<&'static str> {
    const LETTERS: [&str; 32] = [
        "a", "b", "v", "g", "d", "e", "zh", "z", "i", "i", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "kh",
        "ts", "ch", "sh", "shch", "ie", "y", "", "e", "iu", "ia",
    ];
    if let Some(letters) = LETTERS.get(letter as usize - 'а' as usize) {
        return Some(letters);
    }
    match letter {
        'ё' => Some("e"),
        'ђ' | 'ћ' => Some("d"),
        'є' => Some("ie"),
        'ѕ' => Some("dz"),
        'і' | 'ї' => Some("i"),
        'ј' => Some("j"),
        'љ' => Some("lj"),
        'њ' => Some("nj"),
        'ќ' => Some("k"),
        'ў' => Some("u"),
        'џ' => Some("dz"),
        'ґ' | 'ғ' => Some("g"),
        'қ' => Some("k"),
        'ң' => Some("n"),
        'ү' | 'ұ' => Some("u"),
        'һ' => Some("h"),
        'ә' => Some("a"),
        'ө' => Some("o"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(letter: char) -> Option<&'static str> {
        latin(None, letter)
    }

    #[test]
    fn every_letter_of_the_alphabets_has_its_spelling() {
        assert_eq!((alone('α'), alone('ω'), alone('ς')), (Some("a"), Some("o"), Some("s")));
        assert_eq!((alone('а'), alone('щ'), alone('я')), (Some("a"), Some("shch"), Some("ia")));
        assert_eq!((latin(Some('ο'), 'υ'), latin(Some('α'), 'υ')), (Some("u"), Some("y")));
        assert_eq!((alone('ь'), alone('ß')), (Some(""), Some("ss")));
    }

    #[test]
    fn what_has_no_rule_is_left_alone() {
        assert_eq!([alone('a'), alone('王'), alone('م'), alone('ҿ')], [None; 4]);
    }
}
