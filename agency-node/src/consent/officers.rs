//! What release officers do at their own node: read the questions that wait for them, and decide.

use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{Asker, TEXT_BYTES_MAX},
};

use super::{
    held::{Decision, HeldQuestion, State, Verdict},
    queue::unknown,
};
use crate::node::Node;

/// Held questions in one list, at most; the oldest stand in it.
const LISTED_MAX: usize = 200;
const QUEUE: &str = "release queue";

/// What an officer decides about one question.
pub(crate) struct Decided {
    pub(crate) id: String,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// Which held questions an officer wants to read.
pub(crate) enum Wanted {
    Waiting,
    /// Also those that need no decision any more.
    All,
    /// The one that these digits begin the id of.
    One(String),
}

/// identify person → open audit entry → authorise each question → complete audit → show; with how many
/// more there are
pub(crate) async fn list(node: &Node, peer: SpiffeId, wanted: Wanted) -> Result<(Vec<HeldQuestion>, usize), Refusal> {
    let officer = node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, Action::Release.as_str(), QUEUE)).await?;
    let listed = readable(node, &mut trail, &officer, &wanted);
    trail.complete(listed.as_ref().err()).await?;
    let mut listed = listed?;
    let more = listed.len().saturating_sub(LISTED_MAX);
    listed.truncate(LISTED_MAX);
    Ok((listed, more))
}

fn readable(node: &Node, trail: &mut Trail, officer: &Asker, wanted: &Wanted) -> Result<Vec<HeldQuestion>, Refusal> {
    let now_ms = node.clock.now_ms();
    let role = officer.get(attribute::ROLE).map_or("", String::as_str);
    let mut listed = match wanted {
        Wanted::One(digits) => node.releases.get(digits, now_ms).into_iter().collect(),
        Wanted::Waiting | Wanted::All => node.releases.all(now_ms),
    };
    listed.retain(|held| {
        (!matches!(wanted, Wanted::Waiting) || held.state(now_ms) == State::Waiting)
            && held.release_by.contains_key(role)
            && node.guard.authorise(trail, &request(node, officer, Some(held))).is_ok()
    });
    if listed.is_empty() {
        // An empty queue, too, is for those who may read it.
        let _permit = node.guard.authorise(trail, &request(node, officer, None))?;
    }
    trail.count("listed", listed.len() as u64);
    Ok(listed)
}

/// identify person → validate → open audit entry → authorise → decide, durably → complete audit → show
pub(crate) async fn decide(node: &Node, peer: SpiffeId, decided: Decided) -> Result<HeldQuestion, Refusal> {
    let officer = node.person(&peer)?;
    validate(&decided.reason)?;
    let held = node.releases.get(&decided.id, node.clock.now_ms());
    let act = match &held {
        Some(held) => Act::by(&peer, Action::Release.as_str(), &held.asked.dataset)
            .because(&held.asked.purpose, &held.asked.case_number, &decided.reason)
            .about(Some(held.question)),
        None => Act::by(&peer, Action::Release.as_str(), QUEUE),
    };
    let mut trail = node.guard.begin(act).await?;
    let worked = (|| {
        let held = held.ok_or_else(unknown)?;
        let _permit = node.guard.authorise(&mut trail, &request(node, &officer, Some(&held)))?;
        let decision = Decision {
            officer: peer.to_string(),
            role: officer.get(attribute::ROLE).cloned().unwrap_or_default(),
            verdict: decided.verdict,
            reason: decided.reason,
            at_ms: node.clock.now_ms(),
        };
        trail.count(if decided.verdict == Verdict::Refuse { "refused" } else { "granted" }, 1);
        node.releases.decide(&held.id, decision)
    })();
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// What the policy is asked: about one held question, or about the queue as a whole.
fn request(node: &Node, officer: &Asker, held: Option<&HeldQuestion>) -> Request {
    let mut resource =
        Attributes::new().with(attribute::KIND, kind::RELEASE).with(attribute::OWNER, node.agency.clone());
    let mut context = Context { at_ms: node.clock.now_ms(), ..Context::default() };
    if let Some(HeldQuestion { asked, .. }) = held {
        resource = resource.with(attribute::DATASET, asked.dataset.clone());
        if let Ok(dataset) = node.holdings.dataset(&asked.dataset) {
            resource = resource.with(attribute::SENSITIVITY, dataset.sensitivity.name());
        }
        context.purpose.clone_from(&asked.purpose);
        context.case_number.clone_from(&asked.case_number);
        context.reason.clone_from(&asked.reason);
        context.subject_type.clone_from(&asked.subject);
    }
    Request { subject: officer.clone().into_iter().collect(), resource, action: Action::Release, context }
}

fn validate(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() || reason.len() > TEXT_BYTES_MAX || reason.chars().any(char::is_control) {
        return Err(Refusal::bad_input(
            "release_reason",
            format!("Say why, in one line of at most {TEXT_BYTES_MAX} bytes."),
        ));
    }
    Ok(())
}
