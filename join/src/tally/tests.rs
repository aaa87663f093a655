use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    sum::{Fault, Part, Sums},
    *,
};
use crate::keys::EpochSecret;

fn keys(question: u8) -> TallyKeys {
    TallyKeys::derive(&EpochSecret::new([7; 32]), &[question; 32])
}

fn cell(place: &str, begin: i32) -> Cell {
    Cell { place: place.to_owned(), begin }
}

fn part(keys: &TallyKeys, number: u8, cells: &[(Cell, u64)]) -> Part {
    let mut part = Part::default();
    part.take(&keys.seal(number, cells)).unwrap();
    part
}

/// Everything as the gateway sends it.
fn summed(parts: &[(usize, Part)]) -> Vec<u8> {
    let mut sums = Sums::default();
    parts.iter().for_each(|(number, part)| sums.add(*number, part).unwrap());
    sums.pieces(3).concat()
}

fn worlds() -> impl Strategy<Value = Vec<BTreeMap<(String, i32), u64>>> {
    let cell = ("[a-z0-9é]{1,8}", -3i32..3);
    let cells = prop::collection::btree_map(cell, 0..COUNT_MAX, 0..12);
    prop::collection::vec(cells, 1..=PARTS_MAX)
}

fn cells(of: &BTreeMap<(String, i32), u64>) -> Vec<(Cell, u64)> {
    of.iter().map(|((place, begin), count)| (cell(place, *begin), *count)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whichever parts came, masks go and sums stay.
    #[test]
    fn masks_cancel_for_any_parts((world, came) in (worlds(), any::<u32>())) {
        let keys = keys(1);
        let came: Vec<usize> = (0..world.len()).filter(|part| came >> part & 1 == 1).collect();
        let parts: Vec<(usize, Part)> =
            came.iter().map(|&number| (number, part(&keys, number as u8, &cells(&world[number])))).collect();
        let answered = came.iter().fold(0, |bits, part| bits | 1 << part);
        let (opened, broken) = keys.open(&summed(&parts), answered);
        let mut wanted: BTreeMap<Cell, (u64, u32)> = BTreeMap::new();
        for &number in &came {
            for (cell, count) in cells(&world[number]) {
                let sum = wanted.entry(cell).or_default();
                *sum = (sum.0 + count, sum.1 | 1 << number);
            }
        }
        let opened: BTreeMap<Cell, (u64, u32)> =
            opened.into_iter().map(|one| (one.cell, (one.count, one.parts))).collect();
        prop_assert_eq!(broken, 0);
        prop_assert_eq!(opened, wanted);
    }

    /// Nothing panics, and nothing opens, on bytes that no node made.
    #[test]
    fn bytes_of_others_open_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (opened, broken) = keys(1).open(&bytes, u32::MAX);
        prop_assert!(opened.is_empty() && (bytes.is_empty() || broken > 0));
        let _ = Part::default().take(&bytes);
    }

    /// A gateway that changes a bit of a sum is found out, whichever bit.
    #[test]
    fn a_changed_sum_does_not_open(bit in 0..SUM_BYTES * 8) {
        let keys = keys(1);
        let mut sums = summed(&[(0, part(&keys, 0, &[(cell("3310", 1), 40)])), (1, part(&keys, 1, &[(cell("3310", 1), 2)]))]);
        prop_assert_eq!(keys.open(&sums, 3).0[0].count, 42);
        sums[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(keys.open(&sums, u32::MAX), (vec![], 1));
    }
}

/// What the gateway sees of equal counts in equal cells differs between parts and questions in every piece but
/// the key and name that it adds up by, and in all of them between questions.
#[test]
fn the_gateway_sees_no_pattern() {
    let counts: Vec<(Cell, u64)> = (0..50).map(|n| (cell("3310", n), 100)).collect();
    let pieces = |question: u8, part: u8| -> Vec<Vec<u8>> {
        let bytes = keys(question).seal(part, &counts);
        bytes.chunks(TALLY_ROW_BYTES).map(<[u8]>::to_vec).collect()
    };
    let (one, other_part, other_question) = (pieces(1, 0), pieces(1, 1), pieces(2, 0));
    for (row, other) in one.iter().zip(&other_part) {
        assert_eq!(row[..56], other[..56], "equal cells meet");
        assert!(row[56..64] != other[56..64] && row[64..] != other[64..]);
    }
    let of = |rows: &[Vec<u8>], piece: std::ops::Range<usize>| {
        rows.iter().map(|row| row[piece.clone()].to_vec()).collect::<std::collections::BTreeSet<_>>()
    };
    for piece in [0..16, 16..56, 56..64, 64..80] {
        let (first, second) = (of(&one, piece.clone()), of(&other_question, piece));
        assert!(first.len() == 50 && first.is_disjoint(&second));
    }
}

#[test]
fn the_home_node_takes_only_what_answered_and_only_once() {
    let keys = keys(1);
    let parts = [(0, part(&keys, 0, &[(cell("a", 1), 5)])), (2, part(&keys, 2, &[(cell("a", 1), 6)]))];
    let sums = summed(&parts);
    assert_eq!(keys.open(&sums, 0b101).0[0], Opened { cell: cell("a", 1), count: 11, parts: 0b101 });
    assert_eq!(keys.open(&sums, 0b001), (vec![], 1), "a part that did not answer");
    let twice = [sums.clone(), sums.clone()].concat();
    assert_eq!((keys.open(&twice, 0b101).0.len(), keys.open(&twice, 0b101).1), (1, 1));
    assert_eq!(keys.open(&sums[1..], 0b101), (vec![], 1));
    let wrong_keys = TallyKeys::derive(&EpochSecret::new([8; 32]), &[1; 32]);
    assert_eq!(wrong_keys.open(&sums, 0b101), (vec![], 1));
}

#[test]
fn the_gateway_takes_whole_rows_in_order_once() {
    let keys = keys(1);
    let rows = keys.seal(0, &[(cell("a", 1), 5), (cell("b", 1), 6)]);
    assert_eq!(Part::default().take(&rows[1..]), Err(Fault::Cut));
    let backwards = [&rows[TALLY_ROW_BYTES..], &rows[..TALLY_ROW_BYTES]].concat();
    assert_eq!(Part::default().take(&backwards), Err(Fault::Order));
    assert_eq!(Part::default().take(&rows.repeat(2)), Err(Fault::Order));
    let mut sums = Sums::default();
    let part = part(&keys, 0, &[(cell("a", 1), 5)]);
    sums.add(0, &part).unwrap();
    assert_eq!(sums.add(0, &part), Err(Fault::Part));
    assert_eq!(sums.add(PARTS_MAX, &part), Err(Fault::Part));
}

/// A node that sends a wrong name for a cell spoils that name, not the sum of the others.
#[test]
fn a_false_name_is_told_and_spoils_nothing() {
    let keys = keys(1);
    let mut false_rows = keys.seal(1, &[(cell("a", 1), 5)]);
    false_rows[20] ^= 1;
    let mut false_part = Part::default();
    false_part.take(&false_rows).unwrap();
    let sums = summed(&[(0, part(&keys, 0, &[(cell("a", 1), 7)])), (1, false_part)]);
    let (opened, broken) = keys.open(&sums, 0b11);
    assert_eq!(broken, 1);
    assert_eq!(opened, [Opened { cell: cell("a", 1), count: 7, parts: 1 }]);
}

#[test]
fn too_many_cells_are_refused() {
    let mut rows = Vec::new();
    for key in 0..=CELLS_MAX as u128 {
        rows.extend_from_slice(&key.to_be_bytes());
        rows.extend_from_slice(&[0; TALLY_ROW_BYTES - 16]);
    }
    assert_eq!(Part::default().take(&rows), Err(Fault::TooMany));
    let (mut first, mut second) = (Part::default(), Part::default());
    first.take(&rows[..rows.len() - TALLY_ROW_BYTES]).unwrap();
    second.take(&rows[rows.len() - TALLY_ROW_BYTES..]).unwrap();
    let mut sums = Sums::default();
    sums.add(0, &first).unwrap();
    assert_eq!(sums.add(1, &second), Err(Fault::TooMany));
    assert_eq!(sums.cells(), CELLS_MAX);
}

#[test]
fn names_that_do_not_fit_are_not_sent() {
    let long = "x".repeat(PLACE_BYTES_MAX + 1);
    let cells = [(cell("", 1), 5), (cell(&long, 1), 5), (cell("a", 1), COUNT_MAX + 1)];
    assert!(keys(1).seal(0, &cells).is_empty());
    assert!(keys(1).seal(PARTS_MAX as u8, &[(cell("a", 1), 5)]).is_empty());
}
