//! A full run, from the first tag to the last answer, and what the gateway came to know of it.
//!
//! Twofold: recorders stand on every way into the gateway and write down what arrives, and the
//! gateway's memory, logs and audit log are searched when the work is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
};

use prost::Message;
use sallyport_join::{
    evidence::Opener,
    merge::{Merger, Step, StreamRule},
    row::{ROW_BYTES, Row},
};
use sallyport_proto::node::v1::{Contributed, contributed::Part};

use crate::{
    attacker::{Epoch, QUESTION},
    recorder::{Between, Recording, messages},
    scan::Needles,
    world::{FEDERATION, Federation, World, free_ports},
};

const PHONES: u32 = 240;
const COMMON: u32 = 40;
const CASE: &str = "HSI-2026-0117";
/// In nobody's data.
const LOOKED_UP: &str = "(956) 831-7264";

const CBP: &str = "[[dataset]]\nname = \"cbp.crossings\"\nfiles = [\"crossings.csv\"]\nsensitivity = \"official\"\n\
    [dataset.time]\ncolumn = \"at\"\n\
    [[dataset.identifier]]\nname = \"phone\"\ncolumn = \"phone\"\ntype = \"phone\"\ncountry = \"US\"\n\
    [[dataset.identifier]]\nname = \"plate\"\ncolumn = \"plate\"\ntype = \"plate\"\nstate_column = \"state\"\n\
    [[dataset.attribute]]\nname = \"lane\"\ncolumn = \"lane\"\ntype = \"text\"\n";

const HSI: &str = "[[dataset]]\nname = \"hsi.calls\"\nfiles = [\"calls.csv\"]\nsensitivity = \"official\"\n\
    [dataset.time]\ncolumn = \"at\"\n\
    [[dataset.identifier]]\nname = \"caller\"\ncolumn = \"caller\"\ntype = \"phone\"\ncountry = \"US\"\n\
    [[dataset.identifier]]\nname = \"callee\"\ncolumn = \"callee\"\ntype = \"phone\"\ncountry = \"US\"\n\
    [dataset.label]\ncolumn = \"status\"\n";

/// Seven digits that look like a phone's, each number once.
fn digits(n: u32) -> String {
    format!("7{:06}", (n * 7_919 + 104_729) % 1_000_000)
}

/// Last event of subjects that both agencies hold, and of the others: days since 1970.
const JOINED_DAY: u16 = 20_516;
const ALONE_DAY: u16 = 20_580;

fn write_data(world: &World, needles: &mut Needles) {
    let day = |joined: bool| if joined { "2026-03-04" } else { "2026-05-07" };
    let mut crossings = "at,phone,plate,state,lane\n".to_owned();
    let mut calls = "at,caller,callee,status\n".to_owned();
    for n in 0..PHONES {
        let number = digits(n);
        let (exchange, line) = number.split_at(3);
        let plate = format!("QZ{:06}", (n * 104_723 + 7) % 1_000_000);
        let at = day(n >= PHONES - COMMON);
        crossings.push_str(&format!("{at}T10:00:00Z,(956) {exchange}-{line},{plate},TX,cargo\n"));
        needles.add("plate", plate.as_bytes());
        let number = digits(n + PHONES - COMMON);
        let (exchange, line) = number.split_at(3);
        let at = day(n < COMMON);
        calls.push_str(&format!("{at}T11:00:00Z,+1956{number},956.{exchange}.{line},Arrested-{n:04}\n"));
        needles.add("status", format!("Arrested-{n:04}").as_bytes());
    }
    for number in (0..2 * PHONES - COMMON).map(digits).chain(["8317264".to_owned()]) {
        let (exchange, line) = number.split_at(3);
        for spelling in [
            format!("956{number}"),
            format!("956) {exchange}-{line}"),
            format!("956-{exchange}-{line}"),
            format!("956.{exchange}.{line}"),
        ] {
            needles.add("phone", spelling.as_bytes());
        }
    }
    world.write("crossings.csv", &crossings);
    world.write("calls.csv", &calls);
}

/// Tags and secrets of both nodes, as they lie on their disks.
fn add_secrets(world: &World, needles: &mut Needles) {
    for agency in ["hsi", "cbp"] {
        let mut tags = 0;
        for epoch in fs::read_dir(world.path(agency).join("tags")).unwrap() {
            for file in fs::read_dir(epoch.unwrap().path()).unwrap() {
                let file = file.unwrap().path();
                let bytes = fs::read(&file).unwrap();
                if file.extension().is_some_and(|extension| extension == "sums") {
                    bytes.chunks_exact(40).for_each(|record| needles.add("sum of keys", &record[4..36]));
                    continue;
                }
                for record in bytes.chunks_exact(24) {
                    needles.add("tag", &record[4..20]);
                    tags += 1;
                }
            }
        }
        assert!(tags >= PHONES, "{agency} has {tags} tags");
        for (name, secret) in Epoch::read(world, agency).secrets {
            needles.add(&name, &secret);
        }
        let epochs = world.path(agency).join("epochs/1.json");
        assert_eq!(fs::metadata(epochs).unwrap().permissions().mode() & 0o077, 0, "the epoch's file is private");
    }
    assert_eq!(Epoch::read(world, "hsi").secrets["epoch secret"], Epoch::read(world, "cbp").secrets["epoch secret"]);
}

/// Evidence of subjects that only one agency holds: as a block before it is sealed, and as it would
/// stand in an answer.
fn add_evidence(needles: &mut Needles) {
    for indicator in [0, 1] {
        let mut block = [0; 16];
        block[..2].copy_from_slice(&1_000u16.to_le_bytes());
        block[2..4].copy_from_slice(&ALONE_DAY.to_le_bytes());
        block[6] = indicator;
        needles.add("evidence of a row that was not joined", &block);
    }
    needles.add("evidence of a row that was not joined", &told_evidence(ALONE_DAY));
}

/// The second indicator's evidence as an answer tells it; a first indicator is written shorter.
fn told_evidence(day: u16) -> Vec<u8> {
    sallyport_proto::gateway::v1::Evidence { indicator: 1, strength_thousandths: 1_000, newest_day: u32::from(day) }
        .encode_to_vec()
}

/// Everything that arrived at the gateway: from the nodes on its own port, and in answer to its calls.
struct Arrived {
    requests: Vec<Recording>,
    answers: Vec<(&'static str, Recording)>,
}

impl Arrived {
    fn all(&self) -> Vec<Vec<u8>> {
        let requests = self.requests.iter().flat_map(|recording| [recording.requests(), recording.answers()]);
        let answers = self.answers.iter().flat_map(|(_, recording)| [recording.requests(), recording.answers()]);
        requests.chain(answers).flatten().collect()
    }

    /// Rows by stream, of the agency that sent them.
    fn rows(&self) -> BTreeMap<&'static str, Vec<Vec<Row>>> {
        let mut rows: BTreeMap<_, Vec<Vec<Row>>> = BTreeMap::new();
        for (agency, recording) in &self.answers {
            for body in recording.answers() {
                let parts = messages(&body).into_iter().filter_map(|message| Contributed::decode(message).ok()?.part);
                let bytes = parts.filter_map(|part| match part {
                    Part::Rows(bytes) if bytes.len() % ROW_BYTES == 0 => Some(bytes),
                    _ => None,
                });
                let bytes: Vec<u8> = bytes.flatten().collect();
                if !bytes.is_empty() {
                    rows.entry(*agency).or_default().push(bytes.chunks(ROW_BYTES).filter_map(Row::read).collect());
                }
            }
        }
        rows
    }
}

/// As [`Federation::start`], with a recorder on each of the four ways between a node and the gateway.
async fn recorded(world: &World) -> (Federation, Arrived) {
    let [gateway, hsi, cbp] = free_ports();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let id = |path: &str| format!("spiffe://{FEDERATION}/{path}").parse().unwrap();
    let mut arrived = Arrived { requests: Vec::new(), answers: Vec::new() };
    let (mut to_gateway, mut to_nodes) = (Vec::new(), Vec::new());
    for (agency, port) in [("hsi", hsi), ("cbp", cbp)] {
        let node = world.identity(&format!("agency-{agency}-node"));
        let face = world.identity("gateway");
        let server = (at(gateway), id("gateway"));
        let (recording, recorder) = Recording::start(Between { face: face.clone(), voice: node.clone(), server }).await;
        arrived.requests.push(recording);
        to_gateway.push(recorder);
        let server = (at(port), id(&format!("agency/{agency}/node")));
        let (recording, recorder) = Recording::start(Between { face: node, voice: face, server }).await;
        arrived.answers.push((agency, recording));
        to_nodes.push((agency, recorder));
    }
    let federation = Federation {
        gateway: world.start("gateway", gateway, &world.gateway_toml(gateway, &to_nodes)),
        hsi: world.start("hsi", hsi, &world.node_toml("hsi", hsi, to_gateway[0], HSI)),
        cbp: world.start("cbp", cbp, &world.node_toml("cbp", cbp, to_gateway[1], CBP)),
    };
    federation.settled(world).await;
    (federation, arrived)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_never_gets_an_identifier_a_tag_a_secret_or_evidence_of_what_was_not_joined() {
    let world = World::new();
    let mut secret = Needles::new();
    write_data(&world, &mut secret);
    let (federation, arrived) = recorded(&world).await;
    add_secrets(&world, &mut secret);
    add_evidence(&mut secret);
    assert!(secret.count() > 2_500, "{} needles", secret.count());
    // What the gateway does know, so that a search that finds nothing is one that searched.
    let mut known = Needles::new();
    known.add("case", CASE.as_bytes());

    world.write("question.toml", QUESTION);
    let asked = world.ask("rivera", &["question.toml", "--json"]);
    assert_eq!(asked.code, Some(0), "{}", asked.err);
    let process = federation.gateway.process();
    assert_eq!(known.in_memory(process).len(), 1, "memory is searched while it holds the question");
    assert_eq!(secret.in_memory(process), BTreeSet::new());
    let why = ["--purpose", "counter-narcotics", "--case", CASE, "--json"];
    let common = format!("956{}", digits(PHONES - 1));
    for phone in [LOOKED_UP, &common] {
        let looked_up = world.ask("rivera", &[&["--phone", phone][..], &why].concat());
        assert_eq!(looked_up.code, Some(0), "{}", looked_up.err);
    }
    assert_eq!(secret.in_memory(process), BTreeSet::new());

    assert_eq!(known.in_files(&world.path("gateway-audit")).len(), 1);
    for place in ["gateway-audit", "gateway.log", "gateway.out"] {
        assert_eq!(secret.in_files(&world.path(place)), BTreeSet::new(), "{place}");
    }
    // At home the same search finds them.
    let at_home = secret.in_files(&world.path("hsi"));
    assert!(at_home.contains("phone") && at_home.contains("tag"), "{at_home:?}");

    known.add("joined evidence", &told_evidence(JOINED_DAY));
    let (mut told, mut betrayed) = (BTreeSet::new(), BTreeSet::new());
    for bytes in arrived.all() {
        known.find(&bytes, &mut told);
        secret.find(&bytes, &mut betrayed);
    }
    assert_eq!(told.len(), 2, "the recording is of this run: {told:?}");
    assert_eq!(betrayed, BTreeSet::new());
    // The answer was a full one, so there was something to betray.
    let answer: serde_json::Value = serde_json::from_str(&asked.out).unwrap();
    assert_eq!(answer["subjects_matched"], COMMON, "{answer}");
    rows_tell_no_more_than_they_should(&arrived.rows());
}

fn rows_tell_no_more_than_they_should(rows: &BTreeMap<&str, Vec<Vec<Row>>>) {
    let keys = |rows: &[Row]| rows.iter().map(|row| row.key).collect::<BTreeSet<_>>();
    // First the question of all subjects, then the look-ups.
    let (hsi, cbp) = (&rows["hsi"][0], &rows["cbp"][0]);
    assert_eq!((hsi.len(), cbp.len()), (PHONES as usize, PHONES as usize));
    let joined: BTreeSet<_> = keys(hsi).intersection(&keys(cbp)).copied().collect();
    assert_eq!(joined.len(), COMMON as usize);
    // What the gateway can make of the rows by itself is what both sent.
    let rule = |share_point, contributor| StreamRule {
        share_point,
        weight_thousandths: 1_000,
        required: false,
        contributor,
        linked: None,
    };
    let mut merger: Merger<Vec<u8>> = Merger::new(vec![rule(1, 0), rule(2, 1)], 2, 10_000);
    let mut sent = [Some(cbp), Some(hsi)];
    let merged = loop {
        match merger.advance() {
            Step::Done => break merger.finish_all(),
            Step::Failed(stream, fault) => panic!("stream {stream}: {fault}"),
            Step::Needs(stream) => match sent[stream].take() {
                Some(rows) => merger.push(stream, rows.iter().flat_map(|row| row.to_bytes()).collect()).unwrap(),
                None => merger.finish(stream),
            },
        }
    };
    let opened: BTreeSet<_> = merged.best.iter().map(|found| found.key.to_be_bytes()).collect();
    assert_eq!(opened, joined);
    // A row that one agency alone sent opens neither with its share nor with its key.
    for row in hsi.iter().chain(cbp).filter(|row| !joined.contains(&row.key)) {
        for guess in [row.share, row.key] {
            assert!([0, 1].iter().all(|&indicator| Opener::new(&guess).open(indicator, &row.sealed).is_none()));
        }
    }
    // No key of one question is one of another, of the same agency or of the other.
    let later: BTreeSet<_> = rows.values().flat_map(|streams| &streams[1..]).flat_map(|rows| keys(rows)).collect();
    assert!(later.len() > PHONES as usize, "the look-ups had rows too");
    assert!(later.is_disjoint(&keys(hsi)) && later.is_disjoint(&keys(cbp)));
}

#[tokio::test]
async fn the_same_question_twice_has_nothing_in_common() {
    let world = World::new();
    write_data(&world, &mut Needles::new());
    let federation = Federation::start(&world, HSI, CBP).await;
    world.write("question.toml", QUESTION);
    let ask = || {
        let asked = world.ask("rivera", &["question.toml", "--json"]);
        assert_eq!(asked.code, Some(0), "{}", asked.err);
        let answer: serde_json::Value = serde_json::from_str(&asked.out).unwrap();
        let matches = answer["matches"].as_array().unwrap().clone();
        let references: BTreeSet<String> =
            matches.iter().map(|found| found["ref"].as_str().unwrap().to_owned()).collect();
        (answer["question_id"].as_str().unwrap().to_owned(), references)
    };
    let ((first_id, first), (second_id, second)) = (ask(), ask());
    assert_ne!(first_id, second_id);
    assert_eq!((first.len(), second.len()), (COMMON as usize, COMMON as usize));
    assert!(first.is_disjoint(&second), "the same subjects go by other references");
    drop(federation);
}
