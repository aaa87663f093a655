//! What standing questions asked and were told within a day: the same again counts once.
//!
//! A watch that used up its budget would go blind. That a question stands is its home node's word, and what it learns
//! depends on parts that are not read here: so a score of a subject is free within its day, and askings are so many
//! times. Kept in memory: after a restart it counts once more.

use std::collections::{HashMap, hash_map::Entry};

use super::uses::is_in;
use crate::about::About;

/// How long something counts once.
const ONCE_MS: i64 = 86_400_000;
/// Askings in a day that go with one that counts: what a watch can need when there is news every few minutes.
const FREE_MAX: u32 = 500;
/// Standing parts that are remembered, at most; of more, each asking counts.
const PARTS_MAX: usize = 10_000;

type Gist = [u8; 32];

#[derive(Default)]
pub(super) struct Repeats(HashMap<Gist, Part>);

struct Part {
    counted_ms: i64,
    /// Askings since then.
    free: u32,
    scores: HashMap<About, i64>,
}

impl Part {
    fn is_free(&self, now_ms: i64) -> bool {
        self.free < FREE_MAX && is_in(self.counted_ms, ONCE_MS, now_ms)
    }
}

impl Repeats {
    /// Whether an asking was counted within a day.
    pub(super) fn is_counted(&self, gist: Option<Gist>, now_ms: i64) -> bool {
        gist.and_then(|gist| self.0.get(&gist)).is_some_and(|part| part.is_free(now_ms))
    }

    /// Remembers that an asking was counted, or that it was free.
    pub(super) fn count(&mut self, gist: Option<Gist>, now_ms: i64) {
        let Some(gist) = gist else { return };
        if self.0.len() >= PARTS_MAX && !self.0.contains_key(&gist) {
            return;
        }
        match self.0.entry(gist) {
            Entry::Vacant(place) => {
                place.insert(Part { counted_ms: now_ms, free: 0, scores: HashMap::new() });
            }
            Entry::Occupied(mut place) => {
                let part = place.get_mut();
                let free = part.is_free(now_ms);
                (part.counted_ms, part.free) = if free { (part.counted_ms, part.free + 1) } else { (now_ms, 0) };
            }
        }
    }

    /// Whether a score of the subject is to be counted, and remembers that it was.
    pub(super) fn counts_score(&mut self, gist: Option<Gist>, about: About, now_ms: i64) -> bool {
        let Some(part) = gist.and_then(|gist| self.0.get_mut(&gist)) else { return true };
        let counted_ms = part.scores.entry(about).or_insert(i64::MIN);
        let counts = !is_in(*counted_ms, ONCE_MS, now_ms);
        if counts {
            *counted_ms = now_ms;
        }
        counts
    }

    /// Forgets what would count again.
    pub(super) fn forget(&mut self, now_ms: i64) {
        self.0.retain(|_, part| {
            part.scores.retain(|_, counted_ms| is_in(*counted_ms, ONCE_MS, now_ms));
            is_in(part.counted_ms, ONCE_MS, now_ms) || !part.scores.is_empty()
        });
    }
}
