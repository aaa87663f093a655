//! Merges the contributors' sorted rows, opens what enough data sets share, and keeps the best matches.
//!
//! The [`Merger`] is handed batches of rows and says which stream it needs next: it does no I/O. Its
//! memory is one batch a stream and the best k, whatever the number of rows. What does not match is
//! forgotten as it passes by.
//!
//! A contributor may break off in the middle. Its evidence then must not count at all, or subjects at
//! the front of the key space would be scored by other data than those at the back. So beside the
//! best of all, the merger keeps for each contributor the best as they are without it.

mod best;

use std::collections::HashMap;

use crate::{
    evidence::Opener,
    field::{Element, Reconstruction},
    row::{ROW_BYTES, Row},
    score::square,
};
use best::Best;

/// Streams that one merger takes, at most.
pub const STREAMS_MAX: usize = 17;

/// What the merger must know of one indicator.
#[derive(Debug, Clone)]
pub struct StreamRule {
    /// Point of the sharing at which the data set takes its shares.
    pub share_point: u8,
    /// Weight in the score, in thousandths.
    pub weight_thousandths: u32,
    /// A subject without it is no match.
    pub required: bool,
    /// Number of the party that sends the stream; parties fail as a whole.
    pub contributor: usize,
    /// For an indicator that stands in relation to another: what the link says of each subject. A
    /// subject that the link does not know is not held by the indicator.
    pub linked: Option<HashMap<u128, LinkedEvidence>>,
}

/// What a link says of a subject, in place of the indicator's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedEvidence {
    /// 0 to 1,000.
    pub strength_thousandths: u16,
    /// Days since 1970-01-01.
    pub newest_day: u16,
}

/// Evidence of one data set for a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Number of the indicator.
    pub indicator: usize,
    /// 0 to 1,000.
    pub strength_thousandths: u16,
    /// Days since 1970-01-01.
    pub newest_day: u16,
}

/// A subject that enough data sets hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Join key as a big-endian number.
    pub key: u128,
    /// Sum of the squares of the weighted strengths, in (millionths)².
    pub sum_of_squares: u64,
    /// Evidence by indicator.
    pub pieces: Vec<Piece>,
}

/// A stream that does not keep to the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeFault {
    /// The bytes are not whole rows.
    #[error("rows are not whole")]
    Torn,
    /// Keys must ascend strictly: one row per subject and data set.
    #[error("rows are not sorted by key, or a key comes twice")]
    Unsorted,
    /// No stream has this number, or it has ended.
    #[error("the stream has ended")]
    Ended,
}

/// What the merger needs to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows, the end or the failure of this stream.
    Needs(usize),
    /// This stream broke the format; it has been failed.
    Failed(usize, MergeFault),
    /// Every stream has ended.
    Done,
}

/// What came of a merge.
#[derive(Debug)]
pub struct Merged {
    /// Best first.
    pub best: Vec<Found>,
    /// Subjects that enough data sets hold.
    pub subjects_matched: u64,
    /// Rows taken from all streams.
    pub rows: u64,
    /// Matches whose seal did not open: some contributor sent false rows.
    pub unopened: u64,
    /// More than one contributor broke off: subjects just outside the best may have been missed.
    pub incomplete: bool,
}

struct Stream<B> {
    rule: StreamRule,
    batch: Option<B>,
    position: usize,
    ended: bool,
}

/// No key: the stream has no row at hand.
const NONE: u128 = u128::MAX;

/// The merge of one question.
pub struct Merger<B> {
    streams: Vec<Stream<B>>,
    heads: Vec<u128>,
    threshold: usize,
    best: Best,
    best_without: Vec<Best>,
    matched: u64,
    matched_without: Vec<u64>,
    failed: Vec<usize>,
    reconstructions: HashMap<u64, Reconstruction>,
    rows: u64,
    unopened: u64,
}

impl<B: AsRef<[u8]>> Merger<B> {
    /// For these streams, of which `threshold` different share points must hold a subject, keeping
    /// the `top` best. Streams beyond [`STREAMS_MAX`] are not taken.
    pub fn new(mut rules: Vec<StreamRule>, threshold: u32, top: u32) -> Self {
        rules.truncate(STREAMS_MAX);
        let contributors = rules.iter().map(|rule| rule.contributor + 1).max().unwrap_or(0);
        let top = top as usize;
        Self {
            heads: vec![NONE; rules.len()],
            streams: rules.into_iter().map(|rule| Stream { rule, batch: None, position: 0, ended: false }).collect(),
            threshold: threshold as usize,
            best: Best::new(top),
            best_without: (0..contributors).map(|_| Best::new(top)).collect(),
            matched: 0,
            matched_without: vec![0; contributors],
            failed: Vec::new(),
            reconstructions: HashMap::new(),
            rows: 0,
            unopened: 0,
        }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Subjects matched so far.
    pub fn subjects_matched(&self) -> u64 {
        self.matched
    }

    /// Hands over the next rows of a stream that the merger [needs](Step::Needs).
    ///
    /// # Errors
    /// [`MergeFault`]; the caller then [fails](Merger::fail) the stream.
    pub fn push(&mut self, stream: usize, batch: B) -> Result<(), MergeFault> {
        let slot = self.streams.get_mut(stream).filter(|s| !s.ended).ok_or(MergeFault::Ended)?;
        if batch.as_ref().is_empty() {
            return Ok(());
        }
        if !batch.as_ref().len().is_multiple_of(ROW_BYTES) {
            return Err(MergeFault::Torn);
        }
        slot.batch = Some(batch);
        slot.position = 0;
        let previous = self.heads[stream];
        self.heads[stream] = key_at(slot);
        debug_assert_eq!(previous, NONE, "a batch was pushed before the last one was used up");
        Ok(())
    }

    /// The stream has come to its end.
    pub fn finish(&mut self, stream: usize) {
        if let Some(slot) = self.streams.get_mut(stream) {
            slot.ended = true;
        }
    }

    /// The contributor of this stream broke off: nothing of it counts.
    pub fn fail(&mut self, stream: usize) {
        let Some(contributor) = self.streams.get(stream).map(|s| s.rule.contributor) else { return };
        if self.failed.contains(&contributor) {
            return;
        }
        self.failed.push(contributor);
        for (head, slot) in self.heads.iter_mut().zip(&mut self.streams) {
            if slot.rule.contributor == contributor {
                slot.ended = true;
                slot.batch = None;
                *head = NONE;
            }
        }
    }

    /// Works until a stream runs out of rows.
    pub fn advance(&mut self) -> Step {
        loop {
            let waiting = self.streams.iter().zip(&self.heads).position(|(s, &head)| head == NONE && !s.ended);
            if let Some(stream) = waiting {
                return Step::Needs(stream);
            }
            let smallest = self.heads.iter().copied().min().unwrap_or(NONE);
            if smallest == NONE {
                return Step::Done;
            }
            if let Err((stream, fault)) = self.take(smallest) {
                self.fail(stream);
                return Step::Failed(stream, fault);
            }
        }
    }

    /// What came of it; call after [`Step::Done`].
    pub fn finish_all(mut self) -> Merged {
        let first = self.failed.first().copied();
        let (best, matched) = match first.and_then(|c| Some((c, self.best_without.get_mut(c)?))) {
            Some((contributor, best)) => (std::mem::replace(best, Best::new(0)), self.matched_without[contributor]),
            None => (self.best, self.matched),
        };
        let incomplete = self.failed.len() > 1;
        let mut best = best.into_sorted();
        if incomplete {
            let others = &self.failed[1..];
            best = best.into_iter().filter_map(|found| without(found, &self.streams, others, self.threshold)).collect();
            best.sort_by(|a, b| b.sum_of_squares.cmp(&a.sum_of_squares).then(a.key.cmp(&b.key)));
        }
        Merged { best, subjects_matched: matched, rows: self.rows, unopened: self.unopened, incomplete }
    }

    /// Takes the rows with this key from all streams and opens them if they are enough.
    fn take(&mut self, key: u128) -> Result<(), (usize, MergeFault)> {
        let mut rows: [Option<Row>; STREAMS_MAX] = [None; STREAMS_MAX];
        let mut points = 0u64;
        let mut fault = Ok(());
        for (number, slot) in self.streams.iter_mut().enumerate() {
            if self.heads[number] != key {
                continue;
            }
            rows[number] = slot.batch.as_ref().and_then(|batch| Row::read(batch.as_ref().get(slot.position..)?));
            points |= 1 << slot.rule.share_point.min(63);
            self.rows += 1;
            slot.position += ROW_BYTES;
            let next = key_at(slot);
            if next == NONE {
                slot.batch = None;
            } else if next <= key {
                fault = Err((number, MergeFault::Unsorted));
            }
            self.heads[number] = next;
        }
        if points.count_ones() as usize >= self.threshold && self.holds_required(&rows, None) {
            self.open(key, &rows, points);
        }
        fault
    }

    fn holds_required(&self, rows: &[Option<Row>; STREAMS_MAX], but: Option<usize>) -> bool {
        self.streams
            .iter()
            .zip(rows)
            .all(|(slot, row)| !slot.rule.required || (row.is_some() && Some(slot.rule.contributor) != but))
    }

    fn open(&mut self, key: u128, rows: &[Option<Row>; STREAMS_MAX], points: u64) {
        let Some(pieces) = self.open_pieces(rows, points) else {
            self.unopened += 1;
            return;
        };
        let Some(pieces) = self.with_links(key, pieces) else { return };
        let sum = sum_of_squares(&pieces, &self.streams, &[]);
        self.matched += 1;
        offer(&mut self.best, key, sum, &pieces);
        for contributor in 0..self.best_without.len() {
            let rest = points_of(&pieces, &self.streams, &[contributor]);
            if (rest.count_ones() as usize) < self.threshold || !self.holds_required(rows, Some(contributor)) {
                continue;
            }
            self.matched_without[contributor] += 1;
            let sum = sum_of_squares(&pieces, &self.streams, &[contributor]);
            let best = &mut self.best_without[contributor];
            if best.would_keep(sum, key) {
                let streams = &self.streams;
                let rest: Vec<Piece> =
                    pieces.iter().filter(|p| streams[p.indicator].rule.contributor != contributor).copied().collect();
                best.keep(Found { key, sum_of_squares: sum, pieces: rest });
            }
        }
    }

    /// The pieces as the links have them, if enough and all required ones remain.
    fn with_links(&self, key: u128, mut pieces: Vec<Piece>) -> Option<Vec<Piece>> {
        if self.streams.iter().all(|slot| slot.rule.linked.is_none()) {
            return Some(pieces);
        }
        pieces.retain_mut(|piece| match &self.streams[piece.indicator].rule.linked {
            None => true,
            Some(linked) => linked.get(&key).is_some_and(|evidence| {
                piece.strength_thousandths = evidence.strength_thousandths;
                piece.newest_day = evidence.newest_day;
                true
            }),
        });
        let required = |slot: &Stream<B>| slot.rule.required && slot.rule.linked.is_some();
        let mut lacking = self.streams.iter().enumerate().filter(|(_, slot)| required(slot));
        let lacks = lacking.any(|(number, _)| pieces.iter().all(|piece| piece.indicator != number));
        let enough = points_of(&pieces, &self.streams, &[]).count_ones() as usize >= self.threshold;
        (enough && !lacks).then_some(pieces)
    }

    /// Opens every row with the secret that the first t shares give; nothing when one does not open.
    fn open_pieces(&mut self, rows: &[Option<Row>; STREAMS_MAX], points: u64) -> Option<Vec<Piece>> {
        let mut used = 0u64;
        let mut shares: [Element; STREAMS_MAX] = [[0; 16]; STREAMS_MAX];
        let mut share_points = [0u8; STREAMS_MAX];
        let mut count = 0;
        for (slot, row) in self.streams.iter().zip(rows) {
            let point = slot.rule.share_point;
            if let Some(row) = row
                && used & (1 << point.min(63)) == 0
                && count < self.threshold
            {
                used |= 1 << point.min(63);
                shares[count] = row.share;
                share_points[count] = point;
                count += 1;
            }
        }
        debug_assert_eq!(used & points, used);
        // In the order of the streams; the same set always comes in the same order.
        let reconstruction =
            self.reconstructions.entry(used).or_insert_with(|| Reconstruction::new(&share_points[..count]));
        let opener = Opener::new(&reconstruction.secret(&shares[..count]));
        let mut pieces = Vec::with_capacity(rows.iter().flatten().count());
        for (indicator, row) in rows.iter().enumerate() {
            let Some(row) = row else { continue };
            let evidence = opener.open(indicator as u8, &row.sealed)?;
            pieces.push(Piece {
                indicator,
                strength_thousandths: evidence.strength_thousandths,
                newest_day: evidence.newest_day,
            });
        }
        Some(pieces)
    }
}

fn key_at<B: AsRef<[u8]>>(slot: &Stream<B>) -> u128 {
    slot.batch
        .as_ref()
        .and_then(|batch| batch.as_ref().get(slot.position..)?.first_chunk::<16>())
        .map_or(NONE, |key| u128::from_be_bytes(*key))
}

fn points_of<B>(pieces: &[Piece], streams: &[Stream<B>], but: &[usize]) -> u64 {
    pieces
        .iter()
        .map(|piece| &streams[piece.indicator].rule)
        .filter(|rule| !but.contains(&rule.contributor))
        .fold(0, |points, rule| points | 1 << rule.share_point.min(63))
}

fn sum_of_squares<B>(pieces: &[Piece], streams: &[Stream<B>], but: &[usize]) -> u64 {
    pieces
        .iter()
        .map(|piece| (piece, &streams[piece.indicator].rule))
        .filter(|(_, rule)| !but.contains(&rule.contributor))
        .map(|(piece, rule)| square(rule.weight_thousandths, piece.strength_thousandths))
        .sum()
}

fn offer(best: &mut Best, key: u128, sum_of_squares: u64, pieces: &[Piece]) {
    if best.would_keep(sum_of_squares, key) {
        best.keep(Found { key, sum_of_squares, pieces: pieces.to_vec() });
    }
}

/// The match without what the `failed` contributors gave, if enough remains.
fn without<B>(found: Found, streams: &[Stream<B>], failed: &[usize], threshold: usize) -> Option<Found> {
    let enough = points_of(&found.pieces, streams, failed).count_ones() as usize >= threshold;
    let lacks = streams.iter().any(|slot| slot.rule.required && failed.contains(&slot.rule.contributor));
    if !enough || lacks {
        return None;
    }
    Some(Found {
        key: found.key,
        sum_of_squares: sum_of_squares(&found.pieces, streams, failed),
        pieces: found
            .pieces
            .into_iter()
            .filter(|piece| !failed.contains(&streams[piece.indicator].rule.contributor))
            .collect(),
    })
}

#[cfg(test)]
mod tests;
