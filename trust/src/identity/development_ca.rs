//! An authority for demonstrations and tests, with its key in a file beside its certificates.
//!
//! It makes what a federation's real authority would issue: certificates whose only name is a SPIFFE
//! ID, and a revocation list. It replaces a key only when that is asked for, and leaves every file alone
//! that still serves until it is to be renewed.
//! Not for production: whoever reads its directory can be anybody.

mod files;
mod renewal;
mod revocation;
mod set;
mod template;

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsFiles;
use super::authorities::Leaf;
use super::spiffe::SpiffeId;
use crate::clock::Clock;

pub use renewal::Standing;
pub use revocation::RevocationReason;
pub use set::{DevelopmentSet, development_set, file_name};
use template::{authority_params, leaf_params};

const AUTHORITY: &str = "authority";
/// Certificates and lists with less left than this are made anew.
const RENEW_DAYS: i64 = 30;
/// Certificates are valid from a little before now, for machines whose clocks run behind.
const BACKDATE_MINUTES: i64 = 5;
const DAY_S: i64 = 86_400;

/// An authority that lives in a directory.
pub struct DevelopmentCa {
    directory: PathBuf,
    clock: Clock,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What went wrong in the authority's directory.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentCaError {
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written ({kind}): check the directory and its permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },
    /// A file is not what the authority wrote.
    #[error("{path} is not what this authority wrote: move it away and run again")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file name is already taken by another party's certificate.
    #[error("{path} is the certificate of another party: choose another name or move it away")]
    Taken {
        /// The certificate file.
        path: PathBuf,
    },
    /// There is no authority to work with.
    #[error("{path} is not there: name the directory of the authority, or make one with `sallyport certs`")]
    Absent {
        /// The authority's key.
        path: PathBuf,
    },
    /// A name or a time is out of range.
    #[error("{0}")]
    Invalid(String),
    /// Making a key, a certificate or a list failed.
    #[error("a certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, to the second.
    pub not_before: DateTime<Utc>,
    /// The last moment, to the second.
    pub not_after: DateTime<Utc>,
}

impl Validity {
    /// From five minutes before `now` for so many `days`; negative for one that ended before `now`.
    pub fn days(now: DateTime<Utc>, days: i64) -> Self {
        Self::lasting(now, TimeDelta::days(days))
    }

    /// The same for any length of time.
    pub fn lasting(now: DateTime<Utc>, time: TimeDelta) -> Self {
        let not_after = now + time;
        let not_before = now.min(not_after) - TimeDelta::minutes(BACKDATE_MINUTES);
        Self { not_before, not_after }
    }
}

/// A certificate in the authority's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose it is.
    pub id: SpiffeId,
    /// Where its parts are, ready for [`super::Identity::load`].
    pub files: TlsFiles,
    /// Its serial number, for [`DevelopmentCa::revoke`].
    pub serial: Vec<u8>,
    /// Whether it was made just now; false if it was there and still serves.
    pub made: bool,
}

impl DevelopmentCa {
    /// Opens the authority in `directory`; makes none.
    ///
    /// # Errors
    /// [`DevelopmentCaError::Absent`] if there is none, else as [`DevelopmentCa::create_or_open`].
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, DevelopmentCaError> {
        let path = directory.join(format!("{AUTHORITY}.key"));
        if !path.is_file() {
            return Err(DevelopmentCaError::Absent { path });
        }
        Self::create_or_open(directory, clock)
    }

    /// Opens the authority in `directory`, or makes one there: `authority.pem`, `authority.key` and
    /// `authority.crl`.
    ///
    /// # Errors
    /// [`DevelopmentCaError`] if the directory cannot be written or holds something else.
    pub fn create_or_open(directory: &Path, clock: Clock) -> Result<Self, DevelopmentCaError> {
        files::make_directory(directory)?;
        let key = files::key_or_new(&directory.join(format!("{AUTHORITY}.key")))?;
        let path = directory.join(format!("{AUTHORITY}.pem"));
        if files::read_if_there(&path)?.is_none() {
            files::write(&path, authority_params(clock.now())?.self_signed(&key)?.pem().as_bytes())?;
        }
        let pem = files::read_if_there(&path)?.unwrap_or_default();
        let foreign = || DevelopmentCaError::Foreign { path: path.clone() };
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| foreign())?;
        if !is_certificate_of(&certificate, &key) {
            return Err(foreign());
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| foreign())?;
        let authority = Self { directory: directory.to_owned(), clock, certificate, issuer };
        authority.renew_list()?;
        Ok(authority)
    }

    /// The certificate of `id` in the files `name.pem` and `name.key`. One that is there is kept while
    /// it has 30 days left, and also when it was revoked: replacing it is a person's decision. An
    /// existing key is kept in any case.
    ///
    /// # Errors
    /// [`DevelopmentCaError::Taken`] if the files are another party's, and faults of the directory.
    pub fn issue(&self, id: &SpiffeId, name: &str, validity: Validity) -> Result<Issued, DevelopmentCaError> {
        let files = self.files_of(name)?;
        let key = files::key_or_new(&files.key)?;
        if let Some((leaf, is_ours)) = self.existing(&files, &key)? {
            if leaf.id != *id {
                return Err(DevelopmentCaError::Taken { path: files.certificate });
            }
            let left_s = leaf.not_after_s - self.clock.now().timestamp();
            if is_ours && (left_s >= RENEW_DAYS * DAY_S || self.is_revoked(&leaf.serial)?) {
                return Ok(Issued { id: leaf.id, files, serial: leaf.serial, made: false });
            }
        }
        self.write_certificate(id, name, validity, &key)
    }

    fn write_certificate(
        &self,
        id: &SpiffeId,
        name: &str,
        validity: Validity,
        key: &KeyPair,
    ) -> Result<Issued, DevelopmentCaError> {
        let files = self.files_of(name)?;
        let certificate = leaf_params(id, name, validity)?.signed_by(key, &self.issuer)?;
        files::write(&files.certificate, certificate.pem().as_bytes())?;
        let leaf = Leaf::read(certificate.der()).map_err(|reason| DevelopmentCaError::Invalid(reason.to_string()))?;
        Ok(Issued { id: leaf.id, files, serial: leaf.serial, made: true })
    }

    fn files_of(&self, name: &str) -> Result<TlsFiles, DevelopmentCaError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > 200 || name == AUTHORITY || !name.bytes().all(plain) {
            let message = "a file name must be 1 to 200 letters, digits or '-', and not `authority`";
            return Err(DevelopmentCaError::Invalid(message.to_owned()));
        }
        let path = |name: &str, extension| self.directory.join(format!("{name}.{extension}"));
        Ok(TlsFiles {
            certificate: path(name, "pem"),
            key: path(name, "key"),
            authorities: path(AUTHORITY, "pem"),
            revocations: Some(path(AUTHORITY, "crl")),
        })
    }

    /// The certificate in `files`, and whether it is of this authority and of this key.
    fn existing(&self, files: &TlsFiles, key: &KeyPair) -> Result<Option<(Leaf, bool)>, DevelopmentCaError> {
        let Some(pem) = files::read_if_there(&files.certificate)? else { return Ok(None) };
        let foreign = || DevelopmentCaError::Foreign { path: files.certificate.clone() };
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| foreign())?;
        let leaf = Leaf::read(&der).map_err(|_| foreign())?;
        Ok(Some((leaf, is_certificate_of(&der, key) && self.issued(&der))))
    }

    /// Whether this authority issued the certificate.
    fn issued(&self, der: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(der)
            .is_ok_and(|(_, parsed)| self.signed(parsed.tbs_certificate.as_ref(), &parsed.signature_value.data))
    }

    /// Whether this authority's key made `signature` over `message`.
    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = webpki::aws_lc_rs::ECDSA_P256_SHA256;
        EndEntityCert::try_from(&self.certificate)
            .is_ok_and(|anchor| anchor.verify_signature(algorithm, message, signature).is_ok())
    }
}

fn is_certificate_of(der: &CertificateDer<'_>, key: &KeyPair) -> bool {
    EndEntityCert::try_from(der)
        .is_ok_and(|certificate| certificate.subject_public_key_info().as_ref() == key.subject_public_key_info())
}
