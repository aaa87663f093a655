//! Keys of one question's counts. For nodes only.

use aes::{Aes256Enc, Block, cipher::BlockCipherEncrypt};
use hkdf::Hkdf;
use sha2::Sha256;

use super::{
    PARTS_MAX, SUMS_MAX,
    row::{COUNT_MAX, Cell, NAME_BYTES, Row, SUM_BYTES, TALLY_ROW_BYTES, whole},
};
use crate::keys::EpochSecret;

/// The keys of one question's counts: any question that differs in one bit has others.
pub struct TallyKeys {
    /// Of a cell's name: what its row is known by, which nobody else can compute (HMAC-SHA256).
    cells: Hkdf<Sha256>,
    /// Hide the name, a block each.
    names: [Aes256Enc; 3],
    /// Hide a part's counts and proofs.
    masks: Vec<[Aes256Enc; 2]>,
    /// What a proof multiplies a count by.
    factor: u128,
}

/// A sum that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was counted.
    pub cell: Cell,
    /// Events of all parts in the sum.
    pub count: u64,
    /// The parts in it, as bits.
    pub parts: u32,
}

/// All that came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenedSums {
    /// What the nodes sent, added up.
    pub sums: Vec<Opened>,
    /// Sums that are not what the nodes sent.
    pub broken: u64,
    /// Parts of which not all cells are there, as bits.
    pub incomplete: u32,
}

impl TallyKeys {
    /// Derives the keys of the question named `question_id`.
    pub fn derive(secret: &EpochSecret, question_id: &[u8; 32]) -> Self {
        let cipher = |label: &[u8], number: usize| secret.encryptor(label, question_id, number as u8);
        let key = |label: &[u8]| {
            let cipher = cipher(label, 0);
            [encrypt(&cipher, 0), encrypt(&cipher, 1)]
        };
        Self {
            cells: Hkdf::new(Some(b"sallyport tally v1"), key(b"tally cell").as_flattened()),
            names: std::array::from_fn(|block| cipher(b"tally name", block)),
            masks: (0..PARTS_MAX).map(|part| [cipher(b"tally count", part), cipher(b"tally proof", part)]).collect(),
            factor: u128::from_be_bytes(key(b"tally factor")[0]),
        }
    }

    /// The rows of a part's cells and the one that counts them, sorted by key. Nothing for a part that no question has, and for cells that
    /// cannot be named or counted, which callers keep out.
    pub fn seal(&self, part: u8, cells: &[(Cell, u64)]) -> Vec<u8> {
        let Some(masks) = self.masks.get(usize::from(part)) else { return Vec::new() };
        let mut rows: Vec<Row> = cells
            .iter()
            .filter(|(_, count)| *count <= COUNT_MAX)
            .filter_map(|(cell, count)| self.row(masks, &cell.name()?, *count))
            .collect();
        rows.extend(self.row(masks, &whole(part), rows.len() as u64));
        rows.sort_unstable_by_key(|row| row.key);
        let mut bytes = Vec::with_capacity(rows.len() * TALLY_ROW_BYTES);
        rows.iter().for_each(|row| row.write(&mut bytes));
        bytes
    }

    fn row(&self, masks: &[Aes256Enc; 2], name: &[u8; NAME_BYTES], count: u64) -> Option<Row> {
        let key = self.key(name)?;
        let (hidden, proof) = mask(masks, &key);
        Some(Row {
            name: self.hide(&key, name),
            count: count.wrapping_add(hidden),
            proof: self.factor.wrapping_mul(u128::from(count)).wrapping_add(proof),
            key,
        })
    }

    /// Opens the gateway's sums. Parts that did not answer are in no sum, so one that claims them is none.
    pub fn open(&self, sums: &[u8], answered: u32) -> OpenedSums {
        let pieces = sums.chunks_exact(SUM_BYTES);
        let cut = usize::from(!pieces.remainder().is_empty()) + pieces.len().saturating_sub(SUMS_MAX);
        let mut opened = OpenedSums { broken: cut as u64, ..OpenedSums::default() };
        let mut cells_of = [None; PARTS_MAX];
        let mut last: Option<[u8; 16]> = None;
        for piece in pieces.take(SUMS_MAX) {
            // A cell opens once: of two sums under one key at most one is what nodes sent.
            let one = self.open_one(piece, answered).filter(|(key, ..)| last.is_none_or(|last| last < *key));
            let Some((key, name, one)) = one else {
                opened.broken += 1;
                continue;
            };
            last = Some(key);
            match (Cell::named(&name), (0..PARTS_MAX).find(|part| name == whole(*part as u8))) {
                (Some(cell), _) => opened.sums.push(Opened { cell, ..one }),
                (None, Some(part)) if one.parts == 1 << part => cells_of[part] = Some(one.count),
                _ => opened.broken += 1,
            }
        }
        let there = |part: usize| opened.sums.iter().filter(|one| one.parts >> part & 1 == 1).count() as u64;
        let lacking = (0..PARTS_MAX).filter(|part| answered >> part & 1 == 1 && cells_of[*part] != Some(there(*part)));
        opened.incomplete = lacking.fold(0, |parts, part| parts | 1 << part);
        opened
    }

    /// Key, name and what is in it; of no cell yet.
    fn open_one(&self, piece: &[u8], answered: u32) -> Option<([u8; 16], [u8; NAME_BYTES], Opened)> {
        let (row, parts) = piece.split_at_checked(TALLY_ROW_BYTES)?;
        let (row, parts) = (Row::read(row)?, u32::from_be_bytes(parts.try_into().ok()?));
        let name = self.hide(&row.key, &row.name);
        if self.key(&name) != Some(row.key) || parts == 0 || parts & !answered != 0 {
            return None;
        }
        let in_it = self.masks.iter().enumerate().filter(|(part, _)| parts >> part & 1 == 1);
        let (mut count, mut proof) = (row.count, row.proof);
        for (_, masks) in in_it {
            let (hidden, hidden_proof) = mask(masks, &row.key);
            count = count.wrapping_sub(hidden);
            proof = proof.wrapping_sub(hidden_proof);
        }
        let cell = Cell { place: String::new(), begin: 0 };
        let is_sent = self.factor.wrapping_mul(u128::from(count)) == proof;
        is_sent.then_some((row.key, name, Opened { cell, count, parts }))
    }

    fn key(&self, name: &[u8; NAME_BYTES]) -> Option<[u8; 16]> {
        let mut key = [0; 16];
        self.cells.expand(name, &mut key).ok().map(|()| key)
    }

    /// Hides a name, and shows it again.
    fn hide(&self, key: &[u8; 16], name: &[u8; NAME_BYTES]) -> [u8; NAME_BYTES] {
        let blocks = self.names.each_ref().map(|cipher| encrypt(cipher, u128::from_be_bytes(*key)));
        let pad = blocks.as_flattened();
        std::array::from_fn(|at| name[at] ^ pad[at])
    }
}

fn mask(masks: &[Aes256Enc; 2], key: &[u8; 16]) -> (u64, u128) {
    let [count, proof] = masks.each_ref().map(|cipher| u128::from_be_bytes(encrypt(cipher, u128::from_be_bytes(*key))));
    (count as u64, proof)
}

fn encrypt(cipher: &Aes256Enc, number: u128) -> [u8; 16] {
    let mut block = Block::from(number.to_be_bytes());
    cipher.encrypt_block(&mut block);
    block.into()
}
