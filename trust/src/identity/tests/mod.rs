//! Real certificates over real loopback TLS; the time is the tests' own.

mod credentials;
mod development_ca;
mod handshake;
mod life;
mod listener;
mod statement;

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::connections::Connections;
use super::connector::{ConnectSettings, connect, refusal_of};
use super::development_ca::{DevelopmentCa, Issued, RevocationReason, Validity, file_name};
use super::*;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

pub(crate) fn id(path: &str) -> SpiffeId {
    format!("spiffe://border.example/{path}").parse().unwrap()
}

/// An authority in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) authority: DevelopmentCa,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = DevelopmentCa::create_or_open(directory.path(), Clock::manual(now())).unwrap();
        Self { directory, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn issue(&self, id: &SpiffeId, days: i64) -> Issued {
        self.authority.issue(id, &file_name(id), Validity::days(now(), days)).unwrap()
    }

    pub(crate) fn identity(&self, path: &str) -> Arc<Identity> {
        load(&self.issue(&id(path), 365).files, now()).unwrap()
    }
}

pub(crate) fn load(files: &TlsFiles, at: DateTime<Utc>) -> Result<Arc<Identity>, IdentityError> {
    Identity::load(files, Clock::manual(at))
}

/// A certificate for listening only.
fn for_servers_only(fixture: &Fixture, path: &str) -> TlsFiles {
    let files = fixture.issue(&id(path), 365).files;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let authority_key = KeyPair::from_pem(&read(&fixture.path("authority.key"))).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read(&fixture.path("authority.pem")), authority_key).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id(path).to_string().try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = KeyPair::from_pem(&read(&files.key)).unwrap();
    let certificate = fixture.path("server-only.pem");
    std::fs::write(&certificate, params.signed_by(&own, &issuer).unwrap().pem()).unwrap();
    TlsFiles { certificate, ..files }
}

/// A file that holds the contents of others.
fn joined(path: &Path, parts: &[&Path]) -> PathBuf {
    let all: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
    std::fs::write(path, all).unwrap();
    path.to_owned()
}

/// A health service that remembers who asked.
#[derive(Clone, Default)]
struct Guestbook(Arc<Mutex<Vec<SpiffeId>>>);

#[tonic::async_trait]
impl Health for Guestbook {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let guest = peer(&request)?;
        self.0.lock().unwrap().push(guest);
        Ok(Response::new(HealthCheckResponse::default()))
    }

    type WatchStream = futures::stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(futures::stream::pending()))
    }
}

/// A listener on the loopback with the guest book behind it.
struct Server {
    address: String,
    guests: Guestbook,
    connections: Arc<Connections>,
}

impl Server {
    async fn start(identity: &Arc<Identity>, limits: &Limits) -> Self {
        let (incoming, address, connections) = listening(identity, limits).await;
        let guests = Guestbook::default();
        let health = HealthServer::new(guests.clone());
        let serving = tonic::transport::Server::builder().add_service(health);
        tokio::spawn(serving.serve_with_incoming(incoming));
        Self { address, guests, connections }
    }

    fn refused(&self, reason: Reason) -> u64 {
        count(&self.connections, reason)
    }
}

async fn listening(identity: &Arc<Identity>, limits: &Limits) -> (Incoming, String, Arc<Connections>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Connections::new(limits);
    let incoming = listen(listener, identity, limits, connections.clone()).unwrap();
    (incoming, address, connections)
}

fn count(connections: &Connections, reason: Reason) -> u64 {
    connections.refused().find(|(known, _)| *known == reason).unwrap().1
}

/// Asks the health service at `address` as `identity`; the stable reason if that fails.
pub(crate) async fn ask(identity: &Identity, address: &str, expected: &SpiffeId) -> Result<(), String> {
    let channel = connect(identity, address, expected, &ConnectSettings::default()).unwrap();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.map(drop).map_err(|status| refusal_of(&status).reason)
}

/// A moment so many days after [`now`].
fn later(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}
