//! Accepting connections: a TCP listener, a bounded number of handshakes with a deadline each, and out
//! come connections whose peer is known.
//!
//! A handshake that fails, stalls or brings no certificate is counted and dropped; it never stops the
//! listener and never holds up another. No byte of a request is read before the peer is known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::authorities::Leaf;
use super::connections::{Admission, Connections};
use super::limits::Limits;
use super::reason::Reason;
use super::spiffe::SpiffeId;
use super::{Identity, IdentityError};
use crate::error::{Kind, Refusal};

/// Rest after the operating system could not accept, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that have shaken hands and wait for the server to take them.
const READY_QUEUE: usize = 16;

/// Who is at the other end of a connection; an extension of every request.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerIdentity(Arc<Leaf>);

impl PeerIdentity {
    /// The peer's name.
    pub fn id(&self) -> &SpiffeId {
        &self.0.id
    }

    /// When the certificate that the peer showed expires.
    pub fn expires(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.not_after_s, 0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The serial number of the certificate that the peer showed, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }
}

impl std::fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerIdentity({})", self.0.id)
    }
}

/// The name of the peer that sent a request.
///
/// # Errors
/// `peer_unknown` if the request did not come over one of our own connections.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<SpiffeId, Refusal> {
    match request.extensions().get::<PeerIdentity>() {
        Some(peer) => Ok(peer.id().clone()),
        None => Err(Refusal::new(
            Kind::Unauthenticated,
            "peer_unknown",
            "The request did not come over mutual TLS. Connect with a certificate of the federation.",
        )),
    }
}

/// The verified connections of one listener; dropping it stops listening.
pub struct Incoming {
    ready: mpsc::Receiver<TlsConnection>,
    accepting: JoinHandle<()>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stream for Incoming {
    type Item = io::Result<TlsConnection>;

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
    timeout: Duration,
    connections: Arc<Connections>,
    sender: mpsc::Sender<TlsConnection>,
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

    async fn shake_hands(&self, stream: TcpStream) -> Result<TlsConnection, Reason> {
        // Without it, small answers wait for the peer's delayed acknowledgement.
        stream.set_nodelay(true).map_err(|_| Reason::ConnectionLost)?;
        let stream = tokio::time::timeout(self.timeout, self.tls.accept(stream))
            .await
            .map_err(|_| Reason::HandshakeTimedOut)?
            .map_err(|error| Reason::of_io(&error))?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let leaf = Leaf::read(leaf.ok_or(Reason::CertificateMissing)?)?;
        let peer = PeerIdentity(Arc::new(leaf));
        let admission = self.connections.admit(&peer)?;
        Ok(TlsConnection { stream, peer, admission })
    }
}

/// A connection whose peer is known.
pub struct TlsConnection {
    stream: TlsStream<TcpStream>,
    peer: PeerIdentity,
    admission: Admission,
}

impl TlsConnection {
    /// Who is at the other end.
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The key exchange that was agreed on.
    pub fn key_exchange(&self) -> Option<rustls::NamedGroup> {
        self.stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name())
    }

    fn check_open(&self) -> io::Result<()> {
        if self.admission.closing.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl Connected for TlsConnection {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.peer.clone()
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A reader always waits here, so this is where closing from outside is noticed.
        self.admission.closing.waker.register(context.waker());
        self.check_open()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
