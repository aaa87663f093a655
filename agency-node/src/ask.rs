//! The way of this agency's own question, each step a line: see [`ask`].
//!
//! This node knows the person and vouches for them by signing. It is the only place where a score
//! meets a name, and only for subjects that its own data hold.

use std::sync::Arc;

use sallyport_proto::{
    gateway::v1::{Answer, AskRequest, ask_event::Event},
    node::v1::{DeskAnswer, DeskAskEvent, desk_ask_event},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::{SpiffeId, refusal_of},
    policy::{Action, Attributes, Context, Permit, Request, attribute, kind},
    question::{Asker, Circumstances, Question, QuestionId, WrittenQuestion},
};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;

use crate::{
    lookup::{LookedUp, look_up},
    node::{Agreed, Node},
    resolve::resolve,
};

/// Where a question's events go.
pub(crate) type Events = mpsc::Sender<Result<DeskAskEvent, Status>>;

/// identify person → open audit entry → validate → authorise (own policy) → sign → gateway → resolve
/// against own records → complete audit → show
pub(crate) async fn ask(
    node: Arc<Node>,
    peer: SpiffeId,
    question: Question,
    lookup: Vec<String>,
    events: Events,
) -> Result<(), Refusal> {
    let started = Instant::now();
    let asker = node.person(&peer)?;
    let agreed = node.agreed()?;
    let action = if lookup.is_empty() { Action::Ask } else { Action::LookUp };
    let request = request(&node, &asker, action, &question);
    let looked_up = match action {
        Action::LookUp => Some(look_up(&node, &peer, &agreed, &request, &question, &lookup).await?),
        _ => None,
    };
    let written = write(&node, &agreed, asker, &question, looked_up.as_ref());
    let id = written.as_ref().ok().map(WrittenQuestion::id);
    let act = Act::by(&peer, action.as_str(), "federation")
        .because(&question.purpose, &question.case_number, &question.reason)
        .about(id);
    let mut trail = node.guard.begin(act).await?;
    let worked = tokio::select! {
        worked = answer(&node, &mut trail, &request, &question, written, looked_up, &events) => worked,
        () = events.closed() => Err(Refusal::new(Kind::TimedOut, "cancelled", "The person went away.")),
    };
    let shown = match worked {
        Ok((id, answer, permit)) => resolve(&node, &agreed, &question, id, answer, &permit).await,
        Err(refusal) => Err(refusal),
    };
    let place = trail.complete(shown.as_ref().err()).await?;
    if let Some(id) = id {
        node.receipts.keep(id, &peer, place, node.clock.now_ms());
    }
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let shown = DeskAnswer { elapsed_ms, ..shown? };
    let _ = events.send(Ok(DeskAskEvent { event: Some(desk_ask_event::Event::Answer(shown)) })).await;
    Ok(())
}

fn request(node: &Node, asker: &Asker, action: Action, question: &Question) -> Request {
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
    question: &Question,
    looked_up: Option<&LookedUp>,
) -> Result<WrittenQuestion, Refusal> {
    let circumstances = Circumstances {
        federation: node.identity.id().federation.clone(),
        epoch_digest: agreed.digest,
        home_agency: node.agency.clone(),
        asker,
        issued_at_ms: node.clock.now_ms(),
        lookup: looked_up.map(|looked_up| looked_up.ranges.clone()),
    };
    WrittenQuestion::write(question, circumstances)
}

async fn answer(
    node: &Node,
    trail: &mut Trail,
    request: &Request,
    question: &Question,
    written: Result<WrittenQuestion, Refusal>,
    looked_up: Option<LookedUp>,
    events: &Events,
) -> Result<(QuestionId, Answer, Permit), Refusal> {
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
    while let Some(message) = answers.message().await.map_err(|status| refusal_of(&status))? {
        match message.event {
            Some(Event::Progress(progress)) => {
                let _ = events.try_send(Ok(DeskAskEvent { event: Some(desk_ask_event::Event::Progress(progress)) }));
            }
            Some(Event::Answer(answer)) => {
                trail.count("matches", answer.matches.len() as u64);
                return Ok((id, answer, permit));
            }
            None => {}
        }
    }
    Err(Refusal::new(Kind::Unavailable, "answer_missing", "The gateway ended without an answer; ask again."))
}
