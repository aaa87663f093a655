//! Who a process is, and how it knows who the others are.
//!
//! An [`Identity`] is a key, its certificate and the federation's authorities. It opens and accepts
//! connections under mutual TLS 1.3, signs statements and verifies those of others. A peer's role
//! comes from the one SPIFFE ID in its certificate: never from a DNS name, an address or anything that
//! the peer says. It decides who someone is, never what they may do.
//!
//! - [`spiffe`]: the names; [`reason`]: why somebody was refused
//! - `tls_files`, `credentials`, `authorities`, `tls`: reading, judging, handshaking
//! - [`acceptor`], [`connections`], [`connector`], [`peer_channel`]: connections in both directions, and
//!   their limits
//! - [`statement`]: signatures that outlive a connection; [`anchors`]: their verification by outsiders
//! - [`development_ca`]: certificates for a demonstration and for tests, never for production

pub mod acceptor;
pub mod anchors;
mod authorities;
mod connection;
pub mod connections;
pub mod connector;
mod credentials;
pub mod development_ca;
pub mod limits;
pub mod peer_channel;
pub mod reason;
mod reviewer;
pub mod spiffe;
pub mod statement;
mod tls;
mod tls_files;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Kind, Refusal};

pub use acceptor::{Incoming, listen, peer, peer_identity};
pub use anchors::Anchors;
pub use connection::TlsConnection;
pub use connections::{Closed, Connections, PeerIdentity};
pub use connector::{ConnectSettings, connect, refusal_of};
pub use development_ca::DevelopmentCa;
pub use limits::{Limits, LimitsError};
pub use peer_channel::PeerChannel;
pub use reason::Reason;
pub use spiffe::{Role, SpiffeId, SpiffeIdError};
pub use statement::{Signature, SigningPurpose};
pub use tls_files::TlsFiles;

use authorities::{Leaf, Purpose};
use credentials::Credentials;
use reviewer::Reviewer;
use tls::Live;
use tls_files::FileSet;

/// How often key and certificate are read before they count as no pair, and the rest in between: whoever
/// renews both replaces one file after the other.
const PAIR_READINGS: u32 = 3;
const PAIR_PAUSE: Duration = Duration::from_millis(100);

/// This process's identity, shared by everything that connects, accepts, signs or verifies.
pub struct Identity {
    files: TlsFiles,
    clock: Clock,
    id: SpiffeId,
    live: Live,
    /// Counts what was put in force.
    changes: watch::Sender<u64>,
    /// The connections that this process opened.
    outgoing: Arc<Connections>,
}

/// What is wrong with a process's own credentials, an address or a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{path} cannot be read ({kind}): check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },
    /// A file is larger than any of its kind should be.
    #[error("{path} is larger than {limit_bytes} bytes: check that it is the right file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// Somebody else may read the private key.
    #[error("{path} can be read by others: run `chmod 600` on it, and replace the key if they may have")]
    KeyExposed {
        /// The key file.
        path: PathBuf,
    },
    /// The private key cannot be used.
    #[error("{path} holds no usable private key: it must be one PKCS #8 key in PEM")]
    Key {
        /// The key file.
        path: PathBuf,
    },
    /// The certificate file cannot be used.
    #[error("{path} must hold 1 to 4 certificates in PEM, leaf first")]
    Certificate {
        /// The certificate file.
        path: PathBuf,
    },
    /// Key and certificate are not of one pair.
    #[error("{key} is not the key of {certificate}: configure the pair that was issued together")]
    KeyMismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The authorities file cannot be used.
    #[error("{path} must hold at least one authority's certificate in PEM, and nothing unreadable")]
    Authorities {
        /// The authorities file.
        path: PathBuf,
    },
    /// The revocation list file cannot be used.
    #[error("{path} must hold at least one revocation list in PEM, and nothing unreadable")]
    Revocations {
        /// The revocation list file.
        path: PathBuf,
    },
    /// This process's own certificate would be refused by the others.
    #[error("{path} would be refused by every other party. {reason}")]
    OwnCertificate {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        reason: Reason,
    },
    /// The files now name another party than at the start.
    #[error("the certificate names another party than at the start: restart the process instead")]
    AnotherParty,
    /// An address to connect to is malformed.
    #[error("an address must be HOST:PORT, such as node.example:7443 or [::1]:7443")]
    Address,
    /// A setting of a connection is out of range.
    #[error(transparent)]
    Limits(#[from] limits::LimitsError),
    /// A connection, a certificate or a signature is refused.
    #[error("{0}")]
    Refused(Reason),
    /// The TLS library refused its configuration or the key; a fault of the build or the key type.
    #[error("the key cannot be used for TLS 1.3 ({0}): issue an ECDSA P-256 or Ed25519 key")]
    Tls(String),
}

impl IdentityError {
    /// Why a certificate or a signature was refused; `None` for faults of files and configuration.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::OwnCertificate { reason, .. } | Self::Refused(reason) => Some(*reason),
            _ => None,
        }
    }
}

impl From<Reason> for IdentityError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<IdentityError> for Refusal {
    /// A peer learns why its own certificate or signature was refused, and nothing of our files.
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Refused(reason) => reason.into(),
            IdentityError::Address => Refusal::new(Kind::BadInput, "bad_address", error.to_string()),
            other => Refusal::internal("identity_fault", &other),
        }
    }
}

impl Identity {
    /// Reads and judges the files.
    ///
    /// # Errors
    /// [`IdentityError`] with the file at fault and what to do: a key that others may read, a pair that
    /// does not fit, or a certificate that this federation would not accept at this moment.
    pub fn load(files: &TlsFiles, clock: Clock) -> Result<Arc<Self>, IdentityError> {
        let credentials = read_whole(files)?;
        credentials
            .judge_own(tls::unix_time(&clock))
            .map_err(|reason| IdentityError::OwnCertificate { path: files.certificate.clone(), reason })?;
        Ok(Arc::new(Self {
            files: files.clone(),
            clock,
            id: credentials.id().clone(),
            live: Arc::new(ArcSwap::from_pointee(credentials)),
            changes: watch::Sender::new(0),
            outgoing: Connections::unlimited(),
        }))
    }

    /// Reads the files again; the next handshake uses what they hold. True when that is something new.
    /// On error the old stay in force as a whole, with one exception: a list that revokes this very
    /// process is believed, for the sake of everybody else on it.
    ///
    /// # Errors
    /// As [`Identity::load`], and [`IdentityError::AnotherParty`] if the SPIFFE ID changed.
    pub fn reload(&self) -> Result<bool, IdentityError> {
        if FileSet::read(&self.files)?.digest() == self.live.load().digest {
            return Ok(false);
        }
        let credentials = read_whole(&self.files)?;
        if *credentials.id() != self.id {
            return Err(IdentityError::AnotherParty);
        }
        let judged = credentials.judge_own(tls::unix_time(&self.clock));
        if matches!(judged, Ok(()) | Err(Reason::CertificateRevoked)) {
            self.live.store(Arc::new(credentials));
            self.changes.send_modify(|count| *count += 1);
        }
        let path = self.files.certificate.clone();
        judged.map(|()| true).map_err(|reason| IdentityError::OwnCertificate { path, reason })
    }

    /// Told whenever other credentials are put in force.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The connections that this process opened to others, and the servers that it would not believe.
    pub fn outgoing(&self) -> &Arc<Connections> {
        &self.outgoing
    }

    /// Closes the connections, of this process's listener and its own, whose peer would not be let in
    /// anew: for an expired certificate always, for everything else when credentials have `changed`.
    pub fn close_unfit(&self, incoming: &Connections, changed: bool) -> Vec<Closed> {
        let reviewer = self.reviewer();
        let everything = changed || reviewer.lists_are_out_of_date();
        let verdict = |peer: &PeerIdentity| if everything { reviewer.judge(peer) } else { reviewer.judge_time(peer) };
        [incoming, &self.outgoing].into_iter().flat_map(|connections| connections.close_unfit(verdict)).collect()
    }

    /// The name of this process.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// When this process's certificate expires.
    pub fn expires(&self) -> DateTime<Utc> {
        moment(self.live.load().own.not_after_s)
    }

    /// When half the time of this process's certificate is over: from then on it should be renewed.
    pub fn half_life(&self) -> DateTime<Utc> {
        moment(self.live.load().own.half_life_s())
    }

    /// For whoever operates this process, once its certificate should be renewed.
    pub fn renewal_advice(&self) -> Option<String> {
        (self.clock.now() >= self.half_life()).then(|| {
            format!(
                "More than half the time of this process's certificate is over; renew it before {}.",
                self.expires().format("%Y-%m-%d %H:%M UTC")
            )
        })
    }

    /// Whether what a peer [showed](PeerIdentity::shown) when it was let in has been revoked since. A certificate that
    /// has expired in the meantime is looked at as of its end: its party has another one by now. What cannot be read
    /// counts as revoked.
    pub fn is_revoked(&self, shown: &[String]) -> bool {
        let chain: Vec<CertificateDer<'_>> =
            shown.iter().filter_map(|text| STANDARD.decode(text).ok()).map(CertificateDer::from).collect();
        let Some((leaf, intermediates)) = chain.split_first().filter(|_| chain.len() == shown.len()) else {
            return true;
        };
        let ends_s = Leaf::read(leaf).map_or(i64::MAX, |leaf| leaf.not_after_s);
        let at_s = ends_s.min(self.clock.now_ms() / 1_000);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s.try_into().unwrap_or_default()));
        let judged = self.live.load().verify(leaf, intermediates, Purpose::Client, at);
        judged.err() == Some(Reason::CertificateRevoked)
    }

    /// Who reviews connections by what is in force.
    fn reviewer(&self) -> Reviewer {
        Reviewer::new(self.live.clone(), self.clock.clone())
    }

    /// TLS as spoken by a listener of this process.
    ///
    /// # Errors
    /// [`IdentityError::Tls`] if the TLS library refuses the configuration.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
        tls::server_config(&self.live, &self.clock).map(Arc::new).map_err(|error| IdentityError::Tls(error.to_string()))
    }

    /// TLS as spoken by this process to exactly one party.
    ///
    /// # Errors
    /// [`IdentityError::Tls`] if the TLS library refuses the configuration.
    pub fn client_config(&self, expected: SpiffeId) -> Result<Arc<rustls::ClientConfig>, IdentityError> {
        tls::client_config(&self.live, &self.clock, expected)
            .map(Arc::new)
            .map_err(|error| IdentityError::Tls(error.to_string()))
    }
}

/// Reads the files; a pair that does not fit is read again, as a renewal may be under way.
fn read_whole(files: &TlsFiles) -> Result<Credentials, IdentityError> {
    let mut left = PAIR_READINGS;
    loop {
        left -= 1;
        match Credentials::parse(files, &FileSet::read(files)?, &tls::provider()) {
            Err(IdentityError::KeyMismatch { .. }) if left > 0 => std::thread::sleep(PAIR_PAUSE),
            read => return read,
        }
    }
}

fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
