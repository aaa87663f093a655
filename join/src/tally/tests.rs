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
        let opened = keys.open(&summed(&parts), answered);
        let mut wanted: BTreeMap<Cell, (u64, u32)> = BTreeMap::new();
        for &number in &came {
            for (cell, count) in cells(&world[number]) {
                let sum = wanted.entry(cell).or_default();
                *sum = (sum.0 + count, sum.1 | 1 << number);
            }
        }
        prop_assert_eq!((opened.broken, opened.incomplete), (0, 0));
        let sums: BTreeMap<Cell, (u64, u32)> =
            opened.sums.into_iter().map(|one| (one.cell, (one.count, one.parts))).collect();
        prop_assert_eq!(sums, wanted);
    }

    /// Nothing panics, and nothing opens, on bytes that no node made.
    #[test]
    fn bytes_of_others_open_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let opened = keys(1).open(&bytes, u32::MAX);
        prop_assert!(opened.sums.is_empty() && (bytes.is_empty() || opened.broken > 0) && opened.incomplete == 0xffff);
        let _ = Part::default().take(&bytes);
    }

    /// A gateway that changes a bit is found out, whichever bit, and no count is another than it was.
    #[test]
    fn a_changed_sum_does_not_open(bit in 0..3 * SUM_BYTES * 8) {
        let keys = keys(1);
        let parts = [(0, part(&keys, 0, &[(cell("3310", 1), 40)])), (1, part(&keys, 1, &[(cell("3310", 1), 2)]))];
        let mut sums = summed(&parts);
        prop_assert_eq!(keys.open(&sums, 3).sums[0].count, 42);
        sums[bit / 8] ^= 1 << (bit % 8);
        let opened = keys.open(&sums, 3);
        prop_assert!(opened.broken > 0 && opened.incomplete > 0);
        prop_assert!(opened.sums.iter().all(|one| (one.count, one.parts) == (42, 3)));
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
    let meet = |row: &Vec<u8>| other_part.iter().find(|other| other[..16] == row[..16]);
    let equal: Vec<_> = one.iter().filter_map(|row| Some((row, meet(row)?))).collect();
    assert_eq!((one.len(), equal.len()), (51, 50), "equal cells meet, and nothing says which row counts them");
    for (row, other) in equal {
        assert!(row[..56] == other[..56] && row[56..64] != other[56..64] && row[64..] != other[64..]);
    }
    let of = |rows: &[Vec<u8>], piece: std::ops::Range<usize>| {
        rows.iter().map(|row| row[piece.clone()].to_vec()).collect::<std::collections::BTreeSet<_>>()
    };
    for piece in [0..16, 16..56, 56..64, 64..80] {
        let (first, second) = (of(&one, piece.clone()), of(&other_question, piece));
        assert!(first.len() == 51 && first.is_disjoint(&second));
    }
}

/// What is left out on the way is missed: a cell, a part's row in a cell, what counts the cells, a whole part.
#[test]
fn what_is_left_out_is_told() {
    let keys = keys(1);
    let first = [(cell("a", 1), 5), (cell("b", 1), 6)];
    let second = [(cell("a", 1), 7)];
    let whole = summed(&[(0, part(&keys, 0, &first)), (1, part(&keys, 1, &second))]);
    assert_eq!(keys.open(&whole, 0b11).incomplete, 0);
    for left_out in 0..whole.len() / SUM_BYTES {
        let pieces = whole.chunks(SUM_BYTES).enumerate().filter(|(place, _)| *place != left_out);
        let opened = keys.open(&pieces.flat_map(|(_, piece)| piece.to_vec()).collect::<Vec<u8>>(), 0b11);
        assert!(opened.broken == 0 && opened.incomplete > 0, "{opened:?}");
    }
    // Of the second part all but what counts its cells is thrown away.
    let rows = keys.seal(1, &second);
    let is_cell = |row: &&[u8]| whole.chunks(SUM_BYTES).any(|sum| sum[..16] == row[..16] && sum[SUM_BYTES - 1] == 0b11);
    let thinned: Vec<u8> = rows.chunks(TALLY_ROW_BYTES).filter(|row| !is_cell(row)).flatten().copied().collect();
    let mut thin = Part::default();
    thin.take(&thinned).unwrap();
    let opened = keys.open(&summed(&[(0, part(&keys, 0, &first)), (1, thin)]), 0b11);
    assert_eq!((opened.sums.len(), opened.broken, opened.incomplete), (2, 0, 0b10));
    let opened = keys.open(&summed(&[(0, part(&keys, 0, &first))]), 0b11);
    assert_eq!((opened.broken, opened.incomplete), (0, 0b10));
}

#[test]
fn the_home_node_takes_only_what_answered_and_only_once() {
    let keys = keys(1);
    let parts = [(0, part(&keys, 0, &[(cell("a", 1), 5)])), (2, part(&keys, 2, &[(cell("a", 1), 6)]))];
    let sums = summed(&parts);
    let opened = keys.open(&sums, 0b101);
    assert_eq!(opened.sums, [Opened { cell: cell("a", 1), count: 11, parts: 0b101 }]);
    let other = keys.open(&sums, 0b001);
    assert_eq!((other.sums.len(), other.broken), (0, 2), "a part that did not answer");
    let twice = keys.open(&[sums.clone(), sums.clone()].concat(), 0b101);
    assert_eq!((&twice.sums, twice.broken), (&opened.sums, 3));
    let cut = keys.open(&sums[1..], 0b101);
    assert_eq!((cut.sums.len(), cut.broken), (0, 3));
    let wrong_keys = TallyKeys::derive(&EpochSecret::new([8; 32]), &[1; 32]);
    assert_eq!(wrong_keys.open(&sums, 0b101), OpenedSums { broken: 3, incomplete: 0b101, ..OpenedSums::default() });
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
    false_rows.chunks_mut(TALLY_ROW_BYTES).for_each(|row| row[20] ^= 1);
    let mut false_part = Part::default();
    false_part.take(&false_rows).unwrap();
    let opened = keys.open(&summed(&[(0, part(&keys, 0, &[(cell("a", 1), 7)])), (1, false_part)]), 0b11);
    assert_eq!((opened.broken, opened.incomplete), (2, 0b10));
    assert_eq!(opened.sums, [Opened { cell: cell("a", 1), count: 7, parts: 1 }]);
}

#[test]
fn too_many_cells_are_refused() {
    let rows = |keys: std::ops::Range<usize>| {
        let row = |key: usize| [&(key as u128).to_be_bytes()[..], &[0; TALLY_ROW_BYTES - 16]].concat();
        keys.flat_map(row).collect::<Vec<u8>>()
    };
    assert_eq!(Part::default().take(&rows(0..CELLS_MAX + 2)), Err(Fault::TooMany));
    let (mut first, mut second) = (Part::default(), Part::default());
    first.take(&rows(0..CELLS_MAX + 1)).unwrap();
    second.take(&rows(CELLS_MAX + 1..SUMS_MAX + 1)).unwrap();
    let mut sums = Sums::default();
    sums.add(0, &first).unwrap();
    assert_eq!(sums.add(1, &second), Err(Fault::TooMany));
    assert_eq!(sums.count(), CELLS_MAX + 1);
}

#[test]
fn names_that_do_not_fit_are_not_sent() {
    let long = "x".repeat(PLACE_BYTES_MAX + 1);
    let cells = [(cell("", 1), 5), (cell(&long, 1), 5), (cell("a", 1), COUNT_MAX + 1)];
    assert_eq!(keys(1).seal(0, &cells).len(), TALLY_ROW_BYTES, "but that there are no cells");
    assert!(keys(1).seal(PARTS_MAX as u8, &[(cell("a", 1), 5)]).is_empty());
}
