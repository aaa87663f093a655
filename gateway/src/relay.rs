//! Carries signed messages between nodes, unread.

use sallyport_proto::{
    gateway::v1::{RelayKind, RelayRequest, RelayResponse},
    node::v1::DeliverRequest,
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{SpiffeId, refusal_of},
    policy::{Action, Attributes, Context, Request, attribute, kind},
};

use crate::{run::Gateway, witness};

/// Bytes of one carried message, at most.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// identify node → open audit entry → validate → authorise → carry → complete audit → return
pub(crate) async fn relay(gateway: &Gateway, peer: SpiffeId, message: RelayRequest) -> Result<RelayResponse, Refusal> {
    let from = gateway.member(&peer)?;
    if message.kind() == RelayKind::Witness {
        return witness::carry(gateway, from, message).await;
    }
    let mut trail = gateway.guard.begin(Act::by(&peer, "relay", &format!("to {}", bounded(&message.to)))).await?;
    let carried = carry(gateway, &mut trail, from, message).await;
    trail.complete(carried.as_ref().err()).await?;
    carried
}

async fn carry(
    gateway: &Gateway,
    trail: &mut Trail,
    from: String,
    message: RelayRequest,
) -> Result<RelayResponse, Refusal> {
    check_size(&message)?;
    let mut client = gateway.contributors.of(&message.to)?;
    let request = Request {
        subject: Attributes::new().with(attribute::AGENCY, from.clone()).with(attribute::ROLE, "node"),
        resource: Attributes::new().with(attribute::KIND, kind::LINKAGE).with(attribute::OWNER, message.to.clone()),
        action: Action::Relay,
        context: Context { at_ms: gateway.clock.now_ms(), ..Context::default() },
    };
    let _permit = gateway.guard.authorise(trail, &request)?;
    trail.count("bytes", message.payload.len() as u64);
    let deliver = DeliverRequest { from, kind: message.kind, payload: message.payload };
    let answer = client.deliver(deliver).await.map_err(|status| refusal_of(&status))?;
    Ok(RelayResponse { payload: answer.into_inner().payload })
}

pub(crate) fn check_size(message: &RelayRequest) -> Result<(), Refusal> {
    if message.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Refusal::bad_input("message_too_large", "A relayed message may have at most 1 MiB."));
    }
    Ok(())
}

/// A name from a peer, cut before it is written down.
fn bounded(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(63).collect()
}
