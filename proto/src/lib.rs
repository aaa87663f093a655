//! The wire contract, generated from the `.proto` files beside this crate.
//!
//! Generated types stop at the edge of a process: only files named `rpc` and `client` use them.
#![allow(missing_docs, unreachable_pub, clippy::all)]

/// The service for auditors, and what parties say to each other about their audit logs.
pub mod audit {
    pub mod v1 {
        tonic::include_proto!("sallyport.audit.v1");
    }
}

/// Messages that both services use.
pub mod common {
    pub mod v1 {
        tonic::include_proto!("sallyport.common.v1");
    }
}

/// The service for industry partners.
pub mod feed {
    pub mod v1 {
        tonic::include_proto!("sallyport.feed.v1");
    }
}

/// The gateway's service.
pub mod gateway {
    pub mod v1 {
        tonic::include_proto!("sallyport.gateway.v1");
    }
}

/// The services of an agency's node.
pub mod node {
    pub mod v1 {
        tonic::include_proto!("sallyport.node.v1");
    }
}

/// The encoded file descriptor set, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sallyport.bin"));
