//! A row on the wire: join key, share of the secret, sealed evidence; 16 bytes each.

use crate::field::Element;

/// Bytes of a row.
pub const ROW_BYTES: usize = 48;

/// One subject of one data set, as the gateway sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Join key; rows are sorted by it as a big-endian number.
    pub key: [u8; 16],
    /// One point of the sharing of the row's secret.
    pub share: Element,
    /// Evidence under the row's secret.
    pub sealed: [u8; 16],
}

impl Row {
    /// The row's bytes.
    pub fn to_bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..32].copy_from_slice(&self.share);
        bytes[32..].copy_from_slice(&self.sealed);
        bytes
    }

    /// The row at the start of `bytes`, if they are long enough.
    pub fn read(bytes: &[u8]) -> Option<Row> {
        let (key, rest) = bytes.split_first_chunk::<16>()?;
        let (share, rest) = rest.split_first_chunk::<16>()?;
        let (sealed, _) = rest.split_first_chunk::<16>()?;
        Some(Row { key: *key, share: *share, sealed: *sealed })
    }
}
