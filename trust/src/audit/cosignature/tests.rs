use super::super::checkpoint::{Checkpoint, Signer, VerifierKey};
use super::super::merkle::empty_root;
use super::*;

/// PKCS#8 (RFC 8410) around the secret key of RFC 8032 section 7.1, test 2.
const KNOWN_PKCS8: &str =
    "302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn known() -> Cosigner {
    Cosigner::from_pkcs8("witness.example/w1", &unhex(KNOWN_PKCS8)).unwrap()
}

/// Computed with another Ed25519 implementation (Python's `cryptography`).
const KNOWN_VKEY: &str = "witness.example/w1+04d2d833+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM";
const KNOWN_LINE: &str = "\u{2014} witness.example/w1 BNLYMwAAAABkGFDLHmvnDPwBwvh6CkrZ+KdRUbprazkCBfoZVzG+zENW0XaJb/ANo/xFOx5bRYu4PZZxi6NWlIJoAMdu0C1XBGeLAQ==\n";

const NOTE: &str = "example.com/log\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\
    \u{2014} example.com/log zHFGcFgWv11lWNcaencFBAIP2jaYDmzzTqQYktcWjHonYVMYj1dpRwXFs7qAp9G9NVl6Q4L2TIziuY0FeM1j5xOVYQ0=\n";

#[test]
fn a_known_key_gives_the_known_cosignature() {
    let cosigner = known();
    assert_eq!(cosigner.key().to_string(), KNOWN_VKEY);
    let line = cosigner.cosign(NOTE, 1_679_315_147).unwrap();
    assert_eq!(line, KNOWN_LINE);
    let note = format!("{NOTE}{line}");
    let key: CosignerKey = KNOWN_VKEY.parse().unwrap();
    assert_eq!(key.cosigned_at(&note), Ok(Some(1_679_315_147)));
    // The log's own signature still verifies, and is no cosignature.
    let log: VerifierKey = "example.com/log+cc714670+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea".parse().unwrap();
    assert_eq!(log.verify(&note).unwrap().size, 8);
    assert_eq!(key.cosigned_at(NOTE), Ok(None));
}

/// A witness may cosign with the key that signs its own log's checkpoints, and neither passes for the
/// other: type, key id and message differ.
#[test]
fn a_log_signature_never_passes_for_a_cosignature() {
    let name = "witness.example/w1";
    let signer = Signer::from_pkcs8(name, &unhex(KNOWN_PKCS8)).unwrap();
    let note = signer.sign(0, empty_root()).unwrap();
    assert_eq!(known().key().cosigned_at(&note), Ok(None));
    assert!(signer.verifier().to_string().parse::<CosignerKey>().is_err());
    assert!(KNOWN_VKEY.parse::<VerifierKey>().is_err());
    // Not even with the key id rewritten.
    let signature = note.lines().last().unwrap().rsplit(' ').next().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    let forged = known().key().0.line(&[&[0; 8], &bytes[4..]].concat());
    assert!(known().key().cosigned_at(&format!("{note}{forged}")).is_err());
}

#[test]
fn several_witnesses_stand_side_by_side_and_a_wrong_one_spoils_only_itself() {
    let (others, _) = Cosigner::generate("witness.example/w2").unwrap();
    let (first, second) = (known().cosign(NOTE, 100).unwrap(), others.cosign(NOTE, 200).unwrap());
    let again = known().cosign(NOTE, 300).unwrap();
    let note = format!("{NOTE}{first}{second}{again}");
    assert_eq!(known().key().cosigned_at(&note), Ok(Some(300)));
    assert_eq!(others.key().cosigned_at(&note), Ok(Some(200)));
    let moved = note.replacen("log\n8\n", "log\n9\n", 1);
    assert!(known().key().cosigned_at(&moved).is_err() && others.key().cosigned_at(&moved).is_err());
    // Another witness under the same name is another key.
    let (namesake, _) = Cosigner::generate("witness.example/w1").unwrap();
    assert_eq!(namesake.key().cosigned_at(&note), Ok(None));
}

#[test]
fn no_flipped_bit_of_a_cosignature_goes_unnoticed() {
    let note = format!("{NOTE}{KNOWN_LINE}");
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let found = known().key().cosigned_at(&changed);
            // The log's own line is not covered, so nothing there matters to the witness.
            let in_own_line = (NOTE.find('\u{2014}').unwrap()..NOTE.len()).contains(&at);
            assert!(in_own_line || found != Ok(Some(1_679_315_147)), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_time_beyond_the_format_is_refused() {
    let line = known().cosign(NOTE, u64::MAX).unwrap();
    assert!(known().key().cosigned_at(&format!("{NOTE}{line}")).is_err());
    let short = known().key().0.line(&[1, 2, 3]);
    assert!(known().key().cosigned_at(&format!("{NOTE}{short}")).is_err());
    assert!(known().cosign("no note", 1).is_err());
    assert_eq!(Checkpoint::from_body("log\n8\n"), Err(CheckpointError::Malformed { problem: "no root hash" }));
}
