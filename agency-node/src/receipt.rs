//! Receipts for the agency's own people: proof that their question stands in this node's audit log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sallyport_trust::{
    audit::Place,
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

    fn of(&self, question: &str, asker: &SpiffeId) -> Option<Place> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(question).filter(|answered| answered.asker == *asker).map(|answered| answered.place)
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
             the node was started again. An auditor finds it in the audit log.",
        )
    })?;
    let trail = node.guard.begin(Act::by(&peer, "receipt", "question")).await?;
    let proved = node.witness.receipt(place, PATIENCE).await;
    trail.complete(proved.as_ref().err()).await?;
    proved
}
