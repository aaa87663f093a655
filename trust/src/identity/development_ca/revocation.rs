//! The authority's revocation list, in one file.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason as Code, RevokedCertParams, SerialNumber};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{CertificateRevocationList, FromDer, ReasonCode, RevokedCertificate};

use super::template::moment;
use super::{AUTHORITY, DAY_S, DevelopmentCa, DevelopmentCaError, RENEW_DAYS, Validity, files};

const LIST_DAYS: i64 = 365;

/// Why a certificate is revoked (RFC 5280, 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// Nothing is said.
    Unspecified,
    /// Somebody else has the key, or may have.
    KeyCompromise,
    /// The holder belongs to another agency now.
    AffiliationChanged,
    /// There is a new certificate.
    Superseded,
    /// The holder does not need it any more.
    CessationOfOperation,
    /// The holder may not have it any more.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    fn code(self) -> Option<Code> {
        match self {
            // RFC 5280 wants no entry for it.
            Self::Unspecified => None,
            Self::KeyCompromise => Some(Code::KeyCompromise),
            Self::AffiliationChanged => Some(Code::AffiliationChanged),
            Self::Superseded => Some(Code::Superseded),
            Self::CessationOfOperation => Some(Code::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(Code::PrivilegeWithdrawn),
        }
    }

    fn read(entry: &RevokedCertificate<'_>) -> Self {
        match entry.reason_code() {
            Some((_, ReasonCode::KeyCompromise)) => Self::KeyCompromise,
            Some((_, ReasonCode::AffiliationChanged)) => Self::AffiliationChanged,
            Some((_, ReasonCode::Superseded)) => Self::Superseded,
            Some((_, ReasonCode::CessationOfOperation)) => Self::CessationOfOperation,
            Some((_, ReasonCode::PrivilegeWithdrawn)) => Self::PrivilegeWithdrawn,
            _ => Self::Unspecified,
        }
    }
}

/// An entry of the list.
pub(super) struct Revoked {
    pub(super) serial: Vec<u8>,
    pub(super) at: DateTime<Utc>,
    pub(super) reason: RevocationReason,
}

impl DevelopmentCa {
    /// Puts a serial number on the revocation list; once is enough.
    ///
    /// # Errors
    /// Faults of the directory, or a serial number that is empty or longer than 20 bytes.
    pub fn revoke(&self, serial: &[u8], reason: RevocationReason) -> Result<(), DevelopmentCaError> {
        if serial.is_empty() || serial.len() > 20 {
            let message = "a serial number has 1 to 20 bytes: read it from the certificate";
            return Err(DevelopmentCaError::Invalid(message.to_owned()));
        }
        let mut revoked = self.revoked()?;
        if revoked.iter().any(|entry| entry.serial == serial) {
            return Ok(());
        }
        revoked.push(Revoked { serial: serial.to_vec(), at: self.clock.now(), reason });
        self.write_list(&revoked)
    }

    /// Writes the list anew once it has less than thirty days left.
    ///
    /// # Errors
    /// Faults of the directory.
    pub fn renew_list(&self) -> Result<(), DevelopmentCaError> {
        let next_update_s = self.list(|list| Some(list.next_update()?.timestamp()))?.unwrap_or(0);
        if next_update_s - self.clock.now().timestamp() >= RENEW_DAYS * DAY_S {
            return Ok(());
        }
        self.write_list(&self.revoked()?)
    }

    pub(super) fn is_revoked(&self, serial: &[u8]) -> Result<bool, DevelopmentCaError> {
        Ok(self.revoked()?.iter().any(|entry| entry.serial == serial))
    }

    pub(super) fn revoked(&self) -> Result<Vec<Revoked>, DevelopmentCaError> {
        let revoked = self.list(|list| {
            let entries = list.iter_revoked_certificates().map(|entry| Revoked {
                serial: entry.raw_serial().to_vec(),
                at: DateTime::from_timestamp(entry.revocation_date.timestamp(), 0).unwrap_or_default(),
                reason: RevocationReason::read(entry),
            });
            Some(entries.collect())
        })?;
        Ok(revoked.unwrap_or_default())
    }

    fn list_path(&self) -> PathBuf {
        self.directory.join(format!("{AUTHORITY}.crl"))
    }

    /// Reads the list in force with `of`; `None` if there is none yet.
    fn list<T>(
        &self,
        of: impl FnOnce(&CertificateRevocationList<'_>) -> Option<T>,
    ) -> Result<Option<T>, DevelopmentCaError> {
        let path = self.list_path();
        let Some(pem) = files::read_if_there(&path)? else { return Ok(None) };
        let der = CertificateRevocationListDer::from_pem_slice(&pem).ok();
        let list = der.as_ref().and_then(|der| CertificateRevocationList::from_der(der).ok());
        list.map(|(_, list)| list)
            .filter(|list| self.signed(list.tbs_cert_list.as_ref(), &list.signature_value.data))
            .and_then(|list| of(&list))
            .map(Some)
            .ok_or(DevelopmentCaError::Foreign { path })
    }

    fn write_list(&self, revoked: &[Revoked]) -> Result<(), DevelopmentCaError> {
        let Validity { not_before, not_after } = Validity::days(self.clock.now(), LIST_DAYS);
        let entries = revoked.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: moment(entry.at)?,
                reason_code: entry.reason.code(),
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: moment(not_before)?,
            next_update: moment(not_after)?,
            // RFC 5280 wants it to grow; the clock does that without another file.
            crl_number: SerialNumber::from(self.clock.now_ms().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: entries.collect::<Result<_, DevelopmentCaError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)?;
        files::write(&self.list_path(), list.pem()?.as_bytes())
    }
}
