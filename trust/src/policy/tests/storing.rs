//! Opening and reloading a directory.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::policy::engine::MODEL;
use crate::policy::{FILE_BYTES_MAX, PolicyStore};

pub(super) const CASES: &str = r#"
[subjects.rivera]
agency = "hsi"
role = "analyst"
[resources.crossings]
kind = "dataset"
owner = "cbp"
dataset = "cbp.crossings"
[contexts.usual]
minimum_datasets = 2
top = 20

[[case]]
name = "an analyst asks"
subject = "rivera"
resource = "crossings"
context = "usual"
action = "ask"
decision = "allow"
rule = "analysts"
"#;

pub(super) fn directory() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("cbp");
    fs::create_dir(&own).unwrap();
    write(root.path(), "model.conf", MODEL);
    write(&own, "rules.toml", ALLOW_ANALYSTS);
    write(&own, "cases.toml", CASES);
    (root, own)
}

pub(super) fn write(directory: &Path, file: &str, text: &str) {
    fs::write(directory.join(file), text).unwrap();
}

fn allows(store: &PolicyStore) -> bool {
    matches!(store.decide(&request()), Decision::Allow(_))
}

#[test]
fn a_directory_opens_with_the_model_beside_it_or_above_it() {
    let (_root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    assert!(allows(&store));
    let hash = store.policy_hash();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    match store.decide(&request()) {
        Decision::Allow(permit) => assert_eq!(permit.policy_hash(), hash),
        other => panic!("{other:?}"),
    }
    write(&own, "model.conf", "[matchers]\nm = true");
    assert!(matches!(PolicyStore::open(&own), Err(PolicyError::ForeignModel)), "the nearer model counts");
}

#[test]
fn whatever_is_wrong_with_the_files_a_reload_keeps_the_old_policy() {
    let (root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    let hash = store.policy_hash();
    type Fits = fn(&PolicyError) -> bool;
    let faults: [(&Path, &str, &str, Fits); 9] = [
        (&own, "rules.toml", "", |e| matches!(e, PolicyError::NoRules)),
        (&own, "rules.toml", "[[rule", |e| matches!(e, PolicyError::Unparsable { file: "rules.toml", .. })),
        (&own, "rules.toml", "[[rule]]\nid = \"x\"", |e| matches!(e, PolicyError::Unparsable { .. })),
        (&own, "cases.toml", "", |e| matches!(e, PolicyError::NoCases)),
        (&own, "cases.toml", "case = 3", |e| matches!(e, PolicyError::Unparsable { file: "cases.toml", .. })),
        (root.path(), "model.conf", "", |e| matches!(e, PolicyError::ForeignModel)),
        (root.path(), "model.conf", "[policy_effect]\ne = !some(where (p.eft == deny))", |e| {
            matches!(e, PolicyError::ForeignModel)
        }),
        (
            &own,
            "rules.toml",
            "[[rule]]\nid = \"no\"\neffect = \"deny\"\nactions = [\"ask\"]\n",
            |e| matches!(e, PolicyError::Case { name, .. } if name == "an analyst asks"),
        ),
        (&own, "cases.toml", &CASES.replace("\"analysts\"", "\"others\""), |e| matches!(e, PolicyError::Case { .. })),
    ];
    for (place, file, text, fits) in faults {
        let good = fs::read_to_string(place.join(file)).unwrap();
        write(place, file, text);
        let error = store.reload().unwrap_err();
        assert!(fits(&error), "{file}: {error}");
        assert!(PolicyStore::open(&own).is_err(), "{file}");
        assert!(allows(&store) && store.policy_hash() == hash, "{file}");
        write(place, file, &good);
    }
    store.reload().unwrap();
    assert_eq!(store.policy_hash(), hash);
}

#[test]
fn a_missing_an_unreadable_and_an_oversized_file_keep_the_old_policy() {
    let (_root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    for file in ["rules.toml", "cases.toml"] {
        let good = fs::read_to_string(own.join(file)).unwrap();
        fs::remove_file(own.join(file)).unwrap();
        assert!(matches!(store.reload(), Err(PolicyError::Unreadable { file: named, .. }) if named == file));
        fs::write(own.join(file), [0xff, 0xfe]).unwrap();
        assert!(matches!(store.reload(), Err(PolicyError::Unreadable { .. })), "not text");
        fs::File::create(own.join(file)).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(store.reload(), Err(PolicyError::TooLarge { .. })));
        write(&own, file, &good);
        assert!(allows(&store));
    }
}

#[test]
fn a_reload_that_drops_a_rule_stops_allowing_at_once() {
    let (_root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    assert!(allows(&store));
    let before = store.policy_hash();
    write(&own, "rules.toml", &ALLOW_ANALYSTS.replace("\"analyst\"", "\"officer\""));
    write(
        &own,
        "cases.toml",
        &CASES.replace("decision = \"allow\"\nrule = \"analysts\"", "decision = \"deny\"\nreason = \"no_rule_allows\""),
    );
    store.reload().unwrap();
    assert!(!allows(&store));
    assert_ne!(store.policy_hash(), before);
}

#[test]
fn the_hash_covers_every_file_and_where_each_ends() {
    let (root, own) = directory();
    let store = PolicyStore::open(&own).unwrap();
    let mut seen = vec![store.policy_hash()];
    write(&own, "schema.toml", "");
    store.reload().unwrap();
    seen.push(store.policy_hash());
    assert_ne!(seen[0], seen[1], "schema.toml");
    for (place, file) in
        [(root.path(), "model.conf"), (&*own, "rules.toml"), (&*own, "cases.toml"), (&*own, "schema.toml")]
    {
        let good = fs::read_to_string(place.join(file)).unwrap();
        write(place, file, &format!("{good}\n# changed"));
        store.reload().unwrap();
        assert!(!seen.contains(&store.policy_hash()), "{file}");
        seen.push(store.policy_hash());
        write(place, file, &good);
    }
}
