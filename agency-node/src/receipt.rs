//! Receipts for the agency's own people: proof that their question stands in this node's audit log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sallyport_trust::{
    audit::{Place, query::QUESTION_DIGITS_MIN},
    error::{Kind, Refusal},
    guard::Act,
    identity::SpiffeId,
    question::QuestionId,
};

use crate::node::Node;

/// How long a receipt can be had after the answer.
const KEPT_MS: i64 = 3_600_000;
/// Answers remembered, at most.
const KEPT_MAX: usize = 10_000;
/// How long one call waits for witnesses.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the questions answered lately stand in the audit log, and whose they are.
#[derive(Default)]
pub(crate) struct Receipts(Mutex<HashMap<String, Answered>>);

#[derive(Clone)]
struct Answered {
    at_ms: i64,
    asker: SpiffeId,
    place: Place,
}

impl Receipts {
    /// Remembers where a question stands.
    pub(crate) fn keep(&self, question: QuestionId, asker: &SpiffeId, place: Place, now_ms: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, answered| answered.at_ms >= now_ms - KEPT_MS);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(question.to_string(), Answered { at_ms: now_ms, asker: asker.clone(), place });
        }
    }

    /// Where a person's question stands, named by its id or enough of its first digits to tell it from the
    /// person's others.
    fn of(&self, question: &str, asker: &SpiffeId) -> Option<Place> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |(id, answered): &(&String, &Answered)| answered.asker == *asker && id.starts_with(question);
        let mut meant = kept.iter().filter(is_meant).map(|(_, answered)| answered.place);
        let first = meant.next().filter(|_| question.len() >= QUESTION_DIGITS_MIN)?;
        meant.next().is_none().then_some(first)
    }
}

/// identify person → open audit entry → prove → complete audit → show
pub(crate) async fn receipt(node: &Node, peer: SpiffeId, question: &str) -> Result<String, Refusal> {
    node.person(&peer)?;
    let place = node.receipts.of(question, &peer).ok_or_else(|| {
        Refusal::new(
            Kind::NotFound,
            "receipt_unknown",
            "There is no receipt for that question: it was another person's, or longer than an hour ago, or before \
             the node was started again, or several begin with these digits. An auditor finds it in the audit log.",
        )
    })?;
    let trail = node.guard.begin(Act::by(&peer, "receipt", "question")).await?;
    let proved = node.witness.receipt(place, PATIENCE).await;
    trail.complete(proved.as_ref().err()).await?;
    proved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_finds_the_own_questions_by_their_first_digits() {
        let id = |name: &str| format!("spiffe://border.example/agency/hsi/user/{name}").parse::<SpiffeId>().unwrap();
        let (ana, ben) = (id("ana"), id("ben"));
        let receipts = Receipts::default();
        let place = |opening| Place { opening, completion: opening + 1 };
        let ids = [[7; 32], [9; 32]].map(QuestionId);
        receipts.keep(ids[0], &ana, place(1), 0);
        receipts.keep(ids[1], &ben, place(5), 0);
        let of = |question: &str, asker| receipts.of(question, asker).map(|place| place.opening);
        let whole = ids[0].to_string();
        assert_eq!((of(&whole, &ana), of(&whole[..8], &ana)), (Some(1), Some(1)));
        assert_eq!((of(&whole[..7], &ana), of("", &ana), of(&whole, &ben)), (None, None, None));
        // Of two that begin alike, neither.
        let mut alike = [7; 32];
        alike[31] = 8;
        receipts.keep(QuestionId(alike), &ana, place(9), 0);
        assert_eq!((of(&whole[..12], &ana), of(&whole, &ana)), (None, Some(1)));
    }
}
