//! Merges the sorted streams of a link's parties and opens the rows whose keys are equal.
//!
//! No I/O: the merger is handed batches and says which stream it needs next. Its memory is one batch a
//! stream and the rows of one key.

use std::collections::HashMap;

use super::{LINK_ROW_BYTES, LinkPiece, seal::Opener};
use crate::{
    field::{Element, Reconstruction},
    merge::{MergeFault, Step},
};

/// What at least two parties sent under one key.
pub struct Meeting<'a> {
    /// Opened rows of each party, in the parties' order; empty for one that has none.
    pub parties: &'a [Vec<LinkPiece>],
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
    streams: Vec<Stream<B>>,
    share_points: Vec<u8>,
    /// By the places of two parties.
    reconstructions: HashMap<(usize, usize), Reconstruction>,
    /// Rows of one key and one party that are looked at, at most.
    rows_of_a_key_max: usize,
    /// The key whose rows are being collected.
    meeting: Option<u128>,
    opened: Vec<Vec<LinkPiece>>,
    rows: u64,
    unopened: u64,
    skipped: u64,
}

impl<B: AsRef<[u8]>> LinkMerger<B> {
    /// For the parties that take their shares at these different points. Of rows with one key,
    /// `rows_of_a_key_max` of each party are looked at: what more than these share says little.
    pub fn new(share_points: &[u8], rows_of_a_key_max: usize) -> Self {
        let stream = |_: &u8| Stream { batch: None, position: 0, ended: false, head: None, group: Vec::new() };
        Self {
            streams: share_points.iter().map(stream).collect(),
            share_points: share_points.to_vec(),
            reconstructions: HashMap::new(),
            rows_of_a_key_max,
            meeting: None,
            opened: vec![Vec::new(); share_points.len()],
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

    /// Rows left out because too many had the same key.
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
            let (mut least, mut place, mut with_least) = (None, 0, 0);
            for (number, slot) in self.streams.iter().enumerate().filter(|(_, slot)| slot.head.is_some()) {
                if least.is_none() || slot.head < least {
                    (least, place, with_least) = (slot.head, number, 1);
                } else if slot.head == least {
                    with_least += 1;
                }
            }
            if with_least == 0 {
                return Step::Done;
            }
            if with_least > 1 {
                self.meeting = least;
            } else if let Err(fault) = self.streams[place].step() {
                return Step::Failed(place, fault);
            }
        }
    }

    /// Takes all rows with this key from every stream; a step when one must be fed first.
    fn collect(&mut self, key: u128) -> Option<Step> {
        for (number, slot) in self.streams.iter_mut().enumerate() {
            while slot.head == Some(key) {
                match slot.row().copied() {
                    Some(row) if slot.group.len() < self.rows_of_a_key_max => slot.group.push(row),
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

    /// The secret is shared two of any: the first two parties that have the key give it.
    fn open(&mut self, each: &mut impl FnMut(Meeting<'_>)) {
        let mut present = self.streams.iter().enumerate().filter(|(_, slot)| !slot.group.is_empty());
        let (Some((one, first)), Some((other, second))) = (present.next(), present.next()) else { return };
        let share = |slot: &Stream<B>| -> Element {
            let share = slot.group.first().and_then(|row| row.get(16..)?.first_chunk::<16>());
            share.copied().unwrap_or_default()
        };
        let points = [self.share_points[one], self.share_points[other]];
        let reconstruction = self.reconstructions.entry((one, other)).or_insert_with(|| Reconstruction::new(&points));
        let opener = Opener::new(&reconstruction.secret(&[share(first), share(second)]));
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
        if self.opened.iter().filter(|opened| !opened.is_empty()).count() > 1 {
            each(Meeting { parties: &self.opened });
        }
    }
}
