//! Boot and end of a node, in order.

use std::path::PathBuf;
use std::{future::Future, net::SocketAddr, sync::Arc};

use sallyport_proto::{
    FILE_DESCRIPTOR_SET,
    audit::v1::witness_client::WitnessClient,
    feed::v1::feed_server::FeedServer,
    gateway::v1::federation_client::FederationClient,
    node::v1::{contribution_server::ContributionServer, desk_server::DeskServer},
};
use sallyport_trust::{
    audit::{AuditError, AuditLog},
    auditing::{self, AuditService, Auditing},
    clock::Clock,
    guard::Guard,
    identity::{Connections, Identity, IdentityError, PeerChannel, Role, SpiffeId},
    life,
    policy::{PolicyError, PolicySource},
    policy_life::{self, OpenError},
    serve::{ServeError, Services, serve},
    witnessing::{self, Witness},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    books::Books,
    config::Federation,
    consent::{KeptQuestions, ReleaseQueue},
    feed::{FeedService, Feeds},
    holdings::{Holdings, HoldingsError},
    housekeeping::keep_house,
    leads::{Leads, keep_time},
    linkage::{epoch::EpochError, epochs::Epochs},
    node::{Node, State},
    patterns::PatternStore,
    positions::{self, Store, StoreError},
    rpc::{ContributionService, DeskService},
    settle::settle,
    tracks::{self, Tracks},
    watches::{Watches, keep_watch},
    witness::{self, ThroughGateway},
};

/// Why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Corridors, or what is kept of tracks, cannot be used.
    #[error("[tracks] {0}")]
    Tracks(std::io::Error),
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is not this agency's node's.
    #[error(
        "{0} is not the name of this agency's node: configure the certificate of spiffe://FEDERATION/agency/{1}/node"
    )]
    WrongRole(SpiffeId, String),
    /// The policy is refused.
    #[error("the policy in {}: {problem}", path.display())]
    Policy {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: PolicyError,
    },
    /// The audit log cannot be kept.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The node's own state cannot be read or written.
    #[error("the state directory cannot be used ({0}): check the path and its permissions")]
    State(#[from] std::io::Error),
    /// The epoch's file cannot be used.
    #[error("{0}")]
    Epoch(String),
    /// The data sets cannot be opened.
    #[error(transparent)]
    Holdings(#[from] HoldingsError),
    /// Positions cannot be kept.
    #[error(transparent)]
    Positions(#[from] StoreError),
    /// The port cannot be bound.
    #[error("cannot listen on {address}: {source}; choose another `listen`")]
    Listen {
        /// As configured.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The process cannot listen for signals.
    #[error("signals cannot be heard ({0}); see to the limits of the process")]
    Signals(std::io::Error),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl From<EpochError> for RunError {
    fn from(error: EpochError) -> Self {
        Self::Epoch(error.to_string())
    }
}

/// Runs a node until `shutdown`; `listening` is told the bound address.
///
/// # Errors
/// [`RunError`] when it cannot start or its server fails.
pub async fn run(
    config: Config,
    clock: Clock,
    listening: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let Opened { node, identity, witnesses, tracks, policy_watch } = open(&config, clock).await?;
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|source| RunError::Listen { address: config.listen.clone(), source })?;
    if let Ok(address) = listener.local_addr() {
        listening(address);
    }
    let collecting = witnessing::collect(&node.witness, witnesses);
    let duties = Duties::begin(&node);
    let (mut services, ending) = (services(&node, &identity, &config), CancellationToken::new());
    let measuring = take_feeds(&node, &config, tracks, &mut services, &ending)?;
    // Streams of positions go on for as long as their senders like: they are told that the node ends.
    let shutdown = async move {
        shutdown.await;
        ending.cancel();
    };
    let connections = Connections::new(&config.limits);
    let watch = life::Watch::begin(node.clone(), identity.clone(), connections.clone(), &config.certificates)
        .map_err(RunError::Signals)?;
    let served = serve(listener, &identity, &config.limits, connections, services, shutdown).await;
    duties.end();
    watch.end().await;
    policy_watch.end().await;
    if let Some(measuring) = measuring
        && let Err(error) = measuring.await
    {
        tracing::error!(%error, "the measuring of tracks ended by itself");
    }
    let closed = node.guard.close().await;
    collecting.end().await;
    closed?;
    served?;
    Ok(())
}

/// What a node runs with.
struct Opened {
    node: Arc<Node>,
    identity: Arc<Identity>,
    witnesses: ThroughGateway,
    tracks: Option<FollowedTracks>,
    policy_watch: policy_life::Watch,
}

/// Tracks, and how many days their events are kept.
type FollowedTracks = (Tracks, u32);

/// Opens everything that the node keeps: who it is, what it may, what it has.
async fn open(config: &Config, clock: Clock) -> Result<Opened, RunError> {
    let identity = Identity::load(&config.tls, clock.clone())?;
    if identity.id().role != (Role::Node { agency: config.agency.clone() }) {
        return Err(RunError::WrongRole(identity.id().clone(), config.agency.clone()));
    }
    let federation = &identity.id().federation;
    let audit = AuditLog::open(&audit_log(config), &format!("{federation}/{}", config.agency), clock.clone())?;
    let record = config.state.join("policy.json");
    let source = PolicySource::configured(&config.policies, &config.policy, &config.agency, record, identity.clone());
    let (policy, first) = policy_life::open(source, &audit, identity.id()).await.map_err(|error| match error {
        OpenError::Policy(problem) => RunError::Policy { path: config.policies.clone(), problem },
        OpenError::Audit(error) => RunError::Audit(error),
    })?;
    let Federation { epoch, members, evaluations_per_node } = &config.federation;
    let epochs = Epochs::open(&config.state, federation, &config.agency, (*epoch, members), *evaluations_per_node)?;
    let (parties, memory) =
        (witness::parties(&epochs.plans(), &config.agency, federation), config.state.join("witness"));
    let witness = Witness::open(&identity, &audit, &memory, &parties, &config.witnesses, clock.clone())?;
    let policy = Arc::new(policy);
    let policy_watch =
        policy_life::Watch::begin((policy.clone(), first), audit.clone(), identity.id().clone(), &config.policy)
            .map_err(RunError::Signals)?;
    let guard = Guard::new(policy, audit, clock);
    let (state, tracks) = open_state(config, epochs, guard.clock().now_ms())?;
    let gateway_id = SpiffeId { federation: federation.clone(), role: Role::Gateway };
    let channel = PeerChannel::new(&identity, &config.gateway, &gateway_id, &config.connect)?;
    let gateway_witness = WitnessClient::new(channel.clone()).max_decoding_message_size(config.limits.message_bytes);
    let gateway = FederationClient::new(channel).max_decoding_message_size(config.limits.message_bytes);
    let witnesses = ThroughGateway { witness: gateway_witness, relay: gateway.clone() };
    let node = Arc::new(Node::new(config.clone(), identity.clone(), guard, witness, gateway, state));
    Ok(Opened { node, identity, witnesses, tracks, policy_watch })
}

/// Opens data sets, books, patterns, leads and watches.
fn open_state(config: &Config, epochs: Epochs, now_ms: i64) -> Result<(State, Option<FollowedTracks>), RunError> {
    let leads = Leads::open(config)?;
    let mut datasets = config.dataset.clone();
    datasets.extend(config.leads.outcomes.then(|| leads.outcomes_dataset(&config.agency, &config.dataset)).flatten());
    let tracks = config.tracks.as_ref().map(|settings| Ok((Tracks::open(&config.state, settings)?, settings)));
    let tracks = tracks.transpose().map_err(RunError::Tracks)?;
    datasets.extend(
        tracks.as_ref().and_then(|(tracks, settings)| tracks.dataset(&config.agency, settings, &config.dataset)),
    );
    let state = State {
        epochs,
        books: Books::open(config, now_ms)?,
        holdings: Holdings::open(&config.state, datasets)?,
        patterns: PatternStore::open(config.state.join("patterns"), &config.agency)?,
        releases: ReleaseQueue::open(&config.state)?,
        kept: KeptQuestions::open(&config.state)?,
        leads,
        watches: Watches::open(&config.state)?,
    };
    Ok((state, tracks.map(|(tracks, settings)| (tracks, settings.retention_days))))
}

/// What a node does by itself; whatever is under way at its end goes on at its next start.
struct Duties([JoinHandle<()>; 4]);

impl Duties {
    fn begin(node: &Arc<Node>) -> Self {
        Self([
            tokio::spawn(settle(node.clone())),
            tokio::spawn(keep_house(node.clone())),
            tokio::spawn(keep_time(node.clone())),
            tokio::spawn(keep_watch(node.clone())),
        ])
    }

    fn end(self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// What other parties and the agency's own people call.
fn services(node: &Arc<Node>, identity: &Identity, config: &Config) -> Services {
    let message_bytes = config.limits.message_bytes;
    let contribution =
        ContributionServer::new(ContributionService(node.clone())).max_decoding_message_size(message_bytes);
    let desk = DeskServer::new(DeskService(node.clone())).max_decoding_message_size(message_bytes);
    let federation = &identity.id().federation;
    let auditing =
        Auditing::new(node.guard.clone(), &audit_log(config), federation, &config.agency, config.auditor.clone());
    Services {
        routes: tonic::service::Routes::new(contribution)
            .add_service(desk)
            .add_service(AuditService::server(auditing, message_bytes))
            .add_service(witnessing::rpc::service(node.witness.clone(), message_bytes)),
        names: [
            "sallyport.node.v1.Contribution",
            "sallyport.node.v1.Desk",
            auditing::NAME,
            witnessing::rpc::SERVICE_NAME,
        ]
        .map(str::to_owned)
        .into(),
        file_descriptor_set: FILE_DESCRIPTOR_SET,
    }
}

/// Adds what partners call, where the node has feeds, and measures their tracks; gives the task that does.
fn take_feeds(
    node: &Node,
    config: &Config,
    tracks: Option<FollowedTracks>,
    services: &mut Services,
    ending: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, RunError> {
    if config.feed.is_empty() {
        return Ok(None);
    }
    let store = Store::open(&positions::directory(&config.state), config.positions.clone(), node.clock.clone())?;
    let store = Arc::new(store);
    let feeds = Feeds::new(&config.agency, &config.feed, node.guard.clone(), store.clone(), ending.clone());
    let feed = FeedServer::new(FeedService(Arc::new(feeds))).max_decoding_message_size(config.limits.message_bytes);
    services.routes = std::mem::take(&mut services.routes).add_service(feed);
    services.names.push("sallyport.feed.v1.Feed".to_owned());
    Ok(tracks.map(|(tracks, retention_days)| {
        tokio::spawn(tracks::follow(tracks, store, retention_days, node.clock.clone(), ending.clone()))
    }))
}

fn audit_log(config: &Config) -> PathBuf {
    config.state.join("audit")
}
