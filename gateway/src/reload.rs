//! The nodes of the federation, read again from the configuration on SIGHUP, so that an agency can join
//! or leave without a restart. Everything else in the file is read at a start.

use std::{path::PathBuf, sync::Arc};

use sallyport_trust::life::HangUps;

use crate::{Config, run::Gateway, witness};

/// Follows the configuration file, as often as it is told to.
pub(crate) async fn follow(gateway: Arc<Gateway>, source: PathBuf, mut hang_ups: HangUps) {
    loop {
        hang_ups.next().await;
        let read = match Config::load(&source) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("the configuration cannot be used; the nodes stay as they were: {error}");
                continue;
            }
        };
        let agencies: Vec<&str> = read.node.iter().map(|node| node.agency.as_str()).collect();
        if let Err(error) = gateway.witness.expect(&witness::parties(&read.node, &gateway.identity.id().federation)) {
            tracing::error!(%error, "the witnesses stay as they were");
        }
        match gateway.contributors.replace(&read.node) {
            Ok(()) => tracing::info!(nodes = agencies.join(" "), "the nodes of the federation read"),
            Err(error) => tracing::error!("a node cannot be reached this way; all stay as they were: {error}"),
        }
    }
}
