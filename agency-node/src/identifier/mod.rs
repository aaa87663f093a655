//! Canonical identifiers: the one spelling of a phone, plate, VIN, … that every agency arrives at.
//!
//! Two agencies' records of the same subject meet only if both nodes turn what they hold into the
//! same string, so each family follows a published standard and refuses what does not fit it. A
//! refusal is a value with a stable reason that is counted and reported; nothing is dropped in
//! silence and nothing panics on input.
//!
//! What this module never does: guess (a wrong merge of two subjects is worse than an unusable row),
//! show an identifier in an error or a `Debug` output, or make one serialisable.

mod cell;
mod container;
mod device;
mod fold;
mod mask;
mod passport;
mod phone;
mod plate;
mod usdot;
mod vin;

#[cfg(test)]
mod tests;

pub(crate) use cell::Cell;
pub use mask::{Hidden, mask};
pub use phone::{Country, UnknownCountry};

use std::fmt;
use std::str::FromStr;

use sallyport_trust::error::Refusal;

/// Longest raw value that is looked at, in bytes; anything longer is [`Unusable::TooLong`].
pub const MAX_RAW_BYTES: usize = 256;

/// A key's name space and [`sallyport_person::keys::KEY_CHARS_MAX`] characters, with room.
const PERSON_KEY_BYTES_MAX: usize = 512;

/// What an identifier identifies, and by which standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierType {
    /// Telephone number, ITU-T E.164 with a leading `+`.
    Phone,
    /// Vehicle licence plate with the state, province or territory that issued it.
    Plate,
    /// Vehicle identification number, ISO 3779, 17 characters.
    Vin,
    /// Passport number with the issuing state, ICAO 9303.
    Passport,
    /// Freight container with its check digit, ISO 6346.
    Container,
    /// USDOT number of a motor carrier, 1 to 8 digits.
    Usdot,
    /// A device's own identifier (tracker, electronic seal, handset).
    Device,
    /// A key of a person's name, birth date or place (`sallyport-person`). Nobody names it in a
    /// configuration or a question: it comes with `[dataset.person]`.
    PersonKey,
    /// A cell of the grid of places. Nobody names it in a configuration or a question: it comes with
    /// `[dataset.place]`.
    Cell,
}

impl IdentifierType {
    /// Every type that identifies by itself, in the order of the documentation.
    pub const ALL: [Self; 7] =
        [Self::Phone, Self::Plate, Self::Vin, Self::Passport, Self::Container, Self::Usdot, Self::Device];

    /// The type that a question names.
    ///
    /// # Errors
    /// `subject_unknown` when there is none of that name.
    pub(crate) fn asked(name: &str) -> Result<Self, Refusal> {
        name.parse().map_err(|_| {
            Refusal::bad_input("subject_unknown", format!("`{name}` is no type of identifier that this node knows."))
        })
    }

    /// The stable name used in configuration, questions and tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Plate => "plate",
            Self::Vin => "vin",
            Self::Passport => "passport",
            Self::Container => "container",
            Self::Usdot => "usdot",
            Self::Device => "device",
            Self::PersonKey => "person_key",
            Self::Cell => "cell",
        }
    }
}

impl fmt::Display for IdentifierType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for IdentifierType {
    type Err = UnknownIdentifierType;

    fn from_str(name: &str) -> Result<Self, UnknownIdentifierType> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownIdentifierType)
    }
}

/// A name that is no [`IdentifierType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown identifier type; use one of phone, plate, vin, passport, container, usdot, device")]
pub struct UnknownIdentifierType;

/// An identifier in its one canonical spelling; made only by [`canonicalise`].
///
/// It cannot be serialised and its `Debug` output is redacted: it must not leave the node.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Canonical(Box<str>);

impl Canonical {
    /// The canonical spelling. Keep it inside the node.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canonical(redacted)")
    }
}

/// What a data set's description adds to a bare value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// Country of phone numbers that are written without a country code.
    pub default_country: Option<Country>,
    /// Who issued the plate (postal code such as `TX`, `ON`, `TAM`) or the passport (ICAO code such
    /// as `USA`), when it stands in a column of its own.
    pub issuing_state: Option<&'a str>,
}

/// Why a value cannot be made canonical. The reasons are stable; the messages never hold the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Unusable {
    /// Nothing is left after trimming.
    #[error("the value is empty")]
    Empty,
    /// More characters than the standard allows.
    #[error("the value is longer than its standard allows; check that the right column is mapped")]
    TooLong,
    /// Fewer characters than the standard asks for.
    #[error("the value is shorter than its standard asks for; check for truncated values")]
    TooShort,
    /// A character that the standard does not know, or one in the wrong place.
    #[error("the value holds characters that its standard does not allow there")]
    BadCharacters,
    /// The check digit contradicts the rest: a typing or reading error.
    #[error("the check digit is wrong: the value was mistyped or misread")]
    BadCheckDigit,
    /// No number that its numbering plan could assign.
    #[error("the value is no number of its numbering plan")]
    NotANumber,
    /// A national phone number without a country.
    #[error("the number has no country code; set the data set's default country")]
    MissingCountry,
    /// A plate or a passport without its issuer.
    #[error("the issuing state is missing; map its column or write it before a hyphen")]
    MissingState,
    /// The issuer is not one that this project knows.
    #[error("the issuing state is unknown; use postal codes for plates, ICAO codes for passports")]
    UnknownState,
}

impl Unusable {
    /// The stable reason in `snake_case`, for reports, scripts and tests.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::TooShort => "too_short",
            Self::BadCharacters => "bad_characters",
            Self::BadCheckDigit => "bad_check_digit",
            Self::NotANumber => "not_a_number",
            Self::MissingCountry => "missing_country",
            Self::MissingState => "missing_state",
            Self::UnknownState => "unknown_state",
        }
    }
}

/// Turns a raw value into its canonical spelling.
///
/// Full-width forms, typographic dashes, exotic spaces, invisible marks and Arabic-Indic digits are
/// read as their ASCII counterparts first; any other character outside ASCII is refused. The result
/// is a fixed point: canonicalised again in the same context it stays as it is.
///
/// # Errors
/// [`Unusable`] says which rule of the identifier's standard the value breaks.
pub fn canonicalise(kind: IdentifierType, raw: &str, context: &Context<'_>) -> Result<Canonical, Unusable> {
    let canonical = match kind {
        IdentifierType::PersonKey => return person_key(raw),
        IdentifierType::Cell => return cell::canonicalise(raw),
        _ => folded(kind, &fold::fold(raw)?, context)?,
    };
    Ok(Canonical(canonical.into_boxed_str()))
}

/// What people write, in their many ways.
fn folded(kind: IdentifierType, folded: &str, context: &Context<'_>) -> Result<String, Unusable> {
    match kind {
        IdentifierType::Phone => phone::canonicalise(folded, context.default_country),
        IdentifierType::Plate => plate::canonicalise(folded, context.issuing_state),
        IdentifierType::Vin => vin::canonicalise(folded),
        IdentifierType::Passport => passport::canonicalise(folded, context.issuing_state),
        IdentifierType::Container => container::canonicalise(folded),
        IdentifierType::Usdot => usdot::canonicalise(folded),
        IdentifierType::Device => device::canonicalise(folded),
        IdentifierType::PersonKey | IdentifierType::Cell => Err(Unusable::BadCharacters),
    }
}

/// A person's key is canonical as it is made, in any script.
fn person_key(text: &str) -> Result<Canonical, Unusable> {
    match text {
        "" => Err(Unusable::Empty),
        _ if text.len() > PERSON_KEY_BYTES_MAX => Err(Unusable::TooLong),
        _ if text.chars().any(char::is_control) => Err(Unusable::BadCharacters),
        _ => Ok(Canonical(text.into())),
    }
}
