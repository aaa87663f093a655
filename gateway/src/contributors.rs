//! The nodes as the gateway reaches them: one channel each, under mutual TLS.

use std::{collections::BTreeMap, sync::Arc};

use sallyport_proto::{audit::v1::witness_client::WitnessClient, node::v1::contribution_client::ContributionClient};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::{Identity, IdentityError, Role, SpiffeId, connect},
};
use tonic::transport::Channel;

use crate::Config;

/// Bytes of one message from a node, at most.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Clients of all nodes, by agency.
#[derive(Clone)]
pub(crate) struct Contributors(BTreeMap<String, Clients>);

/// What one node offers to the gateway, over one channel.
#[derive(Clone)]
struct Clients {
    contribution: ContributionClient<Channel>,
    witness: WitnessClient<Channel>,
}

impl Contributors {
    /// Prepares a channel to each node; nothing is sent before its first use.
    pub(crate) fn new(config: &Config, identity: &Arc<Identity>) -> Result<Self, IdentityError> {
        let clients = config.node.iter().map(|node| {
            let expected = SpiffeId {
                federation: identity.id().federation.clone(),
                role: Role::Node { agency: node.agency.clone() },
            };
            let channel = connect(identity, &node.address, &expected, &config.connect)?;
            let witness = WitnessClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
            let contribution = ContributionClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
            Ok((node.agency.clone(), Clients { contribution, witness }))
        });
        clients.collect::<Result<_, _>>().map(Self)
    }

    /// The client of an agency's node.
    ///
    /// # Errors
    /// `agency_unknown` when the federation has no such node.
    pub(crate) fn of(&self, agency: &str) -> Result<ContributionClient<Channel>, Refusal> {
        self.clients(agency).map(|clients| clients.contribution.clone())
    }

    /// The same node as witness of the gateway's audit log.
    ///
    /// # Errors
    /// `agency_unknown` when the federation has no such node.
    pub(crate) fn witness(&self, agency: &str) -> Result<WitnessClient<Channel>, Refusal> {
        self.clients(agency).map(|clients| clients.witness.clone())
    }

    fn clients(&self, agency: &str) -> Result<&Clients, Refusal> {
        self.0.get(agency).ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                "agency_unknown",
                format!("No agency `{agency}` takes part in this federation; `sallyport catalog` lists those that do."),
            )
        })
    }

    /// All agencies with their clients.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, ContributionClient<Channel>)> {
        self.0.iter().map(|(agency, clients)| (agency.as_str(), clients.contribution.clone()))
    }
}
