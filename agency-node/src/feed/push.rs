//! The way of a stream of positions through the node.

use std::{sync::Arc, time::Duration};

use sallyport_feed::{BATCH_POSITIONS_MAX, position::is_device};
use sallyport_proto::feed::v1::{
    Acknowledged, Batch, Open, Opened, PushRequest, PushResponse, push_request::Message as Asked,
    push_response::Message as Told,
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::Permit,
};
use tokio::{
    sync::mpsc::Sender,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::{Feed, Feeds, Judged, Keep, PUSH, only_partner, streams::Claim, wire};
use crate::positions::Reached;

/// How long a connection may take to say which feed it is about.
const OPENING_PATIENCE: Duration = Duration::from_secs(30);

/// One connection of a partner.
struct Connection<'a> {
    peer: &'a SpiffeId,
    open: Open,
    requests: Streaming<PushRequest>,
    responses: &'a Sender<Result<PushResponse, Status>>,
    claim: Option<Claim>,
    /// The last batch that is durable.
    last: u64,
}

/// How a stretch of a stream ended.
enum Stretch {
    /// The sender has nothing more.
    Over,
    /// The stream goes on under the next audit entry.
    GoesOn,
}

/// identify partner → open audit entry → authorise → judge, keep and acknowledge → complete audit, and again
/// for as long as the stream goes on
pub(super) async fn push<K: Keep>(
    feeds: &Arc<Feeds<K>>,
    peer: &SpiffeId,
    mut requests: Streaming<PushRequest>,
    responses: &Sender<Result<PushResponse, Status>>,
) -> Result<(), Refusal> {
    only_partner(peer)?;
    let open = opening(&mut requests).await?;
    let mut connection = Connection { peer, open, requests, responses, claim: None, last: 0 };
    loop {
        let act = Act::by(peer, PUSH, feeds.audited(&connection.open.feed));
        let mut trail = feeds.guard.begin(act).await?;
        let stretch = connection.stretch(feeds, &mut trail).await;
        trail.complete(stretch.as_ref().err()).await?;
        if let Stretch::Over = stretch? {
            return Ok(());
        }
    }
}

async fn opening(requests: &mut Streaming<PushRequest>) -> Result<Open, Refusal> {
    let first = timeout(OPENING_PATIENCE, requests.message()).await;
    let first =
        first.map_err(|_| Refusal::new(Kind::TimedOut, "opening_missing", "Open a feed, then send batches."))?;
    match first.map_err(|status| broken_off(&status))?.and_then(|request| request.message) {
        Some(Asked::Open(open)) if is_device(&open.stream) => Ok(open),
        Some(Asked::Open(_)) => Err(Refusal::bad_input(
            "stream_name",
            "A stream is named by 1 to 64 letters, digits and `-`, `_`, `.`, `:`; choose such a name.",
        )),
        _ => Err(Refusal::bad_input("opening_missing", "The first message opens a feed; send it before any batch.")),
    }
}

impl Connection<'_> {
    async fn stretch<K: Keep>(&mut self, feeds: &Feeds<K>, trail: &mut Trail) -> Result<Stretch, Refusal> {
        let feed = feeds.feed(self.peer, &self.open.feed)?;
        let permit = feeds.authorise(trail, self.peer, feed)?;
        if self.claim.is_none() {
            self.claim = Some(feeds.open.claim(&self.open.feed, &self.open.stream).await?);
            let reached = feeds.keep.reached(&self.open.feed, &self.open.stream);
            let reached = reached.unwrap_or(Reached { sequence: 0, points: Some(0) });
            self.last = reached.sequence;
            let positions_max = BATCH_POSITIONS_MAX as u32;
            let opened = Opened { acknowledged: self.last, positions_max, positions: reached.points };
            self.tell(feeds, Told::Opened(opened)).await?;
        }
        let until = Instant::now() + feeds.entry_every;
        let mut received = false;
        loop {
            let request = tokio::select! {
                biased;
                refusal = ended(&feeds.ending, self.claim.as_ref()) => return Err(refusal),
                () = sleep_until(until), if received => return Ok(Stretch::GoesOn),
                request = self.requests.message() => request.map_err(|status| broken_off(&status))?,
            };
            let batch = match request.map(|request| request.message) {
                None => return Ok(Stretch::Over),
                Some(Some(Asked::Batch(batch))) => batch,
                Some(_) => {
                    return Err(Refusal::bad_input(
                        "batch_expected",
                        "A stream is opened once; send batches after it.",
                    ));
                }
            };
            received = true;
            let told = self.take(feeds, feed, &permit, trail, batch).await?;
            self.tell(feeds, Told::Acknowledged(told)).await?;
        }
    }

    /// Judges a batch and keeps it; it is durable on return.
    async fn take<K: Keep>(
        &mut self,
        feeds: &Feeds<K>,
        feed: &Feed,
        permit: &Permit,
        trail: &mut Trail,
        batch: Batch,
    ) -> Result<Acknowledged, Refusal> {
        let Batch { sequence, positions } = batch;
        if sequence > 0 && sequence <= self.last {
            trail.count("batches_repeated", 1);
            return Ok(Acknowledged { sequence, repeated: true, ..Acknowledged::default() });
        }
        let expected = self.last + 1;
        if sequence != expected {
            return Err(Refusal::new(
                Kind::Conflict,
                "sequence_gap",
                format!("The next batch of this stream is {expected}, and {sequence} came; go on with {expected}."),
            ));
        }
        if !(1..=BATCH_POSITIONS_MAX).contains(&positions.len()) {
            return Err(Refusal::bad_input(
                "batch_size",
                format!("A batch holds 1 to {BATCH_POSITIONS_MAX} positions; cut it up and send the parts."),
            ));
        }
        let positions = positions.into_iter().map(wire::position).collect();
        let Judged { accepted, refused, late } = feed.judge(permit, positions, feeds.guard.clock().now_ms());
        let told = Acknowledged {
            sequence,
            accepted: accepted.len() as u32,
            refused: refused.iter().map(wire::refused).collect(),
            repeated: false,
            late,
        };
        feeds.keep.append(&self.open.feed, &self.open.stream, sequence, accepted, refused).await?;
        self.last = sequence;
        trail.count("batches", 1);
        trail.count("positions_accepted", u64::from(told.accepted));
        for refused in &told.refused {
            trail.count(&format!("refused_{}", refused.reason), 1);
        }
        Ok(told)
    }

    /// Tells the sender; waits while it does not listen.
    async fn tell<K: Keep>(&self, feeds: &Feeds<K>, message: Told) -> Result<(), Refusal> {
        let response = Ok(PushResponse { message: Some(message) });
        tokio::select! {
            refusal = ended(&feeds.ending, self.claim.as_ref()) => Err(refusal),
            sent = self.responses.send(response) => sent.map_err(|_| cancelled()),
        }
    }
}

/// Why a connection ends from this side.
async fn ended(ending: &CancellationToken, claim: Option<&Claim>) -> Refusal {
    let taken_over = async {
        match claim {
            Some(claim) => claim.taken_over().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = ending.cancelled() => {
            Refusal::new(Kind::Unavailable, "node_ending", "The node is ending; open the stream again in a moment.")
        }
        refusal = taken_over => refusal,
    }
}

/// Why nothing more comes from the sender.
fn broken_off(status: &Status) -> Refusal {
    match status.code() {
        Code::OutOfRange => Refusal::bad_input("message_too_large", "A message is too large; send smaller batches."),
        _ => cancelled(),
    }
}

fn cancelled() -> Refusal {
    Refusal::new(Kind::TimedOut, "cancelled", "The sender went away; what was acknowledged is kept.")
}
