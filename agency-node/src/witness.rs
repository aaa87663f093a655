//! This node's audit log and its witnesses: the gateway, and through it the other nodes.

use futures::future::BoxFuture;
use sallyport_proto::{
    audit::v1::{AddCheckpointRequest, AddCheckpointResponse, witness_client::WitnessClient},
    gateway::v1::{RelayKind, federation_client::FederationClient},
    node::v1::DeliverRequest,
};
use sallyport_trust::{
    error::Refusal,
    identity::{Role, SpiffeId},
    witnessing::{Reply, Submission, Transport, rpc},
};
use tonic::transport::Channel;

use crate::{Config, linkage::relay, node::Node};

/// The parties that witness this node's log, and that it witnesses: the gateway and every other member.
pub(crate) fn parties(config: &Config, federation: &str) -> Vec<SpiffeId> {
    let others = config.federation.members.iter().filter(|member| **member != config.agency);
    let nodes = others.map(|member| Role::Node { agency: member.clone() });
    let party = |role| SpiffeId { federation: federation.to_owned(), role };
    std::iter::once(Role::Gateway).chain(nodes).map(party).collect()
}

/// Reaches the gateway, and has it carry what is for other nodes.
pub(crate) struct ThroughGateway {
    pub(crate) witness: WitnessClient<Channel>,
    pub(crate) relay: FederationClient<Channel>,
}

impl Transport for ThroughGateway {
    fn submit(&self, witness: SpiffeId, submission: Submission) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let (gateway, carrier) = (self.witness.clone(), self.relay.clone());
        Box::pin(async move {
            let Some(agency) = witness.agency() else { return rpc::ask(gateway, submission).await };
            let request = AddCheckpointRequest::from(submission);
            let answer: AddCheckpointResponse = relay::send(&carrier, agency, RelayKind::Witness, &request).await?;
            answer.try_into()
        })
    }
}

/// Answers another node that asks for a cosignature.
pub(crate) async fn carried(node: &Node, gateway: &SpiffeId, message: &DeliverRequest) -> Result<Vec<u8>, Refusal> {
    let federation = node.identity.id().federation.clone();
    let party = SpiffeId { federation, role: Role::Node { agency: message.from.clone() } };
    rpc::carried(&node.witness, &party, gateway, &message.payload).await
}
