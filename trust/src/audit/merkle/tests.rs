use proptest::prelude::*;

use super::*;

/// The eight entries of the reference tests of Certificate Transparency.
const ENTRIES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// Their roots at sizes 1 to 8, as those tests publish them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hash(text: &str) -> Hash {
    Hash(unhex(text).try_into().unwrap())
}

fn reference_leaves() -> Vec<Hash> {
    ENTRIES.iter().map(|entry| leaf_hash(&unhex(entry))).collect()
}

/// RFC 6962's definition, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    let (mut path, other) = if index < k {
        (naive_path(index, &leaves[..k]), naive_root(&leaves[k..]))
    } else {
        (naive_path(index - k, &leaves[k..]), naive_root(&leaves[..k]))
    };
    path.push(other);
    path
}

fn stored(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, MerkleError> + '_ {
    |height, index| {
        let (begin, end) = ((index as usize) << height, (index as usize + 1) << height);
        assert!(end <= leaves.len(), "asked for a subtree outside the tree");
        Ok(naive_root(&leaves[begin..end]))
    }
}

#[test]
fn the_empty_root_is_the_hash_of_nothing() {
    let expected = hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(empty_root(), expected);
    assert_eq!(Frontier::default().root(), expected);
    assert_eq!(expected.to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn the_reference_tree_has_its_published_roots_at_every_size() {
    let leaves = reference_leaves();
    let mut frontier = Frontier::default();
    for (size, leaf) in leaves.iter().enumerate() {
        frontier.push(*leaf);
        assert_eq!(frontier.root(), hash(ROOTS[size]));
        assert_eq!(root_at(size as u64 + 1, stored(&leaves)), Ok(hash(ROOTS[size])));
    }
}

#[test]
fn the_reference_tree_gives_its_published_inclusion_proofs() {
    let leaves = reference_leaves();
    let path = |index, size| inclusion_proof(index, size, stored(&leaves)).unwrap();
    assert_eq!(
        path(0, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
        .map(hash)
    );
    assert_eq!(
        path(5, 8),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
        .map(hash)
    );
    assert_eq!(path(2, 3), ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"].map(hash));
}

#[test]
fn the_reference_tree_gives_its_published_consistency_proofs() {
    let leaves = reference_leaves();
    let proof = |old, new| consistency_proof(old, new, stored(&leaves)).unwrap();
    assert_eq!(
        proof(1, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
        .map(hash)
    );
    assert_eq!(
        proof(6, 8),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
        .map(hash)
    );
    assert_eq!(
        proof(2, 5),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
        .map(hash)
    );
}

#[test]
fn positions_outside_the_tree_are_refused() {
    let leaves = reference_leaves();
    let outside = MerkleError::OutOfRange { position: 8, size: 8 };
    assert_eq!(inclusion_proof(8, 8, stored(&leaves)), Err(outside));
    assert_eq!(verify_inclusion(&leaves[0], 8, 8, &[], &leaves[0]), Err(outside));
    assert!(consistency_proof(9, 8, stored(&leaves)).is_err());
    assert!(verify_consistency(9, &leaves[0], 8, &leaves[0], &[]).is_err());
}

#[test]
fn a_subtree_stands_only_where_it_fits() {
    let leaves = reference_leaves();
    let mut frontier = Frontier::default();
    frontier.push_subtree(2, naive_root(&leaves[..4])).unwrap();
    frontier.push(leaves[4]);
    assert!(frontier.push_subtree(1, naive_root(&leaves[5..7])).is_err());
    assert!(frontier.push_subtree(64, leaves[0]).is_err());
    frontier.push(leaves[5]);
    frontier.push_subtree(1, naive_root(&leaves[6..])).unwrap();
    assert_eq!((frontier.size(), frontier.root()), (8, hash(ROOTS[7])));
}

fn some_leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_inclusion_proof_is_the_naive_one_and_proves(size in 1_usize..300, at in 0.0..1.0_f64) {
        let leaves = some_leaves(size);
        let index = ((size as f64) * at) as usize;
        let root = naive_root(&leaves);
        let proof = inclusion_proof(index as u64, size as u64, stored(&leaves)).unwrap();
        prop_assert_eq!(&proof, &naive_path(index, &leaves));
        let check = |leaf: &Hash, index: u64, proof: &[Hash]| {
            verify_inclusion(leaf, index, size as u64, proof, &root)
        };
        prop_assert_eq!(check(&leaves[index], index as u64, &proof), Ok(()));
        prop_assert!(check(&leaf_hash(b"another"), index as u64, &proof).is_err());
        let mut longer = proof.clone();
        longer.push(root);
        prop_assert!(check(&leaves[index], index as u64, &longer).is_err());
        if size > 1 {
            prop_assert!(check(&leaves[index], (index as u64 + 1) % size as u64, &proof).is_err());
            prop_assert!(check(&leaves[index], index as u64, &proof[1..]).is_err());
            let mut changed = proof.clone();
            changed[0].0[7] ^= 1;
            prop_assert!(check(&leaves[index], index as u64, &changed).is_err());
        }
    }

    #[test]
    fn every_consistency_proof_proves_and_a_changed_one_does_not(
        new in 1_usize..300,
        at in 0.0..=1.0_f64,
        bit in 0_usize..256,
    ) {
        let leaves = some_leaves(new);
        let old = ((new as f64) * at) as usize;
        let (old_root, new_root) = (naive_root(&leaves[..old]), naive_root(&leaves));
        let proof = consistency_proof(old as u64, new as u64, stored(&leaves)).unwrap();
        let check = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
            verify_consistency(old as u64, old_root, new as u64, new_root, proof)
        };
        prop_assert_eq!(check(&old_root, &new_root, &proof), Ok(()));
        let mut forked = old_root;
        forked.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check(&forked, &new_root, &proof).is_err());
        let mut longer = proof.clone();
        longer.push(new_root);
        prop_assert!(check(&old_root, &new_root, &longer).is_err());
        for at in 0..proof.len() {
            let mut changed = proof.clone();
            changed[at].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(check(&old_root, &new_root, &changed).is_err());
        }
    }

    #[test]
    fn the_frontier_agrees_with_the_definition(size in 0_usize..600) {
        let leaves = some_leaves(size);
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        prop_assert_eq!(frontier.root(), naive_root(&leaves));
        prop_assert_eq!(frontier.size(), size as u64);
    }
}
