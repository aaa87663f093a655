//! Join keys and row secrets of one question. For nodes only: the gateway never holds what this needs.
//!
//! Every key comes from the epoch's secret and the digest of the signed question by HKDF-SHA256
//! (RFC 5869), so a question that differs in one bit has other keys, and the keys of two questions
//! cannot be linked. AES is a permutation of the 16-byte tags: different tags never collide, and a
//! node can turn the key of a released row back into its own tag.

use aes::{
    Aes256Dec, Aes256Enc, Block,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    evidence::{Evidence, seal},
    field::{Element, Factor, add, share_element},
    row::Row,
};

/// A subject's tag: the same at every node for the same identifier, and known to no one else.
pub type Tag = [u8; 16];

/// Data sets that may have to agree, at most.
pub const THRESHOLD_MAX: usize = 32;

/// What the nodes of an epoch share and the gateway does not.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EpochSecret([u8; 32]);

impl EpochSecret {
    /// Wraps the agreed bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A cipher under a key of its own.
    pub(crate) fn encryptor(&self, label: &[u8], context: &[u8], number: u8) -> Aes256Enc {
        self.expand(label, context, number).encryptor()
    }

    fn expand(&self, label: &[u8], context: &[u8], number: u8) -> Aes256Key {
        let mut key = Aes256Key([0; 32]);
        // Expanding 32 bytes cannot exceed HKDF's limit of 8,160.
        let expanded = Hkdf::<Sha256>::new(Some(b"sallyport epoch v1"), &self.0)
            .expand_multi_info(&[label, b"\0", context, &[number]], &mut key.0);
        debug_assert!(expanded.is_ok());
        key
    }
}

impl std::fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EpochSecret(…)")
    }
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Aes256Key([u8; 32]);

impl Aes256Key {
    fn encryptor(&self) -> Aes256Enc {
        Aes256Enc::new((&self.0).into())
    }
}

/// Orders an epoch's tags pseudo-randomly, the same way for every question of the epoch.
///
/// A look-up names ranges of this order. It is the same for all questions on purpose: with a fresh
/// order every time, two look-ups of one subject would have only that subject in common.
pub struct Locators(Aes256Enc);

impl Locators {
    /// The order of the epoch.
    pub fn new(secret: &EpochSecret) -> Self {
        Self(secret.expand(b"locator", b"", 0).encryptor())
    }

    /// The tags' places in the order.
    pub fn of(&self, tags: &[Tag]) -> Vec<u64> {
        let mut blocks: Vec<Block> = tags.iter().map(|tag| (*tag).into()).collect();
        self.0.encrypt_blocks(&mut blocks);
        blocks.iter().map(|block| u64::from_be_bytes(std::array::from_fn(|i| block[i]))).collect()
    }
}

/// The keys of one question.
pub struct QuestionKeys {
    join: Aes256Enc,
    unjoin: Aes256Dec,
    // Coefficients of the sharing, the row's secret first.
    coefficients: Vec<Aes256Enc>,
}

impl QuestionKeys {
    /// Derives the keys of the question named `question_id`, in which `threshold` data sets must agree.
    ///
    /// `threshold` is cut to 2 ..= [`THRESHOLD_MAX`]; questions outside are refused long before.
    pub fn derive(secret: &EpochSecret, question_id: &[u8; 32], threshold: u32) -> Self {
        let join = secret.expand(b"join", question_id, 0);
        let threshold = (threshold as usize).clamp(2, THRESHOLD_MAX);
        Self {
            join: join.encryptor(),
            unjoin: Aes256Dec::new((&join.0).into()),
            coefficients: (0..threshold)
                .map(|number| secret.expand(b"share", question_id, number as u8).encryptor())
                .collect(),
        }
    }

    /// The tags' join keys, as numbers in the order in which rows travel.
    pub fn join_keys(&self, tags: &[Tag]) -> Vec<u128> {
        let mut blocks: Vec<Block> = tags.iter().map(|tag| (*tag).into()).collect();
        self.join.encrypt_blocks(&mut blocks);
        blocks.into_iter().map(|block| u128::from_be_bytes(block.into())).collect()
    }

    /// The tag behind a join key of this question.
    pub fn tag_of(&self, key: &[u8; 16]) -> Tag {
        let mut block = (*key).into();
        self.unjoin.decrypt_block(&mut block);
        block.into()
    }
}

/// Seals the rows of one indicator.
pub struct Sealer<'a> {
    keys: &'a QuestionKeys,
    indicator: u8,
    share_point: Factor,
}

impl<'a> Sealer<'a> {
    /// For indicator number `indicator`, whose data set takes its shares at `share_point`.
    pub fn new(keys: &'a QuestionKeys, indicator: u8, share_point: u8) -> Self {
        Self { keys, indicator, share_point: Factor::new(&share_element(share_point)) }
    }

    /// Appends the rows of `subjects` (join key, evidence) to `out`, in the order given.
    pub fn seal(&self, subjects: &[(u128, Evidence)], out: &mut Vec<u8>) {
        let mut tags: Vec<Block> = subjects.iter().map(|(key, _)| key.to_be_bytes().into()).collect();
        self.keys.unjoin.decrypt_blocks(&mut tags);
        let coefficients: Vec<Vec<Block>> = self
            .keys
            .coefficients
            .iter()
            .map(|cipher| {
                let mut blocks = tags.clone();
                cipher.encrypt_blocks(&mut blocks);
                blocks
            })
            .collect();
        let mut row_coefficients = vec![[0; 16]; coefficients.len()];
        for (position, (key, evidence)) in subjects.iter().enumerate() {
            for (coefficient, blocks) in row_coefficients.iter_mut().zip(&coefficients) {
                *coefficient = blocks[position].into();
            }
            let row = self.row(*key, &row_coefficients, *evidence);
            out.extend_from_slice(&row.to_bytes());
        }
    }

    fn row(&self, key: u128, coefficients: &[Element], evidence: Evidence) -> Row {
        let Some((secret, rest)) = coefficients.split_first() else {
            unreachable!("a sharing has at least two coefficients")
        };
        Row {
            key: key.to_be_bytes(),
            share: add(secret, &self.share_point.evaluate(rest.iter().rev())),
            sealed: seal(secret, self.indicator, evidence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::Opener, field::Reconstruction};

    fn keys(secret: u8, question: u8, threshold: u32) -> QuestionKeys {
        QuestionKeys::derive(&EpochSecret::new([secret; 32]), &[question; 32], threshold)
    }

    fn rows(keys: &QuestionKeys, indicator: u8, point: u8, tags: &[Tag]) -> Vec<Row> {
        let evidence = Evidence { strength_thousandths: 700, newest_day: 20_000, labels: 0 };
        let subjects: Vec<_> = keys.join_keys(tags).into_iter().map(|key| (key, evidence)).collect();
        let mut bytes = Vec::new();
        Sealer::new(keys, indicator, point).seal(&subjects, &mut bytes);
        bytes.chunks(crate::row::ROW_BYTES).filter_map(Row::read).collect()
    }

    #[test]
    fn a_key_leads_back_to_its_tag_and_to_no_other_question() {
        let tags: Vec<Tag> = (0..100u8).map(|n| [n; 16]).collect();
        let (one, other) = (keys(1, 1, 2), keys(1, 2, 2));
        let (first, second) = (one.join_keys(&tags), other.join_keys(&tags));
        assert!(first.iter().all(|key| !second.contains(key)));
        for (tag, key) in tags.iter().zip(first) {
            assert_eq!(one.tag_of(&key.to_be_bytes()), *tag);
        }
    }

    #[test]
    fn t_rows_open_and_fewer_do_not() {
        for threshold in 2..=4u32 {
            let keys = keys(7, 9, threshold);
            let points: Vec<u8> = (1..=threshold as u8).collect();
            let sealed: Vec<Row> = points.iter().map(|&p| rows(&keys, p - 1, p, &[[5; 16]])[0]).collect();
            let shares: Vec<_> = sealed.iter().map(|row| row.share).collect();
            let secret = Reconstruction::new(&points).secret(&shares);
            for (indicator, row) in (0u8..).zip(&sealed) {
                let opened = Opener::new(&secret).open(indicator, &row.sealed);
                assert_eq!(opened.map(|e| e.strength_thousandths), Some(700));
            }
            let fewer = Reconstruction::new(&points[1..]).secret(&shares[1..]);
            assert_eq!(Opener::new(&fewer).open(0, &sealed[0].sealed), None);
        }
    }

    #[test]
    fn two_rows_of_one_data_set_are_one_share() {
        let keys = keys(7, 9, 2);
        let (first, second) = (rows(&keys, 0, 1, &[[5; 16]])[0], rows(&keys, 1, 1, &[[5; 16]])[0]);
        assert_eq!(first.share, second.share);
        assert_ne!(first.sealed, second.sealed);
    }
}
