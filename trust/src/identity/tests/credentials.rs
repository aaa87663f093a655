use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use super::*;

#[test]
fn an_identity_knows_its_name_and_shows_no_secret() {
    let fixture = Fixture::new();
    let identity = fixture.identity("agency/hsi/node");
    assert_eq!(identity.id(), &id("agency/hsi/node"));
    assert_eq!(identity.expires(), later(365));
    let shown = format!("{identity:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(".key"), "{shown}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let fixture = Fixture::new();
    let files = fixture.issue(&id("gateway"), 365).files;
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&files.key, PermissionsExt::from_mode(mode)).unwrap();
        let error = load(&files, now()).unwrap_err();
        assert_eq!(error, IdentityError::KeyExposed { path: files.key.clone() });
        assert!(error.to_string().contains("chmod 600"));
    }
}

#[test]
fn each_file_at_fault_is_named() {
    let fixture = Fixture::new();
    let good = fixture.issue(&id("gateway"), 365).files;
    let other = fixture.issue(&id("agency/hsi/node"), 365).files;
    let garbage = fixture.path("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN NOTHING-----\n").unwrap();
    std::fs::set_permissions(&garbage, PermissionsExt::from_mode(0o600)).unwrap();
    let missing = fixture.path("missing.pem");
    let error = |files: TlsFiles| load(&files, now()).unwrap_err();

    use IdentityError as E;
    let kind = std::io::ErrorKind::NotFound;
    let files = TlsFiles { certificate: missing.clone(), ..good.clone() };
    assert_eq!(error(files), E::Read { path: missing, kind });
    let files = TlsFiles { certificate: garbage.clone(), ..good.clone() };
    assert_eq!(error(files), E::Certificate { path: garbage.clone() });
    let files = TlsFiles { key: garbage.clone(), ..good.clone() };
    assert_eq!(error(files), E::Key { path: garbage.clone() });
    let files = TlsFiles { authorities: garbage.clone(), ..good.clone() };
    assert_eq!(error(files), E::Authorities { path: garbage.clone() });
    let files = TlsFiles { revocations: Some(garbage.clone()), ..good.clone() };
    assert_eq!(error(files), E::Revocations { path: garbage });
    let files = TlsFiles { key: other.key.clone(), ..good.clone() };
    let (certificate, key) = (good.certificate.clone(), other.key);
    assert_eq!(error(files), E::KeyMismatch { certificate, key });
    let large = fixture.path("large.pem");
    std::fs::write(&large, vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    let files = TlsFiles { authorities: large.clone(), ..good };
    assert_eq!(error(files), E::TooLarge { path: large, limit_bytes: 1024 * 1024 });
}

#[test]
fn a_certificate_that_others_would_refuse_stops_the_start() {
    let (fixture, foreign) = (Fixture::new(), Fixture::new());
    let files = fixture.issue(&id("gateway"), 365).files;
    let reason = |files: &TlsFiles, at| load(files, at).unwrap_err().reason();
    assert_eq!(reason(&files, later(366)), Some(Reason::CertificateExpired));
    assert_eq!(reason(&files, later(-1)), Some(Reason::CertificateNotYetValid));
    let authorities = foreign.path("authority.pem");
    let files = TlsFiles { authorities, revocations: None, ..files };
    assert_eq!(reason(&files, now()), Some(Reason::CertificateForeign));
    let expired = fixture.issue(&id("agency/hsi/node"), -1).files;
    assert_eq!(reason(&expired, now()), Some(Reason::CertificateExpired));
}

#[test]
fn a_certificate_holds_exactly_one_uri_and_it_is_a_spiffe_id() {
    let fixture = Fixture::new();
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let node = uri("spiffe://border.example/agency/hsi/node");
    let dns = SanType::DnsName("node.example".try_into().unwrap());
    for names in [
        vec![],
        vec![dns.clone()],
        vec![uri("https://border.example/agency/hsi/node")],
        vec![uri("spiffe://border.example/agency/HSI/node")],
        vec![node.clone(), uri("spiffe://border.example/gateway")],
        vec![node.clone(), node.clone()],
    ] {
        let error = load(&with_names(&fixture, names.clone()), now()).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CertificateWithoutIdentity), "{names:?}");
    }
    // DNS names beside it are allowed, for other tools, and looked at by nobody here.
    assert!(load(&with_names(&fixture, vec![node, dns]), now()).is_ok());
}

#[test]
fn a_reload_keeps_the_old_certificate_on_error_and_never_changes_the_party() {
    let fixture = Fixture::new();
    let files = fixture.issue(&id("gateway"), 365).files;
    let identity = load(&files, now()).unwrap();
    let good = std::fs::read(&files.certificate).unwrap();
    std::fs::write(&files.certificate, "").unwrap();
    assert!(identity.reload().is_err());
    assert!(identity.sign(SigningPurpose::new("test"), b"m").is_ok());

    let other = fixture.issue(&id("agency/hsi/node"), 365).files;
    std::fs::copy(&other.certificate, &files.certificate).unwrap();
    std::fs::copy(&other.key, &files.key).unwrap();
    assert_eq!(identity.reload(), Err(IdentityError::AnotherParty));
    std::fs::write(&files.certificate, good).unwrap();
    assert_eq!(identity.id(), &id("gateway"));
}

/// Files of a certificate that the authority signed by hand.
fn with_names(fixture: &Fixture, names: Vec<SanType>) -> TlsFiles {
    let files = fixture.issue(&id("gateway"), 365).files;
    let authority_key = std::fs::read_to_string(fixture.path("authority.key")).unwrap();
    let authority = std::fs::read_to_string(fixture.path("authority.pem")).unwrap();
    let key = KeyPair::from_pem(&authority_key).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&authority, key).unwrap();
    let own = KeyPair::from_pem(&std::fs::read_to_string(&files.key).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let path = fixture.path("by-hand.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
    TlsFiles { certificate: path, ..files }
}
