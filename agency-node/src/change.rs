//! From one epoch to the next, while questions go on: agree, tag, wait for everybody, switch, forget.
//!
//! Every step is written down before the next one, and each may be interrupted: whoever comes back goes
//! on where they were. An epoch is used for own questions only when every member has told, under its
//! signature, that it is complete there; the one before answers others' questions until every member
//! has told that it uses the new one. Then its keys and tags are erased.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{EpochGreeting, EpochReply},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    policy::Action,
};

use crate::{
    linkage::{
        course::{Course, Plan},
        epoch,
        epochs::Agreed,
        progress::{self, Proposal, Told},
        relay,
    },
    node::Node,
    settle::{authorise, begin, blocking, order, tag},
    witness,
};

/// First and longest wait before the others are asked again; they also tell by themselves.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// How long an earlier epoch still answers when everybody uses a later one: longer than a question that
/// was signed in it can be on its way.
const EARLIER_GRACE: Duration = Duration::from_secs(30);

/// What this node has told everybody of itself.
#[derive(Default)]
struct Follower {
    announced: Option<(u64, bool)>,
    /// Since when everybody uses the epoch in use.
    everybody_since: Option<Instant>,
}

/// Follows what operators decide, for as long as the node runs.
pub(crate) async fn follow(node: &Arc<Node>) {
    let mut follower = Follower::default();
    let (mut pause, longest) = ASK_AGAIN;
    reopen(node).await;
    loop {
        let before = node.epochs.plans();
        witness::follow(node, &before);
        if let Err(refusal) = follower.turn(node, &before).await {
            tracing::info!(reason = refusal.reason, "the change of epochs waits: {}", refusal.message);
        }
        if node.epochs.plans() != before {
            pause = ASK_AGAIN.0;
            continue;
        }
        let is_idle = before.next.is_none() && before.earlier.is_empty();
        tokio::select! {
            () = node.epochs.news.notified() => pause = ASK_AGAIN.0,
            () = tokio::time::sleep(pause), if !is_idle => pause = (pause * 2).min(longest),
        }
    }
}

/// Earlier epochs answer again after a restart.
async fn reopen(node: &Arc<Node>) {
    for number in node.epochs.plans().earlier {
        if let Err(refusal) = agree(node, number).await {
            tracing::warn!(epoch = number, reason = refusal.reason, "an earlier epoch cannot be opened");
        }
    }
}

impl Follower {
    async fn turn(&mut self, node: &Arc<Node>, course: &Course) -> Result<(), Refusal> {
        if let Some(next) = &course.next {
            return self.prepare(node, next).await;
        }
        if course.earlier.is_empty() {
            return Ok(());
        }
        self.leave_earlier(node, &course.in_use).await
    }

    /// agree → tag → order → complete → hear that all are complete → switch
    async fn prepare(&mut self, node: &Arc<Node>, next: &Plan) -> Result<(), Refusal> {
        let agreed = agree(node, next.epoch).await?;
        if !agreed.is_complete() {
            tag(node, &agreed).await?;
            order(node, &agreed).await?;
            agreed.completed();
            tracing::info!(epoch = next.epoch, "complete; questions of it are answered");
        }
        self.hear(node, next, false, |told| told.complete).await?;
        node.epochs.switch(next.epoch)
    }

    /// hear that all use the epoch in use → wait for what is on its way or not accounted for → erase what
    /// went before
    async fn leave_earlier(&mut self, node: &Arc<Node>, in_use: &Plan) -> Result<(), Refusal> {
        self.hear(node, in_use, true, |told| told.in_use).await?;
        let since = *self.everybody_since.get_or_insert_with(Instant::now);
        if since.elapsed() < EARLIER_GRACE
            || node.epochs.earlier().iter().any(|digest| node.books.awaited.awaits(digest))
        {
            return Ok(());
        }
        self.everybody_since = None;
        node.epochs.forget_earlier().await
    }

    /// Tells every member how far this node is, the first time, and asks those who are not that far yet.
    async fn hear(
        &mut self,
        node: &Node,
        plan: &Plan,
        in_use: bool,
        is_there: impl Fn(&Told) -> bool,
    ) -> Result<(), Refusal> {
        let digest = node.epochs.agreed(plan.epoch).map(|agreed| agreed.digest);
        let others = plan.members.iter().filter(|member| **member != node.agency);
        let waits_for = |member: &&String| {
            let told = node.epochs.reports.of(plan.epoch, member);
            told.digest != digest || !is_there(&told)
        };
        let everybody = self.announced != Some((plan.epoch, in_use));
        let asked: Vec<String> = others.clone().filter(|member| everybody || waits_for(member)).cloned().collect();
        if !asked.is_empty() {
            greet(node, plan.epoch, &asked).await?;
            self.announced = Some((plan.epoch, in_use));
        }
        let left: Vec<&str> = others.filter(waits_for).map(String::as_str).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Kind::Unavailable,
            "epoch_waits",
            format!("Epoch {} waits for the nodes of: {}.", plan.epoch, left.join(", ")),
        ))
    }
}

/// The epoch with this number, once every member has contributed; greets those who have not.
///
/// # Errors
/// When a member is away or was told something else, and when what is kept cannot be used.
pub(crate) async fn agree(node: &Arc<Node>, number: u64) -> Result<Arc<Agreed>, Refusal> {
    if let Some(agreed) = node.epochs.agreed(number) {
        return Ok(agreed);
    }
    let missing = node.epochs.drafts().lock().await.get(&number).map(|draft| draft.missing());
    let missing = missing.ok_or_else(not_begun)?;
    if !missing.is_empty() {
        greet(node, number, &missing).await?;
    }
    let material = node.epochs.drafts().lock().await.get(&number).and_then(|draft| draft.material());
    let material = material.ok_or_else(|| {
        Refusal::new(Kind::Unavailable, "epoch_not_agreed", "Not every member has contributed to the epoch yet.")
    })?;
    // Reads the tags that are kept.
    let opening = node.clone();
    blocking(move || opening.epochs.settle(material, opening.holdings.subject_counts())).await?
}

/// Tells the others that this node is complete, if it has joined them: they wait for it.
pub(crate) async fn announce(node: &Node, agreed: &Agreed) -> Result<(), Refusal> {
    let joins = node.epochs.drafts().lock().await.get(&agreed.number()).is_some_and(|draft| draft.joins());
    if joins { greet(node, agreed.number(), &agreed.others).await } else { Ok(()) }
}

/// Tells the others once that this node is back, and hears how far they are. Whoever is away tells by
/// itself when it comes back, so nobody waits for this.
pub(crate) async fn introduce(node: &Node) {
    let Ok(agreed) = node.epochs.in_use() else { return };
    if let Err(refusal) = greet(node, agreed.number(), &agreed.others).await {
        tracing::info!(reason = refusal.reason, "a member could not be greeted: {}", refusal.message);
    }
}

/// Greets members in turn, under an audit entry; the first that fails is the failure.
async fn greet(node: &Node, number: u64, members: &[String]) -> Result<(), Refusal> {
    let mut trail = begin(node, Action::Agree).await?;
    let worked = async {
        authorise(node, &mut trail, Action::Agree)?;
        let mut failure = None;
        for member in members {
            if let Err(refusal) = greet_one(node, number, member).await {
                node.epochs.reports.failed(number, member, &refusal);
                failure = failure.or(Some(refusal));
            }
        }
        failure.map_or(Ok(()), Err)
    }
    .await;
    trail.complete(worked.as_ref().err()).await?;
    worked
}

async fn greet_one(node: &Node, number: u64, member: &str) -> Result<(), Refusal> {
    let statement = match node.epochs.drafts().lock().await.get(&number) {
        Some(draft) => draft.statement(&node.identity)?,
        None => return Err(not_begun()),
    };
    let greeting = EpochGreeting { statement: Some(statement), progress: Some(own_progress(node, number)?) };
    let mut reply: EpochReply = relay::send(&node.gateway, member, RelayKind::Epoch, &greeting).await?;
    let told = reply.progress.take();
    if let Some(draft) = node.epochs.drafts().lock().await.get_mut(&number) {
        draft.take(&node.identity, member, reply)?;
    }
    if let Some(told) = told {
        node.epochs.reports.take(&progress::verify(&node.identity, member, number, told)?);
    }
    Ok(())
}

fn own_progress(node: &Node, number: u64) -> Result<sallyport_proto::node::v1::SignedMessage, Refusal> {
    progress::sign(&node.identity, &node.epochs.progress(number, node.holdings.identifier_count()))
}

/// Answers a member's greeting: our statement, our contribution sealed to it, and how far we are.
///
/// # Errors
/// When it is not the member's own, or of an epoch that this node was told nothing of.
pub(crate) async fn answer(node: &Node, from: &str, greeting: EpochGreeting) -> Result<EpochReply, Refusal> {
    let unreadable = || Refusal::bad_input("relay_unreadable", "The carried message cannot be read.");
    let signed = greeting.statement.ok_or_else(unreadable)?;
    let statement = epoch::read_statement(&node.identity, from, &signed)?;
    let number = statement.epoch;
    let (mut reply, is_missing) = {
        let drafts = node.epochs.drafts().lock().await;
        let Some(draft) = drafts.get(&number) else {
            node.epochs.reports.propose(from, Proposal { epoch: number, members: statement.members });
            return Err(elsewhere(node, number));
        };
        (draft.answer(&node.identity, from, signed)?, draft.missing().iter().any(|member| member == from))
    };
    let is_new = match greeting.progress {
        Some(told) => node.epochs.reports.take(&progress::verify(&node.identity, from, number, told)?),
        None => false,
    };
    if is_new || is_missing {
        node.epochs.news.notify_one();
    }
    reply.progress = Some(own_progress(node, number)?);
    Ok(reply)
}

/// What a member is told that greets in an epoch which this node does not prepare.
fn elsewhere(node: &Node, number: u64) -> Refusal {
    not_in(&node.agency, &node.epochs.plans(), number)
}

fn not_in(agency: &str, course: &Course, number: u64) -> Refusal {
    let message = match &course.next {
        Some(next) => format!(
            "`{agency}` prepares another epoch, {}; the operators must begin the same one, with `sallyport epoch cancel` \
             first.",
            next.epoch
        ),
        None if number > course.highest => format!("`{agency}` has not begun epoch {number} yet; its operator must."),
        None => format!("`{agency}` does not take part in epoch {number}; compare `sallyport epoch show` at both."),
    };
    Refusal::new(Kind::Conflict, "epoch_not_begun", message)
}

fn not_begun() -> Refusal {
    Refusal::new(Kind::Conflict, "epoch_not_begun", "The epoch is not prepared here any more.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_what_the_other_lacks() {
        let plan = |epoch| Plan { epoch, members: Vec::new(), keeps_keys: false };
        let mut course = Course { in_use: plan(3), next: None, earlier: Vec::new(), highest: 3 };
        let told = |course: &Course, number| not_in("cbp", course, number).message;
        assert!(told(&course, 4).starts_with("`cbp` has not begun epoch 4 yet"));
        assert!(told(&course, 2).starts_with("`cbp` does not take part in epoch 2;"));
        course.next = Some(plan(7));
        assert!(told(&course, 4).starts_with("`cbp` prepares another epoch, 7;"));
    }
}
