//! The nodes as the gateway reaches them: one channel each, under mutual TLS.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use sallyport_proto::{audit::v1::witness_client::WitnessClient, node::v1::contribution_client::ContributionClient};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::{ConnectSettings, Identity, IdentityError, PeerChannel, Role, SpiffeId},
};

use crate::{Config, config::NodeAddress};

/// Bytes of one message from a node, at most.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Clients of all nodes, by agency.
pub(crate) struct Contributors {
    identity: Arc<Identity>,
    settings: ConnectSettings,
    clients: ArcSwap<BTreeMap<String, Contributor>>,
}

/// What one node offers to the gateway, over one channel.
#[derive(Clone)]
struct Contributor {
    address: String,
    client: ContributionClient<PeerChannel>,
    witness: WitnessClient<PeerChannel>,
}

impl Contributors {
    /// Prepares a channel to each node; nothing is sent before its first use.
    pub(crate) fn new(config: &Config, identity: &Arc<Identity>) -> Result<Self, IdentityError> {
        let contributors = Self {
            identity: identity.clone(),
            settings: config.connect.clone(),
            clients: ArcSwap::from_pointee(BTreeMap::new()),
        };
        contributors.replace(&config.node)?;
        Ok(contributors)
    }

    /// Takes these nodes instead; a channel whose address stays is kept, and calls under way end where
    /// they began.
    pub(crate) fn replace(&self, nodes: &[NodeAddress]) -> Result<(), IdentityError> {
        let before = self.clients.load();
        let clients = nodes.iter().map(|node| {
            let kept = before.get(&node.agency).filter(|kept| kept.address == node.address).cloned();
            Ok((node.agency.clone(), kept.map_or_else(|| self.connect(node), Ok)?))
        });
        let clients = clients.collect::<Result<_, IdentityError>>()?;
        self.clients.store(Arc::new(clients));
        Ok(())
    }

    fn connect(&self, node: &NodeAddress) -> Result<Contributor, IdentityError> {
        let expected = SpiffeId {
            federation: self.identity.id().federation.clone(),
            role: Role::Node { agency: node.agency.clone() },
        };
        let channel = PeerChannel::new(&self.identity, &node.address, &expected, &self.settings)?;
        let witness = WitnessClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let client = ContributionClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Contributor { address: node.address.clone(), client, witness })
    }

    /// The client of an agency's node.
    ///
    /// # Errors
    /// `agency_unknown` when the federation has no such node.
    pub(crate) fn of(&self, agency: &str) -> Result<ContributionClient<PeerChannel>, Refusal> {
        self.contributor(agency).map(|contributor| contributor.client)
    }

    /// The same node as witness of the gateway's audit log.
    ///
    /// # Errors
    /// `agency_unknown` when the federation has no such node.
    pub(crate) fn witness(&self, agency: &str) -> Result<WitnessClient<PeerChannel>, Refusal> {
        self.contributor(agency).map(|contributor| contributor.witness)
    }

    fn contributor(&self, agency: &str) -> Result<Contributor, Refusal> {
        self.clients.load().get(agency).cloned().ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                "agency_unknown",
                format!("No agency `{agency}` takes part in this federation; `sallyport catalog` lists those that do."),
            )
        })
    }

    /// All agencies with their clients.
    pub(crate) fn all(&self) -> Vec<(String, ContributionClient<PeerChannel>)> {
        let clients = self.clients.load();
        clients.iter().map(|(agency, contributor)| (agency.clone(), contributor.client.clone())).collect()
    }
}
