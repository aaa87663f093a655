//! The certificates of a directory as they stand, and new ones in their place.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::revocation::{RevocationReason, Revoked};
use super::{
    AUTHORITY, BACKDATE_MINUTES, DevelopmentCa, DevelopmentCaError, Issued, Validity, files, is_certificate_of,
};
use crate::identity::authorities::Leaf;
use crate::identity::spiffe::SpiffeId;

/// A certificate in the authority's directory, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Name of its files, without extension.
    pub name: String,
    /// Whose it is.
    pub id: SpiffeId,
    /// From when to when it is valid.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// When and why it was revoked, if it was.
    pub revoked: Option<(DateTime<Utc>, RevocationReason)>,
    /// Whether its key lies beside it; not so when a renewal with a new key was interrupted.
    pub fits_key: bool,
}

impl Standing {
    /// When half of its time is over.
    pub fn half_life(&self) -> DateTime<Utc> {
        self.validity.not_before + (self.validity.not_after - self.validity.not_before) / 2
    }

    /// True when it should be renewed: half of its time is over, or its key is another one. A revoked
    /// one is not due: replacing it is a person's decision.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.revoked.is_none() && (now >= self.half_life() || !self.fits_key)
    }
}

impl DevelopmentCa {
    /// Every certificate of this authority in its directory, by name.
    ///
    /// # Errors
    /// Faults of the directory.
    pub fn standing(&self) -> Result<Vec<Standing>, DevelopmentCaError> {
        let failed =
            |error: std::io::Error| DevelopmentCaError::File { path: self.directory.clone(), kind: error.kind() };
        let revoked = self.revoked()?;
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or(AUTHORITY);
            if path.extension().is_some_and(|extension| extension == "pem") && name != AUTHORITY {
                all.extend(self.standing_of(name, &revoked)?);
            }
        }
        all.sort_unstable_by(|one, two| one.name.cmp(&two.name));
        Ok(all)
    }

    /// What lies there under this name; nothing if it is no certificate of this authority.
    fn standing_of(&self, name: &str, revoked: &[Revoked]) -> Result<Option<Standing>, DevelopmentCaError> {
        let Ok(files) = self.files_of(name) else { return Ok(None) };
        let Some(pem) = files::read_if_there(&files.certificate)? else { return Ok(None) };
        let Ok(der) = CertificateDer::from_pem_slice(&pem) else { return Ok(None) };
        let Ok(leaf) = Leaf::read(&der) else { return Ok(None) };
        if !self.issued(&der) {
            return Ok(None);
        }
        let key = files::key_if_there(&files.key)?;
        let entry = revoked.iter().find(|entry| entry.serial == leaf.serial);
        let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        Ok(Some(Standing {
            name: name.to_owned(),
            id: leaf.id,
            validity: Validity { not_before: moment(leaf.not_before_s), not_after: moment(leaf.not_after_s) },
            serial: leaf.serial,
            revoked: entry.map(|entry| (entry.at, entry.reason)),
            fits_key: key.is_some_and(|key| is_certificate_of(&der, &key)),
        }))
    }

    /// Issues a new certificate in the place of this one, for as long as before or for `lifetime`. With
    /// `new_key` the key is replaced first, the certificate after it, each in one step; a process that
    /// looks in between keeps what it has, and a renewal that is cut off in between is done again.
    ///
    /// A key that somebody else may have is never certified again.
    ///
    /// # Errors
    /// Faults of the directory, a lifetime that is out of range, or a certificate that was revoked for
    /// its key and is to keep it.
    pub fn renew(
        &self,
        standing: &Standing,
        lifetime: Option<TimeDelta>,
        new_key: bool,
    ) -> Result<Issued, DevelopmentCaError> {
        let compromised = standing.revoked.is_some_and(|(_, reason)| reason == RevocationReason::KeyCompromise);
        if compromised && !new_key {
            let message = format!("somebody else may have the key of {}: renew it with a new key", standing.name);
            return Err(DevelopmentCaError::Invalid(message));
        }
        let before = standing.validity.not_after - standing.validity.not_before;
        let lifetime = lifetime.unwrap_or(before - TimeDelta::minutes(BACKDATE_MINUTES));
        let validity = Validity::lasting(self.clock.now(), lifetime);
        let path = self.files_of(&standing.name)?.key;
        let key = if new_key { files::replace_key(&path)? } else { files::key_or_new(&path)? };
        self.write_certificate(&standing.id, &standing.name, validity, &key)
    }
}
