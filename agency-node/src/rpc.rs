//! The node's gRPC services: for the gateway, and for the agency's own people. Who the peer is comes
//! from its certificate; the rest is one call each.

use std::sync::{Arc, PoisonError};

use prost::Message;
use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{
        AccountRequest, AccountResponse, ActOnLeadRequest, ArmWatchRequest, CalibrateRequest, CalibrateResponse,
        ChangeEpochRequest, ClearSubjectRequest, ClearSubjectResponse, ContributeRequest, Contributed, DeliverRequest,
        DeliverResponse, DescribeRequest, DescribeResponse, DeskAskEvent, DeskAskRequest, DeskCatalogRequest,
        DeskCatalogResponse, DisarmWatchRequest, DisclosuresRequest, DisclosuresResponse, EpochGreeting, EpochRequest,
        EpochResponse, HeldQuestionsRequest, HeldQuestionsResponse, Lead, ListLeadsRequest, ListLeadsResponse,
        ListWatchesRequest, ListWatchesResponse, PublishPatternRequest, PublishPatternResponse, RaiseLeadRequest,
        RaiseLeadResponse, ReadinessRequest, ReadinessResponse, ReceiptRequest, ReceiptResponse, ReleaseRequest,
        ReleaseResponse, ReleasesRequest, ReleasesResponse, RenewWatchRequest, RevealRequest, RevealResponse,
        ShowLeadRequest, SignedMessage, Watch, contribution_server::Contribution, desk_server::Desk,
    },
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{SpiffeId, peer, peer_identity},
    policy::{Action, Attributes, Context, Request as PolicyRequest, attribute, kind},
    question::SignedQuestion,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    account,
    ask::{self, Asked},
    change,
    consent::{self, decided, held_question, wanted},
    contribute, describe, disclosure, leads,
    linkage::evaluate,
    node::Node,
    operate,
    patterns::{self, WantedPattern},
    receipt, reveal, watches, witness,
};

/// Messages of a stream that may wait for their reader.
const WAITING_MAX: usize = 8;
/// Instead of the number of a question's part: no question has so many.
const EVALUATION: usize = usize::MAX;

pub(crate) struct ContributionService(pub(crate) Arc<Node>);

#[tonic::async_trait]
impl Contribution for ContributionService {
    type ContributeStream = ReceiverStream<Result<Contributed, Status>>;

    async fn contribute(
        &self,
        request: Request<ContributeRequest>,
    ) -> Result<Response<Self::ContributeStream>, Status> {
        let peer = peer(&request)?;
        let question = request
            .into_inner()
            .question
            .ok_or_else(|| Refusal::bad_input("question_missing", "The request holds no question."))?;
        let signed = SignedQuestion::from_wire(question)?;
        let (rows, stream) = mpsc::channel(WAITING_MAX);
        let node = self.0.clone();
        tokio::spawn(async move {
            if let Err(refusal) = contribute::contribute(node, peer, signed, rows.clone()).await {
                let _ = rows.send(Err(refusal.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn reveal(&self, request: Request<RevealRequest>) -> Result<Response<RevealResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(reveal::reveal(&self.0, peer, request.into_inner()).await?))
    }

    async fn account(&self, request: Request<AccountRequest>) -> Result<Response<AccountResponse>, Status> {
        let peer = peer(&request)?;
        account::account(&self.0, peer, request.into_inner()).await?;
        Ok(Response::new(AccountResponse {}))
    }

    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let peer = peer(&request)?;
        let payload = deliver(&self.0, peer, request.into_inner()).await?;
        Ok(Response::new(DeliverResponse { payload }))
    }

    async fn describe(&self, request: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(describe::describe(&self.0, peer, request.into_inner()).await?))
    }
}

/// identify gateway → open audit entry → authorise → answer the carried message → complete audit
async fn deliver(node: &Node, peer: SpiffeId, message: DeliverRequest) -> Result<Vec<u8>, Refusal> {
    node.only_gateway(&peer)?;
    let (action, name) = match message.kind() {
        RelayKind::Epoch => (Action::Agree, "epoch"),
        RelayKind::Evaluate => (Action::Evaluate, "tags"),
        RelayKind::ReleaseStatus => (Action::Catalog, "held questions"),
        RelayKind::News => return watches::hear(node, &message),
        RelayKind::Witness => return witness::carried(node, &peer, &message).await,
        RelayKind::Unspecified => {
            return Err(Refusal::bad_input("relay_kind", "The carried message is of no known kind."));
        }
    };
    let mut trail = node.guard.begin(Act::by(&peer, action.as_str(), name)).await?;
    let answered = answer_carried(node, &mut trail, action, &message).await;
    trail.complete(answered.as_ref().err()).await?;
    answered
}

async fn answer_carried(
    node: &Node,
    trail: &mut Trail,
    action: Action,
    message: &DeliverRequest,
) -> Result<Vec<u8>, Refusal> {
    if message.kind() == RelayKind::ReleaseStatus {
        return Ok(consent::answer_status(node, trail, &message.payload)?.encode_to_vec());
    }
    let request = PolicyRequest {
        subject: Attributes::new().with(attribute::AGENCY, message.from.clone()).with(attribute::ROLE, "node"),
        resource: Attributes::new().with(attribute::KIND, kind::LINKAGE).with(attribute::OWNER, node.agency.clone()),
        action,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    };
    let _permit = node.guard.authorise(trail, &request)?;
    let unreadable = || Refusal::bad_input("relay_unreadable", "The carried message cannot be read.");
    if action == Action::Agree {
        let greeting = EpochGreeting::decode(message.payload.as_slice()).map_err(|_| unreadable())?;
        return Ok(change::answer(node, &message.from, greeting).await?.encode_to_vec());
    }
    node.epochs.any_agreed()?;
    let signed = SignedMessage::decode(message.payload.as_slice()).map_err(|_| unreadable())?;
    let now_ms = node.clock.now_ms();
    let wanted = evaluate::verify(&node.identity, &node.agency, &message.from, now_ms, signed)?;
    let agreed = node.epochs.evaluating(&wanted.agency, &wanted.epoch_digest)?;
    node.replays.take_once(wanted.nonce, EVALUATION, wanted.issued_at_ms, now_ms)?;
    let left = agreed.quota.take(&wanted.agency, wanted.count())?;
    trail.count("evaluations", wanted.count());
    Ok(evaluate::evaluate(agreed.keys.clone(), wanted, left).await?.encode_to_vec())
}

/// A new question, a pattern, or an own question that an owner held.
async fn asked(node: &Node, peer: &SpiffeId, request: DeskAskRequest) -> Result<Asked, Refusal> {
    let DeskAskRequest { question, lookup, completes, pattern } = request;
    match (question, pattern, completes.as_str()) {
        (Some(question), None, "") => {
            Ok(Asked { question: question.try_into()?, lookup, completes: None, pattern: None, standing: false })
        }
        (None, Some(wanted), "") => patterns::asked(node, peer, WantedPattern::try_from(wanted)?, lookup).await,
        (None, None, "") => Err(Refusal::bad_input("question_missing", "Ask one question, or one pattern.")),
        (None, None, id) if lookup.is_empty() => {
            let kept = node.kept.find(&peer.to_string(), id, node.clock.now_ms())?;
            Ok(Asked {
                question: kept.question()?,
                lookup: kept.lookup.clone(),
                completes: Some(kept),
                pattern: None,
                standing: false,
            })
        }
        (Some(_), Some(_), "") => Err(Refusal::bad_input("question_missing", "Ask one question, or one pattern.")),
        _ => Err(Refusal::bad_input(
            "completes_alone",
            "A held question is completed as it was asked: name its id alone.",
        )),
    }
}

pub(crate) struct DeskService(pub(crate) Arc<Node>);

#[tonic::async_trait]
impl Desk for DeskService {
    type AskStream = ReceiverStream<Result<DeskAskEvent, Status>>;

    async fn ask(&self, request: Request<DeskAskRequest>) -> Result<Response<Self::AskStream>, Status> {
        let peer = peer(&request)?;
        let asked = asked(&self.0, &peer, request.into_inner()).await?;
        let (events, stream) = mpsc::channel(WAITING_MAX);
        let node = self.0.clone();
        tokio::spawn(async move {
            if let Err(refusal) = ask::ask(node, peer, asked, events.clone()).await {
                let _ = events.send(Err(refusal.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn catalog(&self, request: Request<DeskCatalogRequest>) -> Result<Response<DeskCatalogResponse>, Status> {
        let peer = peer(&request)?;
        let nodes = describe::show(&self.0, peer).await?;
        Ok(Response::new(DeskCatalogResponse { nodes }))
    }

    async fn publish_pattern(
        &self,
        request: Request<PublishPatternRequest>,
    ) -> Result<Response<PublishPatternResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(patterns::publish(&self.0, peer, &request.into_inner().text).await?))
    }

    async fn disclosures(&self, request: Request<DisclosuresRequest>) -> Result<Response<DisclosuresResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(disclosure::show(&self.0, peer, request.into_inner()).await?))
    }

    async fn receipt(&self, request: Request<ReceiptRequest>) -> Result<Response<ReceiptResponse>, Status> {
        let peer = peer(&request)?;
        let receipt = receipt::receipt(&self.0, peer, &request.into_inner().question_id).await?;
        Ok(Response::new(ReceiptResponse { receipt }))
    }

    async fn readiness(&self, request: Request<ReadinessRequest>) -> Result<Response<ReadinessResponse>, Status> {
        let peer = peer(&request)?;
        self.0.person(&peer)?;
        let settled = self.0.settled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (agreed, identifiers) = (self.0.agreed().ok(), self.0.holdings.identifier_count());
        Ok(Response::new(ReadinessResponse {
            epoch_agreed: agreed.is_some(),
            identifiers,
            tagged: agreed.map_or(0, |agreed| agreed.tags.tagged_total().min(identifiers)),
            ready: settled.ready,
            waiting_for: settled.waiting_for,
            advice: self.0.identity.renewal_advice().into_iter().chain(operate::advice(&self.0)).collect(),
        }))
    }

    async fn held_questions(
        &self,
        request: Request<HeldQuestionsRequest>,
    ) -> Result<Response<HeldQuestionsResponse>, Status> {
        let questions = consent::held_questions(&self.0, peer(&request)?).await?;
        Ok(Response::new(HeldQuestionsResponse { questions }))
    }

    async fn releases(&self, request: Request<ReleasesRequest>) -> Result<Response<ReleasesResponse>, Status> {
        let peer = peer(&request)?;
        let (held, more) = consent::list(&self.0, peer, wanted(request.into_inner())).await?;
        let now_ms = self.0.clock.now_ms();
        let questions = held.into_iter().map(|held| held_question(held, now_ms)).collect();
        Ok(Response::new(ReleasesResponse { questions, more: more as u32 }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let peer = peer(&request)?;
        let held = consent::decide(&self.0, peer, decided(request.into_inner())?).await?;
        let question = Some(held_question(held, self.0.clock.now_ms()));
        Ok(Response::new(ReleaseResponse { question }))
    }

    async fn epoch(&self, request: Request<EpochRequest>) -> Result<Response<EpochResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(operate::show(&self.0, &peer).await?))
    }

    async fn change_epoch(&self, request: Request<ChangeEpochRequest>) -> Result<Response<EpochResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(operate::change(&self.0, peer, request.into_inner()).await?))
    }

    async fn list_leads(&self, request: Request<ListLeadsRequest>) -> Result<Response<ListLeadsResponse>, Status> {
        let peer = peer(&request)?;
        let (listed, more) = leads::list(&self.0, peer, request.into_inner().closed).await?;
        let leads = listed.into_iter().map(|seen| leads::told(seen, false)).collect();
        Ok(Response::new(ListLeadsResponse { leads, more: more as u32 }))
    }

    async fn show_lead(&self, request: Request<ShowLeadRequest>) -> Result<Response<Lead>, Status> {
        let peer = peer(&request)?;
        let seen = leads::show(&self.0, peer, &request.into_inner().id).await?;
        Ok(Response::new(leads::told(seen, true)))
    }

    async fn act_on_lead(&self, request: Request<ActOnLeadRequest>) -> Result<Response<Lead>, Status> {
        let peer = peer(&request)?;
        let (id, what) = leads::acted(request.into_inner())?;
        Ok(Response::new(leads::told(leads::act(&self.0, peer, id, what).await?, true)))
    }

    async fn raise_lead(&self, request: Request<RaiseLeadRequest>) -> Result<Response<RaiseLeadResponse>, Status> {
        let peer = peer(&request)?;
        let RaiseLeadRequest { question_id, rank, playbook } = request.into_inner();
        let playbook = Some(playbook).filter(|playbook| !playbook.is_empty());
        Ok(Response::new(leads::raise(&self.0, peer, (&question_id, rank), playbook).await?.into()))
    }

    async fn calibrate(&self, request: Request<CalibrateRequest>) -> Result<Response<CalibrateResponse>, Status> {
        let peer = peer(&request)?;
        let CalibrateRequest { playbook, watch } = request.into_inner();
        let watch = Some(watch).filter(|watch| !watch.is_empty());
        Ok(Response::new(leads::calibrate(&self.0, peer, &playbook, watch.as_deref()).await?.into()))
    }

    async fn arm_watch(&self, request: Request<ArmWatchRequest>) -> Result<Response<Watch>, Status> {
        let peer = peer_identity(&request)?;
        let watch = watches::arm(&self.0, &peer, request.into_inner().try_into()?).await?;
        Ok(Response::new(watches::told(watch, self.0.clock.now_ms())))
    }

    async fn renew_watch(&self, request: Request<RenewWatchRequest>) -> Result<Response<Watch>, Status> {
        let peer = peer_identity(&request)?;
        let RenewWatchRequest { name, until_ms, reason } = request.into_inner();
        let watch = watches::renew(&self.0, &peer, &name, until_ms, reason).await?;
        Ok(Response::new(watches::told(watch, self.0.clock.now_ms())))
    }

    async fn disarm_watch(&self, request: Request<DisarmWatchRequest>) -> Result<Response<Watch>, Status> {
        let peer = peer(&request)?;
        let DisarmWatchRequest { name, reason } = request.into_inner();
        let watch = watches::disarm(&self.0, peer, &name, reason).await?;
        Ok(Response::new(watches::told(watch, self.0.clock.now_ms())))
    }

    async fn list_watches(
        &self,
        request: Request<ListWatchesRequest>,
    ) -> Result<Response<ListWatchesResponse>, Status> {
        let now_ms = self.0.clock.now_ms();
        let watches = watches::list(&self.0, peer(&request)?).await?;
        let watches = watches.into_iter().map(|watch| watches::told(watch, now_ms)).collect();
        Ok(Response::new(ListWatchesResponse { watches }))
    }

    async fn clear_subject(
        &self,
        request: Request<ClearSubjectRequest>,
    ) -> Result<Response<ClearSubjectResponse>, Status> {
        let peer = peer(&request)?;
        let clearing = leads::clearing(&self.0, request.into_inner())?;
        Ok(Response::new(ClearSubjectResponse { until_ms: leads::clear(&self.0, peer, clearing).await? }))
    }
}
