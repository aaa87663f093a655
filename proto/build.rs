//! Compiles the protos with a compiler written in Rust, so that no protoc is needed on the machine.

use std::{env, error::Error, path::PathBuf};

const FILES: [&str; 6] = [
    "sallyport/audit/v1/audit.proto",
    "sallyport/audit/v1/witness.proto",
    "sallyport/common/v1/common.proto",
    "sallyport/gateway/v1/gateway.proto",
    "sallyport/node/v1/lead.proto",
    "sallyport/node/v1/node.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=sallyport");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut encoded = Vec::new();
    prost::Message::encode(&descriptors, &mut encoded)?;
    std::fs::write(out.join("sallyport.bin"), encoded)?;
    // Rows are most of what travels: keep them as slices of the receive buffer.
    tonic_prost_build::configure().bytes(".sallyport.node.v1.Contributed.rows").compile_fds(descriptors)?;
    Ok(())
}
