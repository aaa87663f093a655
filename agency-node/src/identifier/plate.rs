//! Vehicle licence plates with the North American jurisdiction that issued them.
//!
//! The same characters are on the road in several states at once, so a plate is no identifier
//! without its state. Letters and digits that look alike are kept apart: states issue both.

use super::{Unusable, fold};

const MAX_NUMBER_CHARS: usize = 10;

/// Postal codes of the United States' states, district and territories, of Canada's provinces and
/// territories, and the ISO 3166-2 codes of Mexico's states.
const JURISDICTIONS: &[&str] = &[
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA", "ME",
    "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA",
    "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC", "AS", "GU", "MP", "PR", "VI", "AB",
    "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT", "AGU", "BCN", "BCS", "CAM", "CHH", "CHP",
    "CMX", "COA", "COL", "DUR", "GRO", "GUA", "HID", "JAL", "MEX", "MIC", "MOR", "NAY", "NLE", "OAX", "PUE", "QUE",
    "ROO", "SIN", "SLP", "SON", "TAB", "TAM", "TLA", "VER", "YUC", "ZAC",
];

/// `STATE-ABC1234`: letters and digits only, upper case.
pub(super) fn canonicalise(folded: &str, issuing_state: Option<&str>) -> Result<String, Unusable> {
    let issued = Issued::read(folded, issuing_state, jurisdiction)?;
    let number = fold::upper_alphanumeric(issued.number)?;
    if number.len() > MAX_NUMBER_CHARS {
        return Err(Unusable::TooLong);
    }
    Ok(format!("{}-{number}", issued.state))
}

fn jurisdiction(text: &str) -> Option<String> {
    let code = text.to_ascii_uppercase();
    JURISDICTIONS.contains(&code.as_str()).then_some(code)
}

/// A number and who issued it, wherever the issuer was written.
pub(super) struct Issued<'a> {
    /// Canonical code of the issuer.
    pub(super) state: String,
    /// The number as written, without the issuer.
    pub(super) number: &'a str,
}

impl<'a> Issued<'a> {
    /// Takes the issuer from its own column, or else from before the first hyphen of the value.
    ///
    /// With a column of its own, the value loses a prefix only when it repeats that very issuer: a
    /// hyphen may belong to the number.
    pub(super) fn read(
        folded: &'a str,
        own_column: Option<&str>,
        state: fn(&str) -> Option<String>,
    ) -> Result<Self, Unusable> {
        let prefixed = folded.split_once('-').and_then(|(before, number)| Some((state(before.trim_end())?, number)));
        let Some(own_column) = own_column.map(str::trim).filter(|text| !text.is_empty()) else {
            let (state, number) = prefixed.ok_or(Unusable::MissingState)?;
            return Ok(Self { state, number });
        };
        let issuer = state(own_column).ok_or(Unusable::UnknownState)?;
        match prefixed {
            Some((repeated, number)) if repeated == issuer => Ok(Self { state: issuer, number }),
            _ => Ok(Self { state: issuer, number: folded }),
        }
    }
}
