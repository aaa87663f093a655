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
        fixture.authority.revoke(serial, RevocationReason::Unspecified).unwrap();
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
fn what_is_past_half_its_time_is_renewed_in_one_step() {
    let fixture = Fixture::new();
    let issued = fixture.issue(&id("gateway"), 100);
    fixture.issue(&id("agency/hsi/node"), 365);
    let at = later(60);
    let authority = DevelopmentCa::open(fixture.directory.path(), Clock::manual(at)).unwrap();
    let due = || authority.standing().unwrap().into_iter().filter(|one| one.is_due(at)).collect::<Vec<_>>();
    let [gateway] = &due()[..] else { panic!("one is due") };
    assert_eq!((gateway.name.as_str(), &gateway.id, &gateway.serial), ("gateway", &issued.id, &issued.serial));
    assert_eq!(gateway.validity.not_after, later(100));
    let key = std::fs::read(&issued.files.key).unwrap();
    authority.renew(gateway, None, false).unwrap();
    assert_eq!(std::fs::read(&issued.files.key).unwrap(), key, "the key stays unless another is asked for");
    assert!(due().is_empty());
    assert_eq!(load(&issued.files, at).unwrap().expires(), later(160), "as long as before");

    let gateway = authority.standing().unwrap().remove(1);
    authority.renew(&gateway, Some(TimeDelta::seconds(90)), true).unwrap();
    assert_ne!(std::fs::read(&issued.files.key).unwrap(), key);
    assert_eq!(std::fs::metadata(&issued.files.key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load(&issued.files, at).unwrap().expires(), at + TimeDelta::seconds(90));

    // Cut off between key and certificate: due again, and then whole.
    std::fs::write(&issued.files.key, key).unwrap();
    assert!(matches!(load(&issued.files, at).unwrap_err(), IdentityError::KeyMismatch { .. }));
    let [torn] = &due()[..] else { panic!("one is due") };
    assert!(!torn.fits_key);
    authority.renew(torn, Some(TimeDelta::days(90)), false).unwrap();
    assert!(load(&issued.files, at).is_ok() && due().is_empty());
    assert!(!contents(fixture.directory.path()).keys().any(|path| path.to_string_lossy().contains("draft")));
}

#[test]
fn a_revocation_keeps_its_reason_and_is_not_renewed() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.issue(&id("gateway"), 10), fixture.issue(&id("auditor/ng"), 10));
    fixture.authority.revoke(&one.serial, RevocationReason::KeyCompromise).unwrap();
    fixture.authority.revoke(&two.serial, RevocationReason::Unspecified).unwrap();
    let standing = fixture.authority.standing().unwrap();
    let of = |name: &str| standing.iter().find(|one| one.name == name).unwrap();
    assert_eq!(of("gateway").revoked, Some((now(), RevocationReason::KeyCompromise)));
    assert_eq!(of("auditor-ng").revoked, Some((now(), RevocationReason::Unspecified)));
    assert!(standing.iter().all(|one| !one.is_due(later(9))));
    let same_key = fixture.authority.renew(of("gateway"), None, false).unwrap_err();
    assert!(matches!(same_key, DevelopmentCaError::Invalid(_)));
    assert_ne!(fixture.authority.renew(of("gateway"), None, true).unwrap().serial, one.serial);
    let nowhere = fixture.path("nowhere");
    assert!(matches!(DevelopmentCa::open(&nowhere, Clock::manual(now())), Err(DevelopmentCaError::Absent { .. })));
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
