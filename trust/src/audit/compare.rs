//! Whether two copies of a log are one history.
//!
//! Each may hold by itself. Two that differ where both have entries prove, by the owner's own
//! signatures, that the owner showed different logs to different people.

use std::path::Path;

use super::error::AuditError;
use super::proofs::Proofs;
use super::verify::Verified;

/// Whether the longer of two verified copies continues the shorter one.
///
/// # Errors
/// [`AuditError`], when the tiles of the longer one cannot be read.
pub fn is_one_history(one: (&Path, &Verified), other: (&Path, &Verified)) -> Result<bool, AuditError> {
    let (shorter, (directory, longer)) = if one.1.entries <= other.1.entries { (one.1, other) } else { (other.1, one) };
    Ok(Proofs::new(directory, longer.entries).root_at(shorter.entries)? == shorter.root)
}
