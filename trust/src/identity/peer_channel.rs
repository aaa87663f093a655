//! A channel to one party that lasts as long as the process, and changes its connection when the
//! process's credentials change.
//!
//! The new connection is made first and used for new calls only once it stands; calls under way end on
//! the old one, which goes with the last of them. So a renewed certificate costs no call, and neither
//! does one that the other party does not believe: then the old connection stays in use while it may.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::{Channel, Endpoint};

use super::connector::{ConnectSettings, Dialler, prepare};
use super::spiffe::SpiffeId;
use super::{Identity, IdentityError};

/// First and longest wait before a new connection is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A lasting channel to one party; cheap to clone.
pub struct PeerChannel {
    current: Arc<ArcSwap<Channel>>,
    /// Has room for the next call.
    reserved: Option<Channel>,
}

impl PeerChannel {
    /// As [`super::connect`], and from then on always with the credentials in force.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub fn new(
        identity: &Identity,
        address: &str,
        expected: &SpiffeId,
        settings: &ConnectSettings,
    ) -> Result<Self, IdentityError> {
        let (endpoint, dialler) = prepare(identity, address, expected, settings)?;
        let current = Arc::new(ArcSwap::from_pointee(endpoint.connect_with_connector_lazy(dialler.clone())));
        tokio::spawn(renew(Arc::downgrade(&current), identity.changes(), endpoint, dialler, expected.clone()));
        Ok(Self { current, reserved: None })
    }
}

/// Waits for changes as long as somebody holds the channel.
async fn renew(
    channel: Weak<ArcSwap<Channel>>,
    mut changes: watch::Receiver<u64>,
    endpoint: Endpoint,
    dialler: Dialler,
    peer: SpiffeId,
) {
    while changes.changed().await.is_ok() {
        let (mut pause, longest) = RETRY;
        while channel.strong_count() > 0 {
            match endpoint.connect_with_connector(dialler.clone()).await {
                Ok(fresh) => {
                    if let Some(channel) = channel.upgrade() {
                        channel.store(Arc::new(fresh));
                    }
                    break;
                }
                Err(_) if changes.has_changed().unwrap_or(true) => break,
                Err(_) => {
                    tracing::warn!(%peer, "no connection with the new credentials yet; the old one stays in use");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }
}

impl Clone for PeerChannel {
    fn clone(&self) -> Self {
        Self { current: self.current.clone(), reserved: None }
    }
}

impl std::fmt::Debug for PeerChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerChannel")
    }
}

impl tower::Service<Request<Body>> for PeerChannel {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as tower::Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let reserved = self.reserved.get_or_insert_with(|| Channel::clone(&self.current.load()));
        reserved.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut channel = self.reserved.take().unwrap_or_else(|| Channel::clone(&self.current.load()));
        channel.call(request)
    }
}
