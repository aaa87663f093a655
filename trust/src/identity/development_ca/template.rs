//! What the certificates hold: the profile, without files and without keys.

use chrono::{DateTime, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::{DevelopmentCaError, Validity, files};
use crate::identity::spiffe::{Role, SpiffeId};

const AUTHORITY_DAYS: i64 = 3650;
/// RFC 5280, appendix A. The SPIFFE ID is what counts, so a longer name is cut.
const MAX_COMMON_NAME_CHARS: usize = 64;

/// An authority that signs leaves and revocation lists, and no other authority.
pub(super) fn authority_params(now: DateTime<Utc>) -> Result<CertificateParams, DevelopmentCaError> {
    let validity = Validity::days(now, AUTHORITY_DAYS);
    let mut params = params("", validity)?;
    // A list is found by its issuer's name, so two authorities in one federation must not share one.
    let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
    let number: String = serial.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Sallyport development authority {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A party's certificate. Only a node and the gateway may listen.
pub(super) fn leaf_params(
    id: &SpiffeId,
    name: &str,
    validity: Validity,
) -> Result<CertificateParams, DevelopmentCaError> {
    // The fields are public, so a name that was never parsed may arrive here.
    let id = SpiffeId::new(&id.federation, id.role.clone())
        .map_err(|error| DevelopmentCaError::Invalid(error.to_string()))?;
    let mut params = params(name, validity)?;
    params.subject_alt_names = vec![SanType::URI(id.to_string().try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match id.role {
        Role::Node { .. } | Role::Gateway => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        Role::User { .. } | Role::Feed { .. } | Role::Auditor { .. } => {
            vec![ExtendedKeyUsagePurpose::ClientAuth]
        }
    };
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(name: &str, validity: Validity) -> Result<CertificateParams, DevelopmentCaError> {
    let mut params = CertificateParams::default();
    let common_name: String = name.chars().take(MAX_COMMON_NAME_CHARS).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.serial_number = Some(files::random_serial()?);
    Ok(params)
}

/// A moment as rcgen counts time, to the second.
pub(super) fn moment(time: DateTime<Utc>) -> Result<OffsetDateTime, DevelopmentCaError> {
    OffsetDateTime::from_unix_timestamp(time.timestamp())
        .map_err(|_| DevelopmentCaError::Invalid("a time is out of range".to_owned()))
}
