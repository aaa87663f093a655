//! What the gateway is built from.

use std::process::Command;

use crate::world::run;

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
