//! Why a certificate, a handshake or a connection was refused.
//!
//! One closed list with stable names, so that logs, counters, audit entries and scripts on both ends
//! of a connection speak of the same fault in the same word. A reason never holds a name, an address
//! or any part of a certificate.

use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use crate::error::{Kind, Refusal};

macro_rules! reasons {
    ($($variant:ident, $kind:ident, $name:literal, $advice:literal;)+) => {
        /// Why a peer, or this process itself, was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $advice] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of their counters.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The stable name, in `snake_case`.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }

            /// A sentence for a person that says what to do next.
            pub fn advice(self) -> &'static str {
                match self { $(Reason::$variant => $advice,)+ }
            }

            fn kind(self) -> Kind {
                match self { $(Reason::$variant => Kind::$kind,)+ }
            }
        }
    };
}

reasons! {
    CertificateMissing, Unauthenticated, "certificate_missing",
        "The peer sent no certificate. Connect with one issued by the federation.";
    CertificateMalformed, Unauthenticated, "certificate_malformed",
        "The certificate cannot be read. Have the federation's authority issue it again.";
    CertificateExpired, Unauthenticated, "certificate_expired",
        "The certificate has expired. Have the federation's authority issue a new one.";
    CertificateNotYetValid, Unauthenticated, "certificate_not_yet_valid",
        "The certificate is not valid yet. Compare the clocks of both machines.";
    CertificateRevoked, Unauthenticated, "certificate_revoked",
        "The certificate has been revoked. Ask the federation's authority why before you replace it.";
    CertificateForeign, Unauthenticated, "certificate_foreign",
        "The certificate was not issued by the federation's authority. Use one that was.";
    CertificateWrongPurpose, Unauthenticated, "certificate_wrong_purpose",
        "The certificate is not meant for this end of a connection. Use the certificate of that process.";
    CertificateWithoutIdentity, Unauthenticated, "certificate_without_identity",
        "The certificate must hold exactly one URI and it must be a SPIFFE ID of this federation's forms.";
    OtherFederation, Unauthenticated, "other_federation",
        "The certificate names a party of another federation. Use one of this federation.";
    RevocationUnknown, Unauthenticated, "revocation_unknown",
        "The revocation list is out of date or does not cover the certificate. Fetch the current list.";
    UnexpectedPeer, Unauthenticated, "unexpected_peer",
        "Another party answers at that address. Check the address and the expected SPIFFE ID.";
    SignatureInvalid, Unauthenticated, "signature_invalid",
        "The signature does not fit the message and the certificate. The message was changed on its way.";
    StatementTooLarge, BadInput, "statement_too_large",
        "The signature carries more than 4 certificates or a part above 8 KiB. Send the chain only.";
    TlsVersion, Unauthenticated, "tls_version",
        "Only TLS 1.3 is spoken here. Update or configure the client.";
    KeyExchange, Unauthenticated, "key_exchange",
        "No key exchange in common. Offer X25519MLKEM768 or X25519.";
    NotTls, Unauthenticated, "not_tls",
        "What arrived is not a TLS handshake for HTTP/2. Connect with TLS 1.3 and ALPN h2.";
    HandshakeTimedOut, TimedOut, "handshake_timed_out",
        "The handshake took too long. Try again later and check the network.";
    TooManyConnections, Exhausted, "too_many_connections",
        "The peer holds as many connections as it may. Close some first.";
    ConnectionLost, Unavailable, "connection_lost",
        "The other party closed the connection. It may be shutting down or hold too many already; try again later.";
    Unreachable, Unavailable, "peer_unreachable",
        "Nothing answers at that address. Check that the process runs there and try again.";
    OwnCertificateExpired, Unauthenticated, "own_certificate_expired",
        "The other party says that your certificate has expired or is not valid yet. Issue a new one.";
    OwnCertificateRevoked, Unauthenticated, "own_certificate_revoked",
        "The other party says that your certificate has been revoked. Ask the federation's authority.";
    OwnCertificateForeign, Unauthenticated, "own_certificate_foreign",
        "The other party does not know the authority of your certificate. Use one of the same federation.";
    OwnCertificateMissing, Unauthenticated, "own_certificate_missing",
        "The other party requires a client certificate. Configure one.";
    RefusedByPeer, Unauthenticated, "refused_by_peer",
        "The other party refused the handshake; the reason is in its log. Check your certificate's identity and purpose.";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.advice())
    }
}

impl std::error::Error for Reason {}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Refusal::new(reason.kind(), reason.as_str(), reason.advice())
    }
}

impl Reason {
    pub(super) fn of_webpki(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } | E::InvalidCertValidity => Reason::CertificateExpired,
            E::CertNotValidYet { .. } => Reason::CertificateNotYetValid,
            E::CertRevoked => Reason::CertificateRevoked,
            E::UnknownRevocationStatus
            | E::CrlExpired { .. }
            | E::IssuerNotCrlSigner
            | E::InvalidCrlSignatureForPublicKey => Reason::RevocationUnknown,
            E::RequiredEkuNotFoundContext(_) => Reason::CertificateWrongPurpose,
            E::UnknownIssuer
            | E::InvalidSignatureForPublicKey
            | E::PathLenConstraintViolated
            | E::EndEntityUsedAsCa
            | E::NameConstraintViolation
            | E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::CertificateForeign,
            _ => Reason::CertificateMalformed,
        }
    }

    /// The fault as rustls knows it, so that the peer receives the alert that RFC 8446 names for it.
    pub(super) fn into_rustls(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Reason::CertificateExpired => CertificateError::Expired,
            Reason::CertificateNotYetValid => CertificateError::NotValidYet,
            Reason::CertificateRevoked => CertificateError::Revoked,
            Reason::CertificateForeign => CertificateError::UnknownIssuer,
            Reason::CertificateWrongPurpose => CertificateError::InvalidPurpose,
            Reason::CertificateMalformed => CertificateError::BadEncoding,
            Reason::RevocationUnknown => CertificateError::UnknownRevocationStatus,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }

    /// The reason for an error that tokio-rustls reports from a handshake or the first read after it.
    pub(super) fn of_io(error: &std::io::Error) -> Self {
        let source = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        source.map_or(Reason::ConnectionLost, Self::of_rustls)
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(error) => Self::of_certificate(error),
            E::NoCertificatesPresented => Reason::CertificateMissing,
            E::AlertReceived(alert) => Self::of_alert(*alert),
            E::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Reason::TlsVersion,
            E::PeerIncompatible(
                PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NamedGroupsExtensionRequired
                | PeerIncompatible::KeyShareExtensionRequired,
            ) => Reason::KeyExchange,
            _ => Reason::NotTls,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => Reason::CertificateExpired,
            E::NotValidYet | E::NotValidYetContext { .. } => Reason::CertificateNotYetValid,
            E::Revoked => Reason::CertificateRevoked,
            E::UnknownIssuer => Reason::CertificateForeign,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Reason::CertificateWrongPurpose,
            E::UnknownRevocationStatus => Reason::RevocationUnknown,
            E::BadSignature => Reason::SignatureInvalid,
            E::Other(OtherError(inner)) => {
                inner.downcast_ref::<Reason>().copied().unwrap_or(Reason::CertificateMalformed)
            }
            _ => Reason::CertificateMalformed,
        }
    }

    /// True when it is the peer that did not prove who it is, or that cannot be spoken with.
    pub(super) fn blames_peer(self) -> bool {
        matches!(
            self,
            Reason::CertificateMissing
                | Reason::CertificateMalformed
                | Reason::CertificateExpired
                | Reason::CertificateNotYetValid
                | Reason::CertificateRevoked
                | Reason::CertificateForeign
                | Reason::CertificateWrongPurpose
                | Reason::CertificateWithoutIdentity
                | Reason::OtherFederation
                | Reason::RevocationUnknown
                | Reason::UnexpectedPeer
                | Reason::SignatureInvalid
                | Reason::TlsVersion
                | Reason::KeyExchange
        )
    }

    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as A;
        match alert {
            A::CertificateExpired => Reason::OwnCertificateExpired,
            A::CertificateRevoked => Reason::OwnCertificateRevoked,
            A::UnknownCA => Reason::OwnCertificateForeign,
            A::CertificateRequired => Reason::OwnCertificateMissing,
            A::ProtocolVersion => Reason::TlsVersion,
            A::CloseNotify => Reason::ConnectionLost,
            _ => Reason::RefusedByPeer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_way_through_rustls() {
        for reason in [
            Reason::CertificateExpired,
            Reason::CertificateNotYetValid,
            Reason::CertificateRevoked,
            Reason::CertificateForeign,
            Reason::CertificateWrongPurpose,
            Reason::CertificateMalformed,
            Reason::CertificateWithoutIdentity,
            Reason::OtherFederation,
            Reason::RevocationUnknown,
            Reason::UnexpectedPeer,
        ] {
            let error = std::io::Error::other(reason.into_rustls());
            assert_eq!(Reason::of_io(&error), reason);
        }
    }

    #[test]
    fn stable_names_are_distinct() {
        let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
