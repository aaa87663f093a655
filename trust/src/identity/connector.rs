//! Connecting to exactly one party.
//!
//! A channel knows whose certificate it expects and sends nothing to anybody else. It connects at its
//! first use and again whenever the connection is gone, each time with the certificate in force at
//! that moment. It never tries another address and never retries a request.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Status;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::authorities::Purpose;
use super::connection::TlsConnection;
use super::connections::{Connections, PeerIdentity};
use super::limits::{self, LimitsError, MAX_WINDOW_BYTES};
use super::reason::Reason;
use super::reviewer::Reviewer;
use super::spiffe::SpiffeId;
use super::{Identity, IdentityError};
use crate::error::Refusal;

/// How connections are made; every field may be left out of the TOML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectSettings {
    /// From the first packet to the peer's first answer under TLS: 1 to 60,000 ms.
    pub connect_timeout_ms: u64,
    /// How often an open connection is asked whether its peer is alive: 1 to 3,600 s.
    pub keep_alive_interval_s: u64,
    /// How long the answer may take before the connection counts as lost: 1 to 600 s.
    pub keep_alive_timeout_s: u64,
    /// What the peer may send ahead on one stream: 65,535 to 2³¹ − 1 bytes.
    pub stream_window_bytes: u32,
    /// What the peer may send ahead on the connection: 65,535 to 2³¹ − 1 bytes.
    pub connection_window_bytes: u32,
    /// The largest HTTP/2 frame taken: 16,384 to 16,777,215 bytes.
    pub frame_bytes: u32,
    /// All headers of one answer together: 1,024 to 1,048,576 bytes.
    pub header_list_bytes: u32,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            keep_alive_interval_s: 20,
            keep_alive_timeout_s: 10,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
            frame_bytes: 64 * 1024,
            header_list_bytes: 16 * 1024,
        }
    }
}

impl ConnectSettings {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`LimitsError`] with the first field outside its range.
    pub fn validate(&self) -> Result<(), LimitsError> {
        limits::check(&[
            ("connect_timeout_ms", self.connect_timeout_ms, 1, 60_000),
            ("keep_alive_interval_s", self.keep_alive_interval_s, 1, 3_600),
            ("keep_alive_timeout_s", self.keep_alive_timeout_s, 1, 600),
            ("stream_window_bytes", self.stream_window_bytes.into(), 65_535, MAX_WINDOW_BYTES),
            ("connection_window_bytes", self.connection_window_bytes.into(), 65_535, MAX_WINDOW_BYTES),
            ("frame_bytes", self.frame_bytes.into(), 16_384, 16_777_215),
            ("header_list_bytes", self.header_list_bytes.into(), 1_024, 1_048_576),
        ])
    }
}

/// A channel to the party `expected` at `address` (`HOST:PORT`). Nothing is sent before its first use.
/// Must be called inside a tokio runtime.
///
/// # Errors
/// [`IdentityError::Address`] if the address is malformed, [`IdentityError::Limits`] if a setting is
/// out of range, [`IdentityError::Tls`] if the TLS library
/// refuses its configuration. Faults of the connection appear at its first use: see [`refusal_of`].
pub fn connect(
    identity: &Identity,
    address: &str,
    expected: &SpiffeId,
    settings: &ConnectSettings,
) -> Result<Channel, IdentityError> {
    let (endpoint, dialler) = prepare(identity, address, expected, settings)?;
    Ok(endpoint.connect_with_connector_lazy(dialler))
}

/// Everything that a connection needs but the connecting.
pub(super) fn prepare(
    identity: &Identity,
    address: &str,
    expected: &SpiffeId,
    settings: &ConnectSettings,
) -> Result<(Endpoint, Dialler), IdentityError> {
    settings.validate()?;
    let dialler = Dialler {
        address: checked(address)?.into(),
        // Needed by the library's signature only: no name is sent and none is verified.
        name: ServerName::try_from("sallyport.invalid").map_err(|_| IdentityError::Address)?,
        tls: TlsConnector::from(identity.client_config(expected.clone())?),
        timeout: Duration::from_millis(settings.connect_timeout_ms),
        reviewer: identity.reviewer(),
        outgoing: identity.outgoing().clone(),
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| IdentityError::Address)?
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes)
        .http2_adaptive_window(false)
        .max_frame_size(settings.frame_bytes)
        .http2_max_header_list_size(settings.header_list_bytes)
        .http2_keep_alive_interval(Duration::from_secs(settings.keep_alive_interval_s))
        .keep_alive_timeout(Duration::from_secs(settings.keep_alive_timeout_s))
        .keep_alive_while_idle(true);
    Ok((endpoint, dialler))
}

/// What a failed call comes down to: the reason of the connection if that failed, else the reason that
/// the peer gave.
pub fn refusal_of(status: &Status) -> Refusal {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(reason) = error.downcast_ref::<Reason>() {
            return (*reason).into();
        }
        source = error.source();
    }
    Refusal::from_status(status)
}

fn checked(address: &str) -> Result<&str, IdentityError> {
    let uri: Uri = format!("http://{address}").parse().map_err(|_| IdentityError::Address)?;
    let authority = uri.authority().map(|authority| authority.as_str());
    // Whatever else the text held would make the authority another text than the address.
    if authority == Some(address) && !address.contains('@') && uri.port_u16().is_some() {
        Ok(address)
    } else {
        Err(IdentityError::Address)
    }
}

#[derive(Clone)]
pub(super) struct Dialler {
    address: Arc<str>,
    name: ServerName<'static>,
    tls: TlsConnector,
    timeout: Duration,
    reviewer: Reviewer,
    outgoing: Arc<Connections>,
}

/// A connection that was opened.
type Opened = TlsConnection<TlsStream<TcpStream>>;

impl Dialler {
    async fn dial(self) -> Result<TokioIo<Opened>, Reason> {
        let dialled = tokio::time::timeout(self.timeout, self.shake_hands()).await;
        let opened = dialled.map_err(|_| Reason::HandshakeTimedOut).and_then(|opened| opened);
        if let Err(reason) = opened
            && reason.blames_peer()
        {
            self.outgoing.count(reason);
        }
        opened.map(TokioIo::new)
    }

    async fn shake_hands(&self) -> Result<Opened, Reason> {
        let unreachable = |_: io::Error| Reason::Unreachable;
        let in_force = self.reviewer.in_force();
        let stream = TcpStream::connect(&*self.address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut stream = self.tls.connect(self.name.clone(), stream).await.map_err(|error| Reason::of_io(&error))?;
        // In TLS 1.3 the server judges our certificate after the handshake has ended here. An HTTP/2
        // server speaks first, so its first bytes, or its alert, tell what became of us.
        match stream.fill_buf().await {
            Ok([]) => return Err(Reason::ConnectionLost),
            Ok(_) => {}
            Err(error) => return Err(Reason::of_io(&error)),
        }
        let peer = PeerIdentity::of(stream.get_ref().1.peer_certificates(), Purpose::Server)?;
        let admission = self.outgoing.admit(&peer)?;
        self.reviewer.judge_if_changed(&peer, &in_force)?;
        Ok(TlsConnection::new(stream, peer, admission))
    }
}

impl tower::Service<Uri> for Dialler {
    type Response = TokioIo<Opened>;
    type Error = Reason;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Reason>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().dial())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for good in ["127.0.0.1:7443", "node.example:7443", "[::1]:7443"] {
            assert_eq!(checked(good), Ok(good));
        }
        for bad in ["", "node.example", "http://node:1", "node:1/path", "u@node:1", "node:99999", "a b:1"] {
            assert_eq!(checked(bad), Err(IdentityError::Address), "{bad}");
        }
    }

    #[test]
    fn settings_are_checked_before_the_http_library_sees_them() {
        assert_eq!(ConnectSettings::default().validate(), Ok(()));
        let field = |settings: ConnectSettings| settings.validate().unwrap_err().field;
        let settings = ConnectSettings { stream_window_bytes: 1 << 31, ..ConnectSettings::default() };
        assert_eq!(field(settings), "stream_window_bytes");
        let settings = ConnectSettings { frame_bytes: 16_383, ..ConnectSettings::default() };
        assert_eq!(field(settings), "frame_bytes");
    }
}
