//! USDOT numbers of motor carriers (49 CFR 390.19T): up to eight digits, written with many prefixes.

use super::Unusable;

const MAX_DIGITS: usize = 8;

/// One to eight digits without leading zeros; `USDOT`, `US DOT`, `DOT`, `#` and `:` before them are
/// the label painted on the truck and not part of the number.
pub(super) fn canonicalise(folded: &str) -> Result<String, Unusable> {
    let labelled = folded.to_ascii_uppercase();
    let mut rest = labelled.as_str();
    for label in ["US", "DOT", "NO.", "#", ":"] {
        rest = rest.trim_start_matches([' ', '-']);
        rest = rest.strip_prefix(label).unwrap_or(rest);
    }
    let digits = rest.trim_start();
    if digits.is_empty() {
        return Err(Unusable::Empty);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unusable::BadCharacters);
    }
    let number = digits.trim_start_matches('0');
    match number.len() {
        0 => Err(Unusable::NotANumber),
        1..=MAX_DIGITS => Ok(number.to_owned()),
        _ => Err(Unusable::TooLong),
    }
}
