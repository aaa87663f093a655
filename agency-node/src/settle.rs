//! What a node does by itself after its start: read its data, agree on the epoch, tag what has no tag.
//!
//! Each step can be interrupted at any time and goes on where it was. While another party is away the
//! node says what it waits for and tries again. What is to change is done beside it: see
//! [`crate::change`].

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    policy::{Action, Attributes, Context, Request, attribute, kind},
};

use crate::{
    change,
    identifier::{Canonical, IdentifierType},
    linkage::{
        epochs::Agreed,
        oprf::KeySum,
        tagging::{BATCH, Batch},
    },
    node::{Node, Settled},
    refresh,
};

/// First and longest wait before a step is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Reads data, then agrees and tags; meanwhile and from then on, follows changes.
pub(crate) async fn settle(node: Arc<Node>) {
    wait_for(&node, "reading the data sets");
    let epoch = node.epochs.plans().in_use.epoch;
    with_patience(&node, epoch, || async { node.holdings.prepare().await.map_err(Refusal::from) }).await;
    let settle_and_refresh = async {
        settle_in(&node, epoch).await;
        tokio::join!(refresh::follow(&node), change::introduce(&node));
    };
    tokio::join!(settle_and_refresh, change::follow(&node));
}

/// Agrees and tags in the epoch in use; in vain once it is no longer in use.
async fn settle_in(node: &Arc<Node>, epoch: u64) {
    wait_for(node, "agreeing on the epoch with the other nodes");
    with_patience(node, epoch, || async { change::agree(node, epoch).await.map(drop) }).await;
    if let Some(agreed) = node.epochs.agreed(epoch) {
        wait_for(node, "tagging identifiers together with the other nodes");
        let complete = async || {
            tag(node, &agreed).await?;
            order(node, &agreed).await?;
            agreed.completed();
            change::announce(node, &agreed).await
        };
        with_patience(node, epoch, complete).await;
    }
    let mut settled = node.settled.lock().unwrap_or_else(PoisonError::into_inner);
    *settled = Settled { ready: true, waiting_for: Vec::new() };
    tracing::info!("every data set can be asked");
}

fn wait_for(node: &Node, what: &str) {
    tracing::info!("{what}");
    let mut settled = node.settled.lock().unwrap_or_else(PoisonError::into_inner);
    *settled = Settled { ready: false, waiting_for: vec![what.to_owned()] };
}

async fn with_patience<F: Future<Output = Result<(), Refusal>>>(node: &Node, epoch: u64, mut step: impl FnMut() -> F) {
    let (mut pause, longest) = RETRY;
    while let Err(refusal) = step().await {
        if !node.epochs.is_wanted(epoch) {
            return;
        }
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

/// Puts subjects in the order of the epoch, which look-ups need.
pub(crate) async fn order(node: &Node, agreed: &Arc<Agreed>) -> Result<(), Refusal> {
    let (agreed, types) = (agreed.clone(), node.holdings.identifier_types());
    blocking(move || types.into_iter().for_each(|kind| drop(agreed.order(kind)))).await
}

/// Work that reads files or takes its time: off the threads that answer calls.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal("background_work_failed", &error))
}

/// Tags every identifier that has no tag of the epoch.
pub(crate) async fn tag(node: &Node, agreed: &Arc<Agreed>) -> Result<(), Refusal> {
    let kinds = node.holdings.subject_counts();
    if kinds.iter().all(|&(kind, count)| agreed.tags.tagged(kind) >= count) {
        return Ok(());
    }
    let mut trail = begin(node, Action::Tag).await?;
    let worked = tag_all(node, agreed, &mut trail).await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

async fn tag_all(node: &Node, agreed: &Arc<Agreed>, trail: &mut Trail) -> Result<(), Refusal> {
    authorise(node, trail, Action::Tag)?;
    let tagger = node.tagger(agreed);
    for kind in node.holdings.identifier_types() {
        let open = node.holdings.untagged(kind, &agreed.tags);
        let batches = batches(open, &sums_before(node, agreed, kind).await?);
        let recorded = tagger
            .tag_all(kind, batches, |made| {
                if !node.epochs.is_wanted(agreed.number()) {
                    return Err(given_up(agreed.number()));
                }
                trail.count("tagged", made.len() as u64);
                agreed.tags.record(kind, made).map_err(|error| Refusal::internal("tags_not_kept", &error))
            })
            .await;
        recorded?;
    }
    Ok(())
}

/// Sums of keys in the epoch that this one continues: only who joined has to add to them.
async fn sums_before(node: &Node, agreed: &Agreed, kind: IdentifierType) -> Result<HashMap<u32, KeySum>, Refusal> {
    let before = agreed.continues.and_then(|digest| node.epochs.with_digest(&digest));
    let Some(before) = before else { return Ok(HashMap::new()) };
    let read = blocking(move || before.tags.sums(kind)).await?;
    read.map_err(|error| Refusal::internal("tags_unusable", &error))
}

/// Identifiers with a sum and those without, in batches of one sort each.
fn batches(open: Vec<(u32, Canonical)>, sums: &HashMap<u32, KeySum>) -> Vec<Batch> {
    let (known, new): (Vec<_>, Vec<_>) = open.into_iter().partition(|(number, _)| sums.contains_key(number));
    let batch = |part: &[(u32, Canonical)]| {
        let (numbers, identifiers): (Vec<u32>, Vec<Canonical>) = part.iter().cloned().unzip();
        let before = numbers.iter().filter_map(|number| sums.get(number).copied()).collect();
        Batch { numbers, identifiers, before }
    };
    known.chunks(BATCH).chain(new.chunks(BATCH)).map(batch).collect()
}

fn given_up(epoch: u64) -> Refusal {
    Refusal::new(Kind::Conflict, "epoch_given_up", format!("Epoch {epoch} is no longer prepared here."))
}

/// Opens an entry for work of the node's own.
pub(crate) async fn begin(node: &Node, action: Action) -> Result<Trail, Refusal> {
    node.guard.begin(Act::by(node.identity.id(), action.as_str(), "federation")).await
}

/// Decides about work of the node's own.
pub(crate) fn authorise(node: &Node, trail: &mut Trail, action: Action) -> Result<(), Refusal> {
    let request = Request {
        subject: Attributes::new().with(attribute::AGENCY, node.agency.clone()).with(attribute::ROLE, "node"),
        resource: Attributes::new().with(attribute::KIND, kind::LINKAGE).with(attribute::OWNER, node.agency.clone()),
        action,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    };
    node.guard.authorise(trail, &request).map(|_permit| ())
}
