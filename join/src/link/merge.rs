//! Merges the two sorted streams of one link and opens the rows whose keys are equal.
//!
//! No I/O: the merger is handed batches and says which stream it needs next. Its memory is one batch a
//! stream and the rows of one key.

use super::{LINK_ROW_BYTES, LinkPiece, seal::Opener};
use crate::{
    field::{Element, Reconstruction},
    merge::{MergeFault, Step},
};

/// Rows of one key and one party that are looked at, at most: what more than these share says little.
pub const ROWS_OF_A_KEY_MAX: usize = 1_024;

/// What both parties sent under one key.
pub struct Meeting<'a> {
    /// Opened rows of the first party.
    pub anchors: &'a [LinkPiece],
    /// Opened rows of the second party.
    pub followers: &'a [LinkPiece],
}

struct Stream<B> {
    batch: Option<B>,
    position: usize,
    ended: bool,
    /// Key of the row at hand.
    head: Option<u128>,
    /// Rows of the key that both have.
    group: Vec<[u8; LINK_ROW_BYTES]>,
}

impl<B: AsRef<[u8]>> Stream<B> {
    fn row(&self) -> Option<&[u8; LINK_ROW_BYTES]> {
        self.batch.as_ref()?.as_ref().get(self.position..)?.first_chunk()
    }

    fn load(&mut self) {
        self.head = self.row().and_then(|row| row.first_chunk::<16>()).map(|key| u128::from_be_bytes(*key));
        if self.head.is_none() {
            self.batch = None;
        }
    }

    /// To the next row; keys may repeat but never descend.
    fn step(&mut self) -> Result<(), MergeFault> {
        let previous = self.head;
        self.position += LINK_ROW_BYTES;
        self.load();
        if self.head.is_some() && self.head < previous { Err(MergeFault::Unsorted) } else { Ok(()) }
    }
}

/// The merge of one link.
pub struct LinkMerger<B> {
    streams: [Stream<B>; 2],
    reconstruction: Reconstruction,
    /// The key whose rows are being collected.
    meeting: Option<u128>,
    opened: [Vec<LinkPiece>; 2],
    rows: u64,
    unopened: u64,
    skipped: u64,
}

impl<B: AsRef<[u8]>> LinkMerger<B> {
    /// For the parties that take their shares at these two different points.
    pub fn new(share_points: [u8; 2]) -> Self {
        let stream = || Stream { batch: None, position: 0, ended: false, head: None, group: Vec::new() };
        Self {
            streams: [stream(), stream()],
            reconstruction: Reconstruction::new(&share_points),
            meeting: None,
            opened: [Vec::new(), Vec::new()],
            rows: 0,
            unopened: 0,
            skipped: 0,
        }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows with equal keys that did not open: some party sent false rows.
    pub fn unopened(&self) -> u64 {
        self.unopened
    }

    /// Rows left out because more than [`ROWS_OF_A_KEY_MAX`] had the same key.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Hands over the next rows of a stream that the merger needs.
    ///
    /// # Errors
    /// [`MergeFault`]; nothing of the link can be used then.
    pub fn push(&mut self, stream: usize, batch: B) -> Result<(), MergeFault> {
        let slot = self.streams.get_mut(stream).filter(|slot| !slot.ended).ok_or(MergeFault::Ended)?;
        if !batch.as_ref().len().is_multiple_of(LINK_ROW_BYTES) {
            return Err(MergeFault::Torn);
        }
        self.rows += (batch.as_ref().len() / LINK_ROW_BYTES) as u64;
        slot.batch = Some(batch);
        slot.position = 0;
        slot.load();
        Ok(())
    }

    /// The stream has come to its end.
    pub fn finish(&mut self, stream: usize) {
        if let Some(slot) = self.streams.get_mut(stream) {
            slot.ended = true;
        }
    }

    /// Works until a stream runs out of rows, telling of every meeting.
    pub fn advance(&mut self, mut each: impl FnMut(Meeting<'_>)) -> Step {
        loop {
            if let Some(key) = self.meeting
                && let Some(step) = self.collect(key)
            {
                return step;
            }
            if self.meeting.take().is_some() {
                self.open(&mut each);
            }
            let waiting = self.streams.iter().position(|slot| slot.head.is_none() && !slot.ended);
            if let Some(stream) = waiting {
                return Step::Needs(stream);
            }
            let (anchor, follower) = (self.streams[0].head, self.streams[1].head);
            let behind = match (anchor, follower) {
                (None, None) => return Step::Done,
                (Some(anchor), Some(follower)) if anchor == follower => {
                    self.meeting = Some(anchor);
                    continue;
                }
                (Some(anchor), Some(follower)) => usize::from(follower < anchor),
                (Some(_), None) => 0,
                (None, Some(_)) => 1,
            };
            if let Err(fault) = self.streams[behind].step() {
                return Step::Failed(behind, fault);
            }
        }
    }

    /// Takes all rows with this key from both streams; a step when one must be fed first.
    fn collect(&mut self, key: u128) -> Option<Step> {
        for (number, slot) in self.streams.iter_mut().enumerate() {
            while slot.head == Some(key) {
                match slot.row().copied() {
                    Some(row) if slot.group.len() < ROWS_OF_A_KEY_MAX => slot.group.push(row),
                    _ => self.skipped += 1,
                }
                if let Err(fault) = slot.step() {
                    return Some(Step::Failed(number, fault));
                }
            }
            if slot.head.is_none() && !slot.ended {
                return Some(Step::Needs(number));
            }
        }
        None
    }

    fn open(&mut self, each: &mut impl FnMut(Meeting<'_>)) {
        let share = |slot: &Stream<B>| -> Element {
            let share = slot.group.first().and_then(|row| row.get(16..)?.first_chunk::<16>());
            share.copied().unwrap_or_default()
        };
        let shares = [share(&self.streams[0]), share(&self.streams[1])];
        let opener = Opener::new(&self.reconstruction.secret(&shares));
        for (slot, opened) in self.streams.iter_mut().zip(&mut self.opened) {
            opened.clear();
            for row in slot.group.drain(..) {
                let sealed = row.last_chunk::<32>().and_then(|sealed| opener.open(sealed));
                match sealed {
                    Some(piece) => opened.push(piece),
                    None => self.unopened += 1,
                }
            }
        }
        let [anchors, followers] = &self.opened;
        if !anchors.is_empty() && !followers.is_empty() {
            each(Meeting { anchors, followers });
        }
    }
}
