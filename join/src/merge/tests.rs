use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    evidence::Evidence,
    keys::{EpochSecret, QuestionKeys, Sealer, Tag},
};

type Holdings = Vec<BTreeMap<u8, u16>>;

fn question(threshold: u32) -> QuestionKeys {
    QuestionKeys::derive(&EpochSecret::new([3; 32]), &[4; 32], threshold)
}

fn tag(subject: u8) -> Tag {
    [subject; 16]
}

fn sealed(keys: &QuestionKeys, indicator: usize, held: &BTreeMap<u8, u16>) -> Vec<u8> {
    let tags: Vec<Tag> = held.keys().map(|&subject| tag(subject)).collect();
    let evidence = held.values().map(|&strength_thousandths| Evidence { strength_thousandths, ..Default::default() });
    let mut rows: Vec<_> = keys.join_keys(&tags).into_iter().zip(evidence).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    let mut bytes = Vec::new();
    Sealer::new(keys, indicator as u8, indicator as u8 + 1).seal(&rows, &mut bytes);
    bytes
}

fn rules(count: usize) -> Vec<StreamRule> {
    (0..count)
        .map(|n| StreamRule {
            share_point: n as u8 + 1,
            weight_thousandths: 1_000,
            required: false,
            contributor: n,
            linked: None,
        })
        .collect()
}

/// Runs a merge in batches of `batch_rows`; stream n fails after `failing[n]` rows.
fn run(
    rules: Vec<StreamRule>,
    threshold: u32,
    top: u32,
    streams: &[Vec<u8>],
    batch_rows: usize,
    failing: &BTreeMap<usize, usize>,
) -> Merged {
    let mut merger = Merger::<Vec<u8>>::new(rules, threshold, top);
    let mut sent = vec![0; streams.len()];
    loop {
        match merger.advance() {
            Step::Done => return merger.finish_all(),
            Step::Failed(..) => {}
            Step::Needs(n) => {
                let from = sent[n] * ROW_BYTES;
                let whole = streams[n].len() / ROW_BYTES;
                let until = failing.get(&n).copied().unwrap_or(usize::MAX).min(whole).min(sent[n] + batch_rows);
                if until > sent[n] {
                    merger.push(n, streams[n][from..until * ROW_BYTES].to_vec()).expect("whole rows");
                    sent[n] = until;
                } else if failing.contains_key(&n) {
                    merger.fail(n);
                } else {
                    merger.finish(n);
                }
            }
        }
    }
}

/// The same answer from the plain holdings, without any cryptography.
fn naive(keys: &QuestionKeys, holdings: &Holdings, gone: &BTreeSet<usize>, threshold: usize) -> BTreeMap<u128, u64> {
    let subjects: BTreeSet<u8> = holdings.iter().flat_map(|held| held.keys().copied()).collect();
    subjects
        .into_iter()
        .filter_map(|subject| {
            let strengths: Vec<u16> = holdings
                .iter()
                .enumerate()
                .filter(|(n, _)| !gone.contains(n))
                .filter_map(|(_, held)| held.get(&subject).copied())
                .collect();
            let sum = strengths.iter().map(|&s| square(1_000, s)).sum();
            (strengths.len() >= threshold).then(|| (keys.join_keys(&[tag(subject)])[0], sum))
        })
        .collect()
}

fn holdings() -> impl Strategy<Value = Holdings> {
    prop::collection::vec(prop::collection::btree_map(any::<u8>(), 0u16..=1000, 0..60), 2..5)
}

proptest! {
    #[test]
    fn the_merge_is_the_plain_join(holdings in holdings(), threshold in 2u32..4, batch_rows in 1usize..9, top in 1u32..40) {
        let keys = question(threshold);
        let streams: Vec<_> = holdings.iter().enumerate().map(|(n, held)| sealed(&keys, n, held)).collect();
        let merged = run(rules(holdings.len()), threshold, top, &streams, batch_rows, &BTreeMap::new());
        let expected = naive(&keys, &holdings, &BTreeSet::new(), threshold as usize);
        prop_assert_eq!(merged.subjects_matched, expected.len() as u64);
        prop_assert_eq!(merged.unopened, 0);
        let mut ranked: Vec<_> = expected.into_iter().map(|(key, sum)| (std::cmp::Reverse(sum), key)).collect();
        ranked.sort_unstable();
        ranked.truncate(top as usize);
        let got: Vec<_> = merged.best.iter().map(|f| (std::cmp::Reverse(f.sum_of_squares), f.key)).collect();
        prop_assert_eq!(got, ranked);
    }

    #[test]
    fn a_contributor_that_breaks_off_leaves_the_answer_of_the_others(
        holdings in holdings(), breaks_at in 0usize..30, who in 0usize..2, top in 1u32..10,
    ) {
        let keys = question(2);
        let streams: Vec<_> = holdings.iter().enumerate().map(|(n, held)| sealed(&keys, n, held)).collect();
        prop_assume!(breaks_at < holdings[who].len());
        let merged = run(rules(holdings.len()), 2, top, &streams, 3, &BTreeMap::from([(who, breaks_at)]));
        let expected = naive(&keys, &holdings, &BTreeSet::from([who]), 2);
        prop_assert!(!merged.incomplete);
        prop_assert_eq!(merged.subjects_matched, expected.len() as u64);
        let mut sums: Vec<_> = expected.into_values().collect();
        sums.sort_unstable_by(|a, b| b.cmp(a));
        sums.truncate(top as usize);
        prop_assert_eq!(merged.best.iter().map(|f| f.sum_of_squares).collect::<Vec<_>>(), sums);
        prop_assert!(merged.best.iter().flat_map(|f| &f.pieces).all(|piece| piece.indicator != who));
    }

    #[test]
    fn bytes_from_a_hostile_party_never_panic(junk in prop::collection::vec(any::<u8>(), 0..400)) {
        let keys = question(2);
        let honest = sealed(&keys, 0, &BTreeMap::from([(1, 900), (2, 800)]));
        let mut merger = Merger::<Vec<u8>>::new(rules(2), 2, 10);
        let mut given = [false; 2];
        loop {
            match merger.advance() {
                Step::Done => break,
                Step::Failed(..) => {}
                Step::Needs(n) if given[n] => merger.finish(n),
                Step::Needs(n) => {
                    given[n] = true;
                    if merger.push(n, if n == 0 { honest.clone() } else { junk.clone() }).is_err() {
                        merger.fail(n);
                    }
                }
            }
        }
        prop_assert_eq!(merger.finish_all().best.len(), 0);
    }
}

#[test]
fn required_indicators_and_shared_data_sets_are_heeded() {
    let keys = question(2);
    let holdings: Holdings =
        vec![BTreeMap::from([(1, 1000), (2, 1000)]), BTreeMap::from([(1, 1000), (2, 1000)]), BTreeMap::from([(2, 10)])];
    let streams: Vec<_> = holdings.iter().enumerate().map(|(n, held)| sealed(&keys, n, held)).collect();
    let mut needed = rules(3);
    needed[2].required = true;
    let merged = run(needed, 2, 10, &streams, 8, &BTreeMap::new());
    assert_eq!(merged.best.len(), 1);
    assert_eq!(merged.best[0].key, keys.join_keys(&[tag(2)])[0]);

    // Two indicators on one data set are one share: alone they open nothing.
    let mut bytes = Vec::new();
    let row = (keys.join_keys(&[tag(1)])[0], Evidence::default());
    Sealer::new(&keys, 1, 1).seal(&[row], &mut bytes);
    let mut same = rules(2);
    same[1].share_point = 1;
    let merged = run(same, 2, 10, &[streams[0].clone(), bytes], 8, &BTreeMap::new());
    assert_eq!((merged.best.len(), merged.unopened), (0, 0));
}

#[test]
fn a_false_row_is_counted_and_opens_nothing() {
    let keys = question(2);
    let held = BTreeMap::from([(1, 1000)]);
    let mut streams: Vec<_> = (0..2).map(|n| sealed(&keys, n, &held)).collect();
    streams[1][20] ^= 1;
    let merged = run(rules(2), 2, 10, &streams, 8, &BTreeMap::new());
    assert_eq!((merged.best.len(), merged.unopened), (0, 1));
}

#[test]
fn rows_out_of_order_fail_their_stream() {
    let keys = question(2);
    let rows = sealed(&keys, 0, &BTreeMap::from([(1, 1), (2, 2)]));
    let mut swapped = rows[ROW_BYTES..].to_vec();
    swapped.extend_from_slice(&rows[..ROW_BYTES]);
    let mut merger = Merger::<Vec<u8>>::new(rules(1), 2, 10);
    assert_eq!(merger.advance(), Step::Needs(0));
    merger.push(0, swapped).expect("whole rows");
    assert_eq!(merger.advance(), Step::Failed(0, MergeFault::Unsorted));
    assert_eq!(merger.advance(), Step::Done);
}
