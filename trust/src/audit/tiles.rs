//! The files of a tiled log, as C2SP tlog-tiles defines them: which tiles a tree of a given size
//! has, what they are called, what they hold, and how to read a stored hash back out of them.
//!
//! Pure: names and bytes come out, somebody else writes them. A tile that is full never changes.

use super::merkle::{Frontier, Hash, MerkleError, leaf_hash};

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// The longest entry in bytes: a bundle counts its length in two bytes.
pub const ENTRY_LIMIT_BYTES: usize = u16::MAX as usize;

const TILE_HEIGHT: u32 = 8;
const WIDTH: usize = TILE_WIDTH as usize;

/// What is wrong with a tile or a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The bytes are no whole number of hashes.
    #[error("a tile of {bytes} bytes is no whole number of 32-byte hashes; restore the file")]
    RaggedTile {
        /// Length of the file.
        bytes: usize,
    },
    /// A bundle ends in the middle of an entry.
    #[error("an entry bundle ends in the middle of an entry; restore the file")]
    RaggedBundle,
    /// An entry does not fit a bundle.
    #[error("an entry of {bytes} bytes is longer than {ENTRY_LIMIT_BYTES}; shorten its texts")]
    EntryTooLong {
        /// Length of the entry.
        bytes: usize,
    },
    /// A tile holds fewer hashes than the tree needs.
    #[error("a tile holds {found} hashes where the tree needs {needed}; restore the file")]
    TooNarrow {
        /// Hashes found.
        found: usize,
        /// Hashes needed.
        needed: usize,
    },
    /// A hash outside the tree was asked for, or a tile starts where none can.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of complete subtrees of 256^level entries.
    Hashes(u8),
    /// The entries themselves (an "entry bundle").
    Entries,
}

/// The name of one tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// What it holds.
    pub kind: TileKind,
    /// Its place among the tiles of its kind, from 0.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256; fewer than 256 make it partial.
    pub width: u16,
}

impl TileId {
    /// The full tile of a kind at a place.
    pub fn full(kind: TileKind, index: u64) -> Self {
        Self { kind, index, width: TILE_WIDTH as u16 }
    }

    /// Whether the tile will still grow.
    pub fn is_partial(&self) -> bool {
        u64::from(self.width) < TILE_WIDTH
    }

    /// The path of the full tile at this place, relative to the log: `tile/0/x001/234`.
    pub fn full_path(&self) -> String {
        let kind = match self.kind {
            TileKind::Hashes(level) => level.to_string(),
            TileKind::Entries => "entries".to_owned(),
        };
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        format!("tile/{kind}/{number}")
    }

    /// The directory of the partial forms of this tile: `tile/0/x001/234.p`.
    pub fn partials_path(&self) -> String {
        format!("{}.p", self.full_path())
    }

    /// The path of this tile, relative to the log: `tile/0/x001/234.p/17` when partial.
    pub fn path(&self) -> String {
        if self.is_partial() { format!("{}/{}", self.partials_path(), self.width) } else { self.full_path() }
    }
}

impl std::fmt::Display for TileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}

/// Appends one entry to a bundle: big-endian 16-bit length, then the entry.
///
/// # Errors
/// [`TileError::EntryTooLong`]; the bundle is then unchanged.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Splits a bundle into its entries.
///
/// # Errors
/// [`TileError::RaggedBundle`].
pub fn split_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk().ok_or(TileError::RaggedBundle)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(TileError::RaggedBundle)?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}

/// The bytes of a hash tile.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads the bytes of a hash tile.
///
/// # Errors
/// [`TileError::RaggedTile`].
pub fn decode_hashes(bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
    let (hashes, []) = bytes.as_chunks() else {
        return Err(TileError::RaggedTile { bytes: bytes.len() });
    };
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// The hash over consecutive hashes of one tile, as if they were leaves.
pub(super) fn fold(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}

/// The root of the complete subtree `index` of 2^`height` entries, out of the tiles of a tree of
/// `size` entries: what the proofs of [`super::merkle`] ask for. `read` is asked for one tile.
///
/// # Errors
/// [`TileError::Merkle`] when the subtree is not inside the tree, [`TileError::TooNarrow`] when the
/// tile read is shorter than its name says, or what `read` returns.
pub fn stored_hash<E: From<TileError>>(
    height: u32,
    index: u64,
    size: u64,
    mut read: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
) -> Result<Hash, E> {
    let outside = TileError::Merkle(MerkleError::OutOfRange { position: index, size });
    if height >= u64::BITS || index >= size >> height {
        return Err(outside.into());
    }
    let (level, inner) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
    let first = index << inner;
    let tile = first / TILE_WIDTH;
    let width = ((size >> (TILE_HEIGHT * level)) - tile * TILE_WIDTH).min(TILE_WIDTH);
    let hashes = read(TileId { kind: TileKind::Hashes(level as u8), index: tile, width: width as u16 })?;
    let at = (first % TILE_WIDTH) as usize;
    let wanted = hashes
        .get(at..at + (1 << inner))
        .ok_or(TileError::TooNarrow { found: hashes.len(), needed: width as usize })?;
    Ok(fold(wanted))
}

/// A growing log cut into tiles: takes entries, gives the files that a checkpoint needs.
#[derive(Debug, Default)]
pub struct TileTree {
    frontier: Frontier,
    /// For each level the hashes of the tile that is not full yet.
    rows: Vec<Vec<Hash>>,
    /// The entries of the bundle that is not full yet.
    bundle: Vec<u8>,
    /// Full tiles that have not been taken yet.
    full: Vec<(TileId, Vec<u8>)>,
}

impl TileTree {
    /// Takes up a tree of `size` entries, a multiple of 256, from its full tiles.
    ///
    /// Partial tiles are not trusted: each of their hashes is computed from the full tile below it.
    ///
    /// # Errors
    /// What `read` returns, [`TileError::TooNarrow`], or [`TileError::Merkle`] when `size` is no
    /// multiple of 256.
    pub fn resume<E: From<TileError>>(
        size: u64,
        mut read: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        if !size.is_multiple_of(TILE_WIDTH) {
            let misaligned = MerkleError::Misaligned { height: TILE_HEIGHT, size };
            return Err(TileError::Merkle(misaligned).into());
        }
        let mut rows = vec![Vec::new()];
        let mut level = 0_u8;
        while size >> (TILE_HEIGHT * (u32::from(level) + 1)) > 0 {
            let complete = size >> (TILE_HEIGHT * (u32::from(level) + 1));
            let begin = complete - complete % TILE_WIDTH;
            let mut row = Vec::new();
            for index in begin..complete {
                let hashes = read(TileId::full(TileKind::Hashes(level), index))?;
                if hashes.len() != WIDTH {
                    let narrow = TileError::TooNarrow { found: hashes.len(), needed: WIDTH };
                    return Err(narrow.into());
                }
                row.push(fold(&hashes));
            }
            rows.push(row);
            level += 1;
        }
        let mut frontier = Frontier::default();
        for (level, row) in rows.iter().enumerate().rev() {
            for hash in row {
                frontier.push_subtree(TILE_HEIGHT * level as u32, *hash).map_err(TileError::Merkle)?;
            }
        }
        Ok(Self { frontier, rows, ..Self::default() })
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds one entry and returns its leaf hash.
    ///
    /// # Errors
    /// [`TileError::EntryTooLong`]; the tree is then unchanged.
    pub fn push(&mut self, entry: &[u8]) -> Result<Hash, TileError> {
        append_entry(&mut self.bundle, entry)?;
        let leaf = leaf_hash(entry);
        self.frontier.push(leaf);
        let size = self.size();
        if size.is_multiple_of(TILE_WIDTH) {
            let id = TileId::full(TileKind::Entries, size / TILE_WIDTH - 1);
            self.full.push((id, std::mem::take(&mut self.bundle)));
        }
        self.push_hash(0, leaf);
        Ok(leaf)
    }

    fn push_hash(&mut self, mut level: usize, mut hash: Hash) {
        loop {
            if self.rows.len() == level {
                self.rows.push(Vec::new());
            }
            self.rows[level].push(hash);
            if self.rows[level].len() < WIDTH {
                return;
            }
            let row = std::mem::take(&mut self.rows[level]);
            let index = (self.size() >> (TILE_HEIGHT * (level as u32 + 1))) - 1;
            let id = TileId::full(TileKind::Hashes(level as u8), index);
            hash = fold(&row);
            self.full.push((id, encode_hashes(&row)));
            level += 1;
        }
    }

    /// Bytes of the full tiles that have not been taken yet.
    pub fn waiting_bytes(&self) -> usize {
        self.full.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// The tiles and bundles that became full since this was last asked, in the order in which
    /// they became full.
    pub fn take_full(&mut self) -> Vec<(TileId, Vec<u8>)> {
        std::mem::take(&mut self.full)
    }

    /// The right edge of the tree: the partial tile of each level that has one, and the partial
    /// bundle.
    pub fn edge(&self) -> Vec<(TileId, Vec<u8>)> {
        let size = self.size();
        let mut edge = Vec::new();
        for (level, row) in self.rows.iter().enumerate() {
            if !row.is_empty() {
                let kind = TileKind::Hashes(level as u8);
                let index = size >> (TILE_HEIGHT * (level as u32 + 1));
                let id = TileId { kind, index, width: row.len() as u16 };
                edge.push((id, encode_hashes(row)));
            }
        }
        if !self.bundle.is_empty() {
            let width = (size % TILE_WIDTH) as u16;
            let id = TileId { kind: TileKind::Entries, index: size / TILE_WIDTH, width };
            edge.push((id, self.bundle.clone()));
        }
        edge
    }
}

/// The bytes of the narrower form of a tile: its first `width` hashes or entries; `None` when it
/// does not hold as many.
pub fn narrowed(kind: TileKind, bytes: &[u8], width: u16) -> Option<&[u8]> {
    let width = usize::from(width);
    let end = match kind {
        TileKind::Hashes(_) => width * Hash::BYTES,
        TileKind::Entries => {
            let entries = split_bundle(bytes).ok()?;
            let first = entries.get(..width)?;
            first.iter().map(|entry| 2 + entry.len()).sum()
        }
    };
    bytes.get(..end)
}

#[cfg(test)]
mod tests;
