//! Measures positions as they become durable.

use std::{sync::Arc, time::Duration};

use sallyport_feed::{Position, Seal, plausibility::DEVICES_MAX};
use sallyport_track::{Point, Seal as TrackSeal, Tracker};
use sallyport_trust::clock::Clock;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Followed, Tracks};
use crate::positions::{Placed, Store, StoreError};

/// How often silence and lateness are judged.
const TICK: Duration = Duration::from_secs(1);
/// Changed events are written this often at most, and trackers so that little is measured twice after a crash.
const WRITE_EVENTS: Duration = Duration::from_millis(500);
const WRITE_TRACKERS: Duration = Duration::from_secs(30);
/// How often it is looked whether corridors have changed.
const LOOK: Duration = Duration::from_secs(5);
const DAY_MS: i64 = 86_400_000;
/// After a day of silence, a device that is on no corridor is forgotten.
const FORGET_AFTER_MS: i64 = DAY_MS;

/// Follows the store until the node ends. What is durable and not measured then is measured after the next start.
pub(crate) async fn follow(
    mut tracks: Tracks,
    store: Arc<Store>,
    retention_days: u32,
    clock: Clock,
    ending: CancellationToken,
) {
    let mut batches = store.subscribe(tracks.measured.place);
    let (mut ticks, mut looks, mut is_changed) = (every(TICK), every(LOOK), false);
    let (mut events_written, mut trackers_written) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = ending.cancelled() => break,
            batch = batches.next() => match batch {
                Ok(Some(placed)) => is_changed |= tracks.measure(placed),
                Ok(None) => break,
                Err(StoreError::PlaceGone { first }) => {
                    tracing::warn!("positions have left the journal unmeasured; tracks go on with those that are left");
                    tracks.measured.place = first;
                    batches = store.subscribe(first);
                }
                Err(error) => {
                    tracing::error!(%error, "tracks are measured no more until the node starts again");
                    return;
                }
            },
            _ = looks.tick() => {
                tracks.designated.refresh();
                tracks.tell_unmeasured();
            }
            _ = ticks.tick() => is_changed |= tracks.tick(clock.now_ms(), retention_days),
            () = tokio::time::sleep_until(events_written + WRITE_EVENTS), if is_changed => {}
        }
        if is_changed && events_written.elapsed() >= WRITE_EVENTS {
            is_changed = !told(tracks.write_events());
            events_written = Instant::now();
        }
        if !is_changed && trackers_written.elapsed() >= WRITE_TRACKERS {
            told(tracks.write_snapshot());
            trackers_written = Instant::now();
        }
    }
    if told(tracks.write_events()) {
        told(tracks.write_snapshot());
    }
}

fn every(period: Duration) -> Interval {
    let mut times = tokio::time::interval(period);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times
}

fn told(written: std::io::Result<()>) -> bool {
    written.inspect_err(|error| tracing::error!(%error, "what tracks show cannot be written; tried again")).is_ok()
}

impl Tracks {
    /// Measures a batch; true when an event changed. Of a feed that has more devices than are followed at once, new
    /// ones are not measured until others are forgotten: a partner who invents devices harms their own feed alone.
    pub(super) fn measure(&mut self, placed: Placed) -> bool {
        let Placed { place, batch } = placed;
        let trackers = self.measured.trackers.entry(batch.feed).or_default();
        let mut positions = batch.positions;
        positions.sort_by_key(|position| position.at_ms);
        let mut is_changed = false;
        for position in positions {
            if trackers.len() >= DEVICES_MAX && !trackers.contains_key(&position.device) {
                self.unmeasured += 1;
                continue;
            }
            let new = |device: &String| Followed { heard_ms: 0, tracker: Tracker::new(device.as_str()) };
            let followed = trackers.entry(position.device.clone()).or_insert_with_key(new);
            let mut events = Vec::new();
            if followed.heard_ms < batch.received_ms {
                // Until the batch came the device was silent. After a crash batches are measured again without the
                // ticks that were between them, and silence that was told then must be known to be taken back.
                followed.heard_ms = batch.received_ms;
                events = followed.tracker.tick(&self.designated.corridors, batch.received_ms);
            }
            events.extend(followed.tracker.observe(&self.designated.corridors, track_point(&position)));
            for event in events {
                is_changed |= self.events.take(event);
            }
        }
        self.measured.place = place + 1;
        is_changed
    }

    fn tell_unmeasured(&mut self) {
        let positions = std::mem::take(&mut self.unmeasured);
        if positions > 0 {
            tracing::warn!(positions, "a feed has more devices than can be followed; new ones are not measured");
        }
    }

    /// Judges silence and lateness; true when an event changed.
    pub(super) fn tick(&mut self, now_ms: i64, retention_days: u32) -> bool {
        let mut is_changed = self.events.forget_before(now_ms.saturating_sub(i64::from(retention_days) * DAY_MS));
        for trackers in self.measured.trackers.values_mut() {
            trackers.retain(|_, Followed { heard_ms, tracker }| {
                for event in tracker.tick(&self.designated.corridors, now_ms) {
                    is_changed |= self.events.take(event);
                }
                !tracker.is_idle() || *heard_ms > now_ms - FORGET_AFTER_MS
            });
        }
        is_changed
    }
}

/// A position as trackers take it.
pub fn track_point(position: &Position) -> Point {
    Point {
        at_ms: position.at_ms,
        latitude: position.latitude,
        longitude: position.longitude,
        speed_mps: position.speed_mps,
        accuracy_m: position.accuracy_m,
        seal: position.seal.map(|seal| match seal {
            Seal::Intact => TrackSeal::Intact,
            Seal::Opened => TrackSeal::Opened,
            Seal::Broken => TrackSeal::Broken,
        }),
    }
}
