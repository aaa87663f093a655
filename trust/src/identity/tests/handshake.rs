use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;

const GATEWAY: &str = "gateway";
const HSI: &str = "agency/hsi/node";

fn stable(reason: Reason) -> String {
    reason.as_str().to_owned()
}

#[tokio::test]
async fn a_good_client_passes_and_the_server_knows_its_name() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    for path in [HSI, "agency/hsi/user/rivera", "partner/acme/feed", "auditor/ng"] {
        let client = fixture.identity(path);
        assert_eq!(ask(&client, &server.address, &id(GATEWAY)).await, Ok(()));
        assert_eq!(server.guests.0.lock().unwrap().pop(), Some(id(path)));
    }
}

#[tokio::test]
async fn a_request_without_mutual_tls_has_no_peer() {
    let refusal = peer(&Request::new(())).unwrap_err();
    assert_eq!(refusal.reason, "peer_unknown");
}

#[tokio::test]
async fn a_client_whose_certificate_expired_is_refused() {
    let fixture = Fixture::new();
    let gateway = fixture.issue(&id(GATEWAY), 365);
    let server = Server::start(&load(&gateway.files, later(40)).unwrap(), &Limits::default()).await;
    let client = load(&fixture.issue(&id(HSI), 31).files, now()).unwrap();
    let answer = ask(&client, &server.address, &id(GATEWAY)).await;
    assert_eq!(answer, Err(stable(Reason::OwnCertificateExpired)));
    assert_eq!(server.refused(Reason::CertificateExpired), 1);
    assert!(server.guests.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_of_a_foreign_authority_is_refused() {
    let (fixture, foreign) = (Fixture::new(), Fixture::new());
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let files = foreign.issue(&id(HSI), 365).files;
    let both = [fixture.path("authority.pem"), foreign.path("authority.pem")];
    let files =
        TlsFiles { authorities: joined(&foreign.path("both.pem"), &[&both[0], &both[1]]), revocations: None, ..files };
    let client = load(&files, now()).unwrap();
    let answer = ask(&client, &server.address, &id(GATEWAY)).await;
    assert_eq!(answer, Err(stable(Reason::OwnCertificateForeign)));
    assert_eq!(server.refused(Reason::CertificateForeign), 1);
}

#[tokio::test]
async fn a_revoked_client_is_refused_once_the_server_has_read_the_list() {
    let fixture = Fixture::new();
    let gateway = fixture.identity(GATEWAY);
    let server = Server::start(&gateway, &Limits::default()).await;
    let issued = fixture.issue(&id(HSI), 365);
    let client = load(&issued.files, now()).unwrap();
    assert_eq!(ask(&client, &server.address, &id(GATEWAY)).await, Ok(()));

    fixture.authority.revoke(&issued.serial, RevocationReason::Unspecified).unwrap();
    gateway.reload().unwrap();
    let answer = ask(&client, &server.address, &id(GATEWAY)).await;
    assert_eq!(answer, Err(stable(Reason::OwnCertificateRevoked)));
    assert_eq!(server.refused(Reason::CertificateRevoked), 1);
    // And nobody who reads the list starts with that certificate.
    let reason = load(&issued.files, now()).unwrap_err().reason();
    assert_eq!(reason, Some(Reason::CertificateRevoked));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let mut config = client_config(&fixture);
    config.client_auth_cert_resolver = Arc::new(Nothing);
    let mut stream = tls(config, &server.address).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(Reason::of_io(&error), Reason::OwnCertificateMissing);
    assert_eq!(server.refused(Reason::CertificateMissing), 1);
}

#[tokio::test]
async fn a_client_whose_certificate_is_for_servers_only_is_refused() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let files = for_servers_only(&fixture, HSI);
    let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let mut config = client_config(&fixture);
    let key = config.crypto_provider().key_provider.load_private_key(key).unwrap();
    config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key))));
    let mut stream = tls(config, &server.address).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(Reason::of_io(&error), Reason::RefusedByPeer);
    assert_eq!(server.refused(Reason::CertificateWrongPurpose), 1);
}

#[tokio::test]
async fn a_client_refuses_a_server_that_it_should_not_believe() {
    let fixture = Fixture::new();
    let client = fixture.identity(HSI);
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    // The right authority and a valid certificate, but another party than the one expected.
    for expected in [id("agency/cbp/node"), id(HSI)] {
        let answer = ask(&client, &server.address, &expected).await;
        assert_eq!(answer, Err("unexpected_peer".to_owned()));
    }
    // A person's certificate does not make a server, even one that is expected.
    let person = id("agency/hsi/user/rivera");
    let server = Server::start(&fixture.identity("agency/hsi/user/rivera"), &Limits::default()).await;
    let answer = ask(&client, &server.address, &person).await;
    assert_eq!(answer, Err("certificate_wrong_purpose".to_owned()));

    let foreign = Fixture::new();
    let server = Server::start(&foreign.identity(GATEWAY), &Limits::default()).await;
    let answer = ask(&client, &server.address, &id(GATEWAY)).await;
    assert_eq!(answer, Err("certificate_foreign".to_owned()));
    assert!(server.guests.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_refuses_an_expired_and_a_revoked_server() {
    let fixture = Fixture::new();
    let short = fixture.issue(&id("agency/cbp/node"), 31);
    let server = Server::start(&load(&short.files, now()).unwrap(), &Limits::default()).await;
    let files = fixture.issue(&id(HSI), 365).files;
    let client = load(&files, later(40)).unwrap();
    let answer = ask(&client, &server.address, &id("agency/cbp/node")).await;
    assert_eq!(answer, Err("certificate_expired".to_owned()));

    fixture.authority.revoke(&short.serial, RevocationReason::Unspecified).unwrap();
    let client = load(&files, now()).unwrap();
    let answer = ask(&client, &server.address, &id("agency/cbp/node")).await;
    assert_eq!(answer, Err("certificate_revoked".to_owned()));
}

#[tokio::test]
async fn a_revocation_list_out_of_date_stops_everything() {
    let fixture = Fixture::new();
    let files = fixture.issue(&id(GATEWAY), 800).files;
    let reason = load(&files, later(400)).unwrap_err().reason();
    assert_eq!(reason, Some(Reason::RevocationUnknown));
    assert!(load(&TlsFiles { revocations: None, ..files }, later(400)).is_ok());
}

#[tokio::test]
async fn an_authority_cannot_vouch_for_another_federation() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let stranger = "spiffe://elsewhere.example/agency/hsi/node".parse().unwrap();
    let issued = fixture.authority.issue(&stranger, "stranger", Validity::days(now(), 365));
    let client = load(&issued.unwrap().files, now()).unwrap();
    let answer = ask(&client, &server.address, &id(GATEWAY)).await;
    assert_eq!(answer, Err("other_federation".to_owned()));

    // Nor does the server believe such a client, which here believes the server.
    let mut config = client_config(&fixture);
    let strange = client.client_config(id(GATEWAY)).unwrap();
    config.client_auth_cert_resolver = strange.client_auth_cert_resolver.clone();
    let mut stream = tls(config, &server.address).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(Reason::of_io(&error), Reason::RefusedByPeer);
    assert_eq!(server.refused(Reason::OtherFederation), 1);
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(&tls_1_2_client_hello()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // One fatal alert, protocol_version (RFC 8446, 6.2).
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));
    assert_eq!(server.refused(Reason::TlsVersion), 1);
}

#[tokio::test]
async fn something_else_than_tls_is_refused() {
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The server may reset the connection, having left part of the request unread.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(server.refused(Reason::NotTls), 1);
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_hybrid_and_x25519_for_others() {
    use futures::StreamExt;
    use rustls::NamedGroup;
    use rustls::crypto::aws_lc_rs::kx_group;
    let fixture = Fixture::new();
    let (mut incoming, address, _) = listening(&fixture.identity(GATEWAY), &Limits::default()).await;

    let stream = tls(client_config(&fixture), &address).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let accepted = incoming.next().await.unwrap().unwrap();
    assert_eq!(accepted.key_exchange(), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(accepted.peer().id(), &id(HSI));
    assert_eq!(accepted.peer().expires(), later(365));

    let mut config = client_config(&fixture);
    let mut provider = (**config.crypto_provider()).clone();
    provider.kx_groups = vec![kx_group::X25519];
    config = rebuilt(&config, provider);
    tls(config, &address).await.unwrap();
    let accepted = incoming.next().await.unwrap().unwrap();
    assert_eq!(accepted.key_exchange(), Some(NamedGroup::X25519));
}

#[tokio::test]
async fn no_key_exchange_in_common_is_refused() {
    use rustls::crypto::aws_lc_rs::kx_group;
    let fixture = Fixture::new();
    let server = Server::start(&fixture.identity(GATEWAY), &Limits::default()).await;
    let config = client_config(&fixture);
    let mut provider = (**config.crypto_provider()).clone();
    provider.kx_groups = vec![kx_group::SECP384R1];
    let config = rebuilt(&config, provider);
    assert!(tls(config, &server.address).await.is_err());
    assert_eq!(server.refused(Reason::KeyExchange), 1);
}

/// What the HSI node uses to reach the gateway, open to changes.
fn client_config(fixture: &Fixture) -> ClientConfig {
    (*fixture.identity(HSI).client_config(id(GATEWAY)).unwrap()).clone()
}

/// The same certificate with other cryptography; it believes every server.
fn rebuilt(config: &ClientConfig, provider: CryptoProvider) -> ClientConfig {
    let mut rebuilt = ClientConfig::builder_with_details(Arc::new(provider), config.time_provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_client_cert_resolver(config.client_auth_cert_resolver.clone());
    rebuilt.alpn_protocols = config.alpn_protocols.clone();
    rebuilt
}

async fn tls(config: ClientConfig, address: &str) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("gateway.invalid").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Shows one certificate, whatever it is good for.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A ClientHello as TLS 1.2 has it: no `supported_versions`, one cipher suite of that version.
fn tls_1_2_client_hello() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let points = [0, 11, 0, 2, 1, 0];
    let schemes = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &points, &schemes].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((body.len() as u16).to_be_bytes());
    handshake.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}
