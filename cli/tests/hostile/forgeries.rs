//! Parties of the federation that cheat with their own, real keys: a gateway that brings what nobody
//! asked, and a node that asks in others' names.

use std::collections::HashMap;

use prost::Message;
use sallyport_join::row::ROW_BYTES;
use sallyport_proto::{
    common::v1::{self as pb, question_part::Part},
    node::v1::{
        AccountRequest, DeliverRequest, DescribeRequest, EpochGreeting, EvaluationRequest, Introduction, SignedMessage,
        contribution_client::ContributionClient,
    },
};
use sallyport_trust::{identity::SigningPurpose, identity::refusal_of, question::LocatorRange};
use sha2::{Digest, Sha256};
use tonic::transport::Channel;

use crate::{
    attacker::{Epoch, Forger, QUESTION, contribute, is_quiet, only},
    signatures::ask,
    world::{FEDERATION, Federation, World},
};

/// Phones at each agency; the last fifty of one are the first of the other.
const PHONES: u32 = 150;
const COMMON: u32 = 50;

const CBP: &str = "[[dataset]]\nname = \"cbp.crossings\"\nfiles = [\"crossings.csv\"]\nsensitivity = \"official\"\n\
    [[dataset.identifier]]\nname = \"phone\"\ncolumn = \"phone\"\ntype = \"phone\"\ncountry = \"US\"\n\
    [[dataset.attribute]]\nname = \"lane\"\ncolumn = \"lane\"\ntype = \"text\"\n";

const HSI: &str = "[[dataset]]\nname = \"hsi.calls\"\nfiles = [\"calls.csv\"]\nsensitivity = \"official\"\n\
    [[dataset.identifier]]\nname = \"caller\"\ncolumn = \"caller\"\ntype = \"phone\"\ncountry = \"US\"\n";

pub(crate) async fn federation() -> (World, Federation) {
    let world = World::new();
    let crossings = (0..PHONES).map(|n| format!("956-700-{:04},cargo\n", 1000 + n));
    let calls = (0..PHONES).map(|n| format!("+1956700{:04}\n", 1000 + PHONES - COMMON + n));
    world.write("crossings.csv", &format!("phone,lane\n{}", crossings.collect::<String>()));
    world.write("calls.csv", &format!("caller\n{}", calls.collect::<String>()));
    let federation = Federation::start(&world, HSI, CBP).await;
    (world, federation)
}

pub(crate) fn asker(agency: &str, person: &str) -> HashMap<String, String> {
    HashMap::from([
        ("federation_id".to_owned(), format!("spiffe://{FEDERATION}/agency/{agency}/user/{person}")),
        ("agency".to_owned(), agency.to_owned()),
        ("role".to_owned(), "analyst".to_owned()),
        ("28cfr_certification".to_owned(), "true".to_owned()),
    ])
}

/// The reason for which a contributor refuses the first part of a question.
async fn refused(channel: &Channel, question: &pb::SignedQuestion) -> String {
    contribute(channel, only(question, 0)).await.expect_err("refused").reason
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn commitment(salt: &[u8], part: &[u8]) -> Vec<u8> {
    Sha256::new_with_prefix("sallyport question part v1").chain_update(salt).chain_update(part).finalize().to_vec()
}

#[tokio::test]
async fn a_question_is_taken_once_and_only_while_it_is_fresh() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let (to_gateway, to_node) =
        (world.channel("agency-hsi-node", &federation.gateway), world.channel("gateway", &federation.cbp));
    for (age_ms, reason) in [
        (115_000, "question_before_start"),
        (125_000, "question_stale"),
        (i64::MAX, "question_stale"),
        (-45_000, "question_from_the_future"),
        (i64::MIN + 1, "question_from_the_future"),
    ] {
        let question = hsi.altered(|header| header.issued_at_ms = now_ms().saturating_sub(age_ms));
        assert_eq!(refused(&to_node, &question).await, reason);
        assert_eq!(ask(&to_gateway, question).await.unwrap_err().reason, reason);
    }

    let question = hsi.question();
    let rows = contribute(&to_node, only(&question, 0)).await.unwrap();
    assert_eq!(rows.len(), PHONES as usize * ROW_BYTES);
    assert_eq!(refused(&to_node, &question).await, "question_replayed");
    let question = hsi.question();
    assert_eq!(ask(&to_gateway, question.clone()).await.unwrap().subjects_matched, u64::from(COMMON));
    assert_eq!(ask(&to_gateway, question.clone()).await.unwrap_err().reason, "question_replayed");
    assert_eq!(refused(&to_node, &question).await, "question_replayed", "the gateway keeps nothing for later");
    [&mut federation.gateway, &mut federation.cbp].into_iter().for_each(|server| server.is_well());
}

#[tokio::test]
async fn no_node_speaks_for_another_agencys_people() {
    let (world, federation) = federation().await;
    let (hsi, cbp) = (Forger::new(&world, "hsi"), Forger::new(&world, "cbp"));
    let to_node = world.channel("gateway", &federation.cbp);
    let to_gateway = world.channel("agency-hsi-node", &federation.gateway);

    let mut posing = vec![
        hsi.altered(|header| header.home_agency = "cbp".to_owned()),
        hsi.altered(|header| header.asker = asker("cbp", "okafor")),
        hsi.altered(|header| drop(header.asker.insert("agency".to_owned(), "cbp".to_owned()))),
        hsi.altered(|header| drop(header.asker.insert("agency".to_owned(), String::new()))),
        hsi.altered(|header| drop(header.asker.remove("agency"))),
        hsi.altered(|header| drop(header.asker.remove("federation_id"))),
        hsi.altered(|header| header.asker.clear()),
    ];
    for name in ["agency/cbp/user/okafor", "agency/hsi/node", "gateway", "auditor/chen", "agency/hsi/user/"] {
        let name = format!("spiffe://{FEDERATION}/{name}");
        posing.push(hsi.altered(|header| drop(header.asker.insert("federation_id".to_owned(), name))));
    }
    let elsewhere = "spiffe://elsewhere.demo/agency/hsi/user/rivera".to_owned();
    posing.push(hsi.altered(|header| drop(header.asker.insert("federation_id".to_owned(), elsewhere))));
    // A person's own key is no node's, and the gateway's is nobody's.
    for signer in ["agency-hsi-user-rivera", "gateway", "auditor-chen", "partner-acme-feed"] {
        let mut question = hsi.question();
        let signature = world.identity(signer).sign(SigningPurpose::new("question"), &question.header).unwrap();
        question.signature = Some(signature.into());
        posing.push(question);
    }
    for question in posing {
        assert_eq!(refused(&to_node, &question).await, "question_wrong_signer");
        assert_eq!(ask(&to_gateway, question).await.unwrap_err().reason, "question_wrong_signer");
    }
    // Sound, but another agency's node brings it.
    assert_eq!(ask(&to_gateway, cbp.question()).await.unwrap_err().reason, "question_wrong_signer");

    for (person, federation_id) in [(asker("cbp", "okafor"), "cbp"), (asker("hsi", "rivera"), "cbp")] {
        let mut introduction =
            Introduction { asker: person, federation: FEDERATION.to_owned(), issued_at_ms: now_ms() };
        let name = format!("spiffe://{FEDERATION}/agency/{federation_id}/user/okafor");
        introduction.asker.insert("federation_id".to_owned(), name);
        let signed = hsi.message("introduction", &introduction);
        let request = DescribeRequest { introduction: signed.message, signature: signed.signature };
        let told = ContributionClient::new(to_node.clone()).describe(request).await.unwrap_err();
        assert_eq!(refusal_of(&told).reason, "introduction_wrong_signer");
    }
}

#[tokio::test]
async fn a_gateway_cannot_ask_other_things_than_were_signed() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let gateway = world.identity("gateway");
    type Change = fn(&mut pb::QuestionHeader);
    let headers: [Change; 6] = [
        |header| header.minimum_datasets = 1,
        |header| header.top = 10_000,
        |header| header.subject = "plate".to_owned(),
        |header| header.purpose = "border-security".to_owned(),
        |header| (header.ranges, header.looked_up) = (vec![pb::LocatorRange { bits: 64, prefix: 0 }], 1),
        |header| header.nonce = vec![9; 32],
    ];
    for change in headers {
        let mut question = hsi.question();
        let mut header = pb::QuestionHeader::decode(question.header.as_slice()).unwrap();
        change(&mut header);
        question.header = header.encode_to_vec();
        assert_eq!(refused(&to_node, &question).await, "question_signature");
        question.signature = Some(gateway.sign(SigningPurpose::new("question"), &question.header).unwrap().into());
        let reason = refused(&to_node, &question).await;
        // t = 1 is out of every question's bounds, whoever signs it.
        assert!(["question_wrong_signer", "minimum_datasets_too_large"].contains(&&*reason), "{reason}");
    }

    let opened = |change: &dyn Fn(&mut pb::Indicator)| {
        let mut question = only(&hsi.question(), 0);
        let mut part = pb::QuestionPart::decode(question.openings[0].part.as_slice()).unwrap();
        let Some(Part::Indicator(indicator)) = &mut part.part else { panic!("the first part is an indicator") };
        change(indicator);
        question.openings[0].part = part.encode_to_vec();
        question
    };
    let mut exchanged = vec![
        opened(&|indicator| indicator.filter.clear()),
        opened(&|indicator| indicator.filter[0].values[0].kind = Some(pb::value::Kind::Text("pov".to_owned()))),
        opened(&|indicator| indicator.dataset = "cbp.travellers".to_owned()),
        opened(&|indicator| indicator.weight_thousandths = 10_000),
    ];
    // Of another question, none at all, and two at once.
    exchanged.push(pb::SignedQuestion { openings: hsi.question().openings[..1].to_vec(), ..hsi.question() });
    exchanged.push(pb::SignedQuestion { openings: Vec::new(), ..hsi.question() });
    exchanged.push(hsi.question());
    for question in exchanged {
        assert_eq!(contribute(&to_node, question).await.unwrap_err().reason, "question_opening");
    }
    // A part that is another agency's: this one does not have its data.
    let other = contribute(&to_node, only(&hsi.question(), 1)).await.unwrap_err();
    assert_eq!(other.reason, "dataset_unknown");
}

#[tokio::test]
async fn a_home_node_cannot_bend_the_rules_of_a_question() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let to_gateway = world.channel("agency-hsi-node", &federation.gateway);
    type Change = fn(&mut pb::QuestionHeader);
    let bent: [(Change, &str); 11] = [
        (|header| header.federation = "elsewhere.demo".to_owned(), "question_wrong_federation"),
        (|header| header.minimum_datasets = 1, "minimum_datasets_too_large"),
        (|header| header.minimum_datasets = 3, "minimum_datasets_too_large"),
        (|header| header.top = 0, "question_out_of_bounds"),
        (|header| header.deadline_ms = u32::MAX, "question_out_of_bounds"),
        (|header| header.commitments[0].share_point = 0, "question_out_of_bounds"),
        (|header| header.commitments[1].share_point = 33, "question_out_of_bounds"),
        (|header| header.ranges = vec![pb::LocatorRange { bits: 65, prefix: 0 }], "question_out_of_bounds"),
        // A look-up that hides how many it looks up.
        (|header| header.looked_up = 1, "question_out_of_bounds"),
        (|header| header.nonce.truncate(31), "question_incomplete"),
        (|header| header.completes = vec![7; 31], "question_incomplete"),
    ];
    for (change, reason) in bent {
        assert_eq!(refused(&to_node, &hsi.altered(change)).await, reason);
        assert_eq!(ask(&to_gateway, hsi.altered(change)).await.unwrap_err().reason, reason);
    }
    // Only nodes know the epoch.
    let question = hsi.altered(|header| header.epoch_digest = vec![0; 32]);
    assert_eq!(refused(&to_node, &question).await, "epoch_differs");

    // One data set under two points of the sharing would open by itself.
    let mut doubled = hsi.question();
    let first = doubled.openings[0].clone();
    doubled.openings[1] = pb::Opening { index: 1, ..first.clone() };
    hsi.alter(&mut doubled, |header| header.commitments[1].digest = commitment(&first.salt, &first.part));
    assert_eq!(ask(&to_gateway, doubled).await.unwrap_err().reason, "question_share_points");
    // Two data sets under one point would never open.
    let single = hsi.altered(|header| header.commitments[1].share_point = 1);
    assert_eq!(ask(&to_gateway, single).await.unwrap_err().reason, "minimum_datasets_too_large");
}

#[tokio::test]
async fn a_look_up_cannot_be_narrowed_to_a_few_and_its_list_stays_at_home() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    for prefix in [0, 1, u64::MAX] {
        let question = hsi.question_of(QUESTION, Some(vec![LocatorRange { bits: 64, prefix }]));
        let rows = contribute(&to_node, only(&question, 0)).await.unwrap();
        let subjects = rows.len() / ROW_BYTES;
        assert!((100..=PHONES as usize).contains(&subjects), "{subjects} subjects hide the one that is meant");
    }
    let question = hsi.question_of(QUESTION, Some(vec![LocatorRange { bits: 0, prefix: 0 }]));
    let list = only(&question, 2);
    assert_eq!(list.openings.len(), 1, "the list is the part after the indicators");
    assert_eq!(contribute(&to_node, list.clone()).await.unwrap_err().reason, "own_list_elsewhere");
    // Nor does the home node tell of a list that its person never gave.
    let home = world.channel("gateway", &federation.hsi);
    assert_eq!(contribute(&home, list).await.unwrap_err().reason, "own_list_elsewhere");
}

#[tokio::test]
async fn accounting_is_taken_once_for_questions_that_were_answered() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let question = hsi.question();
    let rows = contribute(&to_node, only(&question, 0)).await.unwrap();
    let id = Sha256::new_with_prefix("sallyport question v1").chain_update(&question.header).finalize().to_vec();
    let account = async |question_id: &[u8], part, keys: Vec<Vec<u8>>| {
        let request = AccountRequest { question_id: question_id.to_vec(), part, keys };
        ContributionClient::new(to_node.clone()).account(request).await.map_err(|status| refusal_of(&status).reason)
    };
    let unknown = Err("question_unknown".to_owned());
    let told = |answer: Result<tonic::Response<_>, String>| answer.map(|_| ());
    assert_eq!(told(account(&[7; 32], 0, Vec::new()).await), unknown);
    assert_eq!(told(account(&id, 1, Vec::new()).await), unknown);
    let keys: Vec<Vec<u8>> = rows.chunks(ROW_BYTES).map(|row| row[..16].to_vec()).chain([vec![1, 2, 3]]).collect();
    assert_eq!(told(account(&id, 0, keys.clone()).await), Ok(()));
    assert_eq!(told(account(&id, 0, keys).await), unknown);
    let question = hsi.question();
    contribute(&to_node, only(&question, 0)).await.unwrap();
    let id = Sha256::new_with_prefix("sallyport question v1").chain_update(&question.header).finalize().to_vec();
    assert_eq!(told(account(&id, 0, vec![vec![0; 16]; 10_001]).await), Err("too_many_keys".to_owned()));
    // Nonsense is no account: it is still owed.
    assert_eq!(told(account(&id, 0, Vec::new()).await), Ok(()));
}

#[tokio::test]
async fn a_gateway_that_never_accounts_is_written_down_at_the_owner() {
    let (world, mut federation) = federation().await;
    let question = Forger::new(&world, "hsi").question_of(&QUESTION.replace("seconds = 60", "seconds = 1"), None);
    let to_node = world.channel("gateway", &federation.cbp);
    contribute(&to_node, only(&question, 0)).await.unwrap();
    federation.cbp.logs("the gateway did not account for rows of this question").await;
    let journal = world.path("cbp").join("audit/journal");
    let written = std::fs::read_dir(journal).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let text = String::from_utf8_lossy(&written.collect::<Vec<_>>().concat()).into_owned();
    assert!(text.contains("\"outcome\":\"timed_out\",\"detail\":\"not_accounted\""), "{text}");
    assert_eq!(std::fs::read_dir(world.path("cbp").join("awaited")).unwrap().count(), 0);
    federation.cbp.is_well();
}

#[tokio::test]
async fn a_gateway_has_no_guesses_of_its_own_tagged() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let deliver = async |from: &str, payload: Vec<u8>| {
        let request = DeliverRequest { from: from.to_owned(), kind: 2, payload };
        let told = ContributionClient::new(to_node.clone()).deliver(request).await;
        told.map(|answer| answer.into_inner().payload).map_err(|status| refusal_of(&status).reason)
    };
    // What a gateway knows of the epoch it knows from the statements that it carries.
    let guess = EvaluationRequest {
        epoch_digest: hsi.epoch_digest(),
        to: "cbp".to_owned(),
        issued_at_ms: now_ms(),
        blinded: curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED.to_bytes().to_vec(),
    };
    let message = guess.encode_to_vec();
    let purpose = SigningPurpose::new("evaluation request");
    for signer in ["gateway", "agency-hsi-user-rivera", "agency-cbp-node", "partner-acme-feed"] {
        let signature = Some(world.identity(signer).sign(purpose, &message).unwrap().into());
        let signed = SignedMessage { message: message.clone(), signature };
        assert_eq!(deliver("hsi", signed.encode_to_vec()).await.unwrap_err(), "evaluation_wrong_signer", "{signer}");
        assert_eq!(deliver("gateway", signed.encode_to_vec()).await.unwrap_err(), "no_rule_allows", "{signer}");
    }
    // Its own points in a request that it carried, and the request itself a second time.
    let sound = hsi.message("evaluation request", &guess);
    let exchanged = EvaluationRequest { blinded: guess.blinded.repeat(2), ..guess.clone() }.encode_to_vec();
    let exchanged = SignedMessage { message: exchanged, ..sound.clone() };
    assert_eq!(deliver("hsi", exchanged.encode_to_vec()).await.unwrap_err(), "signature_invalid");
    assert!(deliver("hsi", sound.encode_to_vec()).await.is_ok(), "the node's own");
    assert_eq!(deliver("hsi", sound.encode_to_vec()).await.unwrap_err(), "question_replayed");
    federation.cbp.is_well();
}

#[tokio::test]
async fn messages_between_nodes_are_for_one_reader_of_one_epoch() {
    let (world, mut federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let deliver = async |from: &str, kind: i32, payload: Vec<u8>| {
        let request = DeliverRequest { from: from.to_owned(), kind, payload };
        let told = ContributionClient::new(to_node.clone()).deliver(request).await.unwrap_err();
        is_quiet(&told);
        refusal_of(&told).reason
    };
    let sound = EvaluationRequest {
        epoch_digest: hsi.epoch_digest(),
        to: "cbp".to_owned(),
        issued_at_ms: now_ms(),
        blinded: curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED.to_bytes().to_vec(),
    };
    let evaluation = |request: EvaluationRequest| hsi.message("evaluation request", &request).encode_to_vec();
    let wrong = [
        ("acme", sound.clone(), "evaluation_wrong_signer"),
        ("other", sound.clone(), "no_rule_allows"),
        ("hsi", EvaluationRequest { to: "acme".to_owned(), ..sound.clone() }, "evaluation_wrong_audience"),
        ("hsi", EvaluationRequest { epoch_digest: vec![1; 32], ..sound.clone() }, "epoch_differs"),
        ("hsi", EvaluationRequest { issued_at_ms: now_ms() - 130_000, ..sound.clone() }, "question_stale"),
        ("hsi", EvaluationRequest { blinded: Vec::new(), ..sound.clone() }, "evaluation_unusable"),
        ("hsi", EvaluationRequest { blinded: vec![0; 31], ..sound.clone() }, "evaluation_unusable"),
        // The point at infinity, no point at all, and more points than one message may bring.
        ("hsi", EvaluationRequest { blinded: vec![0; 32], ..sound.clone() }, "evaluation_unusable"),
        ("hsi", EvaluationRequest { blinded: vec![0xff; 32], ..sound.clone() }, "evaluation_unusable"),
        ("hsi", EvaluationRequest { blinded: sound.blinded.repeat(4_097), ..sound.clone() }, "evaluation_unusable"),
    ];
    for (from, request, reason) in wrong {
        assert_eq!(deliver(from, 2, evaluation(request)).await, reason);
    }
    let statement = Epoch::statement(&world, "hsi");
    let greeting = |statement| {
        let statement = Some(hsi.message("epoch statement", &statement));
        EpochGreeting { statement, progress: None }.encode_to_vec()
    };
    let mut other_members = statement.clone();
    other_members.members.push("zoll".to_owned());
    assert_eq!(deliver("hsi", 1, greeting(other_members)).await, "epoch_other_terms");
    let mut other_epoch = statement.clone();
    other_epoch.epoch += 1;
    assert_eq!(deliver("hsi", 1, greeting(other_epoch)).await, "epoch_not_begun");
    let mut other_agency = statement.clone();
    other_agency.agency = "cbp".to_owned();
    assert_eq!(deliver("hsi", 1, greeting(other_agency)).await, "epoch_wrong_signer");
    let mut small = statement;
    small.sealing_key = vec![0; 5];
    assert_eq!(deliver("hsi", 1, greeting(small)).await, "epoch_other_keys");
    federation.cbp.is_well();
}
