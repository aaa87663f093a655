//! Somebody between two parties who has the keys of both, and writes down all that passes.
//!
//! What is recorded is what the parties wrote under TLS: frames of HTTP/2.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use rustls::pki_types::ServerName;
use sallyport_trust::identity::{Identity, SpiffeId};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// One direction of one connection.
type Tape = Arc<Mutex<Vec<u8>>>;

/// Everything that passed one place.
#[derive(Clone, Default)]
pub(crate) struct Recording {
    requests: Arc<Mutex<Vec<Tape>>>,
    answers: Arc<Mutex<Vec<Tape>>>,
}

/// Who it is taken for on either side.
pub(crate) struct Between {
    /// The server that clients believe to reach.
    pub(crate) face: Arc<Identity>,
    /// The client that the server believes to serve.
    pub(crate) voice: Arc<Identity>,
    /// The server itself.
    pub(crate) server: (String, SpiffeId),
}

impl Recording {
    /// Stands between, on a port of its own.
    pub(crate) async fn start(between: Between) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let recording = Self::default();
        let here = recording.clone();
        let acceptor = TlsAcceptor::from(between.face.server_config().unwrap());
        let connector = TlsConnector::from(between.voice.client_config(between.server.1).unwrap());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, connector, address) = (acceptor.clone(), connector.clone(), between.server.0.clone());
                tokio::spawn(here.clone().pass_on(client, acceptor, connector, address));
            }
        });
        (recording, port)
    }

    async fn pass_on(self, client: TcpStream, acceptor: TlsAcceptor, connector: TlsConnector, address: String) {
        // A server that is not there yet is one that the client tries again.
        let Ok(server) = TcpStream::connect(&address).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let name = ServerName::try_from("sallyport.invalid").unwrap();
        let Ok(server) = connector.connect(name, server).await else { return };
        let Ok(client) = acceptor.accept(client).await else { return };
        let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
        tokio::join!(
            copy(from_client, to_server, tape(&self.requests)),
            copy(from_server, to_client, tape(&self.answers))
        );
    }

    /// The bodies of all requests or answers, one for each stream, without the frames around them; and
    /// all bytes as they were, headers included.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        read(&self.requests, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len())
    }

    pub(crate) fn answers(&self) -> Vec<Vec<u8>> {
        read(&self.answers, 0)
    }
}

fn tape(tapes: &Mutex<Vec<Tape>>) -> Tape {
    let tape = Tape::default();
    tapes.lock().unwrap().push(tape.clone());
    tape
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, tape: Tape) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await.unwrap_or(0);
        tape.lock().unwrap().extend_from_slice(&buffer[..length]);
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

fn read(tapes: &Mutex<Vec<Tape>>, preface: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for tape in tapes.lock().unwrap().iter() {
        let tape = tape.lock().unwrap();
        all.extend(bodies(tape.get(preface..).unwrap_or_default()).into_values());
        all.push(tape.clone());
    }
    all
}

/// DATA frames (RFC 9113, 6.1) by stream; without padding, which nobody here sends.
fn bodies(mut frames: &[u8]) -> BTreeMap<u32, Vec<u8>> {
    let mut bodies: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        if head[3] == 0 {
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            bodies.entry(stream).or_default().extend_from_slice(payload);
        }
        frames = rest;
    }
    bodies
}

/// Messages of gRPC in a body: a byte for compression, four for the length, the message.
pub(crate) fn messages(mut body: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        messages.push(message);
        body = rest;
    }
    messages
}
