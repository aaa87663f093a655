use super::{
    collect::{Collected, Collector, Party},
    group::{Bond, Compared, Comparisons, Entity, RECORDS_MAX, Record, group},
    *,
};
use crate::{
    agreement::{Limits, Scheme, model::probability, rarity},
    link::{LinkEvidence, LinkPiece, merge::Meeting},
};

const PHONE: u8 = IDENTIFIER_KINDS_FROM;
const PLATE: u8 = IDENTIFIER_KINDS_FROM + 1;

fn piece(reference: u128, kind: u8, fields: u16) -> LinkPiece {
    let evidence = LinkEvidence { kind, fields, ..LinkEvidence::default() };
    LinkPiece { reference, evidence }
}

fn parties(records: &[u32], once: bool) -> Vec<Party> {
    records.iter().map(|&records| Party { records, once }).collect()
}

fn collected(parties: &[Party], meetings: &[&[Vec<LinkPiece>]]) -> Collected {
    let mut collector = Collector::new(parties, Limits::default());
    meetings.iter().for_each(|parties| collector.take(&Meeting { parties }));
    collector.finish()
}

#[test]
fn agencies_without_a_common_identifier_meet_through_a_third() {
    // The first holds phones, the second plates, the third both.
    let by_phone = [vec![piece(1, PHONE, 0)], vec![], vec![piece(3, PHONE, 0)]];
    let by_plate = [vec![], vec![piece(2, PLATE, 0)], vec![piece(3, PLATE, 0)]];
    let found = collected(&parties(&[1, 1, 1], false), &[&by_phone, &by_plate]);
    let [entity] = found.entities.as_slice() else { panic!("{:?}", found.entities) };
    let members: Vec<(u8, u128)> = entity.members.iter().map(|m| (m.record.party, m.record.reference)).collect();
    assert_eq!(members, [(0, 1), (1, 2), (2, 3)]);
    assert_eq!(entity.by.names(Scheme::persons().fields()), ["phone", "plate"]);
}

#[test]
fn a_telephone_that_two_persons_share_does_not_make_them_one() {
    // Each of 400 persons has a name and a birth date of their own; every telephone belongs to two.
    const SURNAME: u8 = 5;
    const BIRTH: u8 = 10;
    let piece = |reference: u128, kind: u8, sharing: u64| {
        let evidence = LinkEvidence { kind, rarity: rarity(sharing, 400), fields: 0b110, ..LinkEvidence::default() };
        LinkPiece { reference, evidence }
    };
    let mut meetings = Vec::new();
    for person in 0..400u128 {
        meetings.push(vec![vec![piece(person, SURNAME, 1)]; 2]);
        meetings.push(vec![vec![piece(person, BIRTH, 1)]; 2]);
    }
    for home in 0..200u128 {
        meetings.push(vec![vec![piece(2 * home, PHONE, 2), piece(2 * home + 1, PHONE, 2)]; 2]);
    }
    let meetings: Vec<&[Vec<LinkPiece>]> = meetings.iter().map(Vec::as_slice).collect();
    let found = collected(&parties(&[400, 400], false), &meetings);
    assert_eq!(found.entities.len(), 400);
    for entity in &found.entities {
        let [one, other] = entity.members.as_slice() else { panic!("{entity:?}") };
        assert_eq!(one.record.reference, other.record.reference);
        assert_eq!(entity.by.names(Scheme::persons().fields()), ["phone", "surname", "birth date"]);
    }
}

fn record(party: u8, reference: u128) -> Record {
    Record { party, reference }
}

fn bond(one: Record, other: Record, probability: f64) -> Bond {
    Bond { ends: [one, other], probability, shared_by: 2, by: Connections::identifier(PHONE), compared: false }
}

#[test]
fn an_entity_ends_at_its_bound_and_says_so() {
    let hub = record(0, 0);
    let many = (1..=200).map(|n| bond(hub, record(1, n), 1.0)).collect();
    let (entities, cut) = group(many, &Comparisons::default(), &[false, false]);
    assert_eq!(entities.len(), 1);
    assert_eq!(entities[0].members.len(), RECORDS_MAX as usize);
    assert_eq!((cut.too_large, cut.twice), (201 - u64::from(RECORDS_MAX), 0));
}

#[test]
fn of_a_data_set_that_holds_everyone_once_the_surest_record_is_taken() {
    let bonds = vec![bond(record(0, 1), record(1, 1), 0.8), bond(record(0, 1), record(1, 2), 0.9)];
    let (entities, cut) = group(bonds.clone(), &Comparisons::default(), &[true, true]);
    assert_eq!(entities.len(), 1);
    assert_eq!(
        entities[0].members.iter().map(|m| (m.record.reference, m.bond)).collect::<Vec<_>>(),
        [(1, 0.9), (2, 0.9)]
    );
    assert_eq!(cut.twice, 1);
    assert_eq!(group(bonds, &Comparisons::default(), &[true, false]).0[0].members.len(), 3);
}

#[test]
fn the_order_of_bonds_does_not_matter() {
    let ring: Vec<Bond> =
        (0..30u128).map(|n| bond(record(0, n), record(1, (n + 1) % 30), 0.5 + n as f64 / 100.0)).collect();
    let mut turned = ring.clone();
    turned.reverse();
    assert_eq!(
        group(ring, &Comparisons::default(), &[true, true]),
        group(turned, &Comparisons::default(), &[true, true])
    );
}

#[test]
fn one_likely_pair_does_not_chain_two_persons_together() {
    let compared = |one: (u8, u128), other: (u8, u128), bits: f64| Compared {
        ends: [record(one.0, one.1), record(other.0, other.1)],
        bits,
    };
    // Two persons with three records at either side, of which every pair is sure, and one pair between them.
    let mut pairs = Vec::new();
    for person in [0u128, 10] {
        for (left, right) in (0..3).flat_map(|left| (0..3).map(move |right| (left, right))) {
            pairs.push(compared((0, person + left), (1, person + right), 8.0));
        }
    }
    pairs.push(compared((0, 0), (1, 10), 3.0));
    // One match in eight is missed: three bits.
    let comparisons = |pairs: &[Compared]| Comparisons { pairs: pairs.to_vec(), recall: [((0, 1), 0.875)].into() };
    let bonds = |pairs: &[Compared]| -> Vec<Bond> {
        let bond =
            |pair: &Compared| Bond { compared: true, ..bond(pair.ends[0], pair.ends[1], probability(pair.bits)) };
        pairs.iter().map(bond).collect()
    };
    let (entities, cut) = group(bonds(&pairs), &comparisons(&pairs), &[false, false]);
    assert_eq!(entities.iter().map(|entity| entity.members.len()).collect::<Vec<_>>(), [6, 6]);
    assert_eq!(cut.contradicted, 1);
    // An identifier says it for certain, whatever else is compared.
    let mut certain = bonds(&pairs);
    certain.push(bond(record(0, 1), record(1, 11), 1.0));
    let together = |entity: &Entity| {
        [record(0, 1), record(1, 11)].iter().all(|one| entity.members.iter().any(|member| member.record == *one))
    };
    assert!(group(certain, &comparisons(&pairs), &[false, false]).0.iter().any(together));
    // And where most pairs agree, one that does not is no obstacle.
    let mut most: Vec<Compared> = pairs.iter().map(|pair| Compared { bits: 8.0, ..*pair }).collect();
    most.extend((0..3).flat_map(|left| (10..13).map(move |right| compared((0, left), (1, right), 8.0))).skip(1));
    most.extend((10..13).flat_map(|left| (0..3).map(move |right| compared((0, left), (1, right), 8.0))));
    assert_eq!(group(bonds(&most), &comparisons(&most), &[false, false]).0.len(), 1);
}
