//! What happens to leads by itself: clocks run and people are told, playbooks are read again, and the data
//! set of outcomes follows what was recorded.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sallyport_lead::clock;

use super::{Leads, notify::Message};
use crate::node::Node;

const EVERY: Duration = Duration::from_secs(1);

/// Keeps time until it is aborted; what fails is logged and tried again the next time. Whoever is told
/// slowly holds up nothing else.
pub(crate) async fn keep_time(node: Arc<Node>) {
    tokio::join!(tick(node.clone()), deliver(node));
}

async fn tick(node: Arc<Node>) {
    let mut times = every();
    loop {
        times.tick().await;
        let ticking = node.clone();
        let ticked = tokio::task::spawn_blocking(move || {
            ticking.leads.shelf.refresh();
            ticking.leads.tell(ticking.clock.now_ms());
            ticking.leads.write_changed_outcomes()
        });
        let _ = ticked.await;
    }
}

async fn deliver(node: Arc<Node>) {
    let mut times = every();
    loop {
        times.tick().await;
        node.leads.outbox.deliver(&node.clock).await;
    }
}

fn every() -> tokio::time::Interval {
    let mut times = tokio::time::interval(EVERY);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    times
}

impl Leads {
    /// Puts every notice that is due into the outbox. It is written down as told after it lies there: a
    /// crash between the two lets it go out twice at most.
    pub(super) fn tell(&self, now_ms: i64) {
        for (lead, due) in self.store.untold(|notice: &clock::Notice| &notice.key, |lead| clock::notices(lead, now_ms))
        {
            let put = due.iter().try_for_each(|notice| self.outbox.put(Message::of(&lead, notice, &self.people)));
            let keys = due.into_iter().map(|notice| notice.key);
            if let Err(refusal) = put.and_then(|()| self.store.told(&lead.id, keys)) {
                tracing::warn!(lead = lead.id, reason = refusal.reason, "{}", refusal.message);
            }
        }
    }

    /// The outcomes that questions find are those that were recorded.
    pub(super) fn write_changed_outcomes(&self) {
        if self.outcomes_changed.swap(false, Ordering::AcqRel)
            && let Err(error) = self.write_outcomes()
        {
            tracing::warn!(%error, "the outcomes of leads cannot be written");
            self.outcomes_changed.store(true, Ordering::Release);
        }
    }
}
