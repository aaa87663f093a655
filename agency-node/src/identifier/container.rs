//! Freight containers, ISO 6346: owner code, equipment category, serial number, check digit.

use super::{Unusable, fold};

const LENGTH: usize = 11;

/// Eleven characters such as `CSQU3054383`.
pub(super) fn canonicalise(folded: &str) -> Result<String, Unusable> {
    let code = fold::upper_alphanumeric(folded)?;
    match code.len() {
        0..LENGTH => return Err(Unusable::TooShort),
        LENGTH => {}
        _ => return Err(Unusable::TooLong),
    }
    let (prefix, digits) = code.split_at(4);
    let category_known = matches!(prefix.as_bytes().last(), Some(b'U' | b'J' | b'Z'));
    if !prefix.bytes().all(|b| b.is_ascii_uppercase()) || !category_known || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Unusable::BadCharacters);
    }
    let (body, check) = code.split_at(LENGTH - 1);
    if check == check_digit(body).to_string() { Ok(code) } else { Err(Unusable::BadCheckDigit) }
}

/// ISO 6346 annex A: letters count 10 to 38 without the multiples of 11, each position weighs twice
/// the one before, and the remainder modulo 11 is taken, with 10 written as 0.
fn check_digit(body: &str) -> u32 {
    let sum: u32 = body.bytes().enumerate().map(|(position, symbol)| value(symbol) << position).sum();
    sum % 11 % 10
}

fn value(symbol: u8) -> u32 {
    if symbol.is_ascii_digit() {
        return u32::from(symbol - b'0');
    }
    let plain = u32::from(symbol.saturating_sub(b'A')) + 10;
    plain + (plain - 1) / 10
}
