use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::super::development_ca::{DevelopmentCaError, DevelopmentSet, development_set};
use super::*;

const SET: DevelopmentSet<'static> = DevelopmentSet {
    federation: "border.example",
    agencies: &["hsi", "cbp"],
    users: &[("hsi", "rivera"), ("cbp", "okafor")],
    auditors: &["ng"],
    partners: &["acme"],
};

#[test]
fn a_demonstration_is_made_once_and_every_certificate_serves() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("certs");
    let issued = development_set(&directory, &SET, Clock::manual(now())).unwrap();
    let names: Vec<String> = issued.iter().map(|one| one.id.to_string()).collect();
    let expected = [
        "gateway",
        "agency/hsi/node",
        "agency/cbp/node",
        "agency/hsi/user/rivera",
        "agency/cbp/user/okafor",
        "auditor/ng",
        "partner/acme/feed",
    ];
    assert_eq!(names, expected.map(|path| format!("spiffe://border.example/{path}")));
    for one in &issued {
        assert!(one.made);
        assert_eq!(load(&one.files, now()).unwrap().id(), &one.id);
    }

    let before = contents(&directory);
    let again = development_set(&directory, &SET, Clock::manual(later(1))).unwrap();
    assert!(again.iter().all(|one| !one.made));
    assert_eq!(contents(&directory), before, "nothing was touched and nothing left behind");
}

#[test]
fn keys_are_their_owners_alone_and_outlive_their_certificates() {
    let fixture = Fixture::new();
    let issued = fixture.issue(&id("gateway"), 31);
    assert!(load(&issued.files, later(31)).is_ok() && load(&issued.files, later(32)).is_err());
    for name in ["gateway.key", "authority.key"] {
        let mode = std::fs::metadata(fixture.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = std::fs::read(&issued.files.key).unwrap();
    let reopened = DevelopmentCa::create_or_open(fixture.directory.path(), Clock::manual(later(10))).unwrap();
    let renewed = reopened.issue(&id("gateway"), "gateway", Validity::days(later(10), 365)).unwrap();
    assert!(renewed.made && renewed.serial != issued.serial);
    assert_eq!(std::fs::read(&issued.files.key).unwrap(), key);
    assert_eq!(load(&renewed.files, later(360)).unwrap().id(), &id("gateway"));
}

#[test]
fn a_revoked_certificate_stays_revoked() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.issue(&id("gateway"), 365), fixture.issue(&id("auditor/ng"), 365));
    for serial in [&one.serial, &two.serial, &one.serial] {
        fixture.authority.revoke(serial).unwrap();
    }
    let again = fixture.issue(&id("gateway"), 365);
    assert!(!again.made);
    // The list is made anew before it runs out, and forgets nothing.
    let year = later(350);
    let reopened = DevelopmentCa::create_or_open(fixture.directory.path(), Clock::manual(year)).unwrap();
    let other = reopened.issue(&id("auditor/li"), "li", Validity::days(year, 365)).unwrap();
    assert!(load(&other.files, later(400)).is_ok());
    for files in [&one.files, &two.files] {
        let reason = load(files, later(360)).unwrap_err().reason();
        assert_eq!(reason, Some(Reason::CertificateRevoked));
    }
}

#[test]
fn another_partys_files_are_left_alone() {
    let fixture = Fixture::new();
    let validity = Validity::days(now(), 365);
    fixture.authority.issue(&id("gateway"), "shared", validity).unwrap();
    let error = fixture.authority.issue(&id("auditor/ng"), "shared", validity).unwrap_err();
    assert!(matches!(error, DevelopmentCaError::Taken { .. }));
    for name in ["authority", "", "../gateway", "a/b", "a.b"] {
        let error = fixture.authority.issue(&id("gateway"), name, validity).unwrap_err();
        assert!(matches!(error, DevelopmentCaError::Invalid(_)), "{name}");
    }
    std::fs::write(fixture.path("mine.key"), "my notes").unwrap();
    let error = fixture.authority.issue(&id("gateway"), "mine", validity).unwrap_err();
    assert!(matches!(error, DevelopmentCaError::Foreign { .. }));
    assert_eq!(std::fs::read(fixture.path("mine.key")).unwrap(), b"my notes");
}

#[test]
fn the_files_of_two_authorities_are_not_mixed() {
    let (fixture, foreign) = (Fixture::new(), Fixture::new());
    for name in ["authority.crl", "authority.pem"] {
        std::fs::copy(foreign.path(name), fixture.path(name)).unwrap();
        let opened = DevelopmentCa::create_or_open(fixture.directory.path(), Clock::manual(now()));
        assert!(matches!(opened, Err(DevelopmentCaError::Foreign { .. })), "{name}");
    }
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}
