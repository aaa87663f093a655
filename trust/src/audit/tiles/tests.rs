use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::merkle::{consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion};
use super::*;

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn grown(size: u64) -> TileTree {
    let mut tree = TileTree::default();
    (0..size).for_each(|index| {
        tree.push(&entry(index)).unwrap();
    });
    tree
}

fn files(mut tree: TileTree) -> BTreeMap<String, Vec<u8>> {
    let tiles = tree.take_full().into_iter().chain(tree.edge());
    tiles.map(|(id, bytes)| (id.path(), bytes)).collect()
}

fn reader(files: &BTreeMap<String, Vec<u8>>) -> impl Fn(TileId) -> Result<Vec<Hash>, TileError> {
    |id| decode_hashes(files.get(&id.path()).expect("asked for a tile the tree does not have"))
}

#[test]
fn paths_are_those_of_the_specification() {
    let path = |index, width| TileId { kind: TileKind::Hashes(0), index, width }.path();
    assert_eq!(path(0, 256), "tile/0/000");
    assert_eq!(path(1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(1_000, 112), "tile/0/x001/000.p/112");
    assert_eq!(TileId { kind: TileKind::Entries, index: 273, width: 1 }.path(), "tile/entries/273.p/1");
    assert_eq!(TileId::full(TileKind::Hashes(63), u64::MAX).path(), "tile/63/x018/x446/x744/x073/x709/x551/615");
}

#[test]
fn seventy_thousand_entries_have_the_tiles_the_specification_counts() {
    let mut tree = grown(70_000);
    let full = tree.take_full();
    let count = |kind| full.iter().filter(|(id, _)| id.kind == kind).count();
    assert_eq!(count(TileKind::Hashes(0)), 273);
    assert_eq!(count(TileKind::Entries), 273);
    assert_eq!(count(TileKind::Hashes(1)), 1);
    assert_eq!(full.len(), 273 * 2 + 1);
    let edge: Vec<_> = tree.edge().iter().map(|(id, bytes)| (id.path(), bytes.len())).collect();
    let expected = [("tile/0/273.p/112", 112), ("tile/1/001.p/17", 17), ("tile/2/000.p/1", 1)];
    assert_eq!(edge[..3], expected.map(|(path, width)| (path.to_owned(), width * 32)));
    assert_eq!(edge[3].0, "tile/entries/273.p/112");
    assert_eq!(edge.len(), 4);
}

#[test]
fn a_tree_of_256_has_a_full_tile_and_one_hash_above() {
    let names: Vec<_> = files(grown(256)).into_keys().collect();
    assert_eq!(names, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
}

#[test]
fn full_tiles_are_handed_out_once() {
    let mut tree = grown(300);
    assert!(tree.waiting_bytes() > 256 * 32);
    assert_eq!(tree.take_full().len(), 2);
    assert_eq!(tree.waiting_bytes(), 0);
    assert!(tree.take_full().is_empty());
}

#[test]
fn ragged_files_are_refused() {
    assert_eq!(decode_hashes(&[0; 33]), Err(TileError::RaggedTile { bytes: 33 }));
    assert_eq!(split_bundle(&[0]), Err(TileError::RaggedBundle));
    assert_eq!(split_bundle(&[0, 3, 1, 2]), Err(TileError::RaggedBundle));
    let mut bundle = Vec::new();
    let long = vec![0; ENTRY_LIMIT_BYTES + 1];
    assert!(append_entry(&mut bundle, &long).is_err() && bundle.is_empty());
    append_entry(&mut bundle, &long[1..]).unwrap();
    append_entry(&mut bundle, b"").unwrap();
    assert_eq!(split_bundle(&bundle).unwrap(), [&long[1..], b""]);
}

#[test]
fn a_tree_resumes_from_its_full_tiles_alone() {
    for size in [256, 512, 65_536, 65_536 + 256 * 3] {
        let all = files(grown(size));
        let whole: BTreeMap<_, _> = all.into_iter().filter(|(path, _)| !path.contains(".p/")).collect();
        let mut resumed = TileTree::resume(size, reader(&whole)).unwrap();
        let mut grown = grown(size);
        assert_eq!(resumed.root(), grown.root());
        for index in size..size + 300 {
            resumed.push(&entry(index)).unwrap();
            grown.push(&entry(index)).unwrap();
        }
        assert_eq!((resumed.size(), resumed.root()), (grown.size(), grown.root()));
        assert_eq!(resumed.edge(), grown.edge());
    }
    assert!(TileTree::resume(255, |_| -> Result<_, TileError> { Ok(Vec::new()) }).is_err());
    assert!(TileTree::resume(256, |_| -> Result<_, TileError> { Ok(Vec::new()) }).is_err());
}

#[test]
fn a_narrower_tile_is_a_prefix() {
    let (narrow, wide) = (grown(3), grown(9));
    for ((id, expected), (_, bytes)) in narrow.edge().iter().zip(wide.edge()) {
        assert_eq!(narrowed(id.kind, &bytes, 3), Some(&expected[..]));
        assert_eq!(narrowed(id.kind, &bytes, 10), None);
    }
    assert_eq!(narrowed(TileKind::Entries, &[0, 9], 1), None);
}

#[test]
fn a_hash_outside_the_tree_or_a_short_tile_is_an_error() {
    let none = |_: TileId| -> Result<Vec<Hash>, TileError> { Ok(Vec::new()) };
    assert!(matches!(stored_hash(0, 5, 5, none), Err(TileError::Merkle(_))));
    assert!(matches!(stored_hash(64, 0, 5, none), Err(TileError::Merkle(_))));
    assert!(matches!(stored_hash(0, 4, 5, none), Err(TileError::TooNarrow { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn proofs_computed_from_tiles_prove(
        size in 1_u64..70_000,
        at in 0.0..1.0_f64,
        cut in 0.0..=1.0_f64,
    ) {
        let tree = grown(size);
        let root = tree.root();
        let files = files(tree);
        let stored = |height, index| stored_hash(height, index, size, reader(&files));
        prop_assert_eq!(root_at(size, stored), Ok(root));
        let index = (size as f64 * at) as u64;
        let proof = inclusion_proof(index, size, stored).unwrap();
        let leaf = leaf_hash(&entry(index));
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
        let old = (size as f64 * cut) as u64;
        let proof = consistency_proof(old, size, stored).unwrap();
        let old_root = grown(old).root();
        prop_assert_eq!(verify_consistency(old, &old_root, size, &root, &proof), Ok(()));
    }
}
