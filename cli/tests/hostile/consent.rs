//! What owners tell of held questions, and to whom.

use prost::Message;
use sallyport_proto::node::v1::{
    DeliverRequest, ReleaseStatusReply, ReleaseStatusRequest, SignedMessage, contribution_client::ContributionClient,
};
use sallyport_trust::{
    error::Refusal,
    identity::{Identity, SigningPurpose, refusal_of},
    question::SKEW_MAX_MS,
};
use tonic::transport::Channel;

use crate::{
    attacker::is_quiet,
    forgeries::asker,
    world::{FEDERATION, World},
};

/// A sound request of CBP's node to HSI's.
fn request() -> ReleaseStatusRequest {
    ReleaseStatusRequest {
        to: "hsi".to_owned(),
        federation: FEDERATION.to_owned(),
        issued_at_ms: chrono::Utc::now().timestamp_millis(),
        asker: asker("cbp", "okafor"),
        question_ids: vec![vec![7; 32]],
    }
}

fn signed(identity: &Identity, request: &ReleaseStatusRequest) -> SignedMessage {
    let message = request.encode_to_vec();
    let signature = identity.sign(SigningPurpose::new("release status request"), &message).unwrap();
    SignedMessage { message, signature: Some(signature.into()) }
}

async fn ask(to_node: &Channel, message: &SignedMessage) -> Result<ReleaseStatusReply, Refusal> {
    let deliver = DeliverRequest { from: "cbp".to_owned(), kind: 3, payload: message.encode_to_vec() };
    let answer = ContributionClient::new(to_node.clone()).deliver(deliver).await.map_err(|status| {
        is_quiet(&status);
        refusal_of(&status)
    })?;
    Ok(ReleaseStatusReply::decode(answer.into_inner().payload.as_slice()).unwrap())
}

#[tokio::test]
async fn an_owner_tells_of_held_questions_to_the_node_of_the_person_alone() {
    let world = World::new();
    let mut node = world.lone_node("");
    let (cbp, hsi) = (world.identity("agency-cbp-node"), world.identity("agency-hsi-node"));
    let to_node = world.channel("gateway", &node);
    // A question that nobody asked is nothing to tell of.
    assert!(ask(&to_node, &signed(&cbp, &request())).await.unwrap().statuses.is_empty());

    let refused = [
        (signed(&hsi, &request()), "release_status_wrong_signer"),
        (signed(&world.identity("agency-cbp-user-okafor"), &request()), "release_status_wrong_signer"),
        (
            signed(&cbp, &ReleaseStatusRequest { asker: asker("hsi", "rivera"), ..request() }),
            "release_status_wrong_signer",
        ),
        (signed(&cbp, &ReleaseStatusRequest { to: "cbp".to_owned(), ..request() }), "release_status_wrong_audience"),
        (
            signed(&cbp, &ReleaseStatusRequest { federation: "elsewhere".to_owned(), ..request() }),
            "release_status_wrong_signer",
        ),
        (signed(&cbp, &ReleaseStatusRequest { issued_at_ms: 0, ..request() }), "question_stale"),
        (
            signed(
                &cbp,
                &ReleaseStatusRequest { issued_at_ms: request().issued_at_ms + 10 * SKEW_MAX_MS, ..request() },
            ),
            "question_from_the_future",
        ),
        (
            signed(&cbp, &ReleaseStatusRequest { question_ids: vec![vec![7; 31]], ..request() }),
            "release_status_unusable",
        ),
        (
            signed(&cbp, &ReleaseStatusRequest { question_ids: vec![vec![7; 32]; 101], ..request() }),
            "release_status_unusable",
        ),
        (SignedMessage { signature: None, ..signed(&cbp, &request()) }, "release_status_unusable"),
    ];
    for (message, reason) in refused {
        assert_eq!(ask(&to_node, &message).await.unwrap_err().reason, reason);
    }
    let mut changed = signed(&cbp, &request());
    changed.message.push(0);
    assert!(ask(&to_node, &changed).await.is_err());
    node.is_well();
}
