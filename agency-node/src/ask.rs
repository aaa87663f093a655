//! The way of this agency's own question, each step a line: see [`ask`].
//!
//! This node knows the person and vouches for them by signing. It is the only place where a score
//! meets a name, and only for subjects that its own data hold.

use std::sync::Arc;

use sallyport_join::tally::{SUM_BYTES, SUMS_MAX};
use sallyport_proto::{
    gateway::v1::{AskRequest, ask_event::Event},
    node::v1::{DeskAnswer, DeskAskEvent, desk_ask_event},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::{SpiffeId, refusal_of},
    policy::{Action, Attributes, Context, Permit, Request, attribute, kind},
    question::{Asker, Circumstances, Pattern, Question, QuestionId, WrittenQuestion},
};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;

use crate::{
    consent::Kept,
    linkage::epochs::Agreed,
    lookup::{LookedUp, look_up},
    node::Node,
    patterns,
    resolve::{Joined, resolve, too_many_counts},
};

/// Where a question's events go.
pub(crate) type Events = mpsc::Sender<Result<DeskAskEvent, Status>>;

/// What a person asks.
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// For a look-up.
    pub(crate) lookup: Vec<String>,
    /// The held question that it completes, if it is one that is asked again.
    pub(crate) completes: Option<Kept>,
    /// The pattern that it was made from, if it was.
    pub(crate) pattern: Option<Pattern>,
    /// A watch asks it.
    pub(crate) standing: bool,
}

/// identify person → open audit entry → validate → authorise (own policy) → sign → gateway → resolve
/// against own records → keep if an owner holds it → complete audit → show
pub(crate) async fn ask(node: Arc<Node>, peer: SpiffeId, asked: Asked, events: Events) -> Result<(), Refusal> {
    let started = Instant::now();
    let asker = node.person(&peer)?;
    let agreed = node.agreed()?;
    let question = &asked.question;
    let pattern = asked.pattern.clone();
    let resource = pattern.as_ref().map_or_else(|| "federation".to_owned(), |pattern| pattern.name().to_string());
    let action = if asked.lookup.is_empty() { Action::Ask } else { Action::LookUp };
    let request = request(&node, &asker, action, question);
    let looked_up = match action {
        Action::LookUp => Some(look_up(&node, &peer, &agreed, &request, &asked).await?),
        _ => None,
    };
    let range_bits = looked_up.as_ref().map(|looked_up| looked_up.range_bits);
    let written = write(&node, &agreed, asker, &asked, looked_up.as_ref());
    let id = written.as_ref().ok().map(WrittenQuestion::id);
    let act = Act::by(&peer, action.as_str(), &resource)
        .because(&question.purpose, &question.case_number, &question.reason)
        .about(id);
    let mut trail = node.guard.begin(act).await?;
    let worked = tokio::select! {
        worked = answer(&node, &mut trail, &request, question, written, looked_up, &events) => worked,
        () = events.closed() => Err(Refusal::new(Kind::TimedOut, "cancelled", "The person went away.")),
    };
    let shown = match worked {
        Ok((id, joined, permit)) => resolve(&node, &agreed, question, id, joined, &permit)
            .await
            .and_then(|shown| keep_if_held(&node, &peer, asked, (id, range_bits), shown)),
        Err(refusal) => Err(refusal),
    };
    let shown = shown.map(|answer| patterns::above_minimum(pattern.as_ref(), &mut trail, answer));
    let place = trail.complete(shown.as_ref().err()).await?;
    if let Some(id) = id {
        node.receipts.keep(id, &peer, place, node.clock.now_ms());
    }
    let shown = shown.inspect(|answer| raisable(&node, &peer, pattern.as_ref(), answer));
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let shown = DeskAnswer { elapsed_ms, ..shown? };
    let _ = events.send(Ok(DeskAskEvent { event: Some(desk_ask_event::Event::Answer(shown)) })).await;
    Ok(())
}

/// What the person was shown, they can raise as a lead.
fn raisable(node: &Node, peer: &SpiffeId, pattern: Option<&Pattern>, answer: &DeskAnswer) {
    let ranks: Vec<u32> = answer.matches.iter().map(|shown| shown.rank).collect();
    let pattern = pattern.map(|pattern| pattern.name().to_string());
    node.leads.recent.shown(&answer.question_id, &peer.to_string(), pattern, &ranks);
}

/// What this node's policy decides on.
pub(crate) fn request(node: &Node, asker: &Asker, action: Action, question: &Question) -> Request {
    Request {
        subject: asker.clone().into_iter().collect(),
        resource: Attributes::new().with(attribute::KIND, kind::FEDERATION).with(attribute::OWNER, node.agency.clone()),
        action,
        context: Context {
            purpose: question.purpose.clone(),
            case_number: question.case_number.clone(),
            reason: question.reason.clone(),
            subject_type: question.subject.clone(),
            minimum_datasets: question.minimum_datasets,
            top: question.top,
            at_ms: node.clock.now_ms(),
        },
    }
}

fn write(
    node: &Node,
    agreed: &Agreed,
    asker: Asker,
    asked: &Asked,
    looked_up: Option<&LookedUp>,
) -> Result<WrittenQuestion, Refusal> {
    let circumstances = Circumstances {
        federation: node.identity.id().federation.clone(),
        epoch_digest: agreed.digest,
        home_agency: node.agency.clone(),
        asker,
        issued_at_ms: node.clock.now_ms(),
        lookup: looked_up.map(|looked_up| looked_up.ranges.clone()),
        completes: asked.completes.as_ref().map(|kept| kept.id),
        looked_up: looked_up.map_or(0, |looked_up| looked_up.tags.len() as u32),
        standing: asked.standing,
    };
    WrittenQuestion::write(&asked.question, circumstances)
}

/// A question of which an owner holds a part is kept, for the person to complete.
fn keep_if_held(
    node: &Node,
    peer: &SpiffeId,
    asked: Asked,
    (id, range_bits): (QuestionId, Option<u32>),
    mut shown: DeskAnswer,
) -> Result<DeskAnswer, Refusal> {
    let now_ms = node.clock.now_ms();
    if let Some(kept) = &asked.completes {
        kept.explain_asked_anew(&mut shown.coverage);
    }
    let kept = asked
        .completes
        .unwrap_or_else(|| Kept::new(peer.to_string(), &asked.question, asked.lookup, range_bits, id, now_ms));
    let first_id = kept.id.to_string();
    let held = node.kept.note(kept, &shown.coverage, now_ms)?;
    Ok(DeskAnswer { complete_with: if held { first_id } else { String::new() }, ..shown })
}

async fn answer(
    node: &Node,
    trail: &mut Trail,
    request: &Request,
    question: &Question,
    written: Result<WrittenQuestion, Refusal>,
    looked_up: Option<LookedUp>,
    events: &Events,
) -> Result<(QuestionId, Joined, Permit), Refusal> {
    let written = written?;
    let permit = node.guard.authorise(trail, request)?;
    let id = written.id();
    if let Some(looked_up) = looked_up {
        trail.count("looked_up", looked_up.tags.len() as u64);
        node.keep_lookup(id, looked_up.tags);
    }
    let signed = written.sign(&node.identity)?;
    let mut call = tonic::Request::new(AskRequest { question: Some(signed.into_wire()) });
    call.set_timeout(std::time::Duration::from_millis(u64::from(question.deadline_ms)));
    let mut answers = node.gateway.clone().ask(call).await.map_err(|status| refusal_of(&status))?.into_inner();
    let mut sums = Vec::new();
    while let Some(message) = answers.message().await.map_err(|status| refusal_of(&status))? {
        match message.event {
            Some(Event::Progress(progress)) => {
                let _ = events.try_send(Ok(DeskAskEvent { event: Some(desk_ask_event::Event::Progress(progress)) }));
            }
            Some(Event::Sums(_)) if sums.len() >= SUMS_MAX * SUM_BYTES => return Err(too_many_counts()),
            Some(Event::Sums(more)) => sums.extend(more),
            Some(Event::Answer(answer)) => {
                trail.count("matches", answer.matches.len() as u64);
                trail.count("sums", (sums.len() / SUM_BYTES) as u64);
                return Ok((id, Joined { answer, sums }, permit));
            }
            None => {}
        }
    }
    Err(Refusal::new(Kind::Unavailable, "answer_missing", "The gateway ended without an answer; ask again."))
}
