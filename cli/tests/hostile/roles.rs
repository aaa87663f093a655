//! Good certificates at the wrong door.

use sallyport_proto::{
    audit::v1::{AddCheckpointRequest, witness_client::WitnessClient},
    common::v1::SignedQuestion,
    gateway::v1::{AskRequest, CatalogRequest, RelayRequest, federation_client::FederationClient},
    node::v1::{
        AccountRequest, ContributeRequest, DeliverRequest, DescribeRequest, DeskAskRequest, DeskCatalogRequest,
        ReadinessRequest, ReceiptRequest, contribution_client::ContributionClient, desk_client::DeskClient,
    },
};
use sallyport_trust::{
    identity::refusal_of,
    question::{Question, parse_question},
};
use tonic::{Response, Status, Streaming, transport::Channel};

use crate::{
    attacker::{QUESTION, is_quiet},
    world::World,
};

/// The reason of a refused call.
fn reason<T>(answer: Result<Response<T>, Status>) -> String {
    let status = answer.err().expect("the call is refused");
    is_quiet(&status);
    refusal_of(&status).reason
}

/// The reason of a refused stream, which may come with its first message.
async fn reason_of_stream<T>(answer: Result<Response<Streaming<T>>, Status>) -> String {
    let status = match answer {
        Ok(stream) => stream.into_inner().message().await.err().expect("the stream is refused"),
        Err(status) => status,
    };
    is_quiet(&status);
    refusal_of(&status).reason
}

fn unsound_question() -> SignedQuestion {
    SignedQuestion { header: vec![1], signature: Some(Default::default()), openings: Vec::new() }
}

async fn at_the_gateway(channel: Channel) -> Vec<String> {
    let mut client = FederationClient::new(channel);
    vec![
        reason_of_stream(client.ask(AskRequest { question: Some(unsound_question()) }).await).await,
        reason(client.relay(RelayRequest { to: "hsi".to_owned(), kind: 1, payload: vec![1] }).await),
        reason(client.catalog(CatalogRequest::default()).await),
    ]
}

async fn at_the_contribution(channel: Channel) -> Vec<String> {
    let mut client = ContributionClient::new(channel);
    let deliver = DeliverRequest { from: "cbp".to_owned(), kind: 2, payload: vec![1] };
    vec![
        reason_of_stream(client.contribute(ContributeRequest { question: Some(unsound_question()) }).await).await,
        reason(client.account(AccountRequest { question_id: vec![0; 32], part: 0, keys: Vec::new() }).await),
        reason(client.deliver(deliver).await),
        reason(client.describe(DescribeRequest::default()).await),
    ]
}

async fn at_the_desk(channel: Channel) -> Vec<String> {
    let mut client = DeskClient::new(channel);
    let question: Question = parse_question(QUESTION).unwrap().question;
    let ask = DeskAskRequest { question: Some((&question).into()), lookup: Vec::new() };
    vec![
        reason_of_stream(client.ask(ask).await).await,
        reason(client.catalog(DeskCatalogRequest {}).await),
        reason(client.readiness(ReadinessRequest {}).await),
        reason(client.receipt(ReceiptRequest { question_id: "00".repeat(32) }).await),
    ]
}

#[tokio::test]
async fn the_gateway_hears_nobody_but_nodes() {
    let world = World::new();
    let mut gateway = world.lone_gateway("");
    for who in ["agency-hsi-user-rivera", "auditor-chen", "partner-acme-feed", "gateway"] {
        assert_eq!(at_the_gateway(world.channel(who, &gateway)).await, ["wrong_role"; 3], "{who}");
    }
    gateway.is_well();
}

#[tokio::test]
async fn a_node_contributes_to_nobody_but_the_gateway() {
    let world = World::new();
    let mut node = world.lone_node("");
    for who in ["agency-hsi-user-rivera", "agency-cbp-node", "agency-hsi-node", "auditor-chen", "partner-acme-feed"] {
        assert_eq!(at_the_contribution(world.channel(who, &node)).await, ["wrong_role"; 4], "{who}");
    }
    node.is_well();
}

async fn at_the_witness(channel: Channel) -> String {
    reason(WitnessClient::new(channel).add_checkpoint(AddCheckpointRequest::default()).await)
}

#[tokio::test]
async fn nobody_is_witnessed_but_the_parties_of_the_federation() {
    let world = World::new();
    let (mut gateway, mut node) = (world.lone_gateway(""), world.lone_node(""));
    for who in ["agency-hsi-user-rivera", "auditor-chen", "partner-acme-feed"] {
        assert_eq!(at_the_witness(world.channel(who, &gateway)).await, "wrong_role", "{who}");
        assert_eq!(at_the_witness(world.channel(who, &node)).await, "wrong_role", "{who}");
    }
    // Nobody is their own witness, and a node that the gateway does not know is no party.
    assert_eq!(at_the_witness(world.channel("gateway", &gateway)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-cbp-node", &gateway)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-hsi-node", &node)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-hsi-node", &gateway)).await, "audit_keys_unusable");
    let mut contribution = ContributionClient::new(world.channel("gateway", &node));
    for (from, payload, expected) in [
        ("zoll", Vec::new(), "wrong_role"),
        ("hsi", Vec::new(), "wrong_role"),
        ("cbp", vec![0xff; 9], "relay_unreadable"),
    ] {
        let carried = DeliverRequest { from: from.to_owned(), kind: 4, payload };
        assert_eq!(reason(contribution.deliver(carried).await), expected, "{from}");
    }
    gateway.is_well();
    node.is_well();
}

#[tokio::test]
async fn a_desk_serves_nobody_but_the_agencys_own_people() {
    let world = World::new();
    let mut node = world.lone_node("");
    let strangers = [
        ("gateway", "wrong_role"),
        ("agency-cbp-node", "wrong_role"),
        ("agency-hsi-node", "wrong_role"),
        ("auditor-chen", "wrong_role"),
        ("partner-acme-feed", "wrong_role"),
        ("agency-cbp-user-okafor", "wrong_agency"),
        // Of the agency by certificate, and yet not among those whom its node knows.
        ("agency-hsi-user-nobody", "person_unknown"),
    ];
    for (who, expected) in strangers {
        assert_eq!(at_the_desk(world.channel(who, &node)).await, [expected; 4], "{who}");
    }
    node.is_well();
}

#[tokio::test]
async fn a_request_without_its_parts_is_refused_by_name() {
    let world = World::new();
    let (gateway, node) = (world.lone_gateway(""), world.lone_node(""));
    let mut federation = FederationClient::new(world.channel("agency-hsi-node", &gateway));
    assert_eq!(reason_of_stream(federation.ask(AskRequest { question: None }).await).await, "question_missing");
    let unsigned = AskRequest { question: Some(SignedQuestion { signature: None, ..unsound_question() }) };
    assert_eq!(reason_of_stream(federation.ask(unsigned).await).await, "question_unsigned");
    let nowhere = RelayRequest { to: "../../etc".to_owned(), kind: 1, payload: Vec::new() };
    assert_eq!(reason(federation.relay(nowhere).await), "agency_unknown");

    let mut contribution = ContributionClient::new(world.channel("gateway", &node));
    let missing = contribution.contribute(ContributeRequest { question: None }).await;
    assert_eq!(reason_of_stream(missing).await, "question_missing");
    let deliver = |kind, payload| DeliverRequest { from: "cbp".to_owned(), kind, payload };
    assert_eq!(reason(contribution.deliver(deliver(77, Vec::new())).await), "relay_kind");
    assert_eq!(reason(contribution.deliver(deliver(1, vec![0xff; 40])).await), "relay_unreadable");
    assert_eq!(reason(contribution.deliver(deliver(2, vec![0xff; 40])).await), "epoch_not_agreed");
    let account = AccountRequest { question_id: vec![0; 5], part: u32::MAX, keys: vec![vec![1]; 3] };
    assert_eq!(reason(contribution.account(account).await), "question_unknown");
    assert_eq!(reason(contribution.describe(DescribeRequest::default()).await), "introduction_unusable");

    let mut desk = DeskClient::new(world.channel("agency-hsi-user-rivera", &node));
    let empty = DeskAskRequest { question: None, lookup: Vec::new() };
    assert_eq!(reason_of_stream(desk.ask(empty).await).await, "question_missing");
    let early = parse_question(QUESTION).unwrap().question;
    let early = DeskAskRequest { question: Some((&early).into()), lookup: Vec::new() };
    assert_eq!(reason_of_stream(desk.ask(early).await).await, "epoch_not_agreed");
}
