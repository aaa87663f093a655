//! Accepting connections: a TCP listener, a bounded number of handshakes with a deadline each, and out
//! come connections whose peer is known.
//!
//! A handshake that fails, stalls or brings no certificate is counted and dropped; it never stops the
//! listener and never holds up another. No byte of a request is read before the peer is known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authorities::Purpose;
use super::connection::TlsConnection;
use super::connections::{Connections, PeerIdentity};
use super::limits::Limits;
use super::reason::Reason;
use super::reviewer::Reviewer;
use super::spiffe::SpiffeId;
use super::{Identity, IdentityError};
use crate::error::{Kind, Refusal};

/// Rest after the operating system could not accept, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that have shaken hands and wait for the server to take them.
const READY_QUEUE: usize = 16;

/// A connection that was accepted.
type Accepted = TlsConnection<TlsStream<TcpStream>>;

/// The name of the peer that sent a request.
///
/// # Errors
/// `peer_unknown` if the request did not come over one of our own connections.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<SpiffeId, Refusal> {
    peer_identity(request).map(|peer| peer.id().clone())
}

/// The peer that sent a request, with the certificates that it showed.
///
/// # Errors
/// As [`peer`].
pub fn peer_identity<T>(request: &tonic::Request<T>) -> Result<PeerIdentity, Refusal> {
    match request.extensions().get::<PeerIdentity>() {
        Some(peer) => Ok(peer.clone()),
        None => Err(Refusal::new(
            Kind::Unauthenticated,
            "peer_unknown",
            "The request did not come over mutual TLS. Connect with a certificate of the federation.",
        )),
    }
}

/// The verified connections of one listener; dropping it stops listening.
pub struct Incoming {
    ready: mpsc::Receiver<Accepted>,
    accepting: JoinHandle<()>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stream for Incoming {
    type Item = io::Result<Accepted>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

/// Accepts connections on `listener` as `identity`, within `limits`. Must run inside a tokio runtime.
///
/// # Errors
/// [`IdentityError::Tls`] if the TLS library refuses the configuration.
pub fn listen(
    listener: TcpListener,
    identity: &Identity,
    limits: &Limits,
    connections: Arc<Connections>,
) -> Result<Incoming, IdentityError> {
    let (sender, ready) = mpsc::channel(READY_QUEUE);
    let acceptor = Acceptor {
        tls: TlsAcceptor::from(identity.server_config()?),
        reviewer: identity.reviewer(),
        timeout: limits.handshake_timeout(),
        connections,
        sender,
    };
    let accepting = tokio::spawn(accept(listener, acceptor, limits.handshakes));
    Ok(Incoming { ready, accepting })
}

#[derive(Clone)]
struct Acceptor {
    tls: TlsAcceptor,
    reviewer: Reviewer,
    timeout: Duration,
    connections: Arc<Connections>,
    sender: mpsc::Sender<Accepted>,
}

async fn accept(listener: TcpListener, acceptor: Acceptor, limit: usize) {
    // Dropped with this task, which ends the handshakes under way too.
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if handshakes.len() < limit => match accepted {
                Ok((stream, _)) => { handshakes.spawn(acceptor.clone().admit(stream)); }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

impl Acceptor {
    async fn admit(self, stream: TcpStream) {
        match self.shake_hands(stream).await {
            // An error means that the server has stopped; the connection is dropped with it.
            Ok(connection) => drop(self.sender.send(connection).await),
            Err(reason) => self.connections.count(reason),
        }
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<Accepted, Reason> {
        // Without it, small answers wait for the peer's delayed acknowledgement.
        stream.set_nodelay(true).map_err(|_| Reason::ConnectionLost)?;
        let in_force = self.reviewer.in_force();
        let stream = tokio::time::timeout(self.timeout, self.tls.accept(stream))
            .await
            .map_err(|_| Reason::HandshakeTimedOut)?
            .map_err(|error| Reason::of_io(&error))?;
        let peer = PeerIdentity::of(stream.get_ref().1.peer_certificates(), Purpose::Client)?;
        let admission = self.connections.admit(&peer)?;
        // What is put in force from here on finds the connection among the open ones.
        self.reviewer.judge_if_changed(&peer, &in_force)?;
        Ok(TlsConnection::new(stream, peer, admission))
    }
}
