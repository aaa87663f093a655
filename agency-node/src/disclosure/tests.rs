use std::fs;

use super::*;
use crate::identifier::IdentifierType;

const DAY_MS: i64 = 86_400_000;
const NOW: i64 = 1_800_000_000_000;
const ANA: About = About::Subject(IdentifierType::Phone, 4);
const BEN: About = About::Subject(IdentifierType::Phone, 5);

impl Disclosures {
    /// As [`Disclosures::of`], for tests, which have no policy.
    pub(crate) fn read_for_test(&self, about: About, now_ms: i64) -> Vec<Disclosure> {
        self.read(about, now_ms).unwrap()
    }
}

fn disclosure(at_ms: i64, asker: &str) -> Disclosure {
    Disclosure {
        at_ms,
        dataset: "hsi.calls".to_owned(),
        question: format!("{at_ms:064x}"),
        asker: asker.to_owned(),
        agency: "cbp".to_owned(),
        purpose: "border-security".to_owned(),
        case_number: "C-1".to_owned(),
        reason: "a seizure at Laredo".to_owned(),
        nature: "match score".to_owned(),
        rows: "all rows, at any time".to_owned(),
    }
}

fn open(state: &Path) -> Disclosures {
    Disclosures::open(state, Period::days(30)).unwrap()
}

/// Every file under a directory with its content.
fn files(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

#[test]
fn what_was_disclosed_is_told_of_its_subject_alone_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let disclosures = open(folder.path());
    disclosures.record(&disclosure(NOW, "ana"), &[ANA, BEN], None).unwrap();
    disclosures.record(&disclosure(NOW + DAY_MS, "cay"), &[ANA], Some(NOW + 90 * DAY_MS)).unwrap();
    let disclosures = open(folder.path());
    let told = disclosures.read_for_test(ANA, NOW);
    assert_eq!(told, [disclosure(NOW, "ana"), disclosure(NOW + DAY_MS, "cay")]);
    assert_eq!(disclosures.read_for_test(BEN, NOW), [disclosure(NOW, "ana")]);
    assert!(disclosures.read_for_test(About::Subject(IdentifierType::Plate, 4), NOW).is_empty());
    assert!(disclosures.read_for_test(About::Record(4), NOW).is_empty());
    for (path, bytes) in files(folder.path()) {
        for word in ["ana", "Laredo", "border-security", "hsi.calls"] {
            let stands = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!stands, "{word} stands in {}", path.display());
        }
    }
    // Another node's secret opens nothing.
    let other = tempfile::tempdir().unwrap();
    copy(folder.path(), other.path());
    fs::write(other.path().join(SECRET), [7; 32]).unwrap();
    assert!(open(other.path()).read_for_test(ANA, NOW).is_empty());
}

#[test]
fn a_disclosure_is_kept_for_the_period_or_the_life_of_the_record_whichever_is_longer() {
    let folder = tempfile::tempdir().unwrap();
    let disclosures = open(folder.path());
    assert_eq!(disclosures.keep_until_ms(NOW, Some(NOW - DAY_MS)), Some(NOW + 30 * DAY_MS));
    assert_eq!(disclosures.keep_until_ms(NOW, Some(NOW + 40 * DAY_MS)), Some(NOW + 40 * DAY_MS));
    assert_eq!(disclosures.keep_until_ms(NOW, None), None);
    disclosures.record(&disclosure(NOW, "ana"), &[ANA], Some(NOW + 30 * DAY_MS)).unwrap();
    disclosures.record(&disclosure(NOW, "cay"), &[ANA], None).unwrap();
    let told = |at_ms| disclosures.read_for_test(ANA, at_ms).len();
    assert_eq!((told(NOW + 30 * DAY_MS - 1), told(NOW + 31 * DAY_MS), told(NOW + 4_000 * DAY_MS)), (2, 1, 1));
    assert!(!disclosures.is_any_due(NOW + 30 * DAY_MS - 1).unwrap());
    assert_eq!(disclosures.erase_due(NOW + 30 * DAY_MS - 1).unwrap(), 0);
    assert!(disclosures.is_any_due(NOW + 31 * DAY_MS).unwrap());
    assert_eq!(disclosures.erase_due(NOW + 31 * DAY_MS).unwrap(), 1);
    assert_eq!(disclosures.erase_due(NOW + 31 * DAY_MS).unwrap(), 0);
    assert_eq!(told(NOW), 1);
}

/// Whoever takes the whole disk after the expiry, with the node's secret, and sets the clock back, reads
/// nothing; whoever took it before could.
#[test]
fn what_has_expired_cannot_be_recovered_and_a_crash_on_the_way_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disclosures = open(folder.path());
    disclosures.record(&disclosure(NOW, "ana"), &[ANA], Some(NOW + DAY_MS)).unwrap();
    let written = disclosures.record(&disclosure(NOW + 1, "cay"), &[ANA, BEN], None).unwrap();
    let expired = files(&folder.path().join("disclosures/keys"))
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.file_name().is_some_and(|name| name != "without-end"))
        .unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(folder.path(), before.path());
    assert_eq!(open(before.path()).read_for_test(ANA, NOW).len(), 2);

    // The process dies after each step of the erasure.
    let crashed = tempfile::tempdir().unwrap();
    copy(folder.path(), crashed.path());
    let half = crashed.path().join("disclosures/keys").join(expired.file_name().unwrap());
    keys::destroy_salt(&half).unwrap();
    assert!(half.exists());
    assert_eq!(open(crashed.path()).read_for_test(ANA, NOW), [disclosure(NOW + 1, "cay")]);
    assert_eq!(open(crashed.path()).erase_due(NOW + 2 * DAY_MS).unwrap(), 1);
    assert!(!half.exists());

    assert_eq!(disclosures.erase_due(NOW + 2 * DAY_MS).unwrap(), 1);
    assert!(!expired.exists());
    for state in [folder.path(), crashed.path()] {
        let left = open(state);
        assert_eq!(left.read_for_test(ANA, NOW), [disclosure(NOW + 1, "cay")]);
        // The sealed bytes are all there still, and prove what the audit log says of them.
        let day = fs::read(state.join("disclosures/sealed").join(written.day.to_string())).unwrap();
        let bytes = &day[written.from as usize..(written.from + written.bytes) as usize];
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, written.digest);
        assert!(written.from > 0, "what was erased lies before it, as it was");
        // Every key that is left opens what is not erased, and none the rest.
        let keys: Vec<_> = [ANA, BEN].into_iter().flat_map(|about| left.keys.of(about, NOW).unwrap()).collect();
        let erased = Place { day: written.day, offset: 0, bytes: written.from as u32 };
        assert_eq!(keys.len(), 2);
        assert!(keys.iter().all(|(key, place)| left.sealed.read(place, key).is_ok()));
        assert!(keys.iter().all(|(key, _)| left.sealed.read(&erased, key).is_err()));
    }
}

#[test]
fn a_crash_while_keys_are_written_loses_none_that_were_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).record(&disclosure(NOW, "ana"), &[ANA], None).unwrap();
    let path = folder.path().join("disclosures/keys/without-end");
    let first = fs::read(&path).unwrap().len();
    open(folder.path()).record(&disclosure(NOW + 1, "ana"), &[ANA], None).unwrap();
    let bytes = fs::read(&path).unwrap();
    for cut in first..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let disclosures = open(folder.path());
        assert_eq!(disclosures.read_for_test(ANA, NOW).len(), 1, "cut at {cut}");
        disclosures.record(&disclosure(NOW + 2, "cay"), &[ANA], None).unwrap();
        assert_eq!(disclosures.read_for_test(ANA, NOW)[1], disclosure(NOW + 2, "cay"), "cut at {cut}");
    }
    // A byte that is changed is noticed, not skipped.
    for at in first + 28..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert_eq!(open(folder.path()).read(ANA, NOW).unwrap_err().kind(), io::ErrorKind::InvalidData, "byte {at}");
    }
}

#[test]
fn keys_that_expire_together_lie_together() {
    let folder = tempfile::tempdir().unwrap();
    let five_years = Disclosures::open(folder.path(), crate::books::KEPT_BY_LAW).unwrap();
    // By the day, and never earlier than they may.
    assert_eq!(five_years.expiry_s(NOW), 1_800_057_600);
    assert_eq!(five_years.expiry_s(NOW + DAY_MS / 2), 1_800_057_600);
    let seconds = Disclosures::open(folder.path(), Period::from_seconds(3)).unwrap();
    assert_eq!((seconds.expiry_s(NOW), seconds.expiry_s(NOW + 1)), (1_800_000_000, 1_800_000_001));
}
