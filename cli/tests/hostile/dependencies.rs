//! What everything is built from: the gateway without a data engine, and nothing under a licence or in a
//! version that `deny.toml` does not let in.

use std::{collections::BTreeSet, fs, process::Command};

use crate::world::run;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn the_gateway_is_built_without_the_data_engine_and_without_a_node() {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "-p", "sallyport-gateway", "--offline", "--locked", "--edges", "normal,build"]);
    command.args(["--prefix", "none", "--manifest-path"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let tree = run(command);
    assert_eq!(tree.code, Some(0), "{}", tree.err);
    let crates: Vec<&str> = tree.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"sallyport-join"), "the tree is read");
    // Phone numbers are the one identifier whose canonical form needs a library.
    let kept_out = |name: &&&str| {
        ["datafusion", "arrow", "parquet", "ballista", "sallyport-node", "phonenumber", "curve25519-dalek"]
            .iter()
            .any(|kept_out| name.starts_with(kept_out))
    };
    assert_eq!(crates.iter().find(kept_out), None);
}

/// A package of this platform's build: name, version, licence.
struct Package {
    name: String,
    version: semver::Version,
    licence: String,
}

fn packages() -> Vec<Package> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none"]);
    command.args(["--format", "{p}|{l}", "--offline", "--locked", "--manifest-path", &format!("{ROOT}/Cargo.toml")]);
    let tree = run(command);
    assert_eq!(tree.code, Some(0), "{}", tree.err);
    let lines: BTreeSet<&str> =
        tree.out.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty()).collect();
    let package = |line: &&str| {
        let (package, licence) = line.split_once('|').unwrap();
        let (name, rest) = package.split_once(" v").unwrap();
        let version = rest.split(' ').next().unwrap().parse().unwrap();
        Package { name: name.to_owned(), version, licence: licence.to_owned() }
    };
    let packages: Vec<Package> = lines.iter().map(package).collect();
    assert!(packages.len() > 100, "the tree is read");
    packages
}

fn deny() -> toml::Table {
    fs::read_to_string(format!("{ROOT}/deny.toml")).unwrap().parse().unwrap()
}

#[test]
fn every_licence_is_one_that_locks_nobody_in() {
    let deny = deny();
    let texts = |list: &toml::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let allowed = texts(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();
    let broken = |package: &&Package| {
        let of_crate = exceptions.iter().filter(|one| one["crate"].as_str() == Some(&package.name));
        let allowed: Vec<String> =
            allowed.iter().cloned().chain(of_crate.flat_map(|one| texts(&one["allow"]))).collect();
        // Older manifests part alternatives by a slash, and "or later" is allowed with the licence itself.
        let expression = package.licence.replace('/', " OR ").replace('+', "");
        let expression = spdx::Expression::parse(&expression);
        !expression.is_ok_and(|licence| licence.evaluate(|one| allowed.contains(&one.to_string())))
    };
    let packages = packages();
    let told = |package: &Package| format!("{} is under `{}`", package.name, package.licence);
    let broken: Vec<String> = packages.iter().filter(broken).map(told).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn no_crate_is_one_that_must_not_come_in() {
    let deny = deny();
    let packages = packages();
    for ban in deny["bans"]["deny"].as_array().unwrap() {
        let (name, below) = match ban["crate"].as_str().unwrap().split_once(":<") {
            Some((name, below)) => (name, Some(semver::Version::parse(&full(below)).unwrap())),
            None => (ban["crate"].as_str().unwrap(), None),
        };
        for package in packages.iter().filter(|package| package.name == name) {
            let fine = below.as_ref().is_some_and(|below| package.version >= *below);
            assert!(fine, "{name} {}: {}", package.version, ban["reason"]);
        }
    }
}

/// `0.41` is `0.41.0`.
fn full(version: &str) -> String {
    let parts = version.split('.').count();
    format!("{version}{}", ".0".repeat(3usize.saturating_sub(parts)))
}
