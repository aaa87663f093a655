//! Counts against those who bend their question, and against a gateway that looks at what it carries.

use std::collections::BTreeSet;

use prost::Message;
use sallyport_join::{
    keys::EpochSecret,
    tally::{SUM_BYTES, TALLY_ROW_BYTES, TallyKeys, sum},
};
use sallyport_proto::{
    common::v1 as pb,
    gateway::v1::{federation_client::FederationClient, federation_server::FederationServer},
    node::v1::{contribution_client::ContributionClient, contribution_server::ContributionServer},
};
use sallyport_trust::{
    identity::{ConnectSettings, connect},
    question::parse_shift,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tonic::transport::{Channel, Server};

use crate::{
    attacker::{Epoch, Forger, contribute, only},
    liars::{Change, FalseGateway, FalseNode, Lie, serve},
    signatures::ask,
    world::{FEDERATION, Federation, World, free_ports},
};

const SHIFT: &str = r#"
purpose = "border-security"
case_number = "HSI-2026-0117"
period = "day"
changed_at = 2026-03-07
before = 6
[[count]]
dataset = "cbp.crossings"
place = "port"
"#;

const CBP: &str = "[[dataset]]\nname = \"cbp.crossings\"\nfiles = [\"crossings.csv\"]\nsensitivity = \"official\"\n\
    [dataset.time]\ncolumn = \"at\"\n[dataset.counts]\nby = [\"port\"]\n\
    [[dataset.identifier]]\nname = \"phone\"\ncolumn = \"phone\"\ntype = \"phone\"\ncountry = \"US\"\n\
    [[dataset.attribute]]\nname = \"port\"\ncolumn = \"port\"\ntype = \"text\"\n";

const HSI: &str = "[[dataset]]\nname = \"hsi.calls\"\nfiles = [\"calls.csv\"]\nsensitivity = \"official\"\n\
    [[dataset.identifier]]\nname = \"caller\"\ncolumn = \"caller\"\ntype = \"phone\"\ncountry = \"US\"\n";

/// Twelve crossings a day at Laredo and nine at Roma, for a week.
fn world() -> World {
    let world = World::new();
    let mut crossings = "at,port,phone\n".to_owned();
    for day in 1..=7 {
        for (port, times) in [("Laredo", 12), ("Roma", 9)] {
            (0..times).for_each(|n| crossings.push_str(&format!("2026-03-0{day},{port},956-700-10{n:02}\n")));
        }
    }
    world.write("crossings.csv", &crossings);
    world.write("calls.csv", "caller\n+19567001000\n");
    world
}

async fn federation() -> (World, Federation) {
    let world = world();
    let federation = Federation::start(&world, HSI, CBP).await;
    (world, federation)
}

fn counts(forger: &Forger) -> pb::SignedQuestion {
    forger.written(&parse_shift(SHIFT).unwrap().question, None)
}

#[tokio::test]
async fn a_question_of_counts_cannot_open_subjects_and_no_other_question_counts() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let to_gateway = world.channel("agency-hsi-node", &federation.gateway);
    type Change = fn(&mut pb::QuestionHeader);
    let bent: [(Change, &str); 4] = [
        (|header| header.minimum_datasets = 0, "counts_minimum_datasets"),
        (|header| header.minimum_datasets = 2, "counts_minimum_datasets"),
        (
            |header| {
                header.ranges = vec![pb::LocatorRange { bits: 0, prefix: 0 }];
                header.looked_up = 1;
            },
            "counts_look_up",
        ),
        (|header| header.window = None, "counts_window"),
    ];
    for (change, reason) in bent {
        let altered = || {
            let mut question = counts(&hsi);
            hsi.alter(&mut question, change);
            question
        };
        assert_eq!(contribute(&to_node, only(&altered(), 0)).await.unwrap_err().reason, reason);
        let asked = ask(&to_gateway, altered()).await;
        assert!(asked.is_err_and(|refusal| refusal.reason == reason) || reason == "counts_window");
    }
    // The header says phones, the part counts; then the header says counts, and one data set opens no phones.
    let mut of_phones = counts(&hsi);
    let plain = hsi.question().openings[0].clone();
    of_phones.openings.push(pb::Opening { index: 1, ..plain.clone() });
    hsi.alter(&mut of_phones, |header| {
        header.subject = "phone".to_owned();
        header.minimum_datasets = 2;
        header.commitments.push(commitment(&plain, 2));
    });
    assert_eq!(contribute(&to_node, only(&of_phones, 0)).await.unwrap_err().reason, "counts_mixed");
    let mut of_counts = counts(&hsi);
    of_counts.openings[0] = pb::Opening { index: 0, ..plain.clone() };
    hsi.alter(&mut of_counts, |header| header.commitments[0] = commitment(&plain, 1));
    assert_eq!(contribute(&to_node, only(&of_counts, 0)).await.unwrap_err().reason, "counts_mixed");
    assert_eq!(ask(&to_gateway, of_counts).await.unwrap_err().reason, "counts_mixed");
    // A part that counts somebody.
    let mut of_somebody = counts(&hsi);
    let mut part = pb::QuestionPart::decode(of_somebody.openings[0].part.as_slice()).unwrap();
    let Some(pb::question_part::Part::Indicator(indicator)) = &mut part.part else { panic!("no indicator") };
    indicator.identifier = "phone".to_owned();
    of_somebody.openings[0].part = part.encode_to_vec();
    let opening = of_somebody.openings[0].clone();
    hsi.alter(&mut of_somebody, |header| header.commitments[0] = commitment(&opening, 1));
    assert_eq!(contribute(&to_node, only(&of_somebody, 0)).await.unwrap_err().reason, "counts_of_nobody");
}

fn commitment(opening: &pb::Opening, share_point: u32) -> pb::Commitment {
    let digest = Sha256::new().chain_update(b"sallyport question part v1").chain_update(&opening.salt);
    pb::Commitment { digest: digest.chain_update(&opening.part).finalize().to_vec(), share_point }
}

/// What the gateway carries holds no name and no number, and nothing of one question is in another. Whoever has
/// the epoch's secret reads it, and finds what was changed on the way.
#[tokio::test]
async fn the_gateway_carries_counts_that_it_can_neither_read_nor_change() {
    let (world, federation) = federation().await;
    let hsi = Forger::new(&world, "hsi");
    let to_node = world.channel("gateway", &federation.cbp);
    let (first, second) = (counts(&hsi), counts(&hsi));
    let mut rows = Vec::new();
    for question in [&first, &second] {
        rows.push(contribute(&to_node, only(question, 0)).await.unwrap());
    }
    // Seven cells of twelve, and their number; those of nine stay.
    assert!(rows.iter().all(|rows| rows.len() == 8 * TALLY_ROW_BYTES));
    let pieces: Vec<BTreeSet<&[u8]>> = rows.iter().map(|rows| rows.chunks(8).collect()).collect();
    assert_eq!(pieces[0].intersection(&pieces[1]).count(), 0, "no eight bytes are the same");
    assert_eq!(pieces[0].len(), 8 * TALLY_ROW_BYTES / 8, "equal counts and names look different in each cell");
    assert!(!rows.concat().windows(6).any(|window| window == b"Laredo"));

    let digest: [u8; 32] =
        Sha256::new().chain_update(b"sallyport question v1").chain_update(&first.header).finalize().into();
    let keys = TallyKeys::derive(&epoch_secret(&world), &digest);
    let mut part = sum::Part::default();
    part.take(&rows[0]).unwrap();
    let mut sums = sum::Sums::default();
    sums.add(0, &part).unwrap();
    let mut sums = sums.pieces(100).concat();
    let opened = keys.open(&sums, 1);
    assert_eq!((opened.sums.len(), opened.broken, opened.incomplete), (7, 0, 0));
    assert!(opened.sums.iter().all(|one| one.cell.place == "Laredo" && one.count == 12));
    // One more event in the first.
    sums[63] = sums[63].wrapping_add(1);
    let changed = keys.open(&sums, 1);
    assert_eq!((changed.broken, changed.incomplete), (1, 1));
}

fn epoch_secret(world: &World) -> EpochSecret {
    let secrets = Epoch::read(world, "hsi").secrets;
    EpochSecret::new(secrets["epoch secret"].as_slice().try_into().unwrap())
}

/// As [`federation`], with somebody who may lie before CBP's node, and another before the gateway that HSI's node
/// asks.
async fn among_liars(world: &World) -> (Federation, Lie, Lie) {
    let [gateway, hsi, cbp] = free_ports();
    let channel = |from: &str, port: u16, path: &str| -> Channel {
        let id = format!("spiffe://{FEDERATION}/{path}").parse().unwrap();
        connect(&world.identity(from), &format!("127.0.0.1:{port}"), &id, &ConnectSettings::default()).unwrap()
    };
    let (of_node, of_gateway) = (Lie::none(), Lie::none());
    let node =
        FalseNode { node: ContributionClient::new(channel("gateway", cbp, "agency/cbp/node")), lie: of_node.clone() };
    let node = Server::builder().add_service(ContributionServer::new(node));
    let false_cbp = serve(world.identity("agency-cbp-node"), node).await;
    let between = FalseGateway {
        gateway: FederationClient::new(channel("agency-hsi-node", gateway, "gateway")),
        lie: of_gateway.clone(),
    };
    let between = Server::builder().add_service(FederationServer::new(between));
    let false_gateway = serve(world.identity("gateway"), between).await;
    let federation = Federation {
        gateway: world.start("gateway", gateway, &world.gateway_toml(gateway, &[("hsi", hsi), ("cbp", false_cbp)])),
        hsi: world.start("hsi", hsi, &world.node_toml("hsi", hsi, false_gateway, HSI)),
        cbp: world.start("cbp", cbp, &world.node_toml("cbp", cbp, gateway, CBP)),
    };
    federation.settled(world).await;
    (federation, of_node, of_gateway)
}

fn asked(world: &World) -> Value {
    world.write("shift.toml", SHIFT);
    let told = world.run(&["shift", "shift.toml", "--as", "rivera", "--people", "people.toml", "--json"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    serde_json::from_str(&told.out).unwrap()
}

/// Whatever rows or sums are made into, no count is another than it was, what is missing is told, and nobody falls
/// over it.
#[tokio::test(flavor = "multi_thread")]
async fn false_rows_and_false_sums_are_left_out_and_told() {
    let world = world();
    let (mut federation, of_node, of_gateway) = among_liars(&world).await;
    let honest = asked(&world);
    assert_eq!((&honest["places"][0]["counts"], &honest["broken"]), (&vec![12; 7].into(), &0.into()), "{honest}");
    assert_eq!(honest["incomplete"], Value::Array(Vec::new()));

    let of_rows: [(Change, &str); 5] = [
        (|rows| rows.chunks(TALLY_ROW_BYTES).rev().flatten().copied().collect(), "out of order"),
        (|rows| rows.repeat(2), "out of order"),
        (|rows| rows[1..].to_vec(), "cut off"),
        (|rows| rows[TALLY_ROW_BYTES..].to_vec(), "closing"),
        (|rows| vec![0; rows.len()], "out of order"),
    ];
    for (change, told) in of_rows {
        of_node.becomes(change);
        let answer = asked(&world);
        let coverage = &answer["coverage"][0];
        assert_eq!((&coverage["outcome"], &coverage["reason"]), (&"unavailable".into(), &"stream_broken".into()));
        assert!(coverage["explanation"].as_str().unwrap().contains(told), "{told}: {answer}");
        assert_eq!(answer["places"], Value::Array(Vec::new()), "{answer}");
    }
    // A row in order, with another name or number than its key and proof have.
    for change in [|rows| flipped(rows, 20), |rows| flipped(rows, 60), |rows| flipped(rows, 79)] as [Change; 3] {
        of_node.becomes(change);
        one_is_missing(&asked(&world));
    }
    of_node.becomes(|rows| rows);

    for at in [20, 60, 79, 83] {
        // Key and name, count, proof, and the parts that are in it.
        of_gateway.becomes(match at {
            20 => |sums| flipped(sums, 20),
            60 => |sums| flipped(sums, 60),
            79 => |sums| flipped(sums, 79),
            _ => |sums| flipped(sums, 83),
        });
        one_is_missing(&asked(&world));
    }
    of_gateway.becomes(|sums| sums[SUM_BYTES..].to_vec());
    let fewer = asked(&world);
    assert_eq!((&fewer["incomplete"], &fewer["broken"]), (&serde_json::json!(["cbp.crossings"]), &0.into()), "{fewer}");
    of_gateway.becomes(|sums| sums.repeat(2));
    let twice = asked(&world);
    assert_eq!((&twice["places"], &twice["broken"]), (&honest["places"], &8.into()), "{twice}");
    of_gateway.becomes(|sums| vec![7; sums.len() - 1]);
    let nonsense = asked(&world);
    assert_eq!((&nonsense["places"], &nonsense["broken"]), (&Value::Array(Vec::new()), &8.into()), "{nonsense}");
    [&mut federation.gateway, &mut federation.hsi, &mut federation.cbp].into_iter().for_each(|server| server.is_well());
}

/// With a bit of the first row or sum turned around.
fn flipped(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 1;
    bytes
}

fn one_is_missing(answer: &Value) {
    assert_eq!((&answer["coverage"][0]["outcome"], &answer["broken"]), (&"answered".into(), &1.into()), "{answer}");
    assert_eq!(answer["incomplete"], serde_json::json!(["cbp.crossings"]), "{answer}");
    // One day without a count is no day of the comparison, so that the rest is too little or has no after.
    let places = answer["places"].as_array().unwrap();
    let counts = places.iter().flat_map(|place| place["counts"].as_array().unwrap());
    assert!(counts.clone().all(|count| *count == 12 || *count == 0), "{answer}");
}
