//! The kinds of keys. A kind travels sealed in its row as a small number and says which field of a
//! person agrees, and how closely; `sallyport_join::agreement::Scheme::persons` reads the numbers.
//!
//! Kinds of one [name space](Kind::space) may equal each other: a surname that stands where a given name
//! stands at the other agency meets it there, and the gateway sees two different kinds agree.

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal in $space:literal;)+) => {
        /// What a key says about its person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Kind {
            /// All kinds, by number.
            pub const ALL: &[Kind] = &[$(Kind::$name,)+];

            /// Keys are compared within their name space only; it stands before the text.
            pub fn space(self) -> &'static str {
                match self { $(Kind::$name => $space,)+ }
            }
        }
    };
}

kinds! {
    /// First given name, whole.
    Given = 0 in "name";
    /// Root of the first given name in the table of diminutives; up to two.
    GivenRoot = 1 in "root";
    /// Sound of the first given name.
    GivenSound = 2 in "sound";
    /// First four letters of the given names.
    GivenStart = 3 in "start";
    /// Last four letters of the given names, if they have more than four.
    GivenEnd = 4 in "end";
    /// Surname, whole, its words joined.
    Surname = 5 in "name";
    /// Sound of the surname.
    SurnameSound = 6 in "sound";
    /// First four letters of the surname.
    SurnameStart = 7 in "start";
    /// Last four letters of the surname, if it has more than four.
    SurnameEnd = 8 in "end";
    /// Another word of the name: second given names, parts of double surnames; up to three.
    FurtherName = 9 in "name";
    /// Birth date, complete and possible.
    Birth = 10 in "birth";
    /// Birth year with the day's and the month's number, smaller first: survives their transposition.
    BirthTransposed = 11 in "birth-swap";
    /// Birth year and month: survives any slip in the day.
    BirthYearMonth = 12 in "birth-ym";
    /// Birth year and day: survives any slip in the month.
    BirthYearDay = 13 in "birth-yd";
    /// Birth month and day: survives any slip in the year.
    BirthMonthDay = 14 in "birth-md";
    /// First letter of the sex.
    Sex = 15 in "sex";
    /// House number.
    StreetNumber = 16 in "number";
    /// Street, whole.
    Street = 17 in "street";
    /// First five letters of the street.
    StreetStart = 18 in "street-start";
    /// Last ten letters of the street, if it has more than ten.
    StreetEnd = 19 in "street-end";
    /// Building or property, whole; one name space with streets, as address lines change places.
    Premises = 20 in "street";
    /// First five letters of the building or property.
    PremisesStart = 21 in "street-start";
    /// Town, whole.
    Town = 22 in "town";
    /// First four letters of the town.
    TownStart = 23 in "town-start";
    /// Last five letters of the town, if it has more than five.
    TownEnd = 24 in "town-end";
    /// Postal code, whole.
    Postcode = 25 in "post";
    /// First half of the postal code.
    PostcodeStart = 26 in "post-start";
    /// Second half of the postal code.
    PostcodeEnd = 27 in "post-end";
    /// State or region.
    Region = 28 in "region";
    /// Document number, whole.
    Document = 29 in "doc";
    /// First half of the document number: survives a slip in the second.
    DocumentStart = 30 in "doc-start";
    /// Second half of the document number.
    DocumentEnd = 31 in "doc-end";
    /// Place of birth, whole.
    BirthPlace = 32 in "birth-place";
    /// First five letters of the place of birth.
    BirthPlaceStart = 33 in "birth-place-start";
    /// Occupation, whole.
    Occupation = 34 in "work";
    /// First five letters of the occupation.
    OccupationStart = 35 in "work-start";
    /// Contact address, whole.
    Contact = 36 in "contact";
    /// First five letters or digits of the contact address.
    ContactStart = 37 in "contact-start";
    /// Last eight letters or digits of the contact address.
    ContactEnd = 38 in "contact-end";
    /// Sounds of given name and surname, in the order of the alphabet: finds pairs, says nothing more.
    NamesSound = 39 in "names-sound";
    /// Sound of the surname and birth year: finds pairs.
    SurnameSoundYear = 40 in "sound-year";
    /// First letter of the given name and birth date: finds pairs.
    InitialBirth = 41 in "initial-birth";
    /// House number and postal code: finds pairs.
    NumberPostcode = 42 in "number-post";
    /// A MinHash band over the letter pairs of names and address; up to two: finds pairs.
    Resemblance = 43 in "minhash";
}

impl Kind {
    /// The number that travels.
    pub fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_list() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.number()), place);
        }
    }
}
