use futures::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn a_stalled_handshake_is_dropped_and_holds_up_nobody() {
    let fixture = Fixture::new();
    let limits = Limits { handshake_timeout_ms: 1_500, ..Limits::default() };
    let server = Server::start(&fixture.identity("gateway"), &limits).await;
    let mut stalled = TcpStream::connect(&server.address).await.unwrap();
    let client = fixture.identity("agency/hsi/node");
    assert_eq!(ask(&client, &server.address, &id("gateway")).await, Ok(()));
    assert_eq!(server.refused(Reason::HandshakeTimedOut), 0, "it was not waited for");

    assert_eq!(stalled.read(&mut [0; 16]).await.unwrap(), 0, "closed by the server");
    assert_eq!(server.refused(Reason::HandshakeTimedOut), 1);
}

#[tokio::test]
async fn stalled_handshakes_take_up_no_more_than_their_share() {
    let fixture = Fixture::new();
    let limits = Limits { handshake_timeout_ms: 500, handshakes: 1, ..Limits::default() };
    let server = Server::start(&fixture.identity("gateway"), &limits).await;
    let stalled = TcpStream::connect(&server.address).await.unwrap();
    // The only place is taken; the next in line gets it when the first has run out of time.
    let client = fixture.identity("agency/hsi/node");
    assert_eq!(ask(&client, &server.address, &id("gateway")).await, Ok(()));
    assert_eq!(server.refused(Reason::HandshakeTimedOut), 1);
    drop(stalled);
}

#[tokio::test]
async fn a_peer_holds_no_more_connections_than_it_may() {
    let fixture = Fixture::new();
    let limits = Limits { connections: 2, connections_per_peer: 1, ..Limits::default() };
    let (mut incoming, address, connections) = listening(&fixture.identity("gateway"), &limits).await;
    let hsi = fixture.identity("agency/hsi/node");
    let first = dial(&hsi, &address).await;
    let accepted = incoming.next().await.unwrap().unwrap();
    assert_eq!(connections.open(), 1);

    closed(dial(&hsi, &address).await).await;
    assert_eq!(count(&connections, Reason::TooManyConnections), 1);

    let other = dial(&fixture.identity("agency/cbp/node"), &address).await;
    let second = incoming.next().await.unwrap().unwrap();
    assert_eq!(connections.open(), 2);
    closed(dial(&fixture.identity("auditor/ng"), &address).await).await;
    assert_eq!(count(&connections, Reason::TooManyConnections), 2);

    drop((accepted, first));
    assert_eq!(connections.open(), 1, "the place is free again");
    let again = dial(&hsi, &address).await;
    assert_eq!(incoming.next().await.unwrap().unwrap().peer().id(), hsi.id());
    drop((second, other, again));
}

#[tokio::test]
async fn a_client_that_is_turned_away_learns_that_the_connection_was_closed() {
    let fixture = Fixture::new();
    let limits = Limits { connections_per_peer: 1, ..Limits::default() };
    let server = Server::start(&fixture.identity("gateway"), &limits).await;
    let hsi = fixture.identity("agency/hsi/node");
    let settings = ConnectSettings::default();
    let held = connect(&hsi, &server.address, &id("gateway"), &settings).unwrap();
    HealthClient::new(held.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let answer = ask(&hsi, &server.address, &id("gateway")).await;
    assert_eq!(answer, Err("connection_lost".to_owned()));
    drop(held);
}

#[tokio::test]
async fn chosen_connections_are_closed_and_the_others_stay() {
    let fixture = Fixture::new();
    let (mut incoming, address, connections) = listening(&fixture.identity("gateway"), &Limits::default()).await;
    let (hsi, cbp) = (fixture.identity("agency/hsi/node"), fixture.identity("agency/cbp/node"));
    let (_hsi_end, _cbp_end) = (dial(&hsi, &address).await, dial(&cbp, &address).await);
    let mut accepted = [incoming.next().await.unwrap().unwrap(), incoming.next().await.unwrap().unwrap()];
    accepted.sort_by(|one, two| one.peer().id().cmp(two.peer().id()));
    let [mut of_cbp, mut of_hsi] = accepted;

    let reading = tokio::spawn(async move { of_hsi.read_u8().await });
    assert_eq!(connections.close_where(|peer| peer.id() == hsi.id()), 1);
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(connections.open(), 1);
    let still_open = futures::poll!(std::pin::pin!(of_cbp.read_u8()));
    assert!(still_open.is_pending());
}

#[tokio::test]
async fn dropping_the_stream_stops_listening() {
    let fixture = Fixture::new();
    let (incoming, address, _) = listening(&fixture.identity("gateway"), &Limits::default()).await;
    let mut stalled = TcpStream::connect(&address).await.unwrap();
    drop(incoming);
    // Ends with the task that held the listener and the handshakes, however it is closed.
    let _ = stalled.read(&mut [0; 16]).await;
    let hsi = fixture.identity("agency/hsi/node");
    let answer = ask(&hsi, &address, &id("gateway")).await;
    assert_eq!(answer, Err("peer_unreachable".to_owned()));
}

type ClientEnd = tokio_rustls::client::TlsStream<TcpStream>;

async fn dial(identity: &Identity, address: &str) -> ClientEnd {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("gateway.invalid").unwrap();
    let config = identity.client_config(id("gateway")).unwrap();
    tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap()
}

async fn closed(mut end: ClientEnd) {
    assert!(end.read_u8().await.is_err());
}
