//! Trucks that report where they are once a second, over streams of their own.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sallyport_feed::BATCH_POSITIONS_MAX;
use sallyport_proto::feed::v1::{
    Batch, Open, Position, PushRequest, PushResponse, push_request::Message as Asked, push_response::Message as Told,
};
use sallyport_track::{Corridors, Point, Tracker, geometry::Place as Spot};
use sallyport_trust::{clock::Clock, identity::refusal_of};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::place::Place;
use crate::{failure::Failure, feed, people::Feed};

/// Trucks go so far along the corridor and back again, at 25 m/s.
const STRETCH_M: f64 = 1_500.0;
const STRETCH_MS: i64 = 60_000;
/// Metres between two trucks on the corridor.
const APART_M: f64 = 100.0;

/// Seconds that are measured without a node.
const ALONE_SECONDS: i64 = 600;

/// How much.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) streams: u32,
    pub(super) trucks: u32,
    pub(super) seconds: u32,
}

/// What was sent, and how it went.
pub(super) struct Sent {
    pub(super) positions: u64,
    pub(super) seconds: f64,
    /// Processors that the node had in use.
    pub(super) processors: f64,
    latencies_s: Vec<f64>,
}

impl Sent {
    /// The latency that a share of the batches stays below.
    pub(super) fn latency_s(&self, share: f64) -> f64 {
        let place = (self.latencies_s.len() as f64 * share) as usize;
        self.latencies_s.get(place).copied().unwrap_or(f64::NAN)
    }
}

impl Load {
    /// Positions of the past hour, as fast as the node takes them.
    pub(super) async fn rush(&self, place: &Place) -> Result<Sent, Failure> {
        let begin_ms = Clock::system().now_ms() - i64::from(self.seconds) * 2_000 - 60_000;
        self.send(place, begin_ms, None).await
    }

    /// Positions of now, every second those of that second.
    pub(super) async fn pace(&self, place: &Place) -> Result<Sent, Failure> {
        self.send(place, Clock::system().now_ms(), Some(Duration::from_secs(1))).await
    }

    /// Positions a second that one processor measures when it does nothing else: what no node can leave out.
    pub(super) fn measured_alone(&self, place: &Place) -> Result<f64, Failure> {
        let mut corridors = Corridors::default();
        corridors.add(place.corridor.clone()).map_err(|error| Failure::machine("the corridor", &error))?;
        let mut trucks: Vec<_> =
            self.road(place, 0).into_iter().map(|(truck, from, to)| (Tracker::new(truck), from, to)).collect();
        let started = Instant::now();
        for at_ms in (0..ALONE_SECONDS).map(|second| second * 1_000) {
            for (tracker, from, to) in &mut trucks {
                let (latitude, longitude) = driven(*from, *to, at_ms);
                let point = Point { at_ms, latitude, longitude, speed_mps: None, accuracy_m: None, seal: None };
                black_box(tracker.observe(&corridors, point));
            }
        }
        Ok(trucks.len() as f64 * ALONE_SECONDS as f64 / started.elapsed().as_secs_f64())
    }

    async fn send(&self, place: &Place, begin_ms: i64, every: Option<Duration>) -> Result<Sent, Failure> {
        let feed = place.feed()?;
        let roads = (0..self.streams).map(|stream| self.road(place, stream)).collect::<Vec<_>>();
        let (used_s, started) = (place.processor_s()?, Instant::now());
        let mut senders = JoinSet::new();
        for (road, number) in roads.into_iter().zip(0..) {
            // Streams do not all send in the same instant.
            let offset = every.map(|every| every * number / self.streams);
            let (feed, seconds) = (feed.clone(), self.seconds);
            senders.spawn(async move { drive(&feed, &road, begin_ms, seconds, every.zip(offset)).await });
        }
        let (mut positions, mut latencies_s) = (0, Vec::new());
        while let Some(sent) = senders.join_next().await {
            let (accepted, latencies) = sent.map_err(|error| Failure::machine("a stream ended", &error))??;
            positions += accepted;
            latencies_s.extend(latencies);
        }
        latencies_s.sort_by(f64::total_cmp);
        let seconds = started.elapsed().as_secs_f64();
        let sent = u64::from(self.trucks) * u64::from(self.seconds);
        if positions < sent {
            let refused = format!("{sent} positions were sent and {positions} were kept");
            return Err(Failure::check("positions_refused", refused));
        }
        Ok(Sent { positions, seconds, processors: (place.processor_s()? - used_s) / seconds, latencies_s })
    }

    /// The trucks of a stream: each one's name, and the ends of its stretch.
    fn road(&self, place: &Place, stream: u32) -> Vec<(String, Spot, Spot)> {
        let line = &place.corridor.line;
        let mine = (stream..self.trucks).step_by(self.streams as usize);
        mine.filter_map(|truck| {
            let station_m = f64::from(truck) * APART_M % (line.length_m() - STRETCH_M);
            Some((format!("LOAD-{truck:05}"), line.at(station_m)?, line.at(station_m + STRETCH_M)?))
        })
        .collect()
    }
}

/// Sends a stream's positions, one batch after the other; what was kept, and how long each batch took.
async fn drive(
    feed: &Feed,
    road: &[(String, Spot, Spot)],
    begin_ms: i64,
    seconds: u32,
    pace: Option<(Duration, Duration)>,
) -> Result<(u64, Vec<f64>), Failure> {
    let mut stream = Stream::open(feed).await?;
    let (started, mut accepted, mut latencies_s) = (Instant::now(), 0, Vec::new());
    for second in 0..seconds {
        if let Some((every, offset)) = pace {
            tokio::time::sleep_until((started + every * second + offset).into()).await;
        }
        for trucks in road.chunks(BATCH_POSITIONS_MAX) {
            let at_ms = begin_ms + i64::from(second) * 1_000;
            let positions = trucks.iter().map(|(truck, from, to)| position(truck, at_ms, driven(*from, *to, at_ms)));
            let sent = Instant::now();
            accepted += stream.push(positions.collect()).await?;
            latencies_s.push(sent.elapsed().as_secs_f64());
        }
    }
    Ok((accepted, latencies_s))
}

/// Where on its stretch a truck is, so that it never jumps, whenever it is asked.
fn driven(from: Spot, to: Spot, at_ms: i64) -> (f64, f64) {
    let phase_ms = at_ms.rem_euclid(2 * STRETCH_MS);
    let share = phase_ms.min(2 * STRETCH_MS - phase_ms) as f64 / STRETCH_MS as f64;
    let ((latitude, longitude), (last_latitude, last_longitude)) = (from.degrees(), to.degrees());
    (latitude + (last_latitude - latitude) * share, longitude + (last_longitude - longitude) * share)
}

pub(super) fn position(device: &str, at_ms: i64, (latitude, longitude): (f64, f64)) -> Position {
    Position { device: device.to_owned(), at_ms, latitude, longitude, ..Position::default() }
}

/// One stream of numbered batches, each durable before the next is sent.
pub(super) struct Stream {
    requests: mpsc::Sender<PushRequest>,
    responses: Streaming<PushResponse>,
    sequence: u64,
}

impl Stream {
    pub(super) async fn open(feed: &Feed) -> Result<Self, Failure> {
        let (requests, outgoing) = mpsc::channel(1);
        let stream = format!("{:032x}", rand::random::<u128>());
        let open = Asked::Open(Open { feed: format!("{}.positions", feed.agency), stream });
        let _ = requests.try_send(PushRequest { message: Some(open) });
        let pushed = feed::connection(feed)?.push(ReceiverStream::new(outgoing)).await;
        let mut responses = pushed.map_err(|status| refusal_of(&status))?.into_inner();
        responses.message().await.map_err(|status| refusal_of(&status))?;
        Ok(Self { requests, responses, sequence: 0 })
    }

    /// Sends a batch; how many of its positions were kept, once they are durable.
    pub(super) async fn push(&mut self, positions: Vec<Position>) -> Result<u64, Failure> {
        let ended = || Failure::machine("the node ended a stream", &"see its log");
        self.sequence += 1;
        let batch = Asked::Batch(Batch { sequence: self.sequence, positions });
        self.requests.send(PushRequest { message: Some(batch) }).await.map_err(|_| ended())?;
        match self.responses.message().await.map_err(|status| refusal_of(&status))?.and_then(|told| told.message) {
            Some(Told::Acknowledged(told)) => Ok(u64::from(told.accepted)),
            _ => Err(ended()),
        }
    }
}
