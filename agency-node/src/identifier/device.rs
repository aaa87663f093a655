//! Identifiers of devices: trackers, electronic seals, handsets.
//!
//! Makers follow no common standard, so the rule is a closed alphabet and one case.

use super::Unusable;

/// Longest device identifier, in characters.
const MAX_CHARS: usize = 64;

/// 1 to 64 characters of `A-Z a-z 0-9 . _ : -`, in lower case.
pub(super) fn canonicalise(folded: &str) -> Result<String, Unusable> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    if !folded.bytes().all(allowed) {
        return Err(Unusable::BadCharacters);
    }
    if folded.len() > MAX_CHARS {
        return Err(Unusable::TooLong);
    }
    Ok(folded.to_ascii_lowercase())
}
