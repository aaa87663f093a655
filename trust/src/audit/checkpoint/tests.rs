use proptest::prelude::*;

use super::*;

/// PKCS#8 (RFC 8410) around the secret key of RFC 8032 section 7.1, test 1.
fn known_pkcs8() -> Vec<u8> {
    let mut pkcs8 =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    pkcs8.extend_from_slice(&[
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ]);
    pkcs8
}

fn known_root() -> Hash {
    let root = STANDARD.decode("XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=").unwrap();
    Hash(root.try_into().unwrap())
}

/// Both computed with another Ed25519 implementation (Python's `cryptography`).
const KNOWN_VKEY: &str = "example.com/log+cc714670+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
const KNOWN_NOTE: &str = "example.com/log\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\
    \u{2014} example.com/log zHFGcFgWv11lWNcaencFBAIP2jaYDmzzTqQYktcWjHonYVMYj1dpRwXFs7qAp9G9NVl6Q4L2TIziuY0FeM1j5xOVYQ0=\n";

fn known_key() -> VerifierKey {
    KNOWN_VKEY.parse().unwrap()
}

#[test]
fn a_known_key_gives_the_known_note() {
    let signer = Signer::from_pkcs8("example.com/log", &known_pkcs8()).unwrap();
    assert_eq!(signer.verifier().to_string(), KNOWN_VKEY);
    assert_eq!(signer.sign(8, known_root()).unwrap(), KNOWN_NOTE);
    let expected = Checkpoint { origin: "example.com/log".to_owned(), size: 8, root: known_root() };
    assert_eq!(known_key().verify(KNOWN_NOTE), Ok(expected));
}

#[test]
fn the_key_of_the_public_go_checksum_database_is_understood() {
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!((key.name(), key.to_string().as_str()), ("sum.golang.org", text));
}

#[test]
fn a_generated_key_survives_being_kept() {
    let (signer, pkcs8) = Signer::generate("sallyport.test/node").unwrap();
    let again = Signer::from_pkcs8("sallyport.test/node", &pkcs8).unwrap();
    assert_eq!(signer.verifier(), again.verifier());
    let note = again.sign(0, crate::audit::merkle::empty_root()).unwrap();
    assert_eq!(signer.verifier().verify(&note).unwrap().size, 0);
    assert!(Signer::from_pkcs8("sallyport.test/node", &pkcs8[1..]).is_err());
    assert!(!format!("{signer:?}").contains(&STANDARD.encode(&pkcs8)));
}

#[test]
fn cosignatures_of_others_are_passed_over() {
    let others = "\u{2014} witness.example AAAAAAAAAAAA\n".repeat(16);
    assert!(known_key().verify(&format!("{KNOWN_NOTE}{others}")).is_ok());
    // Same name with another key id is another key.
    let other = "\u{2014} example.com/log AAAAAAAAAAAA\n";
    assert!(known_key().verify(&format!("{KNOWN_NOTE}{other}")).is_ok());
}

#[test]
fn one_wrong_signature_of_a_known_key_spoils_the_note() {
    let line = KNOWN_NOTE.lines().last().unwrap();
    let wrong = line.replace("WNca", "WNcb");
    let expected = CheckpointError::WrongSignature { name: "example.com/log".to_owned() };
    assert_eq!(known_key().verify(&format!("{KNOWN_NOTE}{wrong}\n")), Err(expected));
}

#[test]
fn a_note_of_another_log_is_not_ours() {
    let (other, _) = Signer::generate("example.com/other").unwrap();
    let note = other.sign(8, known_root()).unwrap();
    let expected = CheckpointError::NotSigned { name: "example.com/log".to_owned() };
    assert_eq!(known_key().verify(&note), Err(expected));
}

#[test]
fn names_that_break_a_note_are_refused() {
    for name in ["", "two words", "plus+plus", "line\nbreak", "no\u{a0}break", &"n".repeat(256)] {
        assert!(matches!(Signer::generate(name), Err(CheckpointError::Name { .. })), "{name:?}");
    }
}

#[test]
fn malformed_bodies_are_refused() {
    let root = known_root();
    for body in [
        format!("log\n08\n{root}\n"),
        format!("log\n+8\n{root}\n"),
        format!("log\n8\n{root}"),
        format!("\n8\n{root}\n"),
        "log\n8\nAAAA\n".to_owned(),
        "log\n8\n".to_owned(),
        format!("log\n8\n{root}\n\nextension\n"),
    ] {
        assert!(Checkpoint::from_body(&body).is_err(), "{body:?}");
    }
    assert!(Checkpoint::from_body(&format!("log\n8\n{root}\nextension\n")).is_ok());
}

#[test]
fn a_note_longer_than_the_limit_is_refused_unread() {
    let note = format!("{KNOWN_NOTE}{}", "\u{2014} w AAAAAAAAAAAA\n".repeat(4096));
    assert!(matches!(known_key().verify(&note), Err(CheckpointError::Malformed { .. })));
}

#[test]
fn no_flipped_bit_of_a_note_or_a_key_goes_unnoticed() {
    for (text, is_note) in [(KNOWN_NOTE, true), (KNOWN_VKEY, false)] {
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let verified = if is_note {
                    known_key().verify(&changed)
                } else {
                    changed.parse().and_then(|key: VerifierKey| key.verify(KNOWN_NOTE))
                };
                assert!(verified.is_err(), "byte {at} bit {bit}");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_panics(size: u64, root: [u8; 32], noise in ".{0,300}") {
        let signer = Signer::from_pkcs8("example.com/log", &known_pkcs8()).unwrap();
        let note = signer.sign(size, Hash(root)).unwrap();
        let checkpoint = known_key().verify(&note).unwrap();
        prop_assert_eq!((checkpoint.size, checkpoint.root), (size, Hash(root)));
        prop_assert!(known_key().verify(&noise).is_err());
        prop_assert!(noise.parse::<VerifierKey>().is_err());
    }
}
