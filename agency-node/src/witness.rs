//! This node's audit log and its witnesses: the gateway, and through it the other nodes.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use sallyport_proto::{
    audit::v1::{AddCheckpointRequest, AddCheckpointResponse, witness_client::WitnessClient},
    gateway::v1::{RelayKind, federation_client::FederationClient},
    node::v1::DeliverRequest,
};
use sallyport_trust::{
    error::Refusal,
    identity::{PeerChannel, Role, SpiffeId},
    witnessing::{Reply, Submission, Transport, rpc},
};

use crate::{
    linkage::{course::Course, relay},
    node::Node,
};

/// The parties that witness this node's log, and that it witnesses: the gateway and every other member,
/// those of the next epoch included.
pub(crate) fn parties(course: &Course, agency: &str, federation: &str) -> Vec<SpiffeId> {
    let plans = std::iter::once(&course.in_use).chain(&course.next);
    let others: BTreeSet<&String> = plans.flat_map(|plan| &plan.members).filter(|member| *member != agency).collect();
    let nodes = others.into_iter().map(|member| Role::Node { agency: member.clone() });
    let party = |role| SpiffeId { federation: federation.to_owned(), role };
    std::iter::once(Role::Gateway).chain(nodes).map(party).collect()
}

/// Takes the members of these plans as witnesses.
pub(crate) fn follow(node: &Node, course: &Course) {
    let parties = parties(course, &node.agency, &node.identity.id().federation);
    if let Err(error) = node.witness.expect(&parties) {
        tracing::error!(%error, "the witnesses stay as they were");
    }
}

/// Reaches the gateway, and has it carry what is for other nodes.
pub(crate) struct ThroughGateway {
    pub(crate) witness: WitnessClient<PeerChannel>,
    pub(crate) relay: FederationClient<PeerChannel>,
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
