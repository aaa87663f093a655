//! Passport numbers with their issuing state, ICAO 9303 parts 3 and 4.
//!
//! A document number is unique only within its issuing state, so it is no identifier without it.

use super::{Unusable, fold, plate::Issued};

/// Document numbers in the machine readable zone of a passport have nine positions.
const MAX_NUMBER_CHARS: usize = 9;

/// `STATE-NUMBER`, such as `UTO-L898902C3`; the filler `<` of the machine readable zone is left out.
pub(super) fn canonicalise(folded: &str, issuing_state: Option<&str>) -> Result<String, Unusable> {
    let issued = Issued::read(folded, issuing_state, state)?;
    let number = fold::upper_alphanumeric(issued.number.trim_end_matches('<'))?;
    if number.len() > MAX_NUMBER_CHARS {
        return Err(Unusable::TooLong);
    }
    Ok(format!("{}-{number}", issued.state))
}

/// ICAO 9303-3 section 5: three letters, of which Germany uses only the first.
fn state(text: &str) -> Option<String> {
    let code = text.trim_end_matches('<').to_ascii_uppercase();
    let three_letters = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    (three_letters || code == "D").then_some(code)
}
