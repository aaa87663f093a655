//! Whoever reads a command's output may stop reading.

use std::{
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn a_closed_pipe_ends_a_command_without_a_word() {
    let corridor = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/corridors/laredo-detroit.geojson");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sallyport"));
    command.args(["corridor", "check"]).arg(corridor).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // As a program that SIGPIPE ends.
    assert_eq!(output.status.code(), Some(141));
}
