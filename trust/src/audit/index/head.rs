//! What an index says of itself: which log it is of, how far it reaches, and what its files must hold.
//!
//! Pure. One JSON object and the SHA-256 of it; anything else is no head.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::super::merkle::sha256;

/// The version of all files of an index.
const FORMAT: u32 = 1;

/// The head of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    /// Name of the log.
    pub(super) origin: String,
    /// Entries of the log that are indexed.
    pub(super) size: u64,
    /// Root of the log at that size.
    pub(super) root: String,
    /// Actions.
    pub(super) rows: u64,
    /// SHA-256 of the words.
    pub(super) words: String,
    /// SHA-256 of each block of rows.
    pub(super) blocks: Vec<String>,
}

impl Head {
    pub(super) fn new(origin: &str, size: u64, root: String, rows: u64, words: &[u8], blocks: &[[u8; 32]]) -> Self {
        let blocks = blocks.iter().map(|block| STANDARD.encode(block)).collect();
        Self { format: FORMAT, origin: origin.to_owned(), size, root, rows, words: hash_text(words), blocks }
    }

    /// The digests of the blocks; none when one is no digest.
    pub(super) fn blocks(&self) -> Option<Vec<[u8; 32]>> {
        self.blocks.iter().map(|block| STANDARD.decode(block).ok()?.try_into().ok()).collect()
    }

    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check);
        Ok(bytes)
    }

    /// Reads a head; none when it was changed or is of another version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (json, check) = bytes.split_last_chunk::<32>()?;
        let head: Self = (sha256(&[json]) == *check).then(|| serde_json::from_slice(json).ok())??;
        (head.format == FORMAT).then_some(head)
    }
}

/// SHA-256 in base64.
pub(super) fn hash_text(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_with_any_byte_changed_is_no_head() {
        let head = Head::new("sallyport.test/hsi", 7, "root".to_owned(), 3, b"words", &[[1; 32], [2; 32]]);
        let bytes = head.to_bytes().unwrap();
        assert_eq!(Head::from_bytes(&bytes), Some(head.clone()));
        assert_eq!(head.blocks(), Some(vec![[1; 32], [2; 32]]));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Head::from_bytes(&changed), None, "byte {at}");
        }
        let later = Head { format: FORMAT + 1, ..head }.to_bytes().unwrap();
        assert_eq!(Head::from_bytes(&later), None);
    }
}
