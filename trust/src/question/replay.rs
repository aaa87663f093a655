//! No question is taken twice.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{AGE_MAX_MS, Header, SKEW_MAX_MS};
use crate::error::{Kind, Refusal};

/// Questions remembered at a time; more within two minutes are refused.
const REMEMBERED_MAX: usize = 100_000;

/// Remembers the nonces of fresh questions. A question issued before this process started is refused,
/// so that a restart forgets nothing that could still be replayed.
pub struct ReplayGuard {
    started_ms: i64,
    seen: Mutex<HashMap<([u8; 32], usize), i64>>,
}

impl ReplayGuard {
    /// Starts remembering at `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { started_ms: now_ms, seen: Mutex::new(HashMap::new()) }
    }

    /// Takes part number `part` of a question, once.
    ///
    /// # Errors
    /// `question_replayed`, `question_before_start`, or `too_many_questions`.
    pub fn take(&self, header: &Header, part: usize, now_ms: i64) -> Result<(), Refusal> {
        self.take_once(header.nonce, part, header.issued_at_ms, now_ms)
    }

    /// Takes something that was signed at `issued_at_ms`, once; `nonce` and `part` are its alone.
    ///
    /// # Errors
    /// As [`ReplayGuard::take`].
    pub fn take_once(&self, nonce: [u8; 32], part: usize, issued_at_ms: i64, now_ms: i64) -> Result<(), Refusal> {
        // Another clock may be a little behind ours.
        if issued_at_ms < self.started_ms.saturating_sub(SKEW_MAX_MS / 10) {
            return Err(Refusal::new(
                Kind::Conflict,
                "question_before_start",
                "This was signed before this party started; ask anew.",
            ));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED_MAX {
            let stale = now_ms.saturating_sub(AGE_MAX_MS + SKEW_MAX_MS);
            seen.retain(|_, issued_at_ms| *issued_at_ms >= stale);
        }
        if seen.len() >= REMEMBERED_MAX {
            return Err(Refusal::new(
                Kind::Exhausted,
                "too_many_questions",
                "This party has had too many questions within two minutes; ask again later.",
            ));
        }
        match seen.insert((nonce, part), issued_at_ms) {
            None => Ok(()),
            Some(_) => Err(Refusal::new(
                Kind::Conflict,
                "question_replayed",
                "This was already taken once; it must be signed anew to be asked again.",
            )),
        }
    }
}
