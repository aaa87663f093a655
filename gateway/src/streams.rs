//! The contributors' streams of one question: opened together, then read as the merge needs them.
//!
//! Every stream ends with a fate: answered, denied, held, unavailable or timed out. One that fails
//! never fails the others.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use sallyport_proto::{
    common::v1::{Coverage, Obligations, Outcome},
    node::v1::{ContributeRequest, Contributed, contributed::Part},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::refusal_of,
    question::{OpenedIndicator, OpenedQuestion, SignedQuestion},
};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

use crate::contributors::Contributors;

/// One indicator's stream.
pub(crate) struct ContributorStream {
    /// Agency whose node sends it.
    pub(crate) owner: String,
    /// Number of the question's part that it answers.
    pub(crate) part: usize,
    /// What became of it so far.
    pub(crate) coverage: Coverage,
    /// What its owner asks for in return.
    pub(crate) obligations: Option<Obligations>,
    /// For questions about persons: how many records it announced, and whether everyone is there once.
    pub(crate) records: u32,
    pub(crate) once: bool,
    /// Absent when it never opened or has ended.
    rows: Option<Streaming<Contributed>>,
    /// Bytes of rows.
    received: u64,
}

/// The next thing a stream has to say.
pub(crate) enum Next {
    /// Rows to merge.
    Rows(Bytes),
    /// It ended as it should.
    End,
    /// It broke off; its coverage says why.
    Broken,
}

/// Opens the stream of every indicator at once and waits for their preambles.
pub(crate) async fn open_all(
    contributors: &Contributors,
    signed: &SignedQuestion,
    question: &OpenedQuestion,
    until: Instant,
) -> Vec<ContributorStream> {
    let opening = question.indicators.iter().map(|(&index, indicator)| async move {
        let (position, indicator) = match indicator {
            OpenedIndicator::Dataset(indicator) => (index, Some(indicator)),
            OpenedIndicator::Link(link) => (link.position, Some(&link.indicator)),
            OpenedIndicator::OwnList => (index, None),
        };
        let owner = indicator.map_or(question.header.home_agency.as_str(), |indicator| indicator.owner());
        let dataset = indicator.map_or("", |indicator| indicator.dataset.as_str());
        let mut stream = ContributorStream::closed(index, position, owner.to_owned(), dataset.to_owned());
        let opened = timeout_at(until, stream.open(contributors, signed.only(index), until)).await;
        if let Err(refusal) = opened.unwrap_or_else(|_| Err(too_slow())) {
            stream.fail(&refusal);
        }
        stream
    });
    join_all(opening).await
}

impl ContributorStream {
    fn closed(part: usize, position: usize, owner: String, dataset: String) -> Self {
        let coverage = Coverage { dataset, indicator: position as u32, ..Default::default() };
        Self { owner, part, coverage, obligations: None, records: 0, once: false, rows: None, received: 0 }
    }

    async fn open(
        &mut self,
        contributors: &Contributors,
        question: SignedQuestion,
        until: Instant,
    ) -> Result<(), Refusal> {
        let mut client = contributors.of(&self.owner)?;
        let mut request = tonic::Request::new(ContributeRequest { question: Some(question.into_wire()) });
        // The node stops by itself when nobody waits any more.
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        let mut rows = client.contribute(request).await.map_err(|status| refusal_of(&status))?.into_inner();
        let first = rows.message().await.map_err(|status| refusal_of(&status))?;
        let Some(Part::Preamble(preamble)) = first.and_then(|message| message.part) else {
            return Err(broken_format("it did not begin with its coverage"));
        };
        let told = preamble.coverage.unwrap_or_default();
        self.coverage = Coverage {
            dataset: std::mem::take(&mut self.coverage.dataset),
            indicator: self.coverage.indicator,
            outcome: Outcome::Answered.into(),
            ..told
        };
        self.obligations = preamble.obligations;
        (self.records, self.once) = (preamble.records, preamble.once);
        self.rows = Some(rows);
        Ok(())
    }

    /// True while rows may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.rows.is_some()
    }

    /// The next rows, of `row_bytes` each, waiting until `until` at most.
    pub(crate) async fn next(&mut self, row_bytes: usize, until: Instant) -> Next {
        let Some(rows) = self.rows.as_mut() else { return Next::End };
        let refusal = match timeout_at(until, rows.message()).await {
            Err(_) => too_slow(),
            Ok(Err(status)) => refusal_of(&status),
            Ok(Ok(None)) => broken_format("it ended without its closing"),
            Ok(Ok(Some(message))) => match message.part {
                Some(Part::Rows(rows)) => {
                    self.received += rows.len() as u64;
                    return Next::Rows(rows);
                }
                Some(Part::Closing(closing)) if closing.rows.saturating_mul(row_bytes as u64) == self.received => {
                    self.rows = None;
                    return Next::End;
                }
                _ => broken_format("its closing does not fit its rows"),
            },
        };
        self.fail(&refusal);
        Next::Broken
    }

    /// Ends the stream with the fate that the refusal tells of.
    pub(crate) fn fail(&mut self, refusal: &Refusal) {
        let outcome = match (refusal.kind, refusal.reason.as_str()) {
            (_, "held") => Outcome::Held,
            (Kind::Unavailable | Kind::Internal, _) => Outcome::Unavailable,
            (Kind::TimedOut, _) => Outcome::TimedOut,
            _ => Outcome::Denied,
        };
        self.coverage.outcome = outcome.into();
        self.coverage.reason = refusal.reason.clone();
        self.coverage.explanation = refusal.message.clone();
        // Dropping the stream resets it: the node stops working for nobody.
        self.rows = None;
    }
}

/// How long to wait for one stream: to the soft end of the deadline, and briefly after it, so that one
/// slow contributor cannot use up the time of the others.
pub(crate) fn patience(soft: Instant, hard: Instant) -> Instant {
    soft.max(Instant::now() + Duration::from_millis(100)).min(hard)
}

pub(crate) fn broken_format(what: &str) -> Refusal {
    Refusal::new(Kind::Unavailable, "stream_broken", format!("The node's stream broke off: {what}."))
}

pub(crate) fn too_slow() -> Refusal {
    Refusal::new(
        Kind::TimedOut,
        "deadline_passed",
        "The node did not answer within the question's deadline; ask again with a longer one.",
    )
}
