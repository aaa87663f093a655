//! What the agency's people do with watches at their own node.

use std::sync::Arc;

use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Context, Request},
    question::Asker,
};

use super::watch::{Standing, Watch};
use crate::{
    leads::{self, name_of},
    node::Node,
    settle,
};

/// A watch that a person arms.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) what: Standing,
    pub(crate) until_ms: i64,
    pub(crate) reason: String,
}

/// identify person → open audit entry → authorise → find its playbook → keep, durably → complete audit → show
pub(crate) async fn arm(node: &Arc<Node>, peer: SpiffeId, wanted: Wanted) -> Result<Watch, Refusal> {
    let person = node.person(&peer)?;
    let now_ms = node.clock.now_ms();
    let by = (peer.to_string(), name_of(&peer));
    let watch = Watch::arm(&wanted.name, wanted.what, (&by.0, &by.1), wanted.until_ms, &wanted.reason, now_ms)?;
    let (purpose, case_number) = watch.what.context(now_ms);
    let act = Act::by(&peer, Action::Arm.as_str(), &format!("watch {}", watch.name));
    let mut trail = node.guard.begin(act.because(&purpose, &case_number, &watch.reason)).await?;
    let worked = async {
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Arm, &watch))?;
        node.leads.covers(&watch.name, watch.what.pattern().as_deref())?;
        let keeping = node.clone();
        settle::blocking(move || keeping.watches.add(watch)).await?
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// As [`change`]: it stands for longer, on behalf of this person.
pub(crate) async fn renew(
    node: &Arc<Node>,
    peer: SpiffeId,
    name: &str,
    until_ms: i64,
    reason: String,
) -> Result<Watch, Refusal> {
    let (person, now_ms) = ((peer.to_string(), name_of(&peer)), node.clock.now_ms());
    change(node, peer, name, "renewed", move |watch| watch.renew((&person.0, &person.1), until_ms, &reason, now_ms))
        .await
}

/// As [`change`]: it ends for good.
pub(crate) async fn disarm(node: &Arc<Node>, peer: SpiffeId, name: &str, reason: String) -> Result<Watch, Refusal> {
    let (by, now_ms) = (name_of(&peer), node.clock.now_ms());
    change(node, peer, name, "disarmed", move |watch| watch.disarm(&by, &reason, now_ms)).await
}

/// identify person → open audit entry → authorise → change, durably → complete audit → show
async fn change(
    node: &Arc<Node>,
    peer: SpiffeId,
    name: &str,
    what: &'static str,
    change: impl FnOnce(&mut Watch) -> Result<(), Refusal> + Send + 'static,
) -> Result<Watch, Refusal> {
    let person = node.person(&peer)?;
    let watch = node.watches.get(name)?;
    let act = Act::by(&peer, Action::Arm.as_str(), &format!("watch {}", watch.name));
    let mut trail = node.guard.begin(act).await?;
    let worked = async {
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Arm, &watch))?;
        trail.tell(what);
        let keeping = node.clone();
        settle::blocking(move || keeping.watches.change(&watch.name, change)).await?
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// identify person → open audit entry → authorise each watch → complete audit → show
pub(crate) async fn list(node: &Node, peer: SpiffeId) -> Result<Vec<Watch>, Refusal> {
    let person = node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, Action::Leads.as_str(), "watches")).await?;
    let listed = readable(node, &mut trail, &person);
    trail.complete(listed.as_ref().err()).await?;
    listed
}

fn readable(node: &Node, trail: &mut Trail, person: &Asker) -> Result<Vec<Watch>, Refusal> {
    let (mut listed, mut refused) = (Vec::new(), None);
    for watch in node.watches.all() {
        match node.guard.authorise(trail, &request(node, person, Action::Leads, &watch)) {
            Ok(_permit) => listed.push(watch),
            Err(refusal) => refused = Some(refusal),
        }
    }
    trail.count("listed", listed.len() as u64);
    match refused {
        Some(refusal) if listed.is_empty() => Err(refusal),
        _ => Ok(listed),
    }
}

fn request(node: &Node, person: &Asker, action: Action, watch: &Watch) -> Request {
    let now_ms = node.clock.now_ms();
    let (purpose, case_number) = watch.what.context(now_ms);
    let context = Context { purpose, case_number, reason: watch.reason.clone(), at_ms: now_ms, ..Context::default() };
    Request { context, ..leads::request(node, person, action, watch.what.pattern().as_deref()) }
}
