//! What the agency's people do with watches at their own node.

use std::sync::Arc;

use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{PeerIdentity, SpiffeId},
    policy::{Action, Context, Request},
    question::Asker,
};

use super::{
    run,
    watch::{Behalf, Standing, Watch},
};
use crate::{
    ask,
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

/// identify person → open audit entry → may they ask it → authorise → find its playbook → keep, durably → complete
/// audit → show
pub(crate) async fn arm(node: &Arc<Node>, shown: &PeerIdentity, wanted: Wanted) -> Result<Watch, Refusal> {
    let peer = shown.id().clone();
    let person = node.person(&peer)?;
    let now_ms = node.clock.now_ms();
    let watch = Watch::arm(&wanted.name, wanted.what, &behalf(shown), wanted.until_ms, &wanted.reason, now_ms)?;
    let (purpose, case_number) = watch.what.context(now_ms);
    let act = Act::by(&peer, Action::Arm.as_str(), &format!("watch {}", watch.name));
    let mut trail = node.guard.begin(act.because(&purpose, &case_number, &watch.reason)).await?;
    let worked = async {
        may_ask(node, &mut trail, (&peer, &person), &watch).await?;
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Arm, &watch))?;
        node.leads.covers(&watch.name, watch.what.pattern().as_deref())?;
        let keeping = node.clone();
        settle::blocking(move || keeping.watches.add(watch)).await?
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// As [`change`], for who may ask it: it stands for longer, on behalf of this person.
pub(crate) async fn renew(
    node: &Arc<Node>,
    shown: &PeerIdentity,
    name: &str,
    until_ms: i64,
    reason: String,
) -> Result<Watch, Refusal> {
    let (by, now_ms) = (behalf(shown), node.clock.now_ms());
    let renewed = move |watch: &mut Watch| watch.renew(&by, until_ms, &reason, now_ms);
    change(node, shown.id().clone(), name, Change::Renewed, renewed).await
}

fn behalf(shown: &PeerIdentity) -> Behalf {
    Behalf { person: shown.id().to_string(), name: name_of(shown.id()), shown: shown.shown() }
}

/// As [`change`]: it ends for good.
pub(crate) async fn disarm(node: &Arc<Node>, peer: SpiffeId, name: &str, reason: String) -> Result<Watch, Refusal> {
    let (by, now_ms) = (name_of(&peer), node.clock.now_ms());
    change(node, peer, name, Change::Disarmed, move |watch| watch.disarm(&by, &reason, now_ms)).await
}

/// What becomes of a watch.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Renewed,
    Disarmed,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Disarmed => "disarmed",
        }
    }
}

/// identify person → open audit entry → authorise → change, durably → complete audit → show
async fn change(
    node: &Arc<Node>,
    peer: SpiffeId,
    name: &str,
    what: Change,
    change: impl FnOnce(&mut Watch) -> Result<(), Refusal> + Send + 'static,
) -> Result<Watch, Refusal> {
    let person = node.person(&peer)?;
    let watch = node.watches.get(name)?;
    let act = Act::by(&peer, Action::Arm.as_str(), &format!("watch {}", watch.name));
    let mut trail = node.guard.begin(act).await?;
    let worked = async {
        if what == Change::Renewed {
            may_ask(node, &mut trail, (&peer, &person), &watch).await?;
        }
        let _permit = node.guard.authorise(&mut trail, &request(node, &person, Action::Arm, &watch))?;
        if what == Change::Renewed {
            node.leads.covers(&watch.name, watch.what.pattern().as_deref())?;
        }
        trail.tell(what.as_str());
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

/// The watches that the person may see. The last decision stands in the trail: it is one that permits, if any does.
fn readable(node: &Node, trail: &mut Trail, person: &Asker) -> Result<Vec<Watch>, Refusal> {
    let asked = |watch: &Watch| request(node, person, Action::Leads, watch);
    let mut listed = node.watches.all();
    listed.retain(|watch| node.guard.authorise(trail, &asked(watch)).is_ok());
    let standing = listed.first().map_or_else(|| leads::request(node, person, Action::Leads, None), asked);
    let _permit = node.guard.authorise(trail, &standing)?;
    trail.count("listed", listed.len() as u64);
    Ok(listed)
}

/// Refuses what would stop the watch at its first asking, as far as this node can tell.
async fn may_ask(
    node: &Arc<Node>,
    trail: &mut Trail,
    (peer, person): (&SpiffeId, &Asker),
    watch: &Watch,
) -> Result<(), Refusal> {
    match run::standing(node, peer, watch).await {
        Ok(asked) => {
            let request = ask::request(node, person, Action::Ask, &asked.question);
            node.guard.authorise(trail, &request).map(drop)
        }
        Err(refusal) if run::stops(&refusal) => Err(refusal),
        // A pattern's owner who is away comes back.
        Err(_) => Ok(()),
    }
}

fn request(node: &Node, person: &Asker, action: Action, watch: &Watch) -> Request {
    let now_ms = node.clock.now_ms();
    let (purpose, case_number) = watch.what.context(now_ms);
    let context = Context { purpose, case_number, reason: watch.reason.clone(), at_ms: now_ms, ..Context::default() };
    Request { context, ..leads::request(node, person, action, watch.what.pattern().as_deref()) }
}
