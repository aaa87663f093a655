//! A person's own node, as the command line speaks with it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sallyport_proto::{
    gateway::v1::{NodeCatalog, Progress},
    node::v1::{
        DeskAnswer, DeskAskRequest, DeskCatalogRequest, ReadinessRequest, ReadinessResponse, ReceiptRequest,
        desk_ask_event::Event, desk_client::DeskClient,
    },
};
use sallyport_trust::{
    clock::Clock,
    error::{Kind, Refusal},
    identity::{ConnectSettings, Identity, Role, SpiffeId, connect, refusal_of},
    question::Question,
};
use tonic::transport::Channel;

use crate::{failure::Failure, people::Person};

/// Bytes of one message from the node, at most.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a receipt is waited for; each call waits a while at the node.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a person's node.
pub(crate) struct Desk(DeskClient<Channel>);

impl Desk {
    /// Prepares the connection; the first call makes it.
    pub(crate) fn of(person: &Person) -> Result<Self, Failure> {
        let identity: Arc<Identity> = Identity::load(&person.tls, Clock::system())
            .map_err(|error| Failure::input("identity", error.to_string()))?;
        let node = SpiffeId {
            federation: identity.id().federation.clone(),
            role: Role::Node { agency: person.agency.clone() },
        };
        let channel = connect(&identity, &person.node, &node, &ConnectSettings::default()).map_err(Refusal::from)?;
        Ok(Self(DeskClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)))
    }

    /// Asks, telling of progress on the way.
    pub(crate) async fn ask(
        &mut self,
        question: &Question,
        lookup: Vec<String>,
        mut progress: impl FnMut(&Progress),
    ) -> Result<DeskAnswer, Refusal> {
        let deadline = Duration::from_millis(u64::from(question.deadline_ms)) + Duration::from_secs(5);
        let mut request = tonic::Request::new(DeskAskRequest { question: Some(question.into()), lookup });
        request.set_timeout(deadline);
        let mut events = self.0.ask(request).await.map_err(|status| refusal_of(&status))?.into_inner();
        while let Some(event) = events.message().await.map_err(|status| refusal_of(&status))? {
            match event.event {
                Some(Event::Progress(report)) => progress(&report),
                Some(Event::Answer(answer)) => return Ok(answer),
                None => {}
            }
        }
        Err(Refusal::new(Kind::Unavailable, "answer_missing", "The node ended without an answer; ask again."))
    }

    /// What can be asked of whom.
    pub(crate) async fn catalog(&mut self) -> Result<Vec<NodeCatalog>, Refusal> {
        let answer = self.0.catalog(DeskCatalogRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner().nodes)
    }

    /// The receipt of an answer, which takes until witnesses have cosigned it.
    pub(crate) async fn receipt(&mut self, question_id: &str) -> Result<String, Refusal> {
        let until = Instant::now() + RECEIPT_PATIENCE;
        loop {
            let answer = self.0.receipt(ReceiptRequest { question_id: question_id.to_owned() }).await;
            match answer.map_err(|status| refusal_of(&status)) {
                Err(refusal) if refusal.reason == "receipt_not_ready" && Instant::now() < until => {}
                answer => return Ok(answer?.into_inner().receipt),
            }
        }
    }

    /// How far the node is.
    pub(crate) async fn readiness(&mut self) -> Result<ReadinessResponse, Refusal> {
        let answer = self.0.readiness(ReadinessRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }
}
