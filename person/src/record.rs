//! What may be known of a person. Free texts as an agency wrote them; all of them optional.
//!
//! Borrowed, never kept: the texts stay where the node has them.

use crate::birth::DateOrder;

/// One record about a person. An absent or empty text is no information, not a disagreement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonRecord<'a> {
    /// First name, and further ones behind it.
    pub given_names: Option<&'a str>,
    /// Family name or names.
    pub surname: Option<&'a str>,
    /// The whole name as written, where it says more than the two above or stands instead of them:
    /// "Given Further Surname" or "Surname, Given Further".
    pub full_name: Option<&'a str>,
    /// Date of birth: year first, or in `date_order`.
    pub birth_date: Option<&'a str>,
    /// How dates are written in which the year does not come first.
    pub date_order: DateOrder,
    /// Sex or gender as written; compared by its first letter.
    pub sex: Option<&'a str>,
    /// House number.
    pub street_number: Option<&'a str>,
    /// Street.
    pub street: Option<&'a str>,
    /// Building, flat, property: the second line of an address.
    pub premises: Option<&'a str>,
    /// Suburb, town or city.
    pub town: Option<&'a str>,
    /// Postal code.
    pub postcode: Option<&'a str>,
    /// State, province, region or its abbreviation.
    pub region: Option<&'a str>,
    /// Number of a document or of an insurance.
    pub document: Option<&'a str>,
    /// Place of birth.
    pub birth_place: Option<&'a str>,
    /// Occupation.
    pub occupation: Option<&'a str>,
    /// An address of electronic mail, an account, a telephone number.
    pub contact: Option<&'a str>,
}
