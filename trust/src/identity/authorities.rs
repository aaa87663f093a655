//! The federation's authorities, and the one function that decides whether to believe a certificate.
//!
//! TLS clients, TLS servers and signed statements are all judged here, by the same rules: a chain to a
//! trust anchor, valid now, meant for this purpose, not revoked, with exactly one URI that is a SPIFFE
//! ID of this federation. DNS names are never looked at. No I/O, and the time is handed in.

use rustls::RootCertStore;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::reason::Reason;
use super::spiffe::SpiffeId;

/// The longest chain that is looked at, leaf included and trust anchor excluded.
pub(super) const MAX_CHAIN: usize = 4;
/// The largest certificate that is looked at, in bytes.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;

/// The end of a connection that a certificate is used at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Connecting, or signing a statement.
    Client,
    /// Listening.
    Server,
}

/// What is read from a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) id: SpiffeId,
    /// Seconds since 1970-01-01T00:00:00Z, as the next.
    pub(super) not_before_s: i64,
    pub(super) not_after_s: i64,
    /// Big-endian, as in the certificate.
    pub(super) serial: Vec<u8>,
}

/// Trust anchors, and the revocation lists if there are any.
pub(super) struct Authorities {
    anchors: RootCertStore,
    revocations: Vec<CertRevocationList<'static>>,
    /// When the first of the lists runs out, in seconds since 1970-01-01T00:00:00Z.
    revocations_until_s: Option<i64>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Authorities {
    /// Reads trust anchors and revocation lists; `None` if there is no usable anchor or a list cannot
    /// be read.
    pub(super) fn new(
        anchors: &[CertificateDer<'_>],
        revocations: &[CertificateRevocationListDer<'_>],
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Option<Self> {
        let mut store = RootCertStore::empty();
        for anchor in anchors {
            store.add(anchor.clone()).ok()?;
        }
        let revocations_until_s = revocations.iter().filter_map(|list| next_update_s(list)).min();
        let revocations = revocations
            .iter()
            .map(|list| OwnedCertRevocationList::from_der(list).map(CertRevocationList::from))
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        (!store.is_empty()).then_some(Self { anchors: store, revocations, revocations_until_s, algorithms })
    }

    /// True when a revocation list has run out at this second: then no certificate that it covers passes.
    pub(super) fn is_out_of_date(&self, now_s: i64) -> bool {
        self.revocations_until_s.is_some_and(|until_s| until_s < now_s)
    }

    /// Judges a chain, leaf first, at `now`, and reads the leaf. `federation` is the one whose
    /// authorities these are; they cannot vouch for another.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
        federation: &str,
        now: UnixTime,
    ) -> Result<Leaf, Reason> {
        if intermediates.len() >= MAX_CHAIN
            || leaf.len() > MAX_CERTIFICATE_BYTES
            || intermediates.iter().any(|certificate| certificate.len() > MAX_CERTIFICATE_BYTES)
        {
            return Err(Reason::CertificateMalformed);
        }
        let usage = match purpose {
            Purpose::Client => KeyUsage::client_auth(),
            Purpose::Server => KeyUsage::server_auth(),
        };
        let lists: Vec<&CertRevocationList<'_>> = self.revocations.iter().collect();
        EndEntityCert::try_from(leaf)
            .and_then(|certificate| {
                certificate
                    .verify_for_usage(
                        self.algorithms.all,
                        &self.anchors.roots,
                        intermediates,
                        now,
                        usage,
                        revocation_options(&lists),
                        None,
                    )
                    .map(|_| ())
            })
            .map_err(|error| Reason::of_webpki(&error))?;
        let leaf = Leaf::read(leaf)?;
        if leaf.id.federation == federation { Ok(leaf) } else { Err(Reason::OtherFederation) }
    }
}

fn next_update_s(list: &CertificateRevocationListDer<'_>) -> Option<i64> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    list.next_update().map(|time| time.timestamp())
}

/// A list that is out of date, or that does not cover an issuer, counts as no answer: fail closed.
fn revocation_options<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let options = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}

impl Leaf {
    /// Reads a certificate without judging it.
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, Reason> {
        let certificate = EndEntityCert::try_from(der).map_err(|error| Reason::of_webpki(&error))?;
        let mut uris = certificate.valid_uri_names();
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(Reason::CertificateWithoutIdentity);
        };
        let id = uri.parse().map_err(|_| Reason::CertificateWithoutIdentity)?;
        let serial = certificate.serial().to_vec();
        // The chain is judged by webpki alone; this parser is asked only for the dates it hides.
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| Reason::CertificateMalformed)?;
        let validity = parsed.validity();
        let (not_before_s, not_after_s) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { id, not_before_s, not_after_s, serial })
    }

    /// When half of its time is over, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn half_life_s(&self) -> i64 {
        self.not_before_s + (self.not_after_s - self.not_before_s) / 2
    }
}
