//! The node's gRPC services: for the gateway, and for the agency's own people. Who the peer is comes
//! from its certificate; the rest is one call each.

use std::sync::{Arc, PoisonError};

use prost::Message;
use sallyport_proto::{
    gateway::v1::RelayKind,
    node::v1::{
        AccountRequest, AccountResponse, ContributeRequest, Contributed, DeliverRequest, DeliverResponse,
        DescribeRequest, DescribeResponse, DeskAskEvent, DeskAskRequest, DeskCatalogRequest, DeskCatalogResponse,
        EpochGreeting, ReadinessRequest, ReadinessResponse, ReceiptRequest, ReceiptResponse, RevealRequest,
        RevealResponse, SignedMessage, contribution_server::Contribution, desk_server::Desk,
    },
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{SpiffeId, peer},
    policy::{Action, Attributes, Context, Request as PolicyRequest, attribute, kind},
    question::{Question, SignedQuestion},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{account, ask, contribute, describe, linkage::evaluate, node::Node, receipt, reveal, witness};

/// Messages of a stream that may wait for their reader.
const WAITING_MAX: usize = 8;

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
        let datasets = describe::describe(&self.0, peer, request.into_inner()).await?;
        Ok(Response::new(DescribeResponse { datasets }))
    }
}

/// identify gateway → open audit entry → authorise → answer the carried message → complete audit
async fn deliver(node: &Node, peer: SpiffeId, message: DeliverRequest) -> Result<Vec<u8>, Refusal> {
    node.only_gateway(&peer)?;
    let (action, name) = match message.kind() {
        RelayKind::Epoch => (Action::Agree, "epoch"),
        RelayKind::Evaluate => (Action::Evaluate, "tags"),
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
        let statement = greeting.statement.ok_or_else(unreadable)?;
        let reply = node.epoch.lock().await.answer(&node.identity, &message.from, statement)?;
        return Ok(reply.encode_to_vec());
    }
    let agreed = node.agreed()?;
    let signed = SignedMessage::decode(message.payload.as_slice()).map_err(|_| unreadable())?;
    let now_ms = node.clock.now_ms();
    let wanted = evaluate::verify(&node.identity, &node.agency, &message.from, &agreed.digest, now_ms, signed)?;
    let left = node.quota.take(&wanted.agency, wanted.count())?;
    trail.count("evaluations", wanted.count());
    Ok(evaluate::evaluate(agreed.keys.clone(), wanted, left).await?.encode_to_vec())
}

pub(crate) struct DeskService(pub(crate) Arc<Node>);

#[tonic::async_trait]
impl Desk for DeskService {
    type AskStream = ReceiverStream<Result<DeskAskEvent, Status>>;

    async fn ask(&self, request: Request<DeskAskRequest>) -> Result<Response<Self::AskStream>, Status> {
        let peer = peer(&request)?;
        let request = request.into_inner();
        let question =
            request.question.ok_or_else(|| Refusal::bad_input("question_missing", "The request holds no question."))?;
        let question = Question::try_from(question)?;
        let (events, stream) = mpsc::channel(WAITING_MAX);
        let node = self.0.clone();
        tokio::spawn(async move {
            if let Err(refusal) = ask::ask(node, peer, question, request.lookup, events.clone()).await {
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

    async fn receipt(&self, request: Request<ReceiptRequest>) -> Result<Response<ReceiptResponse>, Status> {
        let peer = peer(&request)?;
        let receipt = receipt::receipt(&self.0, peer, &request.into_inner().question_id).await?;
        Ok(Response::new(ReceiptResponse { receipt }))
    }

    async fn readiness(&self, request: Request<ReadinessRequest>) -> Result<Response<ReadinessResponse>, Status> {
        let peer = peer(&request)?;
        self.0.person(&peer)?;
        let settled = self.0.settled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Response::new(ReadinessResponse {
            epoch_agreed: self.0.agreed().is_ok(),
            identifiers: self.0.holdings.identifier_count(),
            tagged: self.0.holdings.identifier_count().saturating_sub(self.0.holdings.untagged_total()),
            ready: settled.ready,
            waiting_for: settled.waiting_for,
        }))
    }
}
