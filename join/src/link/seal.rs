//! Keys and rows of one link. For nodes only, as everything that knows the epoch's secret.
//!
//! A row's key is a CBC-MAC over tag and interval (two blocks of fixed length under keys of their
//! own: Bellare, Kilian, Rogaway, JCSS 61, 2000), so keys of different circumstances differ but for a
//! chance of 2⁻¹²⁸ a pair. Its secret is shared two of two: one data set alone opens nothing.

use aes::{
    Aes128Dec, Aes128Enc, Aes256Enc, Block,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

use super::{LINK_ROW_BYTES, LinkEvidence, LinkPiece};
use crate::{
    field::{Element, Factor, add, share_element},
    interval::Interval,
    keys::{EpochSecret, Tag},
};

/// The keys of one link of one question.
pub struct LinkKeys {
    whitening: Aes256Enc,
    key: Aes256Enc,
    secret: Aes256Enc,
    slope: Aes256Enc,
    place: Aes256Enc,
}

impl LinkKeys {
    /// Derives the keys of link number `link` of the question named `question_id`.
    pub fn derive(secret: &EpochSecret, question_id: &[u8; 32], link: u8) -> Self {
        let derive = |label: &[u8]| secret.encryptor(label, question_id, link);
        Self {
            whitening: derive(b"link tag"),
            key: derive(b"link key"),
            secret: derive(b"link secret"),
            slope: derive(b"link slope"),
            place: derive(b"link place"),
        }
    }

    /// The first half of the tags' keys, the same for all of a tag's intervals.
    pub fn prepare(&self, tags: &[Tag]) -> Vec<u128> {
        encrypted(&self.whitening, tags.iter().map(|tag| u128::from_be_bytes(*tag)))
    }

    /// Keys of circumstances: what [`LinkKeys::prepare`] gave for a tag, within an interval if the link
    /// is about time.
    pub fn keys(&self, circumstances: impl Iterator<Item = (u128, Option<Interval>)>) -> Vec<u128> {
        let inputs = circumstances.map(|(prepared, interval)| {
            let block = interval.map_or(0, |at| 1 << 48 | u128::from(at.level) << 32 | u128::from(at.index));
            prepared ^ block
        });
        encrypted(&self.key, inputs)
    }

    /// What places are called in this link, and in it alone, by their tags: names that tell different ones apart,
    /// but for a chance of 2⁻¹⁶ a pair. Who has the keys can name only the places whose tags it has.
    pub fn places(&self, tags: &[Tag]) -> Vec<u16> {
        let names = encrypted(&self.place, tags.iter().map(|tag| u128::from_be_bytes(*tag)));
        names.into_iter().map(|name| (name >> 112) as u16).collect()
    }
}

fn encrypted(cipher: &Aes256Enc, numbers: impl Iterator<Item = u128>) -> Vec<u128> {
    let mut blocks: Vec<Block> = numbers.map(|number| number.to_be_bytes().into()).collect();
    cipher.encrypt_blocks(&mut blocks);
    blocks.into_iter().map(|block| u128::from_be_bytes(block.into())).collect()
}

/// Seals one party's rows.
pub struct LinkSealer<'a> {
    keys: &'a LinkKeys,
    share_point: Factor,
}

impl<'a> LinkSealer<'a> {
    /// For the data set that takes its shares at `share_point`.
    pub fn new(keys: &'a LinkKeys, share_point: u8) -> Self {
        Self { keys, share_point: Factor::new(&share_element(share_point)) }
    }

    /// Appends the rows (key, whom it is about, evidence) to `out`, in the order given.
    pub fn seal(&self, rows: &[(u128, LinkPiece)], out: &mut Vec<u8>) {
        let secrets = encrypted(&self.keys.secret, rows.iter().map(|(key, _)| *key));
        let slopes = encrypted(&self.keys.slope, rows.iter().map(|(key, _)| *key));
        out.reserve(rows.len() * LINK_ROW_BYTES);
        for ((key, piece), (secret, slope)) in rows.iter().zip(secrets.into_iter().zip(slopes)) {
            let (secret, slope) = (secret.to_be_bytes(), slope.to_be_bytes());
            out.extend_from_slice(&key.to_be_bytes());
            out.extend_from_slice(&add(&secret, &self.share_point.times(&slope)));
            out.extend_from_slice(&seal(&secret, piece));
        }
    }
}

/// Two blocks, the second chained to the first, so that equal evidence about different ones differs.
fn seal(secret: &Element, piece: &LinkPiece) -> [u8; 32] {
    let cipher = Aes128Enc::new(&(*secret).into());
    let mut reference: Block = piece.reference.to_be_bytes().into();
    cipher.encrypt_block(&mut reference);
    let mut evidence = add(&plain(piece.evidence), &reference.into()).into();
    cipher.encrypt_block(&mut evidence);
    let mut sealed = [0; 32];
    sealed[..16].copy_from_slice(&reference);
    sealed[16..].copy_from_slice(&evidence);
    sealed
}

fn plain(evidence: LinkEvidence) -> [u8; 16] {
    let mut block = [0; 16];
    block[..2].copy_from_slice(&evidence.strength_thousandths.to_le_bytes());
    block[2..4].copy_from_slice(&evidence.newest_day.to_le_bytes());
    block[4..6].copy_from_slice(&evidence.events.to_le_bytes());
    block[6..8].copy_from_slice(&[evidence.kind, evidence.rarity]);
    block[8..10].copy_from_slice(&evidence.fields.to_le_bytes());
    block
}

/// Opens rows of one key; the cipher's key is scheduled once for all of them.
pub(super) struct Opener(Aes128Dec);

impl Opener {
    pub(super) fn new(secret: &Element) -> Self {
        Self(Aes128Dec::new(&(*secret).into()))
    }

    /// Nothing when the secret is not this row's (but for a chance of 2⁻⁵⁴): six bytes must come out as zeros.
    pub(super) fn open(&self, sealed: &[u8; 32]) -> Option<LinkPiece> {
        let (first, second) = sealed.split_first_chunk::<16>()?;
        let second: [u8; 16] = second.try_into().ok()?;
        let (mut reference, mut evidence): (Block, Block) = ((*first).into(), second.into());
        self.0.decrypt_block(&mut reference);
        self.0.decrypt_block(&mut evidence);
        let block = add(&evidence.into(), first);
        let evidence = LinkEvidence {
            strength_thousandths: u16::from_le_bytes([block[0], block[1]]),
            newest_day: u16::from_le_bytes([block[2], block[3]]),
            events: u16::from_le_bytes([block[4], block[5]]),
            kind: block[6],
            rarity: block[7],
            fields: u16::from_le_bytes([block[8], block[9]]),
        };
        let whole = block[10..] == [0; 6] && evidence.strength_thousandths <= 1_000;
        whole.then(|| LinkPiece { reference: u128::from_be_bytes(reference.into()), evidence })
    }
}
