//! Signed policies: who may sign, what was signed, and which version was in force before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::storing::{CASES, directory, write};
use super::*;
use crate::identity::tests::{Fixture, id, load, now};
use crate::identity::{Identity, SpiffeId};
use crate::policy::{
    BundleContent, BundleError, PolicyFiles, PolicySettings, PolicySettingsError, PolicySource, PolicyStore,
};

/// A party called `cbp` that takes what its officer signs.
struct Party {
    fixture: Fixture,
    own: Arc<Identity>,
    /// Keeps the directories of policies.
    _root: tempfile::TempDir,
    rules: PathBuf,
}

const OFFICER: &str = "agency/cbp/user/officer";

impl Party {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (root, rules) = directory();
        Self { own: fixture.identity("agency/cbp/node"), fixture, _root: root, rules }
    }

    fn bundle(&self) -> PathBuf {
        self.fixture.path("policy.bundle")
    }

    fn record(&self) -> PathBuf {
        self.fixture.path("policy.json")
    }

    fn content(&self, version: u64) -> BundleContent {
        BundleContent { party: "cbp".to_owned(), version, files: PolicyFiles::read(&self.rules).unwrap() }
    }

    fn sign(&self, version: u64, signer: &str) {
        self.put(&self.content(version).sign(&self.fixture.identity(signer)).unwrap());
    }

    fn put(&self, bundle: &str) {
        fs::write(self.bundle(), bundle).unwrap();
    }

    /// Narrows the rules, so that nothing is as it was signed before.
    fn change(&self, role: &str) {
        write(&self.rules, "rules.toml", &ALLOW_ANALYSTS.replace("analyst\" }", &format!("{role}\" }}")));
        write(&self.rules, "cases.toml", &CASES.replace("role = \"analyst\"", &format!("role = \"{role}\"")));
    }

    fn source(&self) -> PolicySource {
        let settings = PolicySettings { signers: vec![id(OFFICER)], ..PolicySettings::default() };
        PolicySource::configured(&self.bundle(), &settings, "cbp", self.record(), self.own.clone())
    }

    fn open(&self) -> Result<PolicyStore, PolicyError> {
        let source = self.source();
        let prepared = source.prepare()?;
        PolicyStore::start(source, prepared)
    }

    fn refused(&self) -> (BundleError, &'static str) {
        match self.open() {
            Err(PolicyError::Bundle(error)) => (error.clone(), PolicyError::Bundle(error).reason()),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("taken"),
        }
    }
}

fn allows(store: &PolicyStore) -> bool {
    matches!(store.decide(&request()), Decision::Allow(_))
}

#[test]
fn a_signed_policy_is_the_policy_of_its_directory_with_a_version_and_a_signer() {
    let party = Party::new();
    party.sign(3, OFFICER);
    let store = party.open().unwrap();
    assert!(allows(&store));
    assert_eq!(store.policy_hash(), PolicyStore::open(&party.rules).unwrap().policy_hash());
    let provenance = store.provenance();
    assert_eq!((provenance.version, provenance.signer), (Some(3), Some(id(OFFICER))));
    assert_eq!(PolicyFiles::read(&party.bundle()).unwrap(), PolicyFiles::read(&party.rules).unwrap());
}

#[test]
fn one_byte_less_or_another_anywhere_is_refused() {
    let party = Party::new();
    party.sign(1, OFFICER);
    let good = fs::read_to_string(party.bundle()).unwrap();
    let content = good.find("\"content\"").unwrap()..good.find("\"signature\"").unwrap();
    for (from, to) in [("analyst", "anybody"), ("\\\"version\\\":1", "\\\"version\\\":2"), ("allow", "hold")] {
        assert!(good[content.clone()].contains(from), "{from}");
        party.put(&good.replacen(from, to, 1));
        assert_eq!(party.refused().1, "policy_bundle_tampered", "{from}");
    }
    let (mut refusals, mut at) = (0, 0);
    while at < good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        match String::from_utf8(bytes) {
            Ok(text) => party.put(&text),
            Err(error) => fs::write(party.bundle(), error.into_bytes()).unwrap(),
        }
        // White space between the fields says nothing.
        match party.open() {
            Err(_) => refusals += 1,
            Ok(store) => assert_eq!(store.provenance().version, Some(1), "byte {at}"),
        }
        at += 37;
    }
    assert!(refusals > 30, "{refusals}");
    party.put(&good[..good.len() / 2]);
    assert_eq!(party.refused().1, "policy_bundle_malformed");
    party.put(&good.replace("bundle v1", "bundle v2"));
    assert_eq!(party.refused().1, "policy_bundle_malformed");
}

#[test]
fn only_a_named_signer_of_this_federation_counts() {
    let party = Party::new();
    for signer in ["agency/cbp/user/okafor", "agency/hsi/user/officer", "agency/cbp/node", "gateway", "auditor/officer"]
    {
        party.sign(1, signer);
        let (error, reason) = party.refused();
        assert_eq!((error, reason), (BundleError::WrongSigner(id(signer)), "policy_signer_not_allowed"));
    }
    let stranger = Fixture::new().identity(OFFICER);
    party.put(&party.content(1).sign(&stranger).unwrap());
    assert_eq!(party.refused().1, "policy_signer_unknown");
    let short_lived = party.fixture.issue(&id(OFFICER), 1);
    let signer = load(&short_lived.files, now()).unwrap();
    party.put(&party.content(1).sign(&signer).unwrap());
    party.open().unwrap();
    let later = Party {
        own: load(&party.fixture.issue(&id("agency/cbp/node"), 365).files, now() + chrono::TimeDelta::days(2)).unwrap(),
        ..party
    };
    assert_eq!(later.refused().1, "policy_signer_unknown", "its certificate has expired");
}

#[test]
fn a_policy_serves_the_party_that_it_was_signed_for() {
    let party = Party::new();
    let other = BundleContent { party: "hsi".to_owned(), ..party.content(1) };
    party.put(&other.sign(&party.fixture.identity(OFFICER)).unwrap());
    assert_eq!(party.refused(), (BundleError::OtherParty("hsi".to_owned()), "policy_bundle_other_party"));
}

#[test]
fn an_older_version_never_comes_back_and_a_version_has_one_content() {
    let party = Party::new();
    party.sign(1, OFFICER);
    let first = fs::read_to_string(party.bundle()).unwrap();
    let store = party.open().unwrap();
    party.change("officer");
    party.sign(1, OFFICER);
    assert_eq!(party.refused(), (BundleError::VersionReused { version: 1 }, "policy_version_reused"));
    party.sign(2, OFFICER);
    store.reload().unwrap();
    assert!(!allows(&store));

    party.put(&first);
    let rollback = BundleError::Rollback { version: 1, last: 2 };
    assert!(matches!(store.reload(), Err(PolicyError::Bundle(error)) if error == rollback));
    assert_eq!((store.provenance().version, allows(&store)), (Some(2), false), "the newer one stays in force");
    assert_eq!(party.refused(), (rollback, "policy_bundle_rollback"), "a restart forgets nothing");

    // The same content may be signed anew, such as with a renewed certificate.
    party.sign(2, OFFICER);
    party.open().unwrap();
    party.sign(7, OFFICER);
    party.open().unwrap();
    party.sign(6, OFFICER);
    assert_eq!(party.refused().1, "policy_bundle_rollback");
}

#[test]
fn without_the_record_of_the_last_version_nothing_is_taken() {
    let party = Party::new();
    party.sign(1, OFFICER);
    fs::write(party.record(), "{").unwrap();
    assert_eq!(party.refused().1, "policy_record_unusable");
    fs::remove_file(party.record()).unwrap();
    // A directory in its place can be neither read nor replaced.
    fs::create_dir(party.record()).unwrap();
    assert_eq!(party.refused().1, "policy_record_unusable");
    fs::remove_dir(party.record()).unwrap();
    fs::create_dir(party.record().with_extension("new")).unwrap();
    assert_eq!(party.refused().1, "policy_record_unusable", "what cannot be written down does not come into force");
}

#[test]
fn a_signature_does_not_make_up_for_cases_that_fail() {
    let party = Party::new();
    let store = {
        party.sign(1, OFFICER);
        party.open().unwrap()
    };
    write(&party.rules, "rules.toml", &ALLOW_ANALYSTS.replace("\"analyst\"", "\"officer\""));
    let signer = party.fixture.identity(OFFICER);
    assert!(matches!(party.content(2).sign(&signer), Err(PolicyError::Case { .. })), "it is not even signed");
    assert!(matches!(party.content(0).sign(&signer), Err(PolicyError::Bundle(BundleError::Malformed(_)))));
    assert!(allows(&store));
}

#[test]
fn where_signers_are_named_a_directory_is_not_enough_and_without_them_a_bundle_is_too_much() {
    let party = Party::new();
    party.sign(1, OFFICER);
    let configured = |path: &Path, signers: Vec<SpiffeId>| {
        let settings = PolicySettings { signers, ..PolicySettings::default() };
        let source = PolicySource::configured(path, &settings, "cbp", party.record(), party.own.clone());
        source.prepare().map(drop).map_err(|error| error.reason())
    };
    assert_eq!(configured(&party.rules, vec![id(OFFICER)]), Err("policy_bundle_required"));
    assert_eq!(configured(&party.bundle(), Vec::new()), Err("policy_signers_missing"));
    assert_eq!(configured(&party.rules, Vec::new()), Ok(()));
    assert_eq!(configured(&party.fixture.path("nowhere"), vec![id(OFFICER)]), Err("policy"));
}

#[test]
fn only_nodes_and_people_of_the_own_agency_are_named_as_signers() {
    let named = |signer: &str, agency| {
        let settings = PolicySettings { signers: vec![id(signer)], ..PolicySettings::default() };
        settings.validate(agency)
    };
    assert_eq!(named(OFFICER, Some("cbp")), Ok(()));
    assert_eq!(named("agency/cbp/node", Some("cbp")), Ok(()));
    assert_eq!(named("agency/hsi/user/officer", None), Ok(()), "a gateway's policy is an agency's to sign");
    for (signer, agency) in [("agency/hsi/user/x", Some("cbp")), ("gateway", None), ("auditor/chen", None)] {
        assert!(matches!(named(signer, agency), Err(PolicySettingsError::Signer(..))), "{signer}");
    }
    let hurried = PolicySettings { check_every_s: 0, ..PolicySettings::default() };
    assert!(hurried.validate(None).unwrap_err().to_string().contains("check_every_s"));
}
