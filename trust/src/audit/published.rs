//! Reading a log that is being written: the entries that one signed checkpoint covers, with proofs.
//!
//! Every bundle is proved against the checkpoint's root before an entry of it is handed out: its leaf
//! hashes are computed from the entries, and together with the stored hashes beside them they must
//! lead to the signed root. So whatever is read here stands in the log, whoever changed the files
//! since. It never reads the journal, changes nothing, and holds a few bundles whatever the size of
//! the log. The log may grow meanwhile: what a checkpoint covers stays readable.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use super::disk::read_tile;
use super::entry::EntryError;
use super::merkle::{Hash, MerkleError, inclusion_proof, leaf_hash, root_at, verify_inclusion};
use super::recovery::CHECKPOINT_FILE;
use super::tiles::{TILE_WIDTH, TileError, TileId, TileKind, decode_hashes, fold, split_bundle, stored_hash};

/// Bundles kept at hand: an opening and its completion lie close together.
const BUNDLES_KEPT: usize = 4;
/// Hash tiles kept at hand: proofs of neighbours share almost all of theirs.
const TILES_KEPT: usize = 32;

/// Why the published part of a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("{path} cannot be read ({cause}); make it readable for this process")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The checkpoint or its signature is wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tile cannot be decoded, or an entry outside the checkpoint was asked for.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A tile is missing or does not lead to the signed root.
    #[error("{tile} is missing or does not lead to the signed root; `sallyport audit verify` finds the place")]
    Unproven {
        /// Its path inside the directory.
        tile: String,
    },
    /// An entry cannot be understood.
    #[error("entry {index}: {cause}")]
    Entry {
        /// Index of the entry.
        index: u64,
        /// What is wrong with it.
        cause: EntryError,
    },
}

impl From<MerkleError> for ReadError {
    fn from(error: MerkleError) -> Self {
        Self::Tile(TileError::Merkle(error))
    }
}

/// What one signed checkpoint of a log covers.
#[derive(Debug)]
pub struct Published {
    directory: PathBuf,
    note: String,
    checkpoint: Checkpoint,
    bundles: VecDeque<(u64, Bundle)>,
    tiles: VecDeque<(TileId, Arc<Vec<Hash>>)>,
}

/// The entries of one bundle, proved.
type Bundle = Arc<Vec<Vec<u8>>>;

impl Published {
    /// The newest checkpoint in a log's directory, verified with the log's key.
    ///
    /// # Errors
    /// [`ReadError::Io`] or [`ReadError::Checkpoint`].
    pub fn read(directory: &Path, key: &VerifierKey) -> Result<Self, ReadError> {
        let path = directory.join(CHECKPOINT_FILE);
        let note = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        let checkpoint = key.verify(&note)?;
        let (bundles, tiles) = (VecDeque::new(), VecDeque::new());
        Ok(Self { directory: directory.to_owned(), note, checkpoint, bundles, tiles })
    }

    /// What the checkpoint promises.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note, as it stands in the file.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The bytes of one entry, which are proved to be in the log.
    ///
    /// # Errors
    /// [`ReadError`]; outside the checkpoint [`ReadError::Tile`].
    pub fn entry(&mut self, index: u64) -> Result<Vec<u8>, ReadError> {
        if index >= self.size() {
            return Err(MerkleError::OutOfRange { position: index, size: self.size() }.into());
        }
        let bundle = self.bundle(index / TILE_WIDTH)?;
        let entry = bundle.get((index % TILE_WIDTH) as usize);
        entry.cloned().ok_or_else(|| unproven(self.bundle_id(index / TILE_WIDTH)))
    }

    /// The inclusion proof of one entry under the checkpoint's root (RFC 6962), nearest node first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn proof(&mut self, index: u64) -> Result<Vec<Hash>, ReadError> {
        let size = self.size();
        inclusion_proof(index, size, |height, index| {
            stored_hash(height, index, size, |tile| self.hashes(tile).map(|hashes| hashes.to_vec()))
        })
    }

    /// The root that the log had at an earlier size, as its tiles have it.
    ///
    /// # Errors
    /// [`ReadError`]; for more entries than the checkpoint covers [`ReadError::Tile`].
    pub fn root_at(&mut self, size: u64) -> Result<Hash, ReadError> {
        let covered = self.size();
        if size > covered {
            return Err(MerkleError::OutOfRange { position: size, size: covered }.into());
        }
        root_at(size, |height, index| {
            stored_hash(height, index, covered, |tile| self.hashes(tile).map(|hashes| hashes.to_vec()))
        })
    }

    fn bundle_id(&self, index: u64) -> TileId {
        let width = (self.size() - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
        TileId { kind: TileKind::Entries, index, width }
    }

    fn bundle(&mut self, index: u64) -> Result<Bundle, ReadError> {
        if let Some((_, bundle)) = self.bundles.iter().find(|(kept, _)| *kept == index) {
            return Ok(Arc::clone(bundle));
        }
        let id = self.bundle_id(index);
        let bytes = self.tile(id)?;
        let entries = split_bundle(&bytes).map_err(|_| unproven(id))?;
        if entries.len() != usize::from(id.width) {
            return Err(unproven(id));
        }
        self.prove(id, &entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>())?;
        let bundle = Arc::new(entries.into_iter().map(<[u8]>::to_vec).collect());
        keep(&mut self.bundles, BUNDLES_KEPT, index, Arc::clone(&bundle));
        Ok(bundle)
    }

    /// The inclusion proof of a bundle's first entry passes through every other entry of the bundle:
    /// computed from their own hashes, it proves them all.
    fn prove(&mut self, bundle: TileId, leaves: &[Hash]) -> Result<(), ReadError> {
        let (first, size, root) = (bundle.index * TILE_WIDTH, self.size(), self.checkpoint.root);
        let proof = inclusion_proof(first, size, |height, index| {
            let inside = (index << height).checked_sub(first).and_then(|begin| {
                let begin = usize::try_from(begin).ok()?;
                leaves.get(begin..begin.checked_add(1_usize.checked_shl(height)?)?)
            });
            match inside {
                Some(leaves) => Ok(fold(leaves)),
                None => stored_hash(height, index, size, |tile| self.hashes(tile).map(|hashes| hashes.to_vec())),
            }
        })?;
        let leaf = leaves.first().ok_or_else(|| unproven(bundle))?;
        verify_inclusion(leaf, first, size, &proof, &root).map_err(|_| unproven(bundle))
    }

    fn hashes(&mut self, tile: TileId) -> Result<Arc<Vec<Hash>>, ReadError> {
        if let Some((_, hashes)) = self.tiles.iter().find(|(kept, _)| *kept == tile) {
            return Ok(Arc::clone(hashes));
        }
        let hashes = Arc::new(decode_hashes(&self.tile(tile)?)?);
        keep(&mut self.tiles, TILES_KEPT, tile, Arc::clone(&hashes));
        Ok(hashes)
    }

    fn tile(&self, tile: TileId) -> Result<Vec<u8>, ReadError> {
        let bytes = read_tile(&self.directory, tile);
        let bytes = bytes.map_err(|error| unreadable(&self.directory.join(tile.path()), &error))?;
        bytes.ok_or_else(|| unproven(tile))
    }
}

/// Keeps the newest of what was read.
fn keep<K, V>(kept: &mut VecDeque<(K, V)>, limit: usize, key: K, value: V) {
    kept.truncate(limit - 1);
    kept.push_front((key, value));
}

fn unproven(tile: TileId) -> ReadError {
    ReadError::Unproven { tile: tile.path() }
}

fn unreadable(path: &Path, cause: &std::io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{open, record, scratch};
    use super::super::tiles::TILE_WIDTH;
    use super::*;

    /// Sizes around the edges of bundles and of a second level.
    async fn logs() -> Vec<(tempfile::TempDir, VerifierKey)> {
        let mut logs = Vec::new();
        for actions in [1, 64, 128, 129, 400] {
            let directory = scratch();
            let log = open(directory.path());
            record(&log, actions).await;
            log.flush().await.unwrap();
            logs.push((directory, log.verifier_key().clone()));
        }
        logs
    }

    #[tokio::test]
    async fn every_entry_comes_with_a_proof_that_leads_to_the_signed_root() {
        for (directory, key) in logs().await {
            let mut published = Published::read(directory.path(), &key).unwrap();
            let (size, root) = (published.size(), published.checkpoint().root);
            for index in 0..size {
                let leaf = leaf_hash(&published.entry(index).unwrap());
                let proof = published.proof(index).unwrap();
                assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()), "{index} of {size}");
            }
            assert!(published.entry(size).is_err() && published.proof(size).is_err());
            assert_eq!(published.root_at(size), Ok(root));
        }
    }

    #[tokio::test]
    async fn a_changed_byte_of_a_bundle_is_never_handed_out() {
        for (directory, key) in logs().await {
            let size = Published::read(directory.path(), &key).unwrap().size();
            for index in 0..size.div_ceil(TILE_WIDTH) {
                let mut published = Published::read(directory.path(), &key).unwrap();
                let id = published.bundle_id(index);
                let path = directory.path().join(id.path());
                let whole = std::fs::read(&path).unwrap();
                for at in [2, whole.len() / 2, whole.len() - 1] {
                    let mut changed = whole.clone();
                    changed[at] ^= 1;
                    std::fs::write(&path, changed).unwrap();
                    assert_eq!(published.entry(index * TILE_WIDTH), Err(unproven(id)), "byte {at}");
                }
                std::fs::write(&path, whole).unwrap();
                assert!(published.entry(index * TILE_WIDTH).is_ok());
            }
        }
    }

    #[tokio::test]
    async fn an_older_checkpoint_stays_readable_while_the_log_grows() {
        let directory = scratch();
        let log = open(directory.path());
        record(&log, 70).await;
        log.flush().await.unwrap();
        let mut older = Published::read(directory.path(), log.verifier_key()).unwrap();
        record(&log, 300).await;
        log.flush().await.unwrap();
        assert!((0..older.size()).all(|index| older.entry(index).is_ok() && older.proof(index).is_ok()));
        let mut newer = Published::read(directory.path(), log.verifier_key()).unwrap();
        assert_eq!(newer.root_at(older.size()).unwrap(), older.checkpoint().root);
    }
}
