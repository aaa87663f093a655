//! What a node does by itself again and again: it notes accounts that never came, erases disclosures
//! whose time has come, and keeps its books short.

use std::{sync::Arc, time::Duration};

use sallyport_trust::{
    error::{Kind, Refusal},
    guard::Act,
};

use crate::{awaited::Contribution, node::Node};

const EVERY: Duration = Duration::from_secs(5);

/// Keeps house until it is aborted; what fails is logged and tried again the next time.
pub(crate) async fn keep_house(node: Arc<Node>) {
    let mut times = tokio::time::interval(EVERY);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        for contribution in node.books.awaited.take_overdue(node.clock.now_ms()) {
            warn(note_unaccounted(&node, contribution).await);
        }
        warn(erase(&node).await);
        let tidying = node.clone();
        let tidied = blocking(move || tidying.books.budgets.tidy(tidying.clock.now_ms())).await;
        warn(tidied.map_err(|error| Refusal::internal("books_failed", &error)));
    }
}

fn warn(done: Result<(), Refusal>) {
    if let Err(refusal) = done {
        tracing::warn!(reason = refusal.reason, "{}", refusal.message);
    }
}

/// Rows left, and nobody said which of them were released: the audit log says so.
async fn note_unaccounted(node: &Node, contribution: Contribution) -> Result<(), Refusal> {
    let act = Act::by(node.identity.id(), "account", &contribution.dataset)
        .because(&contribution.purpose, &contribution.case_number, &contribution.reason)
        .about(Some(contribution.question()));
    let noted = match node.guard.begin(act).await {
        Ok(trail) => trail.complete(Some(&not_accounted())).await,
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = noted {
        node.books.awaited.put_back(contribution);
        return Err(refusal);
    }
    tracing::warn!(
        question = %contribution.question(),
        dataset = contribution.dataset,
        "the gateway did not account for rows of this question"
    );
    node.books.awaited.forget(&contribution)
}

fn not_accounted() -> Refusal {
    Refusal::new(Kind::TimedOut, "not_accounted", "The gateway did not say which rows of the question were released.")
}

/// Destroys the keys that have expired, under an audit entry.
async fn erase(node: &Arc<Node>) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::internal("erasure_failed", &error);
    let now_ms = node.clock.now_ms();
    let looking = node.clone();
    if !blocking(move || looking.books.disclosures.is_any_due(now_ms)).await.map_err(failed)? {
        return Ok(());
    }
    let mut trail = node.guard.begin(Act::by(node.identity.id(), "erase", "disclosures")).await?;
    let erasing = node.clone();
    let erased = blocking(move || {
        // What budgets know of subjects must not outlive it.
        erasing.books.budgets.compact(now_ms)?;
        erasing.books.disclosures.erase_due(now_ms)
    });
    let erased = erased.await.map_err(failed);
    trail.count("disclosures_erased", *erased.as_ref().unwrap_or(&0));
    trail.complete(erased.as_ref().err()).await?;
    erased.map(|_| ())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
