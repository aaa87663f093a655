//! Data sets that change while the node runs: read again, tagged, and told of to those who wait for them.
//!
//! News names a data set and nothing that is in it, and goes only to the agencies that its owner lists. A
//! node that is away misses it and asks by itself later.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{DatasetNews, DatasetNewsResponse},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::Act,
};
use tokio::time::Instant;

use crate::{
    holdings::Seen,
    linkage::{epochs::Agreed, relay},
    node::Node,
    settle::{order, tag},
};

/// How often files are looked at. A file that has changed is read when it then rests for one look.
const EVERY: Duration = Duration::from_millis(500);

/// Between two attempts to tag that failed: a member is away.
const AWAY: Duration = Duration::from_secs(5);

/// How far live data sets have been followed.
#[derive(Default)]
struct Following {
    seen: Seen,
    /// Read again, and nobody was told yet.
    untold: BTreeSet<String>,
    /// Told of while some whom they name had no tag: told of again when they have.
    untagged: BTreeSet<String>,
    /// When tagging, which failed, is tried again.
    tag_again: Option<Instant>,
}

/// Follows live data sets for as long as the node runs.
pub(crate) async fn follow(node: &Arc<Node>) {
    // What came while the node was down was read at its start: nobody was told of it.
    let live = node.holdings.datasets().iter().filter(|dataset| dataset.live);
    let untold: BTreeSet<String> = live.map(|dataset| dataset.name.clone()).collect();
    if untold.is_empty() {
        return;
    }
    let mut following = Following { untold, ..Following::default() };
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(refusal) = following.look(node).await {
            tracing::warn!(reason = refusal.reason, "a data set that changed waits: {}", refusal.message);
        }
    }
}

impl Following {
    /// read what changed → tag whoever is new → tell; whom nobody can tag now does not hold up news of the others
    async fn look(&mut self, node: &Arc<Node>) -> Result<(), Refusal> {
        let read = node.holdings.refresh(&mut self.seen, &mut self.untold).await;
        let agreed = node.agreed()?;
        let tagged = match self.tag_again {
            Some(moment) if Instant::now() < moment => false,
            _ => self.tag(node, &agreed).await?,
        };
        if tagged {
            self.untold.append(&mut self.untagged);
        }
        if !self.untold.is_empty() {
            order(node, &agreed).await?;
        }
        while let Some(dataset) = self.untold.pop_first() {
            node.watches.news(&dataset);
            tell(node, &dataset).await;
            if !tagged {
                self.untagged.insert(dataset);
            }
        }
        Ok(read?)
    }

    /// Tags whoever is new, also those who could not be tagged before; whether all have a tag now.
    async fn tag(&mut self, node: &Arc<Node>, agreed: &Arc<Agreed>) -> Result<bool, Refusal> {
        let tagged = tag(node, agreed).await;
        self.tag_again = tagged.is_err().then(|| Instant::now() + AWAY);
        match tagged {
            Err(refusal) if !matches!(refusal.kind, Kind::Unavailable | Kind::TimedOut) => Err(refusal),
            Err(refusal) => {
                tracing::info!(reason = refusal.reason, "whoever is new has no tag yet: {}", refusal.message);
                Ok(false)
            }
            Ok(()) => Ok(true),
        }
    }
}

/// As [`send`]; who does not hear of it asks by itself later.
async fn tell(node: &Node, dataset: &str) {
    if let Err(refusal) = send(node, dataset).await {
        tracing::info!(dataset, reason = refusal.reason, "news was not heard by everybody: {}", refusal.message);
    }
}

/// open audit entry → send to each agency that is to know → complete audit
async fn send(node: &Node, dataset: &str) -> Result<(), Refusal> {
    let told = node.holdings.dataset(dataset)?.news_to.clone();
    if told.is_empty() {
        return Ok(());
    }
    let mut trail = node.guard.begin(Act::by(node.identity.id(), "tell_news", dataset)).await?;
    let news = DatasetNews { datasets: vec![dataset.to_owned()] };
    // At once, so that one who does not answer holds up no other.
    let sending = told.iter().map(|agency| async {
        relay::send::<_, DatasetNewsResponse>(&node.gateway, agency, RelayKind::News, &news).await
    });
    let sent = futures::future::join_all(sending).await;
    let failure = sent.iter().find_map(|sent| sent.as_ref().err());
    trail.count("told", sent.iter().filter(|sent| sent.is_ok()).count() as u64);
    trail.complete(failure).await?;
    failure.cloned().map_or(Ok(()), Err)
}
