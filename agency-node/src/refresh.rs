//! Data sets that change while the node runs: read again, tagged, and told of to those who wait for them.
//!
//! News names a data set and nothing that is in it, and goes only to the agencies that its owner lists. A
//! node that is away misses it and asks by itself later.

use std::{sync::Arc, time::Duration};

use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{DatasetNews, DatasetNewsResponse},
};
use sallyport_trust::{error::Refusal, guard::Act};

use crate::{
    holdings::Seen,
    linkage::relay,
    node::Node,
    settle::{order, tag},
};

/// How often files are looked at. A file that has changed is read when it then rests for one look.
const EVERY: Duration = Duration::from_millis(500);

/// Follows live data sets for as long as the node runs.
pub(crate) async fn follow(node: &Arc<Node>) {
    if !node.holdings.datasets().iter().any(|dataset| dataset.live) {
        return;
    }
    let mut seen = Seen::default();
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(refusal) = look(node, &mut seen).await {
            tracing::warn!(reason = refusal.reason, "a data set that changed waits: {}", refusal.message);
        }
    }
}

/// read what changed → tag whoever is new → tell
async fn look(node: &Arc<Node>, seen: &mut Seen) -> Result<(), Refusal> {
    let refreshed = node.holdings.refresh(seen).await?;
    // Also those that could not be tagged the last time.
    let agreed = node.agreed()?;
    tag(node, &agreed).await?;
    if refreshed.is_empty() {
        return Ok(());
    }
    order(node, &agreed).await?;
    for dataset in refreshed {
        node.watches.news(&dataset);
        tell(node, dataset).await?;
    }
    Ok(())
}

/// open audit entry → send to each agency that is to know → complete audit
async fn tell(node: &Node, dataset: String) -> Result<(), Refusal> {
    let told = node.holdings.dataset(&dataset)?.news_to.clone();
    if told.is_empty() {
        return Ok(());
    }
    let mut trail = node.guard.begin(Act::by(node.identity.id(), "tell_news", &dataset)).await?;
    let news = DatasetNews { datasets: vec![dataset] };
    let mut failure = None;
    for agency in &told {
        let sent: Result<DatasetNewsResponse, Refusal> =
            relay::send(&node.gateway, agency, RelayKind::News, &news).await;
        match sent {
            Ok(_) => trail.count("told", 1),
            Err(refusal) => failure = Some(refusal),
        }
    }
    trail.complete(failure.as_ref()).await?;
    failure.map_or(Ok(()), Err)
}
