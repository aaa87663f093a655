//! What a node does by itself after its start: read its data, agree on the epoch, tag what has no tag.
//!
//! Each step can be interrupted at any time and goes on where it was. While another party is away the
//! node says what it waits for and tries again.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use sallyport_join::keys::Locators;
use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{EpochGreeting, EpochReply},
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    policy::{Action, Attributes, Context, Request, attribute, kind},
};

use crate::{
    linkage::{
        epoch::Epoch,
        oprf::{EpochKey, EpochKeys},
        relay,
        tagging::BATCH,
    },
    node::{Agreed, Node, Settled},
};

/// First and longest wait before a step is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Reads data, agrees, tags; returns when all of it is done.
pub(crate) async fn settle(node: Arc<Node>) {
    wait_for(&node, "reading the data sets");
    with_patience(&node, || async { node.holdings.prepare().await.map_err(Refusal::from) }).await;
    wait_for(&node, "agreeing on the epoch with the other nodes");
    with_patience(&node, || agree(&node)).await;
    wait_for(&node, "tagging identifiers together with the other nodes");
    with_patience(&node, || tag(&node)).await;
    with_patience(&node, || order(&node)).await;
    let mut settled = node.settled.lock().unwrap_or_else(PoisonError::into_inner);
    *settled = Settled { ready: true, waiting_for: Vec::new() };
    tracing::info!("every data set can be asked");
}

fn wait_for(node: &Node, what: &str) {
    tracing::info!("{what}");
    let mut settled = node.settled.lock().unwrap_or_else(PoisonError::into_inner);
    *settled = Settled { ready: false, waiting_for: vec![what.to_owned()] };
}

async fn with_patience<F: Future<Output = Result<(), Refusal>>>(node: &Node, mut step: impl FnMut() -> F) {
    let (mut pause, longest) = RETRY;
    while let Err(refusal) = step().await {
        tracing::warn!(reason = refusal.reason, "{}; trying again", refusal.message);
        {
            let mut settled = node.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.waiting_for.truncate(1);
            settled.waiting_for.push(refusal.message);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Greets every member whose contribution is missing.
async fn agree(node: &Arc<Node>) -> Result<(), Refusal> {
    let missing = node.epoch.lock().await.missing();
    if !missing.is_empty() {
        let mut trail = begin(node, Action::Agree).await?;
        let worked = greet(node, &mut trail, missing).await;
        trail.complete(worked.as_ref().err()).await?;
        worked?;
    }
    let epoch = node.epoch.lock().await;
    let agreed = agreed(node, &epoch)?;
    // Reads the tags that are kept: off the threads that answer calls.
    let (opening, digest) = (node.clone(), agreed.digest);
    blocking(move || opening.holdings.open_tags(&digest).map_err(Refusal::from)).await??;
    node.agreed.store(Some(Arc::new(agreed)));
    Ok(())
}

async fn greet(node: &Node, trail: &mut Trail, missing: Vec<String>) -> Result<(), Refusal> {
    authorise(node, trail, Action::Agree)?;
    for member in missing {
        let statement = node.epoch.lock().await.statement(&node.identity)?;
        let greeting = EpochGreeting { statement: Some(statement) };
        let reply: EpochReply = relay::send(&node.gateway, &member, RelayKind::Epoch, &greeting).await?;
        node.epoch.lock().await.take(&node.identity, &member, reply)?;
    }
    Ok(())
}

fn agreed(node: &Node, epoch: &Epoch) -> Result<Agreed, Refusal> {
    let unusable = |error: &dyn std::fmt::Display| Refusal::internal("epoch_unusable", error);
    let agreed = epoch.agreed().ok_or_else(|| unusable(&"a contribution is missing or unreadable"))?;
    let own = EpochKey::from_bytes(&epoch.tag_key.to_bytes()).map_err(|error| unusable(&error))?;
    let (others, keys) = agreed.peer_keys.into_iter().unzip();
    let keys = EpochKeys::new(node.config.federation.epoch, own, keys).map_err(|error| unusable(&error))?;
    Ok(Agreed {
        digest: agreed.digest,
        locators: Locators::new(&agreed.secret),
        secret: agreed.secret,
        keys: Arc::new(keys),
        others,
    })
}

/// Puts subjects in the order of the epoch, which look-ups need.
async fn order(node: &Arc<Node>) -> Result<(), Refusal> {
    let (node, agreed) = (node.clone(), node.agreed()?);
    let types = node.holdings.identifier_types();
    blocking(move || types.into_iter().for_each(|kind| drop(node.holdings.order(kind, &agreed.locators)))).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal("background_work_failed", &error))
}

/// Tags every identifier that has none.
async fn tag(node: &Node) -> Result<(), Refusal> {
    if node.holdings.untagged_total() == 0 {
        return Ok(());
    }
    let mut trail = begin(node, Action::Tag).await?;
    let worked = tag_all(node, &mut trail).await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

async fn tag_all(node: &Node, trail: &mut Trail) -> Result<(), Refusal> {
    authorise(node, trail, Action::Tag)?;
    let agreed = node.agreed()?;
    let tagger = node.tagger(&agreed);
    for kind in node.holdings.identifier_types() {
        let batches = node.holdings.untagged(kind, BATCH);
        let recorded = tagger
            .tag_all(kind, batches.into_iter(), |numbers: Vec<u32>, tags| {
                let pairs: Vec<_> = numbers.into_iter().zip(tags).collect();
                trail.count("tagged", pairs.len() as u64);
                node.holdings.record_tags(kind, &pairs).map_err(Refusal::from)
            })
            .await;
        recorded?;
    }
    Ok(())
}

async fn begin(node: &Node, action: Action) -> Result<Trail, Refusal> {
    node.guard.begin(Act::by(node.identity.id(), action.as_str(), "federation")).await
}

fn authorise(node: &Node, trail: &mut Trail, action: Action) -> Result<(), Refusal> {
    let request = Request {
        subject: Attributes::new().with(attribute::AGENCY, node.agency.clone()).with(attribute::ROLE, "node"),
        resource: Attributes::new().with(attribute::KIND, kind::LINKAGE).with(attribute::OWNER, node.agency.clone()),
        action,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    };
    node.guard.authorise(trail, &request).map(|_permit| ())
}
