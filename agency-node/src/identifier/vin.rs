//! Vehicle identification numbers, ISO 3779, with the North American check digit (49 CFR 565.15).

use super::{Unusable, fold};

const LENGTH: usize = 17;
/// Index of the check digit (position 9).
const CHECK_INDEX: usize = 8;
/// 49 CFR 565.15, table IV; the check digit itself weighs nothing.
const WEIGHTS: [u32; LENGTH] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/// Seventeen characters without I, O and Q; where the world manufacturer identifier begins with 1 to
/// 5 (North America) the check digit must be right, elsewhere position 9 is free.
pub(super) fn canonicalise(folded: &str) -> Result<String, Unusable> {
    let vin = fold::upper_alphanumeric(folded)?;
    match vin.len() {
        0..LENGTH => return Err(Unusable::TooShort),
        LENGTH => {}
        _ => return Err(Unusable::TooLong),
    }
    if vin.bytes().any(|b| matches!(b, b'I' | b'O' | b'Q')) {
        return Err(Unusable::BadCharacters);
    }
    let north_american = matches!(vin.as_bytes().first(), Some(b'1'..=b'5'));
    if north_american && vin.as_bytes().get(CHECK_INDEX) != Some(&check_digit(&vin)) {
        return Err(Unusable::BadCheckDigit);
    }
    Ok(vin)
}

fn check_digit(vin: &str) -> u8 {
    let sum: u32 = vin.bytes().zip(WEIGHTS).map(|(symbol, weight)| value(symbol) * weight).sum();
    match sum % 11 {
        10 => b'X',
        remainder => b"0123456789"[remainder as usize],
    }
}

/// 49 CFR 565.15, table III.
fn value(symbol: u8) -> u32 {
    match symbol {
        b'0'..=b'9' => u32::from(symbol - b'0'),
        b'A'..=b'H' => u32::from(symbol - b'A') + 1,
        b'J'..=b'R' => u32::from(symbol - b'J') + 1,
        b'S'..=b'Z' => u32::from(symbol - b'S') + 2,
        _ => 0,
    }
}
