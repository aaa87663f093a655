//! A node's service for partners over real TLS, and a partner of it.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use chrono::DateTime;
use sallyport_feed::Position;
use sallyport_proto::{
    FILE_DESCRIPTOR_SET,
    feed::v1::{
        self as wire, Acknowledged, Batch, Open, PushRequest, PushResponse, feed_client::FeedClient,
        feed_server::FeedServer, push_request::Message as Asked, push_response::Message as Told,
    },
};
use sallyport_trust::{
    audit::AuditLog,
    clock::Clock,
    guard::Guard,
    identity::{
        ConnectSettings, Connections, Identity, Limits, SpiffeId, TlsFiles, connect,
        development_ca::{DevelopmentSet, development_set},
        refusal_of,
    },
    policy::PolicyStore,
    serve::{Drain, ServeError, Services, serve},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, transport::Channel};

use super::super::{ENTRY_EVERY, FeedService, FeedSettings, Keep, validate};
use crate::positions::{Settings, Store};

/// 2026-11-24T12:00:00Z.
pub(super) const NOW_MS: i64 = 1_795_521_600_000;
pub(super) const FEED: &str = "acme.positions";
const RULES: &str = r#"
[[rule]]
id = "feeds"
effect = "allow"
actions = ["contribute"]
datasets = ["acme.positions", "acme.yard"]
[rule.subject]
role = { equals = "feed" }
[rule.resource]
kind = { equals = "feed" }
"#;
const CASES: &str = r#"
[subjects.node]
role = "node"
[resources.feed]
kind = "feed"
owner = "acme"
[[case]]
name = "a node sends nothing"
subject = "node"
resource = "feed"
action = "contribute"
decision = "deny"
reason = "no_rule_allows"
"#;
const FEEDS: &str = r#"
[[feed]]
name = "acme.positions"
partner = "acme"
devices = ["ACME-*", "T1"]
[[feed]]
name = "acme.yard"
partner = "bolt"
devices = ["BOLT-*"]
[[feed]]
name = "acme.unruled"
partner = "acme"
devices = ["*"]
"#;

/// Certificates, a policy and a directory for one node.
pub(super) struct World {
    directory: TempDir,
    clock: Clock,
    pub(super) entry_every: Duration,
}

/// A running service.
pub(super) struct Served {
    address: String,
    guard: Guard,
    end: oneshot::Sender<()>,
    ended: JoinHandle<Result<Drain, ServeError>>,
}

impl World {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(DateTime::from_timestamp_millis(NOW_MS).unwrap());
        let set = DevelopmentSet {
            federation: "f.test",
            agencies: &["acme"],
            users: &[("acme", "lind")],
            auditors: &[],
            partners: &["acme", "bolt"],
        };
        development_set(&directory.path().join("certs"), &set, clock.clone()).unwrap();
        let policies = directory.path().join("policies");
        fs::create_dir(&policies).unwrap();
        let files = [("model.conf", include_str!("../../../../policies/model.conf")), ("rules.toml", RULES)];
        for (name, text) in files.into_iter().chain([("cases.toml", CASES)]) {
            fs::write(policies.join(name), text).unwrap();
        }
        Self { directory, clock, entry_every: ENTRY_EVERY }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn identity(&self, name: &str) -> Arc<Identity> {
        let file = |name: String| self.path("certs").join(name);
        let files = TlsFiles {
            certificate: file(format!("{name}.pem")),
            key: file(format!("{name}.key")),
            authorities: file("authority.pem".to_owned()),
            revocations: None,
        };
        Identity::load(&files, self.clock.clone()).unwrap()
    }

    pub(super) fn store(&self) -> Arc<Store> {
        Arc::new(Store::open(&self.path("positions"), Settings::default(), self.clock.clone()).unwrap())
    }

    pub(super) async fn serve<K: Keep>(&self, keep: K) -> Served {
        #[derive(serde::Deserialize)]
        struct Feeds {
            feed: Vec<FeedSettings>,
        }
        let settings: Feeds = toml::from_str(FEEDS).unwrap();
        validate("acme", &settings.feed).unwrap();
        let audit = AuditLog::open(&self.path("audit"), "f.test/acme", self.clock.clone()).unwrap();
        let guard = Guard::new(PolicyStore::open(&self.path("policies")).unwrap(), audit, self.clock.clone());
        let ending = CancellationToken::new();
        let mut feeds = super::super::Feeds::new("acme", &settings.feed, guard.clone(), keep, ending.clone());
        feeds.entry_every = self.entry_every;
        let limits = Limits::default();
        let services = Services {
            routes: tonic::service::Routes::new(FeedServer::new(FeedService(Arc::new(feeds)))),
            names: vec!["sallyport.feed.v1.Feed".to_owned()],
            file_descriptor_set: FILE_DESCRIPTOR_SET,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let identity = self.identity("agency-acme-node");
        let (end, asked) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let connections = Connections::new(&limits);
            let shutdown = async move {
                let _ = asked.await;
                ending.cancel();
            };
            serve(listener, &identity, &limits, connections, services, shutdown).await
        });
        Served { address, guard, end, ended }
    }

    pub(super) fn client(&self, who: &str, served: &Served) -> FeedClient<Channel> {
        let node: SpiffeId = "spiffe://f.test/agency/acme/node".parse().unwrap();
        let settings = ConnectSettings::default();
        FeedClient::new(connect(&self.identity(who), &served.address, &node, &settings).unwrap())
    }

    pub(super) async fn open(&self, served: &Served, stream: &str) -> Sender {
        Sender::open(self.client("partner-acme-feed", served), FEED, stream).await.unwrap()
    }
}

impl Served {
    pub(super) async fn end(self) {
        self.end.send(()).unwrap();
        assert_eq!(self.ended.await.unwrap().unwrap(), Drain::Complete, "streams end with the node");
        self.guard.close().await.unwrap();
    }
}

/// One connection of a partner.
pub(super) struct Sender {
    pub(super) requests: mpsc::Sender<PushRequest>,
    pub(super) responses: Streaming<PushResponse>,
    pub(super) acknowledged: u64,
}

impl Sender {
    pub(super) async fn open(client: FeedClient<Channel>, feed: &str, stream: &str) -> Result<Self, String> {
        let opening = Asked::Open(Open { feed: feed.to_owned(), stream: stream.to_owned() });
        let mut sender = Self::begin(client, opening).await;
        match sender.next().await? {
            Told::Opened(opened) => sender.acknowledged = opened.acknowledged,
            Told::Acknowledged(_) => panic!("acknowledged before it was opened"),
        }
        Ok(sender)
    }

    pub(super) async fn begin(mut client: FeedClient<Channel>, first: Asked) -> Self {
        let (requests, sent) = mpsc::channel(4);
        requests.send(PushRequest { message: Some(first) }).await.unwrap();
        let responses = client.push(ReceiverStream::new(sent)).await.unwrap().into_inner();
        Self { requests, responses, acknowledged: 0 }
    }

    /// Ends in good order; the node has then written down what came.
    pub(super) async fn finish(mut self) {
        drop(self.requests);
        assert_eq!(self.responses.message().await.unwrap(), None);
    }

    pub(super) async fn next(&mut self) -> Result<Told, String> {
        match self.responses.message().await {
            Ok(Some(PushResponse { message: Some(told) })) => Ok(told),
            Ok(_) => Err("ended".to_owned()),
            Err(status) => Err(refusal_of(&status).reason),
        }
    }

    pub(super) async fn send(&mut self, sequence: u64, positions: Vec<wire::Position>) -> Result<Acknowledged, String> {
        let batch = Asked::Batch(Batch { sequence, positions });
        let _ = self.requests.send(PushRequest { message: Some(batch) }).await;
        match self.next().await? {
            Told::Acknowledged(told) => Ok(told),
            Told::Opened(_) => panic!("opened twice"),
        }
    }
}

/// The place of a truck at a second of the last hour.
pub(super) fn at(device: &str, second: i64) -> wire::Position {
    wire::Position {
        device: device.to_owned(),
        at_ms: NOW_MS - 3_600_000 + second * 1000,
        latitude: 27.5 + second as f64 * 1e-4,
        longitude: -99.5,
        seal: wire::Seal::Intact as i32,
        ..wire::Position::default()
    }
}

/// Batch `sequence` of a stream: ten seconds of one truck.
pub(super) fn batch(sequence: u64) -> Vec<wire::Position> {
    (0..10).map(|second| at("ACME-1", sequence as i64 * 10 + second)).collect()
}

/// Everything that a store holds, in its order.
pub(super) async fn kept(world: &World) -> Vec<Position> {
    let mut batches = world.store().subscribe(0);
    let mut positions = Vec::new();
    while let Ok(Some(placed)) = batches.next().await.map_err(|error| panic!("{error}")) {
        positions.extend(placed.batch.positions);
    }
    positions
}
