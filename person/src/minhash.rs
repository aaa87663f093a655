//! MinHash bands over letter pairs: texts that share most of their pairs share a band.
//!
//! Broder, "On the resemblance and containment of documents" (1997); bands as in Leskovec, Rajaraman,
//! Ullman, "Mining of Massive Datasets", 3.4. Two texts of Jaccard similarity s share a given band of
//! r rows with probability s^r. The hash is fixed and public: a band is a text like any other key, and
//! is tagged like one.

use std::collections::BTreeSet;

/// Rows of a band.
const ROWS: usize = 5;

/// The distinct letter pairs of words; a word of one letter is its own pair.
pub fn bigrams<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<(char, char)> {
    words
        .flat_map(|word| {
            let single = word.chars().next().filter(|_| word.chars().nth(1).is_none()).map(|c| (c, c));
            word.chars().zip(word.chars().skip(1)).chain(single)
        })
        .collect()
}

/// Text of band number `band` of a set of pairs; `None` for an empty set.
pub fn band(pairs: &BTreeSet<(char, char)>, band: usize) -> Option<String> {
    if pairs.is_empty() {
        return None;
    }
    let rows = (0..ROWS).map(|row| {
        let seed = mix((band * ROWS + row) as u64 + 1);
        let least = pairs.iter().map(|pair| mix(seed ^ (u64::from(pair.0) << 32 | u64::from(pair.1)))).min();
        // 48 bits of the least hash stand for the pair that has it.
        format!("{:012x}", least.unwrap_or(0) >> 16)
    });
    Some(format!("{band}:{}", rows.collect::<String>()))
}

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a permutation of 64 bits.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(one: &str, other: &str) -> usize {
        let (one, other) = (bigrams(one.split(' ')), bigrams(other.split(' ')));
        (0..400).filter(|&n| band(&one, n) == band(&other, n)).count()
    }

    #[test]
    fn the_share_of_equal_bands_follows_the_similarity() {
        let text = "michaela neumann stanley street winston hills";
        assert_eq!(shared(text, text), 400);
        let near = shared(text, "michafla neumann stanley street winston hills");
        let far = shared(text, "courtney painter pinkerton circuit richlands");
        assert!(near > 150 && far < 5, "{near} {far}");
    }

    #[test]
    fn an_empty_text_has_no_band_and_one_letter_has_one() {
        assert_eq!(band(&bigrams("".split(' ')), 0), None);
        assert!(band(&bigrams("a".split(' ')), 0).is_some());
    }
}
