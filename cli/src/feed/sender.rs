//! Sends batches and remembers them until they are durable at the node, over as many connections as it takes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use sallyport_proto::feed::v1::{
    Acknowledged, Batch as WireBatch, Open, Opened, PushRequest, feed_client::FeedClient,
    push_request::Message as Asked, push_response::Message as Told,
};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::refusal_of,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{
    batches::{Batch, Item},
    summary::Summary,
};
use crate::failure::Failure;

/// Batches that are sent and not yet acknowledged, at most.
const UNACKNOWLEDGED_MAX: usize = 8;
/// Rest before a broken connection is tried again; doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is sent under which name.
pub(super) struct Sender {
    client: FeedClient<Channel>,
    feed: String,
    stream: String,
    items: mpsc::Receiver<Item>,
    /// Positions of a full batch.
    batch_size: u64,
    ended: bool,
    failed: Option<Failure>,
    /// The last batch that the node has durable; none until it has said so for the first time.
    acknowledged: Option<u64>,
    /// Positions at the beginning of the input that the node has from an earlier run.
    there: u64,
    /// Number of the next batch that is taken from the input.
    next: u64,
    /// With their numbers.
    unacknowledged: VecDeque<(u64, Batch)>,
    pub(super) summary: Summary,
}

impl Sender {
    pub(super) fn new(
        client: FeedClient<Channel>,
        (feed, stream): (&str, &str),
        (items, batch_size): (mpsc::Receiver<Item>, u64),
        summary: Summary,
    ) -> Self {
        Self {
            client,
            feed: feed.to_owned(),
            stream: stream.to_owned(),
            items,
            batch_size,
            ended: false,
            failed: None,
            acknowledged: None,
            there: 0,
            next: 1,
            unacknowledged: VecDeque::new(),
            summary,
        }
    }

    /// Sends everything. A connection that breaks is made again for as long as `patience` since something was
    /// last acknowledged.
    ///
    /// # Errors
    /// What the node refuses, or what broke the connection when patience is over; and, with everything before
    /// it sent, why the input could not be read to its end.
    pub(super) async fn send(&mut self, patience: Duration) -> Result<(), Failure> {
        let (mut pause, mut progress) = (PAUSE, (self.acknowledged, Instant::now()));
        while let Err(refusal) = self.connection().await {
            if self.acknowledged > progress.0 {
                (pause, progress) = (PAUSE, (self.acknowledged, Instant::now()));
            }
            let passing = matches!(refusal.kind, Kind::Unavailable | Kind::TimedOut);
            if !passing || progress.1.elapsed() + pause > patience {
                return Err(refusal.into());
            }
            self.summary.broke(&refusal.message);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// One connection, until everything is acknowledged.
    async fn connection(&mut self) -> Result<(), Refusal> {
        // Room for one message: what waits here has not been sent.
        let (requests, outgoing) = mpsc::channel(1);
        let open = Asked::Open(Open { feed: self.feed.clone(), stream: self.stream.clone() });
        requests.try_send(PushRequest { message: Some(open) }).map_err(|_| broken())?;
        let pushed = self.client.push(ReceiverStream::new(outgoing)).await;
        let mut responses = pushed.map_err(|status| refusal_of(&status))?.into_inner();
        // Nothing is sent before the node has said where it is.
        let first = responses.message().await.map_err(|status| refusal_of(&status))?.ok_or_else(broken)?;
        let Some(Told::Opened(opened)) = first.message else { return Err(out_of_order()) };
        self.opened(&opened);
        let mut sent = 0;
        loop {
            if self.ended && self.unacknowledged.is_empty() {
                drop(requests);
                // The node sees that this was the end and not a break. All is durable, whether it says so or not.
                while let Ok(Some(_)) = responses.message().await {}
                return Ok(());
            }
            let room = self.unacknowledged.len() < UNACKNOWLEDGED_MAX && sent == self.unacknowledged.len();
            tokio::select! {
                response = responses.message() => {
                    let response = response.map_err(|status| refusal_of(&status))?.ok_or_else(broken)?;
                    let Some(Told::Acknowledged(told)) = response.message else { return Err(out_of_order()) };
                    self.acknowledge(told)?;
                    sent = usize::saturating_sub(sent, 1);
                }
                place = requests.reserve(), if sent < self.unacknowledged.len() => {
                    let place = place.map_err(|_| broken())?;
                    if let Some((sequence, batch)) = self.unacknowledged.get(sent) {
                        let batch = WireBatch { sequence: *sequence, positions: batch.positions.clone() };
                        place.send(PushRequest { message: Some(Asked::Batch(batch)) });
                        sent += 1;
                    }
                }
                item = self.items.recv(), if room && !self.ended => self.take(item),
            }
        }
    }

    /// The node tells what it has already, from an earlier run or a connection that broke.
    fn opened(&mut self, opened: &Opened) {
        let acknowledged = opened.acknowledged;
        if self.acknowledged.is_none() {
            self.next = acknowledged.saturating_add(1);
            // Where it did not count positions, each batch but the last was full: that one is sent again rather
            // than left out.
            let full = acknowledged.saturating_sub(1).saturating_mul(self.batch_size);
            self.there = opened.positions.unwrap_or(full);
        }
        self.acknowledged = Some(acknowledged);
        while let Some((_, batch)) = self.unacknowledged.pop_front_if(|(sequence, _)| *sequence <= acknowledged) {
            self.summary.kept_before(batch.positions.len() as u64);
        }
    }

    fn take(&mut self, item: Option<Item>) {
        match item {
            None => self.ended = true,
            Some(Item::Batch(batch)) => self.take_batch(batch),
            Some(Item::Refused { number, reason, why }) => self.summary.refuse(reason.as_str(), number, Some(why)),
            Some(Item::Other) => self.summary.other(),
            Some(Item::Failed(error)) => self.failed = Some(Failure::input(error.reason(), error.to_string())),
        }
    }

    /// Numbers what the node does not have yet, however the input was cut when it was sent before.
    fn take_batch(&mut self, mut batch: Batch) {
        let there = self.there.min(batch.positions.len() as u64);
        if there > 0 {
            batch.positions.drain(..there as usize);
            batch.numbers.drain(..there as usize);
            self.there -= there;
            self.summary.kept_before(there);
        }
        if !batch.positions.is_empty() {
            self.unacknowledged.push_back((self.next, batch));
            self.next = self.next.saturating_add(1);
        }
    }

    fn acknowledge(&mut self, told: Acknowledged) -> Result<(), Refusal> {
        let first = self.unacknowledged.pop_front().filter(|(sequence, _)| *sequence == told.sequence);
        let (_, batch) = first.ok_or_else(out_of_order)?;
        self.acknowledged = Some(told.sequence);
        if told.repeated {
            self.summary.kept_before(batch.positions.len() as u64);
            return Ok(());
        }
        for refused in &told.refused {
            let number = batch.numbers.get(refused.index as usize).ok_or_else(out_of_order)?;
            self.summary.refuse(&refused.reason, *number, None);
        }
        self.summary.accept(told.accepted.into(), told.late.into());
        Ok(())
    }
}

fn broken() -> Refusal {
    Refusal::new(Kind::Unavailable, "connection_broken", "The node ended the connection")
}

fn out_of_order() -> Refusal {
    Refusal::new(
        Kind::Internal,
        "acknowledgement_unexpected",
        "The node acknowledged what was not sent; nothing more is sent. Its operator must see to it.",
    )
}
