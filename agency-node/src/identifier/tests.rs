use proptest::prelude::*;

use super::*;

fn read(kind: IdentifierType, raw: &str, state: Option<&str>) -> Result<String, Unusable> {
    let context = Context { default_country: Some("US".parse().unwrap()), issuing_state: state };
    canonicalise(kind, raw, &context).map(|canonical| canonical.as_str().to_owned())
}

fn assert_reads(kind: IdentifierType, cases: &[(&str, Option<&str>, Result<&str, Unusable>)]) {
    for (raw, state, expected) in cases {
        assert_eq!(read(kind, raw, *state), expected.map(str::to_owned), "{kind} {raw} {state:?}");
    }
}

#[test]
fn vehicle_identification_numbers() {
    assert_reads(
        IdentifierType::Vin,
        &[
            ("1M8GDM9AXKP042788", None, Ok("1M8GDM9AXKP042788")),
            ("11111111111111111", None, Ok("11111111111111111")),
            (" 1m8gdm9a-xkp042788 ", None, Ok("1M8GDM9AXKP042788")),
            ("5GZCZ43D13S812715", None, Ok("5GZCZ43D13S812715")),
            ("1M8GDM9A1KP042788", None, Err(Unusable::BadCheckDigit)),
            ("1M8GDM9AXKP042789", None, Err(Unusable::BadCheckDigit)),
            // Made in Germany: position 9 is the maker's own.
            ("WVWZZZ1JZ3W386752", None, Ok("WVWZZZ1JZ3W386752")),
            ("WVWZZZ1JZ3W38675O", None, Err(Unusable::BadCharacters)),
            ("1M8GDM9AXKP04278", None, Err(Unusable::TooShort)),
            ("1M8GDM9AXKP0427888", None, Err(Unusable::TooLong)),
            ("1M8GDM9A*KP042788", None, Err(Unusable::BadCharacters)),
        ],
    );
}

#[test]
fn containers() {
    assert_reads(
        IdentifierType::Container,
        &[
            ("CSQU3054383", None, Ok("CSQU3054383")),
            ("csqu 305438-3", None, Ok("CSQU3054383")),
            ("MSKU6011672", None, Ok("MSKU6011672")),
            ("CSQU3054384", None, Err(Unusable::BadCheckDigit)),
            ("CSQX3054383", None, Err(Unusable::BadCharacters)),
            ("C5QU3054383", None, Err(Unusable::BadCharacters)),
            ("CSQU305438", None, Err(Unusable::TooShort)),
            ("CSQU30543833", None, Err(Unusable::TooLong)),
        ],
    );
}

#[test]
fn plates() {
    assert_reads(
        IdentifierType::Plate,
        &[
            ("tx-abc 1234", None, Ok("TX-ABC1234")),
            ("ABC-1234", Some("TX"), Ok("TX-ABC1234")),
            ("TX-ABC-1234", Some("tx"), Ok("TX-ABC1234")),
            ("TAM-XA1234", None, Ok("TAM-XA1234")),
            // A hyphen of the number itself, not another state.
            ("CA-1234", Some("TX"), Ok("TX-CA1234")),
            ("ABC1234", None, Err(Unusable::MissingState)),
            ("ABC-1234", None, Err(Unusable::MissingState)),
            ("ABC1234", Some("  "), Err(Unusable::MissingState)),
            ("ABC1234", Some("XX"), Err(Unusable::UnknownState)),
            ("ABC*1234", Some("TX"), Err(Unusable::BadCharacters)),
            ("TX-", None, Err(Unusable::Empty)),
            ("ABCDEFGHIJK", Some("TX"), Err(Unusable::TooLong)),
        ],
    );
}

#[test]
fn passports() {
    assert_reads(
        IdentifierType::Passport,
        &[
            ("L898902C3", Some("UTO"), Ok("UTO-L898902C3")),
            ("uto-L898902C3", None, Ok("UTO-L898902C3")),
            ("L898902C<", Some("UTO"), Ok("UTO-L898902C")),
            ("C01X00T47", Some("D<<"), Ok("D-C01X00T47")),
            ("L898902C3", None, Err(Unusable::MissingState)),
            ("L898902C3", Some("US"), Err(Unusable::UnknownState)),
            ("L898902C36", Some("UTO"), Err(Unusable::TooLong)),
            ("L8989<2C3", Some("UTO"), Err(Unusable::BadCharacters)),
        ],
    );
}

#[test]
fn carriers_and_devices() {
    assert_reads(
        IdentifierType::Usdot,
        &[
            ("1234567", None, Ok("1234567")),
            ("USDOT 01234567", None, Ok("1234567")),
            ("US DOT# 123", None, Ok("123")),
            ("DOT No. 123", None, Ok("123")),
            ("000", None, Err(Unusable::NotANumber)),
            ("123456789", None, Err(Unusable::TooLong)),
            ("12a4", None, Err(Unusable::BadCharacters)),
            ("USDOT", None, Err(Unusable::Empty)),
        ],
    );
    assert_reads(
        IdentifierType::Device,
        &[
            ("Seal_00:1B-44.x", None, Ok("seal_00:1b-44.x")),
            ("a b", None, Err(Unusable::BadCharacters)),
            ("7", None, Ok("7")),
        ],
    );
    assert_eq!(read(IdentifierType::Device, &"a".repeat(64), None), Ok("a".repeat(64)));
    assert_eq!(read(IdentifierType::Device, &"a".repeat(65), None), Err(Unusable::TooLong));
}

#[test]
fn what_people_paste_is_read_as_ascii() {
    assert_eq!(
        read(IdentifierType::Phone, "\u{202A}+1\u{00A0}603\u{2011}999\u{2011}1234\u{202C}", None),
        Ok("+16039991234".to_owned())
    );
    assert_eq!(read(IdentifierType::Phone, "６０３９９９１２３４", None), Ok("+16039991234".to_owned()));
    assert_eq!(read(IdentifierType::Phone, "٦٠٣٩٩٩١٢٣٤", None), Ok("+16039991234".to_owned()));
    // A Cyrillic letter that looks like a Latin one is another letter.
    assert_eq!(read(IdentifierType::Plate, "АBC1234", Some("TX")), Err(Unusable::BadCharacters));
    for kind in IdentifierType::ALL {
        assert_eq!(read(kind, " \u{3000}\u{200B}\t", None), Err(Unusable::Empty));
        assert_eq!(read(kind, &"1".repeat(MAX_RAW_BYTES + 1), None), Err(Unusable::TooLong));
    }
}

#[test]
fn masks() {
    let canonical = |kind, raw| {
        let context = Context { default_country: None, issuing_state: None };
        canonicalise(kind, raw, &context).unwrap()
    };
    let phone = canonical(IdentifierType::Phone, "+16039991234");
    let shown = |hidden| mask(IdentifierType::Phone, &phone, hidden);
    assert_eq!(shown(Hidden::Last(4)), "1603999XXXX");
    assert_eq!(shown(Hidden::All), "XXXXXXXXXXX");
    assert_eq!(shown(Hidden::Last(99)), "XXXXXXXXXXX");
    assert_eq!(shown(Hidden::None), "+16039991234");
    let plate = canonical(IdentifierType::Plate, "TX-ABC1234");
    assert_eq!(mask(IdentifierType::Plate, &plate, Hidden::Last(4)), "TX-ABCXXXX");
    let short = canonical(IdentifierType::Usdot, "1234");
    assert_eq!(mask(IdentifierType::Usdot, &short, Hidden::Last(4)), "XXXX");
}

#[test]
fn names_and_reasons_are_stable_and_nothing_is_shown() {
    for kind in IdentifierType::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert!("person".parse::<IdentifierType>().is_err());
    assert_eq!(Unusable::BadCheckDigit.reason(), "bad_check_digit");
    assert_eq!(Unusable::MissingState.reason(), "missing_state");
    let canonical = canonicalise(IdentifierType::Device, "secret-1", &Context::default()).unwrap();
    assert!(!format!("{canonical:?}").contains("secret"));
}

fn state() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), Just(Some("TX".to_owned())), Just(Some("USA".to_owned())), any::<String>().prop_map(Some),]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_without_panic_and_to_a_fixed_point(
        raw in prop_oneof![
            any::<String>(),
            "[A-Za-z0-9 .<-]{1,20}",
            "(TX|tx|USA|D|CA)-[A-Z0-9-]{1,10}",
            "[A-Z]{3}U[0-9]{7}",
            "[0-9A-HJ-NPR-Z]{17}",
            "[+0-9０-９٠-٩()-]{1,18}",
        ],
        state in state(),
        default in prop_oneof![Just(None), Just(Some("US")), Just(Some("MX"))],
    ) {
        let context = Context {
            default_country: default.map(|code: &str| code.parse().unwrap()),
            issuing_state: state.as_deref(),
        };
        for kind in IdentifierType::ALL {
            if let Ok(canonical) = canonicalise(kind, &raw, &context) {
                prop_assert!(canonical.as_str().is_ascii() && !canonical.as_str().is_empty());
                prop_assert_eq!(
                    canonicalise(kind, canonical.as_str(), &context), Ok(canonical.clone()),
                    "{} {:?}", kind, canonical.as_str()
                );
                for hidden in [Hidden::None, Hidden::Last(4), Hidden::All] {
                    prop_assert!(!mask(kind, &canonical, hidden).is_empty());
                }
            }
        }
    }
}
