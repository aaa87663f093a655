//! The rows of an index in their file: blocks of fixed size, each checked against its digest whenever
//! it is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::merkle::sha256;
use super::IndexError;
use super::row::{ROW_BYTES, Row};

/// Rows in a full block.
pub(in super::super) const BLOCK_ROWS: u64 = 1024;

/// Changed blocks that wait in memory, at most: 4.5 MiB.
const CHANGED_MAX: usize = 64;

const ROWS_FILE: &str = "rows";

/// All rows, in order.
#[derive(Debug)]
pub(super) struct Rows {
    path: PathBuf,
    file: File,
    count: u64,
    /// SHA-256 of each block that was written.
    digests: Vec<[u8; 32]>,
    /// Blocks that were changed since.
    changed: BTreeMap<u64, Vec<u8>>,
}

impl Rows {
    /// No rows, in a new file.
    pub(super) fn create(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join(ROWS_FILE);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file, count: 0, digests: Vec::new(), changed: BTreeMap::new() })
    }

    /// The rows of a file that has these digests.
    pub(super) fn open(folder: &Path, count: u64, digests: Vec<[u8; 32]>) -> std::io::Result<Self> {
        let path = folder.join(ROWS_FILE);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        Ok(Self { path, file, count, digests, changed: BTreeMap::new() })
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn digests(&self) -> &[[u8; 32]] {
        &self.digests
    }

    /// Adds a row and returns its number.
    pub(super) fn push(&mut self, row: Row) -> Result<u64, IndexError> {
        let number = self.count;
        self.block_to_change(number / BLOCK_ROWS)?.extend_from_slice(&row.to_bytes());
        self.count += 1;
        Ok(number)
    }

    /// Changes one row.
    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut Row)) -> Result<(), IndexError> {
        let block = self.block_to_change(number / BLOCK_ROWS)?;
        let at = (number % BLOCK_ROWS) as usize * ROW_BYTES;
        let bytes = block.get_mut(at..).and_then(<[u8]>::first_chunk_mut).ok_or(IndexError::Damaged)?;
        let mut row = Row::from_bytes(bytes);
        change(&mut row);
        *bytes = row.to_bytes();
        Ok(())
    }

    /// One row.
    pub(super) fn get(&mut self, number: u64) -> Result<Row, IndexError> {
        let block = self.block(number / BLOCK_ROWS)?;
        let at = (number % BLOCK_ROWS) as usize * ROW_BYTES;
        block.get(at..).and_then(<[u8]>::first_chunk).map(Row::from_bytes).ok_or(IndexError::Damaged)
    }

    /// Visits the rows of a range in order until `visit` says no.
    pub(super) fn each(
        &mut self,
        range: Range<u64>,
        mut visit: impl FnMut(u64, &Row) -> bool,
    ) -> Result<(), IndexError> {
        let range = range.start..range.end.min(self.count);
        let mut number = range.start;
        while number < range.end {
            let block = self.block(number / BLOCK_ROWS)?;
            let rows = block.as_chunks::<ROW_BYTES>().0.iter().skip((number % BLOCK_ROWS) as usize);
            for row in rows.take((range.end - number) as usize) {
                if !visit(number, &Row::from_bytes(row)) {
                    return Ok(());
                }
                number += 1;
            }
        }
        Ok(())
    }

    /// Visits the rows before `end`, the last one first, until `visit` says no.
    pub(super) fn each_back(&mut self, end: u64, mut visit: impl FnMut(u64, &Row) -> bool) -> Result<(), IndexError> {
        let mut number = end.min(self.count);
        while number > 0 {
            let block = self.block((number - 1) / BLOCK_ROWS)?;
            let rows = block.as_chunks::<ROW_BYTES>().0;
            let first = (number - 1) / BLOCK_ROWS * BLOCK_ROWS;
            for row in rows.iter().take((number - first) as usize).rev() {
                number -= 1;
                if !visit(number, &Row::from_bytes(row)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes every changed block to the file.
    pub(super) fn write_back(&mut self) -> Result<(), IndexError> {
        for (block, bytes) in std::mem::take(&mut self.changed) {
            self.write(block, &bytes)?;
        }
        Ok(())
    }

    fn block_to_change(&mut self, block: u64) -> Result<&mut Vec<u8>, IndexError> {
        if self.changed.len() >= CHANGED_MAX && !self.changed.contains_key(&block) {
            self.write_back()?;
        }
        if !self.changed.contains_key(&block) {
            let bytes = if (block as usize) < self.digests.len() { self.block(block)? } else { Vec::new() };
            self.changed.insert(block, bytes);
        }
        self.changed.get_mut(&block).ok_or(IndexError::Damaged)
    }

    /// The bytes of a block, which have its digest.
    fn block(&mut self, block: u64) -> Result<Vec<u8>, IndexError> {
        if let Some(bytes) = self.changed.get(&block) {
            return Ok(bytes.clone());
        }
        let rows = self.count.saturating_sub(block * BLOCK_ROWS).min(BLOCK_ROWS);
        let mut bytes = vec![0; rows as usize * ROW_BYTES];
        let sought = self.file.seek(SeekFrom::Start(block * BLOCK_ROWS * ROW_BYTES as u64));
        match sought.and_then(|_| self.file.read_exact(&mut bytes)) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(IndexError::Damaged),
            read => read.map_err(|cause| self.unusable(cause))?,
        }
        let whole = rows > 0 && self.digests.get(block as usize) == Some(&sha256(&[&bytes]));
        if whole { Ok(bytes) } else { Err(IndexError::Damaged) }
    }

    fn write(&mut self, block: u64, bytes: &[u8]) -> Result<(), IndexError> {
        let sought = self.file.seek(SeekFrom::Start(block * BLOCK_ROWS * ROW_BYTES as u64));
        sought.and_then(|_| self.file.write_all(bytes)).map_err(|cause| self.unusable(cause))?;
        let place = block as usize;
        if place >= self.digests.len() {
            self.digests.resize(place + 1, [0; 32]);
        }
        self.digests[place] = sha256(&[bytes]);
        Ok(())
    }

    fn unusable(&self, cause: std::io::Error) -> IndexError {
        IndexError::Folder { path: self.path.clone(), cause }
    }
}
