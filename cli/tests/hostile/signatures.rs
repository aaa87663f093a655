//! One bit changed in flight, in everything that is signed: nothing of it is taken.

use futures::{StreamExt, stream};
use prost::Message;
use sallyport_proto::{
    common::v1::{Signature, SignedQuestion},
    gateway::v1::{AskRequest, CatalogRequest, federation_client::FederationClient},
    node::v1::{
        DeliverRequest, DescribeRequest, EpochGreeting, EvaluationRequest, Introduction, SignedMessage,
        contribution_client::ContributionClient,
    },
};
use sallyport_trust::{error::Refusal, identity::refusal_of};
use tonic::transport::Channel;

use crate::{
    attacker::{Epoch, Forger, contribute, is_quiet, only},
    forgeries::{asker, federation},
    world::FEDERATION,
};

/// Bits tried in each field.
const SAMPLES: usize = 60;
const AT_A_TIME: usize = 8;

/// Where to change a field of so many bytes: spread over all of it, first and last bit included.
fn bits(bytes: usize) -> impl Iterator<Item = usize> {
    let bits = bytes * 8;
    let samples = SAMPLES.min(bits);
    (0..samples).map(move |n| n * (bits - 1) / (samples - 1).max(1))
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}

/// A signature with each sampled bit changed.
fn signatures(signature: &Signature) -> Vec<Signature> {
    let mut changed = Vec::new();
    for bit in bits(signature.signature.len()) {
        changed.push(Signature { signature: flipped(&signature.signature, bit), ..signature.clone() });
    }
    for bit in bits(signature.certificates[0].len()) {
        changed.push(Signature { certificates: vec![flipped(&signature.certificates[0], bit)], ..signature.clone() });
    }
    for bit in 0..32 {
        changed.push(Signature { scheme: signature.scheme ^ (1 << bit), ..signature.clone() });
    }
    changed.push(Signature { certificates: Vec::new(), ..signature.clone() });
    changed
}

/// A question with each sampled bit of header, signature and openings changed.
fn questions(question: &SignedQuestion) -> Vec<SignedQuestion> {
    let mut changed = Vec::new();
    for bit in bits(question.header.len()) {
        changed.push(SignedQuestion { header: flipped(&question.header, bit), ..question.clone() });
    }
    for signature in signatures(question.signature.as_ref().unwrap()) {
        changed.push(SignedQuestion { signature: Some(signature), ..question.clone() });
    }
    for (place, opening) in question.openings.iter().enumerate() {
        let mut with = |change: &dyn Fn(&mut sallyport_proto::common::v1::Opening)| {
            let mut copy = question.clone();
            change(&mut copy.openings[place]);
            changed.push(copy);
        };
        bits(opening.salt.len()).for_each(|bit| with(&|opening| opening.salt = flipped(&opening.salt, bit)));
        bits(opening.part.len()).for_each(|bit| with(&|opening| opening.part = flipped(&opening.part, bit)));
        (0..32).for_each(|bit| with(&|opening| opening.index ^= 1 << bit));
    }
    changed
}

const OF_QUESTIONS: [&str; 3] = ["question_signature", "question_opening", "signature_scheme"];

#[tokio::test]
async fn a_question_changed_in_one_bit_is_answered_by_nobody() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");

    let to_node = world.channel("gateway", &federation.cbp);
    let question = only(&hsi.question(), 0);
    let changed = questions(&question);
    assert!(changed.len() > 250, "{}", changed.len());
    let refused = stream::iter(changed).map(|question| contribute(&to_node, question)).buffer_unordered(AT_A_TIME);
    refused.for_each(|told| async { assert!(OF_QUESTIONS.contains(&&*told.unwrap_err().reason)) }).await;
    assert!(!contribute(&to_node, question).await.unwrap().is_empty(), "unchanged, it is answered");

    let to_gateway = world.channel("agency-hsi-node", &federation.gateway);
    let question = hsi.question();
    let refused = stream::iter(questions(&question)).map(|question| ask(&to_gateway, question));
    let refused = refused.buffer_unordered(AT_A_TIME);
    refused.for_each(|told| async { assert!(OF_QUESTIONS.contains(&&*told.unwrap_err().reason)) }).await;
    ask(&to_gateway, question).await.expect("unchanged, it is answered");
    [&mut federation.gateway, &mut federation.cbp].into_iter().for_each(|server| server.is_well());
}

/// Asks at the gateway as a node.
pub(crate) async fn ask(
    channel: &Channel,
    question: SignedQuestion,
) -> Result<sallyport_proto::gateway::v1::Answer, Refusal> {
    use sallyport_proto::gateway::v1::ask_event::Event;
    let refused = |status: tonic::Status| {
        is_quiet(&status);
        refusal_of(&status)
    };
    let mut client = FederationClient::new(channel.clone());
    let mut events = client.ask(AskRequest { question: Some(question) }).await.map_err(refused)?.into_inner();
    while let Some(event) = events.message().await.map_err(refused)? {
        if let Some(Event::Answer(answer)) = event.event {
            return Ok(answer);
        }
    }
    panic!("neither an answer nor a refusal")
}

/// Reasons of a signed message that does not hold.
const OF_MESSAGES: [&str; 10] = [
    "signature_invalid",
    "signature_scheme",
    "certificate_foreign",
    "certificate_malformed",
    "certificate_missing",
    "certificate_without_identity",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_wrong_purpose",
    "other_federation",
];

fn messages(sound: &SignedMessage) -> Vec<SignedMessage> {
    let signature = sound.signature.clone().unwrap();
    let changed = bits(sound.message.len())
        .map(|bit| SignedMessage { message: flipped(&sound.message, bit), signature: Some(signature.clone()) });
    let signatures = signatures(&signature).into_iter();
    let signed = signatures.map(|signature| SignedMessage { signature: Some(signature), ..sound.clone() });
    changed.chain(signed).collect()
}

#[tokio::test]
async fn messages_between_nodes_changed_in_one_bit_are_refused() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let deliver = async |kind: i32, payload: Vec<u8>| {
        let request = DeliverRequest { from: "hsi".to_owned(), kind, payload };
        ContributionClient::new(to_node.clone()).deliver(request).await.map_err(|status| {
            is_quiet(&status);
            refusal_of(&status).reason
        })
    };

    let greeting = hsi.message("epoch statement", &Epoch::statement(&world, "hsi"));
    let wrapped =
        |statement: SignedMessage| EpochGreeting { statement: Some(statement), progress: None }.encode_to_vec();
    for statement in messages(&greeting) {
        let reason = deliver(1, wrapped(statement)).await.unwrap_err();
        assert!(OF_MESSAGES.contains(&&*reason), "{reason}");
    }
    deliver(1, wrapped(greeting)).await.expect("unchanged, it is answered");

    let wanted = EvaluationRequest {
        epoch_digest: hsi.epoch_digest(),
        to: "cbp".to_owned(),
        issued_at_ms: chrono::Utc::now().timestamp_millis(),
        // The base point of ristretto255.
        blinded: curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED.to_bytes().to_vec(),
    };
    let evaluation = hsi.message("evaluation request", &wanted);
    for message in messages(&evaluation) {
        let reason = deliver(2, message.encode_to_vec()).await.unwrap_err();
        assert!(OF_MESSAGES.contains(&&*reason), "{reason}");
    }
    deliver(2, evaluation.encode_to_vec()).await.expect("unchanged, it is answered");
    // What was signed as one thing is worth nothing as another.
    let turned = hsi.message("question", &wanted);
    assert_eq!(deliver(2, turned.encode_to_vec()).await.unwrap_err(), "signature_invalid");
    federation.cbp.is_well();
}

#[tokio::test]
async fn an_introduction_changed_in_one_bit_opens_no_catalog() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let introduction = Introduction {
        asker: asker("hsi", "rivera"),
        federation: FEDERATION.to_owned(),
        issued_at_ms: chrono::Utc::now().timestamp_millis(),
    };
    let sound = hsi.message("introduction", &introduction);
    let to_node = world.channel("gateway", &federation.cbp);
    let describe = async |SignedMessage { message, signature }: SignedMessage| {
        let request = DescribeRequest { introduction: message, signature };
        ContributionClient::new(to_node.clone()).describe(request).await.map_err(|status| refusal_of(&status).reason)
    };
    for message in messages(&sound) {
        let reason = describe(message).await.unwrap_err();
        assert!(OF_MESSAGES.contains(&&*reason), "{reason}");
    }
    assert_eq!(describe(sound.clone()).await.unwrap().into_inner().datasets.len(), 1);
    // Through the gateway the nodes refuse it, and nothing is listed.
    let changed = messages(&sound).swap_remove(7);
    let request = CatalogRequest { introduction: changed.message, signature: changed.signature };
    let mut gateway = FederationClient::new(world.channel("agency-hsi-node", &federation.gateway));
    let told = gateway.catalog(request).await.unwrap().into_inner();
    assert!(told.nodes.iter().all(|node| node.datasets.is_empty() && !node.reason.is_empty()), "{told:?}");
    federation.cbp.is_well();
}
