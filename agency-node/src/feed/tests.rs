mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sallyport_feed::{BATCH_POSITIONS_MAX, Position, RefusedPoint};
use sallyport_proto::feed::v1::{
    self as wire, Batch, Open, PushRequest, QuarantineRequest, push_request::Message as Asked,
    push_response::Message as Told,
};
use sallyport_trust::{
    audit::{Phase, verify_each},
    error::{Kind, Refusal},
    identity::refusal_of,
};
use tokio::sync::Semaphore;

use super::*;
use crate::positions::{Quarantined, Reached};
use world::{FEED, NOW_MS, Sender, World, at, batch, kept};

#[tokio::test]
async fn bad_points_are_refused_one_by_one_counted_and_shown_to_their_partner_alone() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let mut sender = world.open(&served, "s").await;
    let spoilt = |change: fn(&mut wire::Position)| {
        let mut position = at("T1", 1);
        change(&mut position);
        position
    };
    let positions = vec![
        at("T1", 0),
        spoilt(|position| position.latitude = f64::NAN),
        spoilt(|position| (position.latitude, position.longitude) = (position.longitude, position.latitude)),
        spoilt(|position| (position.latitude, position.longitude) = (0.0, 0.0)),
        spoilt(|position| position.at_ms = NOW_MS + 86_400_000),
        spoilt(|position| position.at_ms = 0),
        spoilt(|position| position.latitude += 10.0),
        spoilt(|position| position.device = "BOLT-1".to_owned()),
        at("T1", 2),
    ];
    let told = sender.send(1, positions).await.unwrap();
    let reasons: Vec<(u32, &str)> = told.refused.iter().map(|one| (one.index, one.reason.as_str())).collect();
    let expected = [
        (1, "out_of_range"),
        (2, "swapped"),
        (3, "null_island"),
        (4, "in_future"),
        (5, "too_old"),
        (6, "impossible_jump"),
        (7, "unknown_device"),
    ];
    assert_eq!((told.accepted, told.repeated, reasons.as_slice()), (2, false, expected.as_slice()));

    // By pages of three.
    let mut client = world.client("partner-acme-feed", &served);
    let (mut shown, mut after) = (Vec::new(), 0);
    loop {
        let page = QuarantineRequest { feed: FEED.to_owned(), after, limit: 3 };
        let page = client.quarantine(page).await.unwrap().into_inner();
        shown.extend(page.points);
        after = page.next;
        if after == 0 {
            break;
        }
    }
    let shown: Vec<(u32, &str)> = shown.iter().map(|point| (point.index, point.reason.as_str())).collect();
    assert_eq!(shown, expected);
    let page = || QuarantineRequest { feed: FEED.to_owned(), after: 0, limit: 10 };
    let other = world.client("partner-bolt-feed", &served).quarantine(page()).await.unwrap_err();
    assert_eq!(refusal_of(&other).reason, "feed_unknown");

    sender.finish().await;
    served.end().await;
    let mut counts = BTreeMap::new();
    verify_each(&world.path("audit"), |entry| {
        if let Phase::Complete(done) = &entry.phase
            && done.counts.contains_key("batches")
        {
            counts = done.counts.clone();
        }
    })
    .unwrap();
    assert_eq!((counts["batches"], counts["positions_accepted"]), (1, 2));
    for (_, reason) in expected {
        assert_eq!(counts[&format!("refused_{reason}")], 1, "{reason}");
    }
    assert_eq!(kept(&world).await.len(), 2);
}

#[tokio::test]
async fn what_comes_after_newer_points_of_its_device_is_kept_and_told() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let mut sender = world.open(&served, "s").await;
    // A batch is sorted before it is measured, so its own order does not matter; two seconds are waited for.
    for (sequence, seconds, late) in [(1, vec![60, 40, 50], 0), (2, vec![58, 59, 62], 0), (3, vec![59, 61, 57, 70], 2)]
    {
        let told = sender.send(sequence, seconds.iter().map(|second| at("T1", *second)).collect()).await.unwrap();
        assert_eq!((told.accepted as usize, told.late), (seconds.len(), late), "batch {sequence}");
    }
    // Of another device nothing has come yet, and a repeated batch was told of before.
    assert_eq!(sender.send(4, vec![at("ACME-1", 0)]).await.unwrap().late, 0);
    assert_eq!(sender.send(3, vec![at("T1", 0)]).await.unwrap().late, 0);
    sender.finish().await;
    served.end().await;
    assert_eq!(kept(&world).await.len(), 11);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut_off_with_nothing_lost_and_nothing_doubled() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let mut sender = world.open(&served, "s").await;
    for sequence in 1..=3 {
        assert_eq!(sender.send(sequence, batch(sequence)).await.unwrap().accepted, 10);
    }
    // The sender dies without a word, with a batch on its way that may or may not have been kept.
    sender
        .requests
        .send(PushRequest { message: Some(Asked::Batch(Batch { sequence: 4, positions: batch(4) })) })
        .await
        .unwrap();
    drop(sender);
    let mut sender = world.open(&served, "s").await;
    assert!([3, 4].contains(&sender.acknowledged), "{}", sender.acknowledged);
    // It does not know, and sends again from where it knows.
    for sequence in 3..=5 {
        let told = sender.send(sequence, batch(sequence)).await.unwrap();
        assert_eq!((told.sequence, told.repeated), (sequence, sequence <= sender.acknowledged));
    }
    // The node ends in the middle; the open stream is told.
    let telling = tokio::spawn(async move { sender.next().await });
    served.end().await;
    assert_eq!(telling.await.unwrap(), Err("node_ending".to_owned()));
    let served = world.serve(world.store()).await;
    let mut sender = world.open(&served, "s").await;
    assert_eq!(sender.acknowledged, 5);
    sender.send(6, batch(6)).await.unwrap();
    drop(sender);
    served.end().await;
    let expected: Vec<i64> = (1..=6).flat_map(batch).map(|position| position.at_ms).collect();
    assert_eq!(kept(&world).await.iter().map(|position| position.at_ms).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn only_a_partner_sends_and_only_into_its_own_feed() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let open = async |who: &str, feed: &str| {
        Sender::open(world.client(who, &served), feed, "s").await.map(|sender| sender.acknowledged)
    };
    assert_eq!(open("partner-acme-feed", FEED).await, Ok(0));
    assert_eq!(open("partner-bolt-feed", "acme.yard").await, Ok(0));
    for (who, feed, reason) in [
        ("agency-acme-user-lind", FEED, "wrong_role"),
        ("agency-acme-node", FEED, "wrong_role"),
        ("partner-bolt-feed", FEED, "feed_unknown"),
        ("partner-acme-feed", "acme.yard", "feed_unknown"),
        ("partner-acme-feed", "acme.nothing", "feed_unknown"),
        ("partner-acme-feed", "", "feed_unknown"),
        ("partner-acme-feed", "acme.unruled", "no_rule_allows"),
    ] {
        assert_eq!(open(who, feed).await, Err(reason.to_owned()), "{who} {feed}");
    }
    // What another partner's devices send is no more welcome under an own feed's name.
    let mut bolt = Sender::open(world.client("partner-bolt-feed", &served), "acme.yard", "s").await.unwrap();
    let told = bolt.send(1, vec![at("ACME-1", 0), at("BOLT-1", 0)]).await.unwrap();
    assert_eq!((told.accepted, told.refused[0].index, told.refused[0].reason.as_str()), (1, 0, "unknown_device"));
    drop(bolt);
    served.end().await;
}

#[tokio::test]
async fn messages_out_of_order_or_out_of_shape_end_the_stream() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let client = || world.client("partner-acme-feed", &served);
    let opening = |stream: &str| Asked::Open(Open { feed: FEED.to_owned(), stream: stream.to_owned() });
    let mut unopened = Sender::begin(client(), Asked::Batch(Batch { sequence: 1, positions: batch(1) })).await;
    assert_eq!(unopened.next().await.unwrap_err(), "opening_missing");
    for name in ["", "a b", "../up", &"x".repeat(65)] {
        let mut sender = Sender::begin(client(), opening(name)).await;
        assert_eq!(sender.next().await.unwrap_err(), "stream_name", "{name}");
    }
    let mut twice = world.open(&served, "s").await;
    twice.requests.send(PushRequest { message: Some(opening("s")) }).await.unwrap();
    assert_eq!(twice.next().await.unwrap_err(), "batch_expected");
    for (sequence, positions, reason) in [
        (0, batch(1), "sequence_gap"),
        (2, batch(1), "sequence_gap"),
        (u64::MAX, batch(1), "sequence_gap"),
        (1, Vec::new(), "batch_size"),
        (1, vec![at("T1", 0); BATCH_POSITIONS_MAX + 1], "batch_size"),
    ] {
        let mut sender = world.open(&served, "s").await;
        assert_eq!(sender.send(sequence, positions).await.unwrap_err(), reason);
    }
    let mut sender = world.open(&served, "s").await;
    let enormous = wire::Position { device: "x".repeat(8 * 1024 * 1024), ..at("T1", 0) };
    assert!(sender.send(1, vec![enormous]).await.is_err());
    let mut sender = world.open(&served, "s").await;
    assert_eq!(sender.send(1, vec![at("T1", 0); BATCH_POSITIONS_MAX]).await.unwrap().accepted, 1000);
    drop(sender);
    served.end().await;
}

#[tokio::test]
async fn a_stream_that_is_opened_again_goes_to_the_later_connection() {
    let world = World::new();
    let served = world.serve(world.store()).await;
    let mut first = world.open(&served, "s").await;
    first.send(1, batch(1)).await.unwrap();
    let mut second = world.open(&served, "s").await;
    assert_eq!((second.acknowledged, first.next().await.unwrap_err()), (1, "stream_taken_over".to_owned()));
    second.send(2, batch(2)).await.unwrap();
    drop(second);
    served.end().await;
}

#[tokio::test]
async fn a_stream_that_goes_on_is_written_down_piece_by_piece() {
    let mut world = World::new();
    world.entry_every = Duration::ZERO;
    let served = world.serve(world.store()).await;
    let mut sender = world.open(&served, "s").await;
    for sequence in 1..=3 {
        assert_eq!(sender.send(sequence, batch(sequence)).await.unwrap().accepted, 10);
    }
    sender.finish().await;
    served.end().await;
    let (mut opened, mut batches) = (0, Vec::new());
    verify_each(&world.path("audit"), |entry| match &entry.phase {
        Phase::Open(_) => opened += 1,
        Phase::Complete(done) => batches.push(done.counts.get("batches").copied().unwrap_or(0)),
    })
    .unwrap();
    // A timer of nothing may still let a batch pass before it; none goes uncounted.
    assert_eq!((opened, batches.iter().sum::<u64>()), (batches.len(), 3));
    assert!(opened >= 2, "{batches:?}");
}

/// Keeps nothing before it is allowed to.
struct Slow {
    allowed: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

impl Keep for Slow {
    async fn append(
        &self,
        _feed: &str,
        _stream: &str,
        _sequence: u64,
        _positions: Vec<Position>,
        _refused: Vec<RefusedPoint>,
    ) -> Result<(), Refusal> {
        self.asked.add_permits(1);
        match self.allowed.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(Refusal::new(Kind::Unavailable, "positions_full", "Send it again.")),
        }
        Ok(())
    }

    fn reached(&self, _feed: &str, _stream: &str) -> Option<Reached> {
        None
    }

    async fn quarantine(&self, _feed: &str, _after: u64, _limit: usize) -> Result<Vec<Quarantined>, Refusal> {
        Ok(Vec::new())
    }
}

/// Batches of some 50 kB that the windows and buffers between sender and store may hold.
const ON_THE_WAY_MAX: u64 = 64;

#[tokio::test]
async fn slow_storage_slows_the_sender() {
    let world = World::new();
    let (allowed, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let served = world.serve(Slow { allowed: allowed.clone(), asked: asked.clone() }).await;
    let Sender { requests, mut responses, .. } = world.open(&served, "s").await;
    let batches = 4 * ON_THE_WAY_MAX;
    let sent = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn({
        let sent = sent.clone();
        async move {
            for sequence in 1..=batches {
                let positions = (0..1000).map(|second| at("ACME-1", second)).collect();
                let batch = Asked::Batch(Batch { sequence, positions });
                requests.send(PushRequest { message: Some(batch) }).await.unwrap();
                sent.store(sequence, Ordering::SeqCst);
            }
        }
    });
    for sequence in 1..=batches {
        let waiting = asked.acquire().await.unwrap();
        waiting.forget();
        assert_eq!(asked.available_permits(), 0, "the next batch waits until the one before is durable");
        let ahead = sent.load(Ordering::SeqCst).saturating_sub(sequence);
        assert!(ahead <= ON_THE_WAY_MAX, "{ahead} batches on their way");
        allowed.add_permits(1);
        let Some(Told::Acknowledged(told)) = responses.message().await.unwrap().unwrap().message else { panic!() };
        assert_eq!(told.sequence, sequence);
    }
    sending.await.unwrap();
    served.end().await;
}

#[test]
fn feeds_are_checked_before_the_node_starts() {
    let checked = |more: &str| {
        #[derive(serde::Deserialize)]
        struct File {
            feed: Vec<FeedSettings>,
        }
        let text = format!("[[feed]]\n{more}");
        toml::from_str::<File>(&text)
            .map_err(|error| error.to_string())
            .and_then(|file| validate("acme", &file.feed).map_err(|error| error.to_string()))
    };
    let good = "name = \"acme.gps\"\npartner = \"acme\"\ndevices = [\"A*\"]\n";
    assert_eq!(checked(good), Ok(()));
    let region = "[feed.region]\nsouth = 24.0\nwest = -125.0\nnorth = 50.0\neast = -66.0\n";
    assert_eq!(checked(&format!("{good}age = \"90d\"\nspeed_kmh = 120\nclock_skew = \"1m\"\n{region}")), Ok(()));
    for (text, problem) in [
        (good.replace("acme.gps", "cbp.gps"), "AGENCY.NAME"),
        (good.replace("acme.gps", "acme"), "AGENCY.NAME"),
        (good.replace("acme.gps", "acme.g p s"), "AGENCY.NAME"),
        (format!("{good}[[feed]]\n{good}"), "twice"),
        (good.replace("\"acme\"", "\"Acme Inc\""), "partner"),
        (good.replace("A*", "A*B"), "names no device"),
        (format!("{good}clock_skew = \"2d\"\n"), "clock_skew"),
        (format!("{good}speed_kmh = 0\n"), "speed_kmh"),
        (format!("{good}speed_kmh = 181\n"), "speed_kmh 1 to 180"),
        (format!("{good}{}", region.replace("50.0", "95.0")), "region"),
        (format!("{good}{}", region.replace("-125.0", "nan")), "region"),
        (format!("{good}retention = \"1d\"\n"), "unknown field"),
    ] {
        let told = checked(&text).unwrap_err();
        assert!(told.contains(problem), "{text}: {told}");
    }
}
