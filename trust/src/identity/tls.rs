//! How TLS is spoken: 1.3 only, both ends with certificates, post-quantum hybrid key exchange first.
//!
//! The configurations look up certificate and authorities at every handshake, so what was reloaded is
//! in force for the next connection. Nothing is resumed and no early data is taken: each connection
//! is judged anew. No DNS name is ever verified; a server is known by its SPIFFE ID.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, PeerIncompatible, ServerConfig, SignatureScheme};

use super::authorities::Purpose;
use super::credentials::Credentials;
use super::reason::Reason;
use super::spiffe::SpiffeId;
use crate::clock::Clock;

/// The credentials in force, shared by everything that makes or judges a handshake.
pub(super) type Live = Arc<ArcSwap<Credentials>>;

/// The cryptography in use: AES-256 first, X25519MLKEM768 first, X25519 for tools that lack it.
pub(super) fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite, kx_group};
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

pub(super) fn unix_time(clock: &Clock) -> UnixTime {
    moment(clock.now_ms())
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn moment(at_ms: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(at_ms.try_into().unwrap_or(0)))
}

pub(super) fn server_config(live: &Live, clock: &Clock) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(Arc::new(provider()), Arc::new(TlsClock(clock.clone())))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Judge { live: live.clone(), expected: None }))
        .with_cert_resolver(Arc::new(Own(live.clone())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

pub(super) fn client_config(live: &Live, clock: &Clock, expected: SpiffeId) -> Result<ClientConfig, rustls::Error> {
    let judge = Judge { live: live.clone(), expected: Some(expected) };
    let mut config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(TlsClock(clock.clone())))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_client_cert_resolver(Arc::new(Own(live.clone())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    Ok(config)
}

#[derive(Debug)]
struct TlsClock(Clock);

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(&self.0))
    }
}

/// Shows this process's own certificate.
struct Own(Live);

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Judges the peer's certificate; as a client, it also knows whom it wants to reach.
struct Judge {
    live: Live,
    expected: Option<SpiffeId>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl Judge {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let credentials = self.live.load();
        let leaf = credentials.verify(leaf, intermediates, purpose, now).map_err(Reason::into_rustls)?;
        match &self.expected {
            Some(expected) if *expected != leaf.id => Err(Reason::UnexpectedPeer.into_rustls()),
            _ => Ok(()),
        }
    }
}

/// The verifier methods that are the same at both ends.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = self.live.load().algorithms;
            verify_tls13_signature(message, certificate, signed, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.live.load().algorithms.supported_schemes()
        }
    };
}

impl ClientCertVerifier for Judge {
    /// No hints: every client has one certificate, and the list of authorities may change in life.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(leaf, intermediates, Purpose::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(leaf, intermediates, Purpose::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}
