//! What became of a person's held questions: their home node asks the owners, through the gateway.
//!
//! The owner tells it to the person's own agency alone, and only about questions that this person
//! asked. Nothing is released or used up by asking.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future::join_all;
use prost::Message;
use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{
        OwnHeldDataset, OwnHeldQuestion, ReleaseState, ReleaseStatus, ReleaseStatusReply, ReleaseStatusRequest,
        SignedMessage,
    },
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{Signature, SigningPurpose, SpiffeId},
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{Asker, QuestionId, check_freshness, vouches_for},
};

use super::{
    held::HeldQuestion,
    kept::{Fate, Kept},
    wire,
};
use crate::{linkage::relay, node::Node};

const STATUS: SigningPurpose = SigningPurpose::new("release status request");
/// Questions in one request, at most.
const QUESTIONS_MAX: usize = 100;

/// What one owner says, by question and data set.
type Told = BTreeMap<QuestionId, BTreeMap<String, OwnHeldDataset>>;

/// identify person → open audit entry → authorise → ask the owners → complete audit → show
pub(crate) async fn held_questions(node: &Arc<Node>, peer: SpiffeId) -> Result<Vec<OwnHeldQuestion>, Refusal> {
    let asker = node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, "held_questions", "federation")).await?;
    let request = catalog_request(node, &asker, None);
    let worked = match node.guard.authorise(&mut trail, &request) {
        Ok(_permit) => Ok(ask_owners(node, &asker, node.kept.of(&peer.to_string(), node.clock.now_ms())).await),
        Err(refusal) => Err(refusal),
    };
    trail.complete(worked.as_ref().err()).await?;
    let (kept, told) = worked?;
    let nothing = BTreeMap::new();
    kept.iter().map(|kept| wire::own_question(kept, told.get(&kept.id).unwrap_or(&nothing))).collect()
}

/// Asks every owner that holds something, all at once; one that is away leaves its data sets unknown.
async fn ask_owners(node: &Arc<Node>, asker: &Asker, kept: Vec<Kept>) -> (Vec<Kept>, Told) {
    let mut by_owner: BTreeMap<&str, BTreeSet<QuestionId>> = BTreeMap::new();
    for question in &kept {
        let undecided = question.datasets.iter().filter(|(_, fate)| matches!(fate, Fate::Held | Fate::Refused));
        for owner in undecided.filter_map(|(dataset, _)| dataset.split('.').next()) {
            by_owner.entry(owner).or_default().insert(question.id);
        }
    }
    let asking = by_owner.into_iter().map(|(owner, questions)| ask_owner(node, owner, asker, questions));
    let mut told = Told::new();
    for answered in join_all(asking.collect::<Vec<_>>()).await {
        match answered {
            Ok(reply) => reply.statuses.into_iter().for_each(|status| {
                if let (Ok(id), Some(dataset)) = (<[u8; 32]>::try_from(status.question_id.as_slice()), status.dataset) {
                    told.entry(QuestionId(id)).or_default().insert(dataset.dataset.clone(), dataset);
                }
            }),
            Err(refusal) => tracing::info!(reason = refusal.reason, "an owner did not tell of held questions"),
        }
    }
    (kept, told)
}

async fn ask_owner(
    node: &Node,
    owner: &str,
    asker: &Asker,
    questions: BTreeSet<QuestionId>,
) -> Result<ReleaseStatusReply, Refusal> {
    let message = ReleaseStatusRequest {
        to: owner.to_owned(),
        federation: node.identity.id().federation.clone(),
        issued_at_ms: node.clock.now_ms(),
        asker: asker.clone().into_iter().collect(),
        question_ids: questions.into_iter().map(|id| id.0.to_vec()).collect(),
    }
    .encode_to_vec();
    let signature = node.identity.sign(STATUS, &message).map_err(Refusal::from)?;
    let signed = SignedMessage { message, signature: Some(signature.into()) };
    relay::send(&node.gateway, owner, RelayKind::ReleaseStatus, &signed).await
}

/// The owner's side: verify the home node → authorise each data set for the person → tell.
pub(crate) fn answer_status(node: &Node, trail: &mut Trail, payload: &[u8]) -> Result<ReleaseStatusReply, Refusal> {
    let (asker, questions) = verified(node, payload)?;
    let now_ms = node.clock.now_ms();
    let person = asker.get(attribute::FEDERATION_ID).cloned().unwrap_or_default();
    let mut statuses: BTreeMap<(QuestionId, String), ReleaseStatus> = BTreeMap::new();
    // A later entry of the same question, asked again after its grant was used, says more than a former.
    for held in node.releases.all(now_ms) {
        if held.asked.person() != person || !questions.contains(&held.question) {
            continue;
        }
        let _permit = node.guard.authorise(trail, &catalog_request(node, &asker, Some(&held.asked.dataset)))?;
        statuses.insert((held.question, held.asked.dataset.clone()), status(&held, now_ms));
    }
    trail.count("told", statuses.len() as u64);
    Ok(ReleaseStatusReply { statuses: statuses.into_values().collect() })
}

fn status(held: &HeldQuestion, now_ms: i64) -> ReleaseStatus {
    let (state, until_ms) = wire::state(held, now_ms);
    let refusal = held.refusal().filter(|_| state == ReleaseState::Refused);
    ReleaseStatus {
        question_id: held.question.0.to_vec(),
        dataset: Some(OwnHeldDataset {
            dataset: held.asked.dataset.clone(),
            state: state.into(),
            reason: refusal.map(|refusal| refusal.reason.clone()).unwrap_or_default(),
            until_ms,
        }),
    }
}

fn verified(node: &Node, payload: &[u8]) -> Result<(Asker, BTreeSet<QuestionId>), Refusal> {
    let unusable = || Refusal::bad_input("release_status_unusable", "The request about held questions cannot be read.");
    let signed = SignedMessage::decode(payload).map_err(|_| unusable())?;
    let signature: Signature = signed.signature.ok_or_else(unusable)?.try_into()?;
    let signer = node.identity.verify(STATUS, &signed.message, &signature)?;
    let request = ReleaseStatusRequest::decode(signed.message.as_slice()).map_err(|_| unusable())?;
    let asker: Asker = request.asker.into_iter().collect();
    if !vouches_for(&signer, &asker) || request.federation != node.identity.id().federation {
        return Err(Refusal::denied("release_status_wrong_signer", "A person's own node asks about their questions."));
    }
    check_freshness(request.issued_at_ms, node.clock.now_ms())?;
    if request.to != node.agency {
        return Err(Refusal::denied("release_status_wrong_audience", "The request is meant for another node."));
    }
    if request.question_ids.len() > QUESTIONS_MAX {
        return Err(unusable());
    }
    let ids = request.question_ids.iter().map(|id| <[u8; 32]>::try_from(id.as_slice()).map(QuestionId));
    Ok((asker, ids.collect::<Result<_, _>>().map_err(|_| unusable())?))
}

/// Whoever may know that a data set exists may know what became of their question about it.
fn catalog_request(node: &Node, asker: &Asker, dataset: Option<&str>) -> Request {
    let mut resource = Attributes::new()
        .with(attribute::OWNER, node.agency.clone())
        .with(attribute::KIND, if dataset.is_some() { kind::DATASET } else { kind::CATALOG });
    if let Some(dataset) = dataset {
        resource = resource.with(attribute::DATASET, dataset);
        if let Ok(described) = node.holdings.dataset(dataset) {
            resource = resource.with(attribute::SENSITIVITY, described.sensitivity.name());
        }
    }
    Request {
        subject: asker.clone().into_iter().collect(),
        resource,
        action: Action::Catalog,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    }
}
