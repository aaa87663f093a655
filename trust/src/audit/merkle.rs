//! The Merkle tree of RFC 6962 section 2.1, with SHA-256.
//!
//! Everything here is arithmetic on hashes: it does no I/O, reads no clock, and keeps no entry. The
//! tree in memory is only its [`Frontier`], one hash for every bit set in its size; proofs are
//! computed from hashes that the caller has stored, and checked from nothing but their arguments.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A SHA-256 hash of a leaf, of an inner node, or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; Hash::BYTES]);

impl Hash {
    /// Length of a hash in bytes.
    pub const BYTES: usize = 32;
}

impl std::fmt::Display for Hash {
    /// Standard base64, as checkpoints write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a proof was not made or not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The entry or the older size lies outside the tree.
    #[error("the tree of {size} entries has no position {position}; ask for one inside the tree")]
    OutOfRange {
        /// What was asked for.
        position: u64,
        /// Number of entries of the tree.
        size: u64,
    },
    /// A subtree was added where one of that height cannot stand.
    #[error("a subtree of height {height} cannot follow {size} entries; add smaller subtrees first")]
    Misaligned {
        /// Height of the subtree: it holds 2^height entries.
        height: u32,
        /// Number of entries before it.
        size: u64,
    },
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the given root; do not trust the party that sent it")]
    NotProven,
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; Hash::BYTES] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; Hash::BYTES];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// `SHA-256(0x00 ‖ entry)`, RFC 6962 section 2.1.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(sha256(&[&[0], entry]))
}

/// `SHA-256(0x01 ‖ left ‖ right)`, RFC 6962 section 2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(sha256(&[&[1], &left.0, &right.0]))
}

/// The root of a tree without entries: `SHA-256()`.
pub fn empty_root() -> Hash {
    Hash(sha256(&[]))
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first.
///
/// Holds at most 64 hashes whatever the number of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.merge(0, leaf);
    }

    /// Adds a complete subtree of 2^`height` entries at once.
    ///
    /// # Errors
    /// [`MerkleError::Misaligned`] when the entries before it are no multiple of 2^`height`, or the
    /// tree would grow beyond 2^64 entries.
    pub fn push_subtree(&mut self, height: u32, root: Hash) -> Result<(), MerkleError> {
        let misaligned = MerkleError::Misaligned { height, size: self.size };
        let added = 1_u64.checked_shl(height).ok_or(misaligned)?;
        if !self.size.is_multiple_of(added) || self.size.checked_add(added).is_none() {
            return Err(misaligned);
        }
        self.merge(height, root);
        Ok(())
    }

    fn merge(&mut self, height: u32, root: Hash) {
        let mut carry = root;
        for _ in 0..(self.size >> height).trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                carry = node_hash(&left, &carry);
            }
        }
        self.peaks.push(carry);
        self.size = self.size.saturating_add(1 << height);
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// The root of the first `size` entries.
///
/// `stored(height, index)` returns the root of the complete subtree of the entries
/// `index·2^height .. (index+1)·2^height`; it is asked only for subtrees inside the tree.
///
/// # Errors
/// What `stored` returns.
pub fn root_at<E>(size: u64, mut stored: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(empty_root());
    }
    subtree(0, size, &mut stored)
}

/// The inclusion proof `PATH(index, D[size])` of RFC 6962 section 2.1.1, nearest node first.
///
/// # Errors
/// [`MerkleError::OutOfRange`], or what `stored` (see [`root_at`]) returns.
pub fn inclusion_proof<E: From<MerkleError>>(
    index: u64,
    size: u64,
    mut stored: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(MerkleError::OutOfRange { position: index, size }.into());
    }
    let mut proof = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(subtree(middle, end, &mut stored)?);
            end = middle;
        } else {
            proof.push(subtree(begin, middle, &mut stored)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof `PROOF(old, D[new])` of RFC 6962 section 2.1.2; empty when `old` is 0 or
/// equals `new`.
///
/// # Errors
/// [`MerkleError::OutOfRange`] when `old` exceeds `new`, or what `stored` (see [`root_at`]) returns.
pub fn consistency_proof<E: From<MerkleError>>(
    old: u64,
    new: u64,
    mut stored: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(MerkleError::OutOfRange { position: old, size: new }.into());
    }
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(subtree(middle, end, &mut stored)?);
            end = middle;
        } else {
            proof.push(subtree(begin, middle, &mut stored)?);
            begin = middle;
        }
    }
    // The verifier knows the old root itself when it is a complete subtree at the left edge.
    if begin != 0 {
        proof.push(subtree(begin, end, &mut stored)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks an inclusion proof by the algorithm of RFC 9162 section 2.1.3.2.
///
/// # Errors
/// [`MerkleError::OutOfRange`] or [`MerkleError::NotProven`].
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::OutOfRange { position: index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(MerkleError::NotProven);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_lone_parents(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(MerkleError::NotProven) }
}

/// Checks a consistency proof by the algorithm of RFC 9162 section 2.1.4.2.
///
/// # Errors
/// [`MerkleError::OutOfRange`] or [`MerkleError::NotProven`].
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if old > new {
        return Err(MerkleError::OutOfRange { position: old, size: new });
    }
    if old == 0 || old == new {
        let expected = if old == 0 { empty_root() } else { *new_root };
        let proven = proof.is_empty() && *old_root == expected;
        return if proven { Ok(()) } else { Err(MerkleError::NotProven) };
    }
    let complete = old.is_power_of_two();
    let (first, rest) = match proof.split_first() {
        _ if complete => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return Err(MerkleError::NotProven),
    };
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(MerkleError::NotProven);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            skip_lone_parents(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    let proven = last == 0 && old_hash == *old_root && new_hash == *new_root;
    if proven { Ok(()) } else { Err(MerkleError::NotProven) }
}

/// At the right edge a node without a sibling moves up unhashed until it is a right child.
fn skip_lone_parents(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

/// The largest power of two smaller than `size` (which is at least 2).
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// `MTH(D[begin..end])` for a range as RFC 6962 splits it: `begin` is a multiple of every power of
/// two that the range contains, so complete subtrees are stored ones.
fn subtree<E>(begin: u64, end: u64, stored: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let size = end - begin;
    if size.is_power_of_two() {
        let height = size.trailing_zeros();
        return stored(height, begin >> height);
    }
    let middle = begin + split(size);
    let left = subtree(begin, middle, stored)?;
    let right = subtree(middle, end, stored)?;
    Ok(node_hash(&left, &right))
}

#[cfg(test)]
mod tests;
