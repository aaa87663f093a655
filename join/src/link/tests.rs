use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    gather::{Counting, Gather, Linked, PLACES_MAX},
    merge::{LinkMerger, Meeting},
    seal::{LinkKeys, LinkSealer},
    *,
};
use crate::{
    interval::{Order, Reach},
    keys::{EpochSecret, Tag},
    merge::{MergeFault, Step},
};

fn keys(question: u8) -> LinkKeys {
    LinkKeys::derive(&EpochSecret::new([3; 32]), &[question; 32], 0)
}

fn tag(subject: u8) -> Tag {
    [subject; 16]
}

type Event = (u8, u32);

/// One party's rows as a node makes them: keyed, added up, sorted, sealed.
fn rows(keys: &LinkKeys, events: &[Event], reach: Reach, covers: bool, share_point: u8) -> Vec<u8> {
    let mut circumstances = Vec::new();
    for &(subject, minute) in events {
        if covers {
            reach.cover(minute, |interval| circumstances.push((subject, interval)));
        } else {
            circumstances.extend(reach.containing(minute).map(|interval| (subject, interval)));
        }
    }
    let prepared: Vec<u128> = keys.prepare(&circumstances.iter().map(|&(s, _)| tag(s)).collect::<Vec<_>>());
    let inputs = prepared.into_iter().zip(circumstances.iter().map(|&(_, interval)| Some(interval)));
    let mut counted: BTreeMap<(u128, u128), u16> = BTreeMap::new();
    for (key, (subject, _)) in keys.keys(inputs).into_iter().zip(&circumstances) {
        *counted.entry((key, u128::from(*subject))).or_default() += 1;
    }
    let rows: Vec<(u128, LinkPiece)> = counted
        .into_iter()
        .map(|((key, reference), events)| {
            (
                key,
                LinkPiece {
                    reference,
                    evidence: LinkEvidence {
                        strength_thousandths: 500,
                        newest_day: 9,
                        events,
                        ..LinkEvidence::default()
                    },
                },
            )
        })
        .collect();
    let mut bytes = Vec::new();
    LinkSealer::new(keys, share_point).seal(&rows, &mut bytes);
    bytes
}

fn merged(streams: [&[u8]; 2], batch_rows: usize, counting: Counting) -> Result<BTreeMap<u128, Linked>, MergeFault> {
    let mut merger: LinkMerger<Vec<u8>> = LinkMerger::new(&[1, 2], 1_024);
    let mut gather = Gather::new(counting);
    let mut sent = [0, 0];
    loop {
        match merger.advance(|meeting| gather.take(&meeting)) {
            Step::Done => return Ok(gather.finish().0.into_iter().collect()),
            Step::Failed(_, fault) => return Err(fault),
            Step::Needs(stream) => {
                let until = (sent[stream] + batch_rows * LINK_ROW_BYTES).min(streams[stream].len());
                if until == sent[stream] {
                    merger.finish(stream);
                } else {
                    merger.push(stream, streams[stream][sent[stream]..until].to_vec())?;
                    sent[stream] = until;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn pairs_are_those_of_a_plain_interval_join(
        first in prop::collection::vec((0u8..6, 1_000u32..3_000), 0..60),
        second in prop::collection::vec((0u8..6, 1_000u32..3_000), 0..60),
        minutes in 1u32..700,
        order in prop_oneof![Just(Order::After), Just(Order::Before), Just(Order::Around)],
        batch_rows in 1usize..50,
    ) {
        let (keys, reach) = (keys(4), Reach::new(order, minutes));
        let streams = [rows(&keys, &first, reach, true, 1), rows(&keys, &second, reach, false, 2)];
        let found = merged([&streams[0], &streams[1]], batch_rows, Counting::Events).expect("sound rows");
        let mut expected: BTreeMap<u128, u64> = BTreeMap::new();
        for (subject, a) in &first {
            for (_, b) in second.iter().filter(|(other, _)| other == subject) {
                let distance = i64::from(*b) - i64::from(*a);
                let within = match order {
                    Order::After => (0..=i64::from(minutes)).contains(&distance),
                    Order::Before => (-i64::from(minutes)..=0).contains(&distance),
                    Order::Around => distance.abs() <= i64::from(minutes),
                };
                if within {
                    *expected.entry(u128::from(*subject)).or_default() += 1;
                }
            }
        }
        let counts: BTreeMap<u128, u64> = found.into_iter().map(|(reference, linked)| (reference, linked.count)).collect();
        prop_assert_eq!(counts, expected);
    }
}

/// A subject in one of a row of cells, at a minute.
type Sighting = (u8, u8, u32);

/// Four cells are a place.
fn place(cell: u8) -> u64 {
    u64::from(cell / 4)
}

/// One party's rows at places as a node makes them: the first covers the cells around its own, too.
fn sighted(keys: &LinkKeys, sightings: &[Sighting], reach: Reach, covers: bool, share_point: u8) -> Vec<u8> {
    let mut rows = BTreeMap::new();
    for &(subject, cell, minute) in sightings {
        let near = if covers { cell - 1..=cell + 1 } else { cell..=cell };
        for cell in near {
            let mut intervals = Vec::new();
            match covers {
                true => reach.cover(minute, |interval| intervals.push(interval)),
                false => intervals.extend(reach.containing(minute)),
            }
            let prepared = keys.prepare(&[tag(cell)])[0];
            let evidence =
                LinkEvidence { fields: keys.places(&[tag(100 + place(cell) as u8)])[0], ..about_an_event(minute) };
            for key in keys.keys(intervals.into_iter().map(|interval| (prepared, Some(interval)))) {
                rows.insert((key, u128::from(subject)), evidence);
            }
        }
    }
    let pieces = rows.into_iter().map(|((key, reference), evidence)| (key, LinkPiece { reference, evidence }));
    let mut bytes = Vec::new();
    LinkSealer::new(keys, share_point).seal(&pieces.collect::<Vec<_>>(), &mut bytes);
    bytes
}

fn about_an_event(minute: u32) -> LinkEvidence {
    LinkEvidence { strength_thousandths: 1_000, newest_day: (minute / 1_440) as u16, events: 1, ..Default::default() }
}

proptest! {
    #[test]
    fn places_are_those_of_a_plain_join_of_pairs(
        first in prop::collection::vec((0u8..5, 1u8..40, 0u32..400), 0..60),
        second in prop::collection::vec((3u8..9, 1u8..40, 0u32..400), 0..60),
        minutes in 1u32..60,
        least in 1u32..5,
        batch_rows in 1usize..50,
    ) {
        let (keys, reach) = (keys(4), Reach::new(Order::Around, minutes));
        let streams = [sighted(&keys, &first, reach, true, 1), sighted(&keys, &second, reach, false, 2)];
        let found = merged([&streams[0], &streams[1]], batch_rows, Counting::Places { least }).expect("sound rows");
        let mut met: BTreeMap<(u8, u8), BTreeSet<u64>> = BTreeMap::new();
        for (follower, cell, minute) in &second {
            let near = |other: &&Sighting| other.1.abs_diff(*cell) <= 1 && other.2.abs_diff(*minute) <= minutes;
            for (anchor, ..) in first.iter().filter(near).filter(|(anchor, ..)| anchor != follower) {
                met.entry((*follower, *anchor)).or_default().insert(place(*cell));
            }
        }
        let mut expected: BTreeMap<u128, u64> = BTreeMap::new();
        for ((follower, _), places) in met.iter().filter(|(_, places)| places.len() >= least as usize) {
            let best = expected.entry(u128::from(*follower)).or_default();
            *best = (*best).max(places.len() as u64);
        }
        for linked in found.values() {
            prop_assert_eq!((linked.anchor_sum, linked.follower_sum), (linked.count * 1_000, linked.count * 1_000));
        }
        let counts: BTreeMap<u128, u64> = found.into_iter().map(|(reference, linked)| (reference, linked.count)).collect();
        prop_assert_eq!(counts, expected);
    }
}

#[test]
fn a_pairs_places_are_bounded_and_a_day_at_one_place_is_one() {
    let mut gather = Gather::new(Counting::Places { least: 2 });
    let piece = |reference, fields| LinkPiece { reference, evidence: LinkEvidence { fields, ..about_an_event(0) } };
    for place in 0..200 {
        gather.take(&Meeting { parties: &[vec![piece(1, place)], vec![piece(2, place), piece(1, place)]] });
        gather.take(&Meeting { parties: &[vec![piece(1, 7)], vec![piece(3, 7)]] });
    }
    let (found, cut) = gather.finish();
    assert_eq!((found.len(), cut, found[&2].count), (1, 0, u64::from(PLACES_MAX)));
}

/// A party's rows about given pairs of circumstance and reference, without time.
fn about(keys: &LinkKeys, pairs: &[(u8, u128, u16)], share_point: u8) -> Vec<u8> {
    let prepared = keys.prepare(&pairs.iter().map(|&(circumstance, ..)| tag(circumstance)).collect::<Vec<_>>());
    let mut rows: Vec<(u128, LinkPiece)> = keys
        .keys(prepared.into_iter().map(|prepared| (prepared, None)))
        .into_iter()
        .zip(pairs)
        .map(|(key, &(_, reference, strength_thousandths))| {
            (
                key,
                LinkPiece {
                    reference,
                    evidence: LinkEvidence {
                        strength_thousandths,
                        newest_day: 1,
                        events: 1,
                        ..LinkEvidence::default()
                    },
                },
            )
        })
        .collect();
    rows.sort_unstable_by_key(|(key, piece)| (*key, piece.reference));
    let mut bytes = Vec::new();
    LinkSealer::new(keys, share_point).seal(&rows, &mut bytes);
    bytes
}

#[test]
fn common_circumstances_are_counted_once_however_many_share_them() {
    let keys = keys(4);
    let anchors = about(&keys, &[(1, 10, 1_000), (2, 10, 1_000), (2, 11, 400), (3, 10, 1_000)], 1);
    let followers = about(&keys, &[(1, 70, 1_000), (2, 70, 600), (2, 71, 1_000), (9, 71, 1_000)], 2);
    for batch_rows in [1, 2, 100] {
        let found = merged([&anchors, &followers], batch_rows, Counting::Circumstances).expect("sound rows");
        assert_eq!((found[&70].count, found[&70].follower_sum, found[&70].anchor_sum), (2, 1_600, 2_000));
        assert_eq!((found[&71].count, found.len()), (1, 2));
    }
}

#[test]
fn others_are_counted_once_however_often_they_meet() {
    let keys = keys(4);
    let anchors = about(&keys, &[(1, 10, 300), (2, 10, 900), (3, 11, 1_000)], 1);
    let followers = about(&keys, &[(1, 70, 1_000), (2, 70, 200), (3, 70, 500)], 2);
    let found = merged([&anchors, &followers], 7, Counting::Others).expect("sound rows");
    // The first other's strongest meeting is 0.3 · 1, its second one 0.9 · 0.2.
    assert_eq!((found[&70].count, found[&70].anchor_sum, found[&70].follower_sum), (2, 800, 800));
}

#[test]
fn many_for_whom_a_meeting_is_ordinary_weigh_less_than_a_few_for_whom_it_is_not() {
    let keys = keys(4);
    let anchors: Vec<_> = (0..100).map(|other| (other, u128::from(other), 1_000)).collect();
    let mut followers: Vec<_> = (0..100).map(|other| (other, 700, 20)).collect();
    followers.extend((0..5).map(|other| (other, 701, 900)));
    let streams = [about(&keys, &anchors, 1), about(&keys, &followers, 2)];
    let found = merged([&streams[0], &streams[1]], 7, Counting::Others).expect("sound rows");
    assert_eq!((found[&700].count, found[&700].anchor_sum), (100, 2_000));
    assert_eq!((found[&701].count, found[&701].anchor_sum), (5, 4_500));
}

#[test]
fn one_party_alone_opens_nothing_and_neither_does_another_question() {
    let (one, other) = (keys(4), keys(5));
    let alone = about(&one, &[(1, 10, 1_000)], 1);
    assert!(merged([&alone, &[]], 7, Counting::Others).expect("sound rows").is_empty());
    let elsewhere = about(&other, &[(1, 70, 1_000)], 2);
    assert!(merged([&alone, &elsewhere], 7, Counting::Others).expect("sound rows").is_empty());
    // Two rows of one data set are one share: the secret stays closed although the keys are equal.
    let twice = about(&one, &[(1, 70, 1_000)], 1);
    assert!(merged([&alone, &twice], 7, Counting::Others).expect("sound rows").is_empty());
}

#[test]
fn rows_that_are_torn_or_descend_are_refused() {
    let keys = keys(4);
    let sound = about(&keys, &[(1, 10, 1), (2, 10, 1), (3, 10, 1)], 1);
    assert_eq!(merged([&sound[..70], &sound], 7, Counting::Events), Err(MergeFault::Torn));
    let mut turned: Vec<u8> = Vec::new();
    sound.chunks(LINK_ROW_BYTES).rev().for_each(|row| turned.extend_from_slice(row));
    assert_eq!(merged([&turned, &sound], 7, Counting::Events), Err(MergeFault::Unsorted));
}
