//! The gateway's audit log and its witnesses, the nodes; and their messages to each other, carried
//! unread.

use std::sync::Arc;

use futures::future::BoxFuture;
use sallyport_proto::{
    gateway::v1::{RelayRequest, RelayResponse},
    node::v1::DeliverRequest,
};
use sallyport_trust::{
    error::Refusal,
    identity::{Role, SpiffeId, refusal_of},
    witnessing::{Reply, Submission, Transport, rpc},
};

use crate::{config::NodeAddress, contributors::Contributors, relay::check_size, run::Gateway};

/// The parties that witness the gateway's log, and that it witnesses.
pub(crate) fn parties(nodes: &[NodeAddress], federation: &str) -> Vec<SpiffeId> {
    let party =
        |agency: &String| SpiffeId { federation: federation.to_owned(), role: Role::Node { agency: agency.clone() } };
    nodes.iter().map(|node| party(&node.agency)).collect()
}

/// Reaches nodes over the channels on which they contribute.
pub(crate) struct ToNodes(pub(crate) Arc<Contributors>);

impl Transport for ToNodes {
    fn submit(&self, witness: SpiffeId, submission: Submission) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let client = self.0.witness(witness.agency().unwrap_or_default());
        Box::pin(async move { rpc::ask(client?, submission).await })
    }
}

/// Carries a node's checkpoint to another node. It is no entry of the gateway's own log: that would need
/// a new checkpoint, which would be carried around in turn.
pub(crate) async fn carry(gateway: &Gateway, from: String, message: RelayRequest) -> Result<RelayResponse, Refusal> {
    check_size(&message)?;
    let mut client = gateway.contributors.of(&message.to)?;
    let deliver = DeliverRequest { from, kind: message.kind, payload: message.payload };
    let answer = client.deliver(deliver).await.map_err(|status| refusal_of(&status))?;
    Ok(RelayResponse { payload: answer.into_inner().payload })
}
