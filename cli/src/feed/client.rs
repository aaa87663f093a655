//! The node that a partner sends to, as the command line speaks with it.

use sallyport_proto::feed::v1::feed_client::FeedClient;
use sallyport_trust::{
    clock::Clock,
    error::Refusal,
    identity::{ConnectSettings, Identity, Role, SpiffeId, connect},
};
use tonic::transport::Channel;

use crate::{failure::Failure, people::Feed};

/// Prepares the connection; each call makes it where it is broken.
pub(crate) fn connection(feed: &Feed) -> Result<FeedClient<Channel>, Failure> {
    let identity =
        Identity::load(&feed.tls, Clock::system()).map_err(|error| Failure::input("identity", error.to_string()))?;
    let node =
        SpiffeId { federation: identity.id().federation.clone(), role: Role::Node { agency: feed.agency.clone() } };
    let channel = connect(&identity, &feed.node, &node, &ConnectSettings::default()).map_err(Refusal::from)?;
    Ok(FeedClient::new(channel))
}

/// The feed that is meant: the one named, else the agency's positions.
pub(super) fn feed_name(named: Option<String>, feed: &Feed) -> String {
    named.unwrap_or_else(|| format!("{}.positions", feed.agency))
}
