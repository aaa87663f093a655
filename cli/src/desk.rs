//! A person's own node, as the command line speaks with it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sallyport_proto::{
    gateway::v1::{NodeCatalog, Progress},
    node::v1::{
        ActOnLeadRequest, ArmWatchRequest, AskPattern, CalibrateRequest, CalibrateResponse, ChangeEpochRequest,
        ClearSubjectRequest, DeskAnswer, DeskAskRequest, DeskCatalogRequest, DisarmWatchRequest, DisclosuresRequest,
        DisclosuresResponse, EpochRequest, EpochResponse, HeldQuestion, HeldQuestionsRequest, Lead, ListLeadsRequest,
        ListLeadsResponse, ListWatchesRequest, OwnHeldQuestion, PublishPatternRequest, PublishPatternResponse,
        RaiseLeadRequest, ReadinessRequest, ReadinessResponse, ReceiptRequest, ReleaseRequest, ReleasesRequest,
        ReleasesResponse, RenewWatchRequest, ShowLeadRequest, Watch, desk_ask_event::Event, desk_client::DeskClient,
        raise_lead_response::Raised,
    },
};
use sallyport_trust::{
    clock::Clock,
    error::{Kind, Refusal},
    identity::{ConnectSettings, Identity, Role, SpiffeId, connect, refusal_of},
    question::{DEADLINE_MS, Question},
};
use tonic::transport::Channel;

use crate::{failure::Failure, people::Person};

/// Bytes of one message from the node, at most.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much longer than the question itself its answer may take on the way.
const GRACE: Duration = Duration::from_secs(5);

/// The person's own certificate.
pub(crate) fn identity(person: &Person) -> Result<Arc<Identity>, Failure> {
    Identity::load(&person.tls, Clock::system()).map_err(|error| Failure::input("identity", error.to_string()))
}

/// How long a receipt is waited for; each call waits a while at the node.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a person's node.
pub(crate) struct Desk(DeskClient<Channel>);

impl Desk {
    /// Prepares the connection; the first call makes it.
    pub(crate) fn of(person: &Person) -> Result<Self, Failure> {
        let identity = identity(person)?;
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
        progress: impl FnMut(&Progress),
    ) -> Result<DeskAnswer, Refusal> {
        let request = DeskAskRequest { question: Some(question.into()), lookup, ..DeskAskRequest::default() };
        self.answer(request, question.deadline_ms, progress).await
    }

    /// Asks a pattern, whose deadline the node alone knows.
    pub(crate) async fn ask_pattern(
        &mut self,
        pattern: AskPattern,
        lookup: Vec<String>,
        progress: impl FnMut(&Progress),
    ) -> Result<DeskAnswer, Refusal> {
        let request = DeskAskRequest { lookup, pattern: Some(pattern), ..DeskAskRequest::default() };
        self.answer(request, *DEADLINE_MS.end(), progress).await
    }

    /// Completes an own held question; its deadline is known at the node alone.
    pub(crate) async fn complete(&mut self, id: &str, progress: impl FnMut(&Progress)) -> Result<DeskAnswer, Refusal> {
        let request = DeskAskRequest { completes: id.to_owned(), ..DeskAskRequest::default() };
        self.answer(request, *DEADLINE_MS.end(), progress).await
    }

    async fn answer(
        &mut self,
        request: DeskAskRequest,
        deadline_ms: u32,
        mut progress: impl FnMut(&Progress),
    ) -> Result<DeskAnswer, Refusal> {
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_millis(u64::from(deadline_ms)) + GRACE);
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

    /// The epochs, and how far every member is with them.
    pub(crate) async fn epoch(&mut self) -> Result<EpochResponse, Refusal> {
        let answer = self.0.epoch(EpochRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Changes them.
    pub(crate) async fn change_epoch(&mut self, request: ChangeEpochRequest) -> Result<EpochResponse, Refusal> {
        let answer = self.0.change_epoch(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Publishes a pattern of the person's agency.
    pub(crate) async fn publish_pattern(&mut self, text: String) -> Result<PublishPatternResponse, Refusal> {
        let published = self.0.publish_pattern(PublishPatternRequest { text }).await;
        Ok(published.map_err(|status| refusal_of(&status))?.into_inner())
    }

    /// The person's own questions that owners hold.
    pub(crate) async fn held_questions(&mut self) -> Result<Vec<OwnHeldQuestion>, Refusal> {
        let answer = self.0.held_questions(HeldQuestionsRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner().questions)
    }

    /// Questions that rules hold for this release officer.
    pub(crate) async fn releases(&mut self, wanted: ReleasesRequest) -> Result<ReleasesResponse, Refusal> {
        let answer = self.0.releases(wanted).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Grants or refuses one of them; how it stands then.
    pub(crate) async fn release(&mut self, request: ReleaseRequest) -> Result<HeldQuestion, Refusal> {
        let answer = self.0.release(request).await.map_err(|status| refusal_of(&status))?;
        answer.into_inner().question.ok_or_else(|| {
            Refusal::new(Kind::Unavailable, "answer_missing", "The node ended without an answer; list the queue again.")
        })
    }

    /// What the node disclosed of one subject.
    pub(crate) async fn disclosures(&mut self, request: DisclosuresRequest) -> Result<DisclosuresResponse, Refusal> {
        let answer = self.0.disclosures(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
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

    /// Lets a question stand.
    pub(crate) async fn arm_watch(&mut self, request: ArmWatchRequest) -> Result<Watch, Refusal> {
        let answer = self.0.arm_watch(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Lets it stand for longer.
    pub(crate) async fn renew_watch(&mut self, request: RenewWatchRequest) -> Result<Watch, Refusal> {
        let answer = self.0.renew_watch(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Ends it.
    pub(crate) async fn disarm_watch(&mut self, request: DisarmWatchRequest) -> Result<Watch, Refusal> {
        let answer = self.0.disarm_watch(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Watches of the person's agency.
    pub(crate) async fn list_watches(&mut self) -> Result<Vec<Watch>, Refusal> {
        let answer = self.0.list_watches(ListWatchesRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner().watches)
    }

    /// Leads of the person's agency.
    pub(crate) async fn list_leads(&mut self, closed: bool) -> Result<ListLeadsResponse, Refusal> {
        let answer = self.0.list_leads(ListLeadsRequest { closed }).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// One of them whole.
    pub(crate) async fn show_lead(&mut self, id: String) -> Result<Lead, Refusal> {
        let answer = self.0.show_lead(ShowLeadRequest { id }).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Lets something happen to a lead; how it stands then.
    pub(crate) async fn act_on_lead(&mut self, request: ActOnLeadRequest) -> Result<Lead, Refusal> {
        let answer = self.0.act_on_lead(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// Raises a match of an own answer; what it became.
    pub(crate) async fn raise_lead(&mut self, request: RaiseLeadRequest) -> Result<Raised, Refusal> {
        let answer = self.0.raise_lead(request).await.map_err(|status| refusal_of(&status))?;
        answer.into_inner().raised.ok_or_else(|| {
            Refusal::new(Kind::Unavailable, "answer_missing", "The node ended without an answer; list the leads.")
        })
    }

    /// Records a lawful exception of a subject before any lead; until when it holds.
    pub(crate) async fn clear_subject(&mut self, request: ClearSubjectRequest) -> Result<i64, Refusal> {
        let answer = self.0.clear_subject(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner().until_ms)
    }

    /// Weights that the outcomes of leads speak for.
    pub(crate) async fn calibrate(&mut self, request: CalibrateRequest) -> Result<CalibrateResponse, Refusal> {
        let answer = self.0.calibrate(request).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }

    /// How far the node is.
    pub(crate) async fn readiness(&mut self) -> Result<ReadinessResponse, Refusal> {
        let answer = self.0.readiness(ReadinessRequest {}).await.map_err(|status| refusal_of(&status))?;
        Ok(answer.into_inner())
    }
}
