//! Signed messages to other nodes, carried by the gateway.

use sallyport_proto::gateway::v1::{RelayKind, RelayRequest, federation_client::FederationClient};
use sallyport_trust::{
    error::Refusal,
    identity::{PeerChannel, refusal_of},
};

/// Sends a message through the gateway and waits for the answer.
pub(crate) async fn send<M: prost::Message, R: prost::Message + Default>(
    gateway: &FederationClient<PeerChannel>,
    to: &str,
    kind: RelayKind,
    message: &M,
) -> Result<R, Refusal> {
    let request = RelayRequest { to: to.to_owned(), kind: kind.into(), payload: message.encode_to_vec() };
    let answer = gateway.clone().relay(request).await.map_err(|status| refusal_of(&status))?;
    R::decode(answer.into_inner().payload.as_slice())
        .map_err(|_| Refusal::bad_input("relay_unreadable", format!("The node of `{to}` sent an unreadable answer.")))
}
