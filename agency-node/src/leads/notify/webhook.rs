//! Posts a notice to a program: one connection, one request, five seconds.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::Message;
use crate::leads::settings::Webhook;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that is told of leads.
pub(super) struct Hook {
    url: Uri,
    tls: Option<TlsConnector>,
}

impl Hook {
    /// Reads the authorities of an `https` URL.
    ///
    /// # Errors
    /// When they cannot be read or used.
    pub(super) fn open(settings: &Webhook) -> io::Result<Self> {
        let tls = settings.authorities.as_deref().map(connector).transpose()?;
        Ok(Self { tls: tls.filter(|_| settings.url.scheme_str() == Some("https")), url: settings.url.clone() })
    }

    /// Posts a message; done when the program says so.
    ///
    /// # Errors
    /// What went wrong, in words that hold nothing of the message.
    pub(super) async fn post(&self, message: &Message) -> Result<(), &'static str> {
        let body = serde_json::to_vec(message).map_err(|_| "the notice cannot be written as JSON")?;
        let request = self.request(&message.id, body).ok_or("the URL cannot be posted to")?;
        tokio::time::timeout(PATIENCE, self.send(request)).await.map_err(|_| "it took too long")?
    }

    fn request(&self, id: &str, body: Vec<u8>) -> Option<Request<Full<Bytes>>> {
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        Request::post(path)
            .header(header::HOST, self.url.authority()?.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            // The same for every try, so that the program can tell a repetition.
            .header("idempotency-key", id)
            .body(Full::new(Bytes::from(body)))
            .ok()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(), &'static str> {
        let host = self.url.host().ok_or("the URL names no host")?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((bare, port)).await.map_err(|_| "it cannot be reached")?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(bare.to_owned()).map_err(|_| "the URL names no host")?;
                let stream = tls.connect(name, stream).await.map_err(|_| "its certificate is not accepted")?;
                exchange(stream, request).await
            }
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), &'static str> {
    let broken = |_| "the connection broke off";
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status().is_success() { Ok(()) } else { Err("it answered with an error") }
}

fn connector(authorities: &Path) -> io::Result<TlsConnector> {
    let pem = std::fs::read(authorities)?;
    let unusable = || io::Error::other(format!("{} holds no usable certificate", authorities.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
