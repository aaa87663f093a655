use std::{fs, path::Path};

use chrono::DateTime;
use sallyport_trust::{
    clock::Clock,
    identity::{
        SpiffeId,
        development_ca::{DevelopmentCa, Validity, file_name},
    },
};

use super::*;

fn text(name: &str, version: u32, looks_for: &str) -> String {
    format!(
        "name = \"{name}\"\nversion = {version}\nlooks_for = \"{looks_for}\"\nsubject = \"phone\"\n\
         [[indicator]]\ndataset = \"hsi.calls\"\n[[indicator]]\ndataset = \"cbp.crossings\"\n"
    )
}

/// Not signed by anybody: storing and finding are no matter of signatures.
fn signed(agency: &str, text: &str) -> SignedPattern {
    let signature = pb::Signature { certificates: vec![vec![1]], scheme: 0x0403, signature: vec![2] };
    let wire = pb::SignedPattern { agency: agency.to_owned(), text: text.to_owned(), signature: Some(signature) };
    wire.try_into().unwrap()
}

fn keep(store: &PatternStore, text: &str) -> Result<(), String> {
    let pattern = Pattern::parse("hsi", text).unwrap();
    store.keep(&pattern, &signed("hsi", text)).map_err(|refusal| refusal.reason)
}

fn open(directory: &Path) -> std::io::Result<PatternStore> {
    PatternStore::open(directory.join("patterns"), "hsi")
}

#[test]
fn versions_count_up_and_never_change() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!(keep(&store, &text("x", 2, "a")).unwrap_err(), "pattern_version");
    keep(&store, &text("x", 1, "a")).unwrap();
    keep(&store, &text("x", 1, "a")).unwrap();
    assert_eq!(keep(&store, &text("x", 1, "b")).unwrap_err(), "pattern_changed");
    assert_eq!(keep(&store, &text("x", 3, "b")).unwrap_err(), "pattern_version");
    keep(&store, &text("x", 2, "b")).unwrap();
    assert_eq!(keep(&store, &text("x", 1, "b")).unwrap_err(), "pattern_changed");
    let first = text("x", 1, "a");
    let known = store.known(&Pattern::parse("hsi", &first).unwrap(), &first).unwrap();
    assert_eq!(known.unwrap().text(), first, "the older version still stands");
    keep(&store, &text("y", 1, "c")).unwrap();
    let before = store.all();
    drop(store);
    assert_eq!(open(directory.path()).unwrap().all(), before, "all of it is on the disk");
}

#[test]
fn a_node_keeps_so_many_patterns_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    (1..=100).for_each(|version| keep(&store, &text("x", version, "a")).unwrap());
    assert_eq!(keep(&store, &text("x", 101, "a")).unwrap_err(), "patterns_full");
    (1..100).for_each(|number| keep(&store, &text(&format!("x{number}"), 1, "a")).unwrap());
    assert_eq!(keep(&store, &text("y", 1, "a")).unwrap_err(), "patterns_full");
    keep(&store, &text("x7", 2, "a")).unwrap();
}

#[test]
fn a_file_that_is_not_what_its_name_says_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    (1..=3).for_each(|version| keep(&store, &text("x", version, "a")).unwrap());
    let folder = directory.path().join("patterns/x");
    let refused = |what: &str| assert!(open(directory.path()).is_err(), "{what}");
    // What was never renamed was never published.
    fs::write(folder.join("4.new"), "{ torn").unwrap();
    assert_eq!(open(directory.path()).unwrap().all()["x"].len(), 3);
    fs::rename(folder.join("2.json"), directory.path().join("2.json")).unwrap();
    refused("a gap");
    fs::copy(folder.join("1.json"), folder.join("2.json")).unwrap();
    refused("another version's file");
    fs::write(folder.join("2.json"), signed("cbp", &text("x", 2, "a")).to_json().unwrap()).unwrap();
    refused("another agency's file");
    fs::write(folder.join("2.json"), "{ torn").unwrap();
    refused("a torn file");
    fs::rename(directory.path().join("2.json"), folder.join("2.json")).unwrap();
    assert_eq!(open(directory.path()).unwrap().all()["x"].len(), 3);
    fs::rename(&folder, directory.path().join("patterns/z")).unwrap();
    refused("another name's folder");
}

#[test]
fn what_has_outlived_its_certificate_is_signed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    let authority = DevelopmentCa::create_or_open(directory.path(), clock.clone()).unwrap();
    let id: SpiffeId = "spiffe://border.example/agency/hsi/node".parse().unwrap();
    let issue = |days| authority.issue(&id, &file_name(&id), Validity::days(clock.now(), days)).unwrap().files;
    let identity = Identity::load(&issue(31), clock.clone()).unwrap();
    let (store, words) = (open(directory.path()).unwrap(), text("x", 1, "a"));
    let pattern = Pattern::parse("hsi", &words).unwrap();
    let first = SignedPattern::sign(&identity, "hsi", &words).unwrap();
    store.keep(&pattern, &first).unwrap();
    assert_eq!(held(&identity, &store, &pattern, first.clone()).unwrap(), first);
    clock.advance_ms(32 * 86_400_000);
    issue(365);
    identity.reload().unwrap();
    let anew = held(&identity, &store, &pattern, first.clone()).unwrap();
    assert!(first.verify(&identity).is_err() && anew.verify(&identity).is_ok());
    assert_eq!(open(directory.path()).unwrap().all()["x"][&1], anew);
    // Whatever else is wrong with a signature is not healed.
    assert_eq!(held(&identity, &store, &pattern, signed("hsi", &words)).unwrap_err().reason, "pattern_signature");
}

fn listing(agency: &str, outcome: Outcome, patterns: &[SignedPattern]) -> NodeCatalog {
    let patterns = patterns.iter().cloned().map(Into::into).collect();
    NodeCatalog { agency: agency.to_owned(), outcome: outcome.into(), patterns, ..NodeCatalog::default() }
}

#[test]
fn a_pattern_is_found_at_its_owner_alone() {
    let versions: Vec<SignedPattern> = (1..=11).map(|version| signed("hsi", &text("x", version, "a"))).collect();
    let found = |catalog: &[NodeCatalog], name: &str| {
        let name: PatternName = name.parse().unwrap();
        find(catalog.to_vec(), &name)
            .map(|signed| signed.claimed().unwrap().version())
            .map_err(|refusal| refusal.reason)
    };
    let all = [listing("cbp", Outcome::Answered, &[]), listing("hsi", Outcome::Answered, &versions)];
    assert_eq!(found(&all, "hsi.x"), Ok(11));
    assert_eq!(found(&all, "hsi.x@9"), Ok(9));
    assert_eq!(found(&all, "hsi.x@12").unwrap_err(), "pattern_version");
    for unknown in ["hsi.y", "cbp.x", "nsa.x"] {
        assert_eq!(found(&all, unknown).unwrap_err(), "pattern_unknown");
    }
    // What another node passes off as HSI's is not looked at, nor is what says to be another agency's.
    let foreign = signed("cbp", &text("x", 1, "a"));
    let lies = [listing("cbp", Outcome::Answered, &versions), listing("hsi", Outcome::Answered, &[foreign])];
    assert_eq!(found(&lies, "hsi.x").unwrap_err(), "pattern_unknown");
    assert_eq!(found(&lies, "cbp.x").unwrap_err(), "pattern_unknown");
    for (outcome, reason) in [
        (Outcome::Denied, "pattern_unknown"),
        (Outcome::Unavailable, "pattern_owner_away"),
        (Outcome::TimedOut, "pattern_owner_away"),
    ] {
        assert_eq!(found(&[listing("hsi", outcome, &[])], "hsi.x@1").unwrap_err(), reason);
    }
}
