//! Reads what people and exports put into text as plain ASCII, before any standard is applied.
//!
//! Only characters that mean the same are replaced; what has no ASCII counterpart is refused, never
//! left out, because leaving it out could turn one identifier into another.

use std::borrow::Cow;

use super::{MAX_RAW_BYTES, Unusable};

/// The value in trimmed, non-empty ASCII of at most [`MAX_RAW_BYTES`] bytes.
pub(super) fn fold(raw: &str) -> Result<Cow<'_, str>, Unusable> {
    if raw.len() > MAX_RAW_BYTES {
        return Err(Unusable::TooLong);
    }
    let folded = if raw.is_ascii() {
        Cow::Borrowed(raw.trim())
    } else {
        let mut ascii = String::with_capacity(raw.len());
        for character in raw.chars() {
            match ascii_of(character) {
                Folded::Ascii(same) => ascii.push(same),
                Folded::Invisible => {}
                Folded::Foreign => return Err(Unusable::BadCharacters),
            }
        }
        Cow::Owned(ascii.trim().to_owned())
    };
    if folded.is_empty() { Err(Unusable::Empty) } else { Ok(folded) }
}

/// Upper-case letters and digits of `text` with spaces, hyphens and full stops taken out.
pub(super) fn upper_alphanumeric(text: &str) -> Result<String, Unusable> {
    let mut compact = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' | '-' | '.' => {}
            c if c.is_ascii_alphanumeric() => compact.push(c.to_ascii_uppercase()),
            _ => return Err(Unusable::BadCharacters),
        }
    }
    if compact.is_empty() { Err(Unusable::Empty) } else { Ok(compact) }
}

enum Folded {
    Ascii(char),
    Invisible,
    Foreign,
}

fn ascii_of(character: char) -> Folded {
    let code = u32::from(character);
    let shifted =
        |base: u32, first: char| char::from_u32(code - base + u32::from(first)).map_or(Folded::Foreign, Folded::Ascii);
    match character {
        c if c.is_ascii() => Folded::Ascii(c),
        // Full-width forms of "!" to "~".
        '\u{FF01}'..='\u{FF5E}' => shifted(0xFF01, '!'),
        // Arabic-Indic digits and their eastern forms.
        '\u{0660}'..='\u{0669}' => shifted(0x0660, '0'),
        '\u{06F0}'..='\u{06F9}' => shifted(0x06F0, '0'),
        // Hyphens, dashes and the minus sign.
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Folded::Ascii('-'),
        // No-break, en, em, thin, narrow and ideographic spaces.
        '\u{00A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Folded::Ascii(' '),
        // Soft hyphen, zero-width characters, direction marks, byte order mark: copied along from
        // address books and web pages, seen by nobody.
        '\u{00AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'
        | '\u{2066}'..='\u{2069}'
        | '\u{FEFF}' => Folded::Invisible,
        _ => Folded::Foreign,
    }
}
