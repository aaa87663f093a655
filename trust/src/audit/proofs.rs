//! Proofs about a published tree, computed from its tiles on disk.
//!
//! The log may grow meanwhile: the tiles of a checkpoint that was published stay readable. What is
//! read is not checked here; a wrong tile gives a proof that nobody believes.

use std::path::Path;

use super::disk::read_tile;
use super::error::AuditError;
use super::merkle::{Hash, MerkleError, consistency_proof, inclusion_proof, root_at};
use super::tiles::{TILE_WIDTH, TileId, TileKind, decode_hashes, split_bundle, stored_hash};

/// The first `size` entries of a log, as its newest checkpoint of that size covers them.
#[derive(Debug, Clone, Copy)]
pub struct Proofs<'a> {
    directory: &'a Path,
    size: u64,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(directory: &'a Path, size: u64) -> Self {
        Self { directory, size }
    }

    /// That this tree continues the one of its first `old` entries (RFC 6962 section 2.1.2).
    ///
    /// # Errors
    /// [`AuditError::Directory`] or [`AuditError::Damaged`].
    pub fn consistency(&self, old: u64) -> Result<Vec<Hash>, AuditError> {
        consistency_proof(old, self.size, |height, index| self.stored(height, index))
    }

    /// That an entry stands at an index (RFC 6962 section 2.1.1).
    ///
    /// # Errors
    /// [`AuditError::Directory`] or [`AuditError::Damaged`].
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, AuditError> {
        inclusion_proof(index, self.size, |height, index| self.stored(height, index))
    }

    /// The root of the first `size` entries.
    ///
    /// # Errors
    /// [`AuditError::Directory`] or [`AuditError::Damaged`].
    pub fn root_at(&self, size: u64) -> Result<Hash, AuditError> {
        if size > self.size {
            return Err(MerkleError::OutOfRange { position: size, size: self.size }.into());
        }
        root_at(size, |height, index| self.stored(height, index))
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// [`AuditError::Directory`] or [`AuditError::Damaged`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let outside = MerkleError::OutOfRange { position: index, size: self.size };
        let bundle = index / TILE_WIDTH;
        let width = self.size.saturating_sub(bundle * TILE_WIDTH).min(TILE_WIDTH) as u16;
        if index >= self.size {
            return Err(outside.into());
        }
        let bytes = self.read(TileId { kind: TileKind::Entries, index: bundle, width })?;
        let entries = split_bundle(&bytes)?;
        let entry = entries.get((index % TILE_WIDTH) as usize).ok_or(outside)?;
        Ok(entry.to_vec())
    }

    fn stored(&self, height: u32, index: u64) -> Result<Hash, AuditError> {
        stored_hash(height, index, self.size, |tile| Ok(decode_hashes(&self.read(tile)?)?))
    }

    fn read(&self, tile: TileId) -> Result<Vec<u8>, AuditError> {
        let bytes = read_tile(self.directory, tile).map_err(|error| AuditError::io(self.directory, &error))?;
        bytes.ok_or_else(|| AuditError::Damaged { problem: format!("{tile} is missing") })
    }
}
