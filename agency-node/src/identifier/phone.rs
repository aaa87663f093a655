//! Telephone numbers in ITU-T E.164, by the numbering plans of libphonenumber.
//!
//! A number must be one that its numbering plan can assign: fillers such as 9999999999 stand in
//! many data sets at once and would join people who have nothing to do with each other. All nodes
//! of a federation should run the same release, since the plans are part of it. Extensions and
//! vanity letters are refused: what is behind an extension is another line.

use std::str::FromStr;
use std::sync::Once;

use phonenumber::country::Source;
use phonenumber::metadata::DATABASE;

use super::Unusable;

/// ITU-T E.164 section 6.1: at most fifteen digits, country code included.
const MAX_E164_DIGITS: usize = 15;
/// An international prefix and the digits may be written together; more is no number.
const MAX_WRITTEN_DIGITS: usize = 20;
/// No country code and national number together are shorter.
const MIN_WRITTEN_DIGITS: usize = 4;
/// The library keeps compiled patterns; the plans of all countries together have about this many.
const COMPILED_PATTERNS: usize = 2_000;

/// A country by its ISO 3166-1 alpha-2 code, known to have a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(phonenumber::country::Id);

/// A code that names no country with a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown country; use a two-letter ISO 3166-1 code in capitals, such as US, CA or MX")]
pub struct UnknownCountry;

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(code: &str) -> Result<Self, UnknownCountry> {
        let id: phonenumber::country::Id = code.parse().map_err(|_| UnknownCountry)?;
        DATABASE.by_id(id.as_ref()).map(|_| Self(id)).ok_or(UnknownCountry)
    }
}

/// `+` and at most fifteen digits.
pub(super) fn canonicalise(folded: &str, country: Option<Country>) -> Result<String, Unusable> {
    let written = written_number(folded)?;
    if let Some(e164) = quick_us(&written, country) {
        return Ok(e164);
    }
    by_numbering_plan(&written, country)
}

/// The digits as written, after a `+` if there was one.
fn written_number(folded: &str) -> Result<String, Unusable> {
    let scheme_len = "tel:".len();
    let number = match folded.get(..scheme_len) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &folded[scheme_len..],
        _ => folded,
    };
    let mut written = String::with_capacity(number.len());
    for character in number.chars() {
        match character {
            '0'..='9' => written.push(character),
            '+' if written.is_empty() => written.push('+'),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            _ => return Err(Unusable::BadCharacters),
        }
    }
    let digits = written.trim_start_matches('+').len();
    match digits {
        0 => Err(Unusable::Empty),
        1..MIN_WRITTEN_DIGITS => Err(Unusable::TooShort),
        MIN_WRITTEN_DIGITS..=MAX_WRITTEN_DIGITS => Ok(written),
        _ => Err(Unusable::TooLong),
    }
}

/// What [`by_numbering_plan`] would answer, for the ordinary ten-digit number of the United States.
///
/// The plan of the United States is the first that the library asks for country code 1, and it
/// finds a number assignable if the general and the fixed-line pattern match; both are asked here,
/// without the dozen others. A property test holds the two ways against each other.
fn quick_us(written: &str, country: Option<Country>) -> Option<String> {
    let national = match written.strip_prefix("+1") {
        Some(national) => national,
        // National numbers do not begin with the trunk prefix 1.
        None if country == Some(Country(phonenumber::country::US)) => written.strip_prefix('1').unwrap_or(written),
        None => return None,
    };
    if national.len() != 10 || !matches!(national.as_bytes().first(), Some(b'2'..=b'9')) {
        return None;
    }
    let plan = DATABASE.by_id("US")?.descriptors();
    let assignable = plan.general().is_match(national) && plan.fixed_line()?.is_match(national);
    assignable.then(|| format!("+1{national}"))
}

fn by_numbering_plan(written: &str, country: Option<Country>) -> Result<String, Unusable> {
    if country.is_none() && !written.starts_with('+') {
        return Err(Unusable::MissingCountry);
    }
    let e164 = parse(written, country)?;
    // The library strips trunk prefixes by pattern; a number it would strip twice is ambiguous.
    if e164 != written && parse(&e164, country)? != e164 {
        return Err(Unusable::NotANumber);
    }
    Ok(e164)
}

fn parse(written: &str, country: Option<Country>) -> Result<String, Unusable> {
    keep_compiled_patterns();
    // Given a country, the library applies that country's trunk prefix to every number, also to one
    // of another country; a number that begins with `+` must not depend on where it is read.
    let country = country.filter(|_| !written.starts_with('+')).map(|c| c.0);
    let number = phonenumber::parse(country, written).map_err(|_| Unusable::NotANumber)?;
    if !number.is_valid() {
        return Err(Unusable::NotANumber);
    }
    let digits = format!("{}{}", number.code().value(), number.national());
    // The same fault with an international prefix: accept only what was left untouched.
    if number.code().source() == Source::Idd && !written.ends_with(&digits) {
        return Err(Unusable::NotANumber);
    }
    if digits.len() > MAX_E164_DIGITS { Err(Unusable::TooLong) } else { Ok(format!("+{digits}")) }
}

/// By default the library keeps a hundred compiled patterns and compiles the others anew at every
/// number, which costs milliseconds as soon as numbers of a few countries are mixed.
fn keep_compiled_patterns() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Ok(mut cache) = DATABASE.cache().lock() {
            cache.set_capacity(COMPILED_PATTERNS);
        }
    });
}

#[cfg(test)]
mod tests;
