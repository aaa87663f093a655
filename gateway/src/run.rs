//! Boot and end of a gateway, in order.

use std::path::PathBuf;
use std::{future::Future, net::SocketAddr, sync::Arc};

use sallyport_proto::{FILE_DESCRIPTOR_SET, gateway::v1::federation_server::FederationServer};
use sallyport_trust::{
    audit::{AuditError, AuditLog},
    auditing::{self, AuditService, Auditing},
    clock::Clock,
    error::Refusal,
    guard::Guard,
    identity::{Connections, Identity, IdentityError, Role, SpiffeId},
    life::{self, HangUps},
    policy::{PolicyError, PolicySource},
    policy_life::{self, OpenError},
    question::ReplayGuard,
    serve::{ServeError, Services, serve},
    witnessing::{self, Witness},
};
use tokio::net::TcpListener;

use crate::{Config, contributors::Contributors, reload, rpc::FederationService, witness};

/// Everything that a question's way through the gateway needs.
pub(crate) struct Gateway {
    pub(crate) identity: Arc<Identity>,
    pub(crate) guard: Guard,
    pub(crate) contributors: Arc<Contributors>,
    pub(crate) replays: ReplayGuard,
    pub(crate) witness: Arc<Witness>,
    pub(crate) clock: Clock,
}

impl AsRef<Guard> for Gateway {
    fn as_ref(&self) -> &Guard {
        &self.guard
    }
}

/// Why a gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is not a gateway's.
    #[error("{0} is not the name of a gateway: configure the certificate of spiffe://FEDERATION/gateway")]
    WrongRole(SpiffeId),
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

impl Gateway {
    /// The agency of a peer that is a member's node.
    ///
    /// # Errors
    /// `wrong_role` for anyone else.
    pub(crate) fn member(&self, peer: &SpiffeId) -> Result<String, Refusal> {
        match &peer.role {
            Role::Node { agency } if peer.federation == self.identity.id().federation => Ok(agency.clone()),
            _ => Err(self.guard.turn_away(
                peer,
                Refusal::denied(
                    "wrong_role",
                    "The gateway speaks with agencies' nodes alone; ask at the node of your own agency.",
                ),
            )),
        }
    }
}

/// Runs a gateway until `shutdown`; `listening` is told the bound address.
///
/// # Errors
/// [`RunError`] when it cannot start or its server fails.
pub async fn run(
    config: Config,
    clock: Clock,
    listening: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let (gateway, policy_watch) = open(&config, clock).await?;
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|source| RunError::Listen { address: config.listen.clone(), source })?;
    if let Ok(address) = listener.local_addr() {
        listening(address);
    }
    let collecting = witnessing::collect(&gateway.witness, witness::ToNodes(gateway.contributors.clone()));
    let hang_ups = HangUps::listen().map_err(RunError::Signals)?;
    let following = tokio::spawn(reload::follow(gateway.clone(), config.source.clone(), hang_ups));
    let (identity, connections) = (gateway.identity.clone(), Connections::new(&config.limits));
    let watch = life::Watch::begin(gateway.clone(), identity.clone(), connections.clone(), &config.certificates)
        .map_err(RunError::Signals)?;
    let served = serve(listener, &identity, &config.limits, connections, services(&gateway, &config), shutdown).await;
    following.abort();
    watch.end().await;
    policy_watch.end().await;
    let closed = gateway.guard.close().await;
    collecting.end().await;
    closed?;
    served?;
    Ok(())
}

/// Opens everything that the gateway keeps: who it is, what it may, whom it asks.
async fn open(config: &Config, clock: Clock) -> Result<(Arc<Gateway>, policy_life::Watch), RunError> {
    let identity = Identity::load(&config.tls, clock.clone())?;
    if identity.id().role != Role::Gateway {
        return Err(RunError::WrongRole(identity.id().clone()));
    }
    let federation = &identity.id().federation;
    let audit = AuditLog::open(&config.audit, &format!("{federation}/gateway"), clock.clone())?;
    let record = config.policy_record();
    let source = PolicySource::configured(&config.policies, &config.policy, "gateway", record, identity.clone());
    let (policy, first) = policy_life::open(source, &audit, identity.id()).await.map_err(|error| match error {
        OpenError::Policy(problem) => RunError::Policy { path: config.policies.clone(), problem },
        OpenError::Audit(error) => RunError::Audit(error),
    })?;
    let (parties, memory) = (witness::parties(&config.node, federation), config.audit.join("witness"));
    let witness = Witness::open(&identity, &audit, &memory, &parties, &config.witnesses, clock.clone())?;
    let policy = Arc::new(policy);
    let policy_watch =
        policy_life::Watch::begin((policy.clone(), first), audit.clone(), identity.id().clone(), &config.policy)
            .map_err(RunError::Signals)?;
    let gateway = Gateway {
        contributors: Arc::new(Contributors::new(config, &identity)?),
        guard: Guard::new(policy, audit, clock.clone()),
        replays: ReplayGuard::new(clock.now_ms()),
        identity,
        witness,
        clock,
    };
    Ok((Arc::new(gateway), policy_watch))
}

/// What nodes and auditors call.
fn services(gateway: &Arc<Gateway>, config: &Config) -> Services {
    let message_bytes = config.limits.message_bytes;
    let federation = FederationServer::new(FederationService(gateway.clone())).max_decoding_message_size(message_bytes);
    let owner = gateway.identity.id().federation.as_str();
    let auditing = Auditing::new(gateway.guard.clone(), &config.audit, owner, owner, config.auditor.clone());
    Services {
        routes: tonic::service::Routes::new(federation)
            .add_service(AuditService::server(auditing, message_bytes))
            .add_service(witnessing::rpc::service(gateway.witness.clone(), message_bytes)),
        names: ["sallyport.gateway.v1.Federation", auditing::NAME, witnessing::rpc::SERVICE_NAME]
            .map(str::to_owned)
            .into(),
        file_descriptor_set: FILE_DESCRIPTOR_SET,
    }
}
