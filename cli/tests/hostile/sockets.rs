//! Strangers at the ports: every port belongs to the gateway or to a node, and both are tried.

use std::{net::SocketAddr, time::Duration};

use sallyport_proto::{
    gateway::v1::{RelayRequest, federation_client::FederationClient},
    node::v1::{DeliverRequest, ReadinessRequest, contribution_client::ContributionClient, desk_client::DeskClient},
};
use sallyport_trust::{
    clock::Clock,
    identity::{DevelopmentCa, TlsFiles, development_ca::Validity, refusal_of},
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::{
    attacker::{is_quiet, knock, throw},
    world::{PATIENCE, Server, World},
};

/// Asserts that a person or a node with a good certificate is still served.
async fn still_serves(world: &World, server: &mut Server) {
    if server.name == "gateway" {
        // An answer of the gateway's own: there is no such node.
        let request = RelayRequest { to: "nowhere".to_owned(), ..Default::default() };
        let answer = FederationClient::new(world.channel("agency-hsi-node", server)).relay(request).await;
        assert_eq!(refusal_of(&answer.unwrap_err()).reason, "agency_unknown");
    } else {
        let mut desk = DeskClient::new(world.channel("agency-hsi-user-rivera", server));
        desk.readiness(ReadinessRequest {}).await.expect("the node serves no longer");
    }
    server.is_well();
}

#[tokio::test]
async fn nobody_comes_in_without_a_certificate_of_the_federation() {
    let world = World::new();
    let elsewhere = World::new();
    let now = chrono::Utc::now();
    let authority = DevelopmentCa::create_or_open(&world.path("certs"), Clock::system()).unwrap();
    let issue = |id: &str, name: &str, days| -> TlsFiles {
        authority.issue(&id.parse().unwrap(), name, Validity::days(now, days)).unwrap().files
    };
    let ended = issue("spiffe://sallyport.demo/agency/hsi/node", "ended", -1);
    let other_federation = issue("spiffe://elsewhere.demo/agency/hsi/node", "other", 90);
    let foreign = elsewhere.files("agency-hsi-node");
    for server in &mut [world.lone_gateway(""), world.lone_node("")] {
        let address = server.address();
        let refused = [
            (None, "CertificateRequired", "certificate_missing"),
            (Some(&foreign), "UnknownCA", "certificate_foreign"),
            (Some(&ended), "CertificateExpired", "certificate_expired"),
            (Some(&other_federation), "", "other_federation"),
        ];
        for (files, alert, reason) in refused {
            let told = knock(&address, files, b"h2").await.expect_err(reason);
            assert!(told.contains("fatal alert") && told.contains(alert), "{reason}: {told}");
            server.logs(&format!("reason=\"{reason}\"")).await;
        }
        assert!(!server.said("log").contains(&*world.path("").to_string_lossy()), "{}", server.said("log"));
        still_serves(&world, server).await;
    }
}

/// A TLS 1.2 ClientHello: no supported versions, one ordinary suite.
fn hello_of_tls_1_2() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session, two suites, no compression.
    hello.extend([0, 0, 4, 0xc0, 0x2f, 0xc0, 0x30, 1, 0]);
    // Groups, point formats, signature algorithms.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend([0, extensions.len() as u8]);
    hello.extend(extensions);
    let mut message = vec![1, 0, 0, hello.len() as u8];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[tokio::test]
async fn what_is_not_tls_1_3_gets_an_alert_at_most() {
    const PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];
    let world = World::new();
    for server in &mut [world.lone_gateway(""), world.lone_node("")] {
        let address = server.address();
        assert_eq!(throw(&address, &hello_of_tls_1_2()).await, PROTOCOL_VERSION);
        server.logs("reason=\"tls_version\"").await;
        let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let thrown: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\nhost: node\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            &noise,
            // A record that promises more than it may hold, and one that ends in the middle.
            &[22, 3, 1, 0xff, 0xff, 1],
            &[0; 1],
        ];
        for bytes in thrown {
            let back = throw(&address, bytes).await;
            assert!(back.is_empty() || (back[0] == 21 && back.len() == 7), "{back:?}");
        }
        server.logs("reason=\"not_tls\"").await;
        still_serves(&world, server).await;
    }
}

#[tokio::test]
async fn a_good_certificate_makes_no_other_protocol_than_http_2_welcome() {
    let world = World::new();
    let files = world.files("agency-hsi-node");
    for server in &mut [world.lone_gateway(""), world.lone_node("")] {
        let told = knock(&server.address(), Some(&files), b"http/1.1").await.unwrap_err();
        assert!(told.contains("NoApplicationProtocol"), "{told}");
        // HTTP/1.1 under the name of HTTP/2: frames of HTTP/2 come back, and nothing of a file.
        let told = knock(&server.address(), Some(&files), b"h2").await.unwrap_or_default();
        let text = String::from_utf8_lossy(&told);
        assert!(!text.contains("HTTP/1.1 ") && !text.contains("root:"), "{text}");
        still_serves(&world, server).await;
    }
}

#[tokio::test]
async fn who_says_nothing_is_shown_out_and_holds_nobody_up() {
    let world = World::new();
    let limits = "\n[limits]\nhandshakes = 2\nhandshake_timeout_ms = 200\n";
    for server in &mut [world.lone_gateway(limits), world.lone_node(limits)] {
        let address: SocketAddr = server.address().parse().unwrap();
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        for mut stream in silent {
            let closed = timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("silence is cut off");
            assert!(matches!(closed, Ok(0) | Err(_)));
        }
        server.logs("reason=\"handshake_timed_out\"").await;
        still_serves(&world, server).await;
    }
}

#[tokio::test]
async fn one_peer_holds_only_so_many_connections_and_leaves_room_for_others() {
    let world = World::new();
    let mut node = world.lone_node("\n[limits]\nconnections = 8\nconnections_per_peer = 3\n");
    let reason = async |who: &str| {
        let mut desk = DeskClient::new(world.channel(who, &node));
        match desk.readiness(ReadinessRequest {}).await {
            Ok(_) => (desk, String::new()),
            Err(status) => {
                is_quiet(&status);
                (desk, refusal_of(&status).reason)
            }
        }
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        let (desk, refused) = reason("agency-hsi-user-rivera").await;
        assert_eq!(refused, "");
        held.push(desk);
    }
    let (_fourth, refused) = reason("agency-hsi-user-rivera").await;
    assert_eq!(refused, "connection_lost");
    node.logs("reason=\"too_many_connections\"").await;
    let (_other, refused) = reason("agency-cbp-user-okafor").await;
    assert_eq!(refused, "wrong_agency", "somebody else still gets a hearing");
    drop(held);
    while reason("agency-hsi-user-rivera").await.1 == "connection_lost" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    still_serves(&world, &mut node).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let world = World::new();
    let (mut gateway, mut node) = (world.lone_gateway(""), world.lone_node(""));
    let payload = vec![0; 5 * 1024 * 1024];
    let request = RelayRequest { to: "hsi".to_owned(), kind: 1, payload: payload.clone() };
    let told = FederationClient::new(world.channel("agency-hsi-node", &gateway)).relay(request).await.unwrap_err();
    assert_eq!(refusal_of(&told).reason, "message_too_large");
    is_quiet(&told);
    let deliver = |payload| DeliverRequest { from: "cbp".to_owned(), kind: 1, payload };
    let told = ContributionClient::new(world.channel("gateway", &node)).deliver(deliver(payload)).await.unwrap_err();
    assert_eq!(refusal_of(&told).reason, "message_too_large");
    is_quiet(&told);
    // Larger than a relayed message may be, smaller than any message may be.
    let request = RelayRequest { to: "hsi".to_owned(), kind: 1, payload: vec![0; 2 * 1024 * 1024] };
    let told = FederationClient::new(world.channel("agency-hsi-node", &gateway)).relay(request).await.unwrap_err();
    assert_eq!(refusal_of(&told).reason, "message_too_large");
    let mut request = tonic::Request::new(deliver(Vec::new()));
    request.metadata_mut().insert("x-long", "y".repeat(100_000).parse().unwrap());
    let told = ContributionClient::new(world.channel("gateway", &node)).deliver(request).await.unwrap_err();
    is_quiet(&told);
    still_serves(&world, &mut gateway).await;
    still_serves(&world, &mut node).await;
}
