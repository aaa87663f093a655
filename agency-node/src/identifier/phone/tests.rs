use proptest::prelude::*;

use super::*;

fn country(code: &str) -> Option<Country> {
    Some(code.parse().unwrap())
}

#[test]
fn spellings_of_one_number_meet() {
    let us = country("US");
    for written in [
        "+16039991234",
        "16039991234",
        "6039991234",
        "(603) 999-1234",
        "603.999.1234",
        "1-603-999-1234",
        "tel:+1-603-999-1234",
        "+1 (603) 999/1234",
    ] {
        assert_eq!(canonicalise(written, us).unwrap(), "+16039991234", "{written}");
    }
    assert_eq!(canonicalise("+525555123456", us).unwrap(), "+525555123456");
    assert_eq!(canonicalise("011 52 55 5512 3456", us).unwrap(), "+525555123456");
    assert_eq!(canonicalise("55 5512 3456", country("MX")).unwrap(), "+525555123456");
    assert_eq!(canonicalise("+44 (0)20 7946 0958", us).unwrap(), "+442079460958");
    assert_eq!(canonicalise("+39 02 3661 8300", None).unwrap(), "+390236618300");
}

#[test]
fn a_number_with_its_country_code_does_not_depend_on_the_default_country() {
    for written in ["+18155551234", "+442079460958", "+525555123456", "+79161234567"] {
        let alone = canonicalise(written, None).unwrap();
        assert_eq!(alone, written);
        for code in ["US", "MX", "LT", "RU", "DE", "HU", "BR", "AR"] {
            assert_eq!(canonicalise(written, country(code)).unwrap(), alone, "{code}");
        }
    }
}

#[test]
fn what_is_no_number_is_refused_with_its_reason() {
    let us = country("US");
    for (written, reason) in [
        ("603", Unusable::TooShort),
        ("603-999-1234 x 5", Unusable::BadCharacters),
        ("1-800-FLOWERS", Unusable::BadCharacters),
        ("60+39991234", Unusable::BadCharacters),
        ("9999999999", Unusable::NotANumber),
        ("0000000000", Unusable::NotANumber),
        ("+0016039991234", Unusable::NotANumber),
        ("123456789012345678901", Unusable::TooLong),
        ("()", Unusable::Empty),
    ] {
        assert_eq!(canonicalise(written, us), Err(reason), "{written}");
    }
    assert_eq!(canonicalise("6039991234", None), Err(Unusable::MissingCountry));
    assert!("ZZ".parse::<Country>().is_err());
    assert!("us".parse::<Country>().is_err());
}

#[test]
fn the_quick_way_is_taken_for_ordinary_numbers() {
    assert_eq!(quick_us("+16039991234", None).unwrap(), "+16039991234");
    assert_eq!(quick_us("6039991234", country("US")).unwrap(), "+16039991234");
    assert_eq!(quick_us("16039991234", country("US")).unwrap(), "+16039991234");
    assert_eq!(quick_us("6039991234", country("CA")), None);
}

fn written_us_number() -> impl Strategy<Value = String> {
    // Area codes and exchanges on both sides of every border of the plan.
    ("[0-9]{3}", "[0-9]{3}", "[0-9]{4}", prop_oneof![Just(""), Just("+1"), Just("+"), Just("1")])
        .prop_map(|(area, exchange, line, lead)| format!("{lead}{area}{exchange}{line}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_quick_way_agrees_with_the_library(
        written in written_us_number(),
        code in prop_oneof![Just(None), Just(Some("US")), Just(Some("CA")), Just(Some("MX"))],
    ) {
        let default = code.and_then(country);
        if let Some(quick) = quick_us(&written, default) {
            prop_assert_eq!(by_numbering_plan(&written, default), Ok(quick));
        }
    }

    #[test]
    fn any_digits_in_any_country_give_a_fixed_point(
        written in "\\+?[0-9]{4,20}",
        code in prop_oneof![
            Just("US"), Just("CA"), Just("MX"), Just("BR"), Just("AR"), Just("IT"), Just("DE"),
            Just("GB"), Just("RU"), Just("LT"), Just("JP"), Just("BB"), Just("CI"), Just("SM"),
        ],
    ) {
        let default = country(code);
        if let Ok(e164) = canonicalise(&written, default) {
            prop_assert!(e164.starts_with('+') && e164.len() <= 16);
            prop_assert_eq!(canonicalise(&e164, default), Ok(e164.clone()));
            prop_assert_eq!(canonicalise(&e164, None), Ok(e164));
        }
    }
}

#[test]
fn every_area_code_and_exchange_takes_the_same_way() {
    // Not every number, but each area code with one exchange, so that none is left to chance.
    let us = country("US");
    for area in 200..1_000_usize {
        let written = format!("{}{area}{}0123", ["", "1", "+1"][area % 3], 200 + (area * 7) % 800);
        if let Some(quick) = quick_us(&written, us) {
            assert_eq!(by_numbering_plan(&written, us), Ok(quick));
        }
    }
}
