use super::*;

const QUESTION: SigningPurpose = SigningPurpose::new("question");
const ANSWER: SigningPurpose = SigningPurpose::new("answer");

#[test]
fn whoever_holds_the_authority_learns_who_signed() {
    let fixture = Fixture::new();
    let verifier = fixture.identity("agency/cbp/node");
    for path in ["agency/hsi/node", "agency/hsi/user/rivera"] {
        let signature = fixture.identity(path).sign(QUESTION, b"which phones?").unwrap();
        assert_eq!(verifier.verify(QUESTION, b"which phones?", &signature), Ok(id(path)));
    }
}

#[test]
fn a_change_of_anything_is_noticed() {
    let fixture = Fixture::new();
    let (hsi, cbp) = (fixture.identity("agency/hsi/node"), fixture.identity("agency/cbp/node"));
    let signature = hsi.sign(QUESTION, b"which phones?").unwrap();
    let invalid = Err(IdentityError::Refused(Reason::SignatureInvalid));
    assert_eq!(cbp.verify(ANSWER, b"which phones?", &signature), invalid);
    assert_eq!(cbp.verify(QUESTION, b"which phones!", &signature), invalid);
    assert_eq!(cbp.verify(QUESTION, b"", &signature), invalid);

    let mut forged = signature.clone();
    forged.certificates = cbp.sign(QUESTION, b"").unwrap().certificates;
    assert_eq!(cbp.verify(QUESTION, b"which phones?", &forged), invalid);
    // RSA-PSS, ML-DSA and PKCS #1 are no schemes of ours, nor is P-384 one of this key.
    for scheme in [0x0804, 0x0904, 0x0401, 0x0503, 0] {
        let other = Signature { scheme, ..signature.clone() };
        assert_eq!(cbp.verify(QUESTION, b"which phones?", &other), invalid);
    }
    for bit in 0..signature.signature.len() * 8 {
        let mut other = signature.clone();
        other.signature[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cbp.verify(QUESTION, b"which phones?", &other), invalid);
    }
}

#[test]
fn purpose_and_message_cannot_trade_bytes() {
    let fixture = Fixture::new();
    let hsi = fixture.identity("agency/hsi/node");
    let signature = hsi.sign(SigningPurpose::new("ab"), b"c").unwrap();
    assert!(hsi.verify(SigningPurpose::new("a"), b"bc", &signature).is_err());
}

#[test]
fn a_statement_is_worth_as_much_as_its_certificate_now() {
    let fixture = Fixture::new();
    let files = fixture.issue(&id("agency/cbp/node"), 365).files;
    let clock = Clock::manual(now());
    let verifier = Identity::load(&files, clock.clone()).unwrap();
    let issued = fixture.issue(&id("agency/hsi/node"), 31);
    let signature = load(&issued.files, now()).unwrap().sign(QUESTION, b"q").unwrap();
    assert!(verifier.verify(QUESTION, b"q", &signature).is_ok());
    clock.advance_ms(32 * 86_400_000);
    let refused = |reason| Err(IdentityError::Refused(reason));
    assert_eq!(verifier.verify(QUESTION, b"q", &signature), refused(Reason::CertificateExpired));
    clock.advance_ms(-33 * 86_400_000);
    assert_eq!(verifier.verify(QUESTION, b"q", &signature), refused(Reason::CertificateNotYetValid));

    clock.advance_ms(86_400_000);
    fixture.authority.revoke(&issued.serial, RevocationReason::Unspecified).unwrap();
    verifier.reload().unwrap();
    assert_eq!(verifier.verify(QUESTION, b"q", &signature), refused(Reason::CertificateRevoked));

    let foreign = Fixture::new().identity("agency/hsi/node").sign(QUESTION, b"q").unwrap();
    assert_eq!(verifier.verify(QUESTION, b"q", &foreign), refused(Reason::CertificateForeign));
}

#[test]
fn sizes_are_limited_and_garbage_is_refused() {
    let fixture = Fixture::new();
    let hsi = fixture.identity("agency/hsi/node");
    let good = hsi.sign(QUESTION, b"q").unwrap();
    let reason = |signature: &Signature| hsi.verify(QUESTION, b"q", signature).unwrap_err().reason().unwrap();
    let with = |certificates: Vec<Vec<u8>>| Signature { certificates, ..good.clone() };
    let leaf = good.certificates[0].clone();
    assert_eq!(reason(&with(Vec::new())), Reason::CertificateMissing);
    assert_eq!(reason(&with(vec![leaf.clone(); 5])), Reason::StatementTooLarge);
    assert_eq!(reason(&with(vec![leaf.clone(), vec![0; 8193]])), Reason::StatementTooLarge);
    assert_eq!(reason(&with(vec![b"garbage".to_vec()])), Reason::CertificateMalformed);
    let long = Signature { signature: vec![0; 8193], ..good.clone() };
    assert_eq!(reason(&long), Reason::StatementTooLarge);
    // Certificates that do not help are ignored, within the limit.
    assert!(hsi.verify(QUESTION, b"q", &with(vec![leaf.clone(); 4])).is_ok());
}
