//! What this node calls its records in an answer: names that nobody else can read or connect.
//!
//! AES-256 of the record's number, under a key for each question and data set that is derived (HKDF,
//! RFC 5869) from a secret of this node alone. The epoch's secret, which all nodes know, plays no part.

use std::{io, path::Path};

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret;

const FILE: &str = "record.key";

/// The node's secret; made at its first start.
pub struct PseudonymKey(Zeroizing<[u8; 32]>);

impl PseudonymKey {
    /// Reads the secret in `state`, or makes it.
    ///
    /// # Errors
    /// When it can be neither read nor written, or is not 32 bytes long.
    pub fn open(state: &Path) -> io::Result<Self> {
        secret::open(state, FILE).map(Self)
    }

    /// Pseudonyms of a data set's records in one question.
    pub fn of(&self, question_id: &[u8; 32], dataset: &str) -> Pseudonyms {
        let mut key = Zeroizing::new([0; 32]);
        // Expanding 32 bytes cannot exceed HKDF's limit of 8,160.
        let expanded = Hkdf::<Sha256>::new(Some(b"sallyport records v1"), self.0.as_slice())
            .expand_multi_info(&[question_id, dataset.as_bytes()], key.as_mut_slice());
        debug_assert!(expanded.is_ok());
        Pseudonyms(Aes256::new((&*key).into()))
    }
}

/// A permutation between the records of a data set and what a question calls them.
pub struct Pseudonyms(Aes256);

impl Pseudonyms {
    /// What the record is called.
    pub fn name(&self, record: u32) -> u128 {
        let mut block = u128::from(record).to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// The record that is called so; nothing for a name that is not one of this data set.
    pub fn record(&self, name: u128) -> Option<u32> {
        let mut block = name.to_be_bytes().into();
        self.0.decrypt_block(&mut block);
        u32::try_from(u128::from_be_bytes(block.into())).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_name_leads_back_to_its_record_in_its_question_and_data_set_alone() {
        let directory = tempfile::tempdir().unwrap();
        let key = PseudonymKey::open(directory.path()).unwrap();
        let names = key.of(&[1; 32], "hsi.calls");
        assert_eq!(
            (0..100).map(|n| names.record(names.name(n))).collect::<Vec<_>>(),
            (0..100).map(Some).collect::<Vec<_>>()
        );
        for other in [key.of(&[2; 32], "hsi.calls"), key.of(&[1; 32], "hsi.cases")] {
            assert_ne!(other.name(7), names.name(7));
            assert_eq!(other.record(names.name(7)), None);
        }
        // The same after a restart, and nobody else's at another node.
        assert_eq!(PseudonymKey::open(directory.path()).unwrap().of(&[1; 32], "hsi.calls").name(7), names.name(7));
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(PseudonymKey::open(other.path()).unwrap().of(&[1; 32], "hsi.calls").name(7), names.name(7));
    }

    #[test]
    fn a_damaged_secret_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), b"short").unwrap();
        assert!(PseudonymKey::open(directory.path()).is_err());
    }
}
