//! Counts against those who bend their question, and against a gateway that looks at what it carries.

use std::collections::BTreeSet;

use prost::Message;
use sallyport_join::{
    keys::EpochSecret,
    tally::{TALLY_ROW_BYTES, TallyKeys, sum},
};
use sallyport_proto::common::v1 as pb;
use sallyport_trust::question::parse_shift;
use sha2::{Digest, Sha256};

use crate::{
    attacker::{Epoch, Forger, contribute, only},
    signatures::ask,
    world::{Federation, World},
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
async fn federation() -> (World, Federation) {
    let world = World::new();
    let mut crossings = "at,port,phone\n".to_owned();
    for day in 1..=7 {
        for (port, times) in [("Laredo", 12), ("Roma", 9)] {
            (0..times).for_each(|n| crossings.push_str(&format!("2026-03-0{day},{port},956-700-10{n:02}\n")));
        }
    }
    world.write("crossings.csv", &crossings);
    world.write("calls.csv", "caller\n+19567001000\n");
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
    // Seven cells of twelve; those of nine stay.
    assert!(rows.iter().all(|rows| rows.len() == 7 * TALLY_ROW_BYTES));
    let pieces: Vec<BTreeSet<&[u8]>> = rows.iter().map(|rows| rows.chunks(8).collect()).collect();
    assert_eq!(pieces[0].intersection(&pieces[1]).count(), 0, "no eight bytes are the same");
    assert_eq!(pieces[0].len(), 7 * TALLY_ROW_BYTES / 8 , "equal counts and names look different in each cell");
    assert!(!rows.concat().windows(6).any(|window| window == b"Laredo"));

    let digest: [u8; 32] =
        Sha256::new().chain_update(b"sallyport question v1").chain_update(&first.header).finalize().into();
    let keys = TallyKeys::derive(&epoch_secret(&world), &digest);
    let mut part = sum::Part::default();
    part.take(&rows[0]).unwrap();
    let mut sums = sum::Sums::default();
    sums.add(0, &part).unwrap();
    let mut sums = sums.pieces(100).concat();
    let (opened, broken) = keys.open(&sums, 1);
    assert_eq!((opened.len(), broken), (7, 0));
    assert!(opened.iter().all(|one| one.cell.place == "Laredo" && one.count == 12));
    // One more event in the first cell.
    sums[63] = sums[63].wrapping_add(1);
    assert_eq!((keys.open(&sums, 1).0.len(), keys.open(&sums, 1).1), (6, 1));
}

fn epoch_secret(world: &World) -> EpochSecret {
    let secrets = Epoch::read(world, "hsi").secrets;
    EpochSecret::new(secrets["epoch secret"].as_slice().try_into().unwrap())
}
