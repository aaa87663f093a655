use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    gather::{Counting, Gather, Linked},
    merge::LinkMerger,
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
