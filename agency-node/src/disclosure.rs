//! The accounting of disclosures: of every released score, which of this node's subjects took part, in
//! which question, to whom, why and when (5 U.S.C. 552a(c), 28 CFR 23.20).
//!
//! Each disclosure is sealed under a key of its own. The sealed bytes are appended and never changed, so
//! that the digests in the audit log can be checked for ever; the keys lie in files by the time at which
//! they expire, each wrapped under the node's secret and a salt of its file. To erase is to destroy the
//! file of keys: what it opened is noise from then on. Nothing but the key file connects a sealed
//! disclosure with a subject.
//!
//! ```text
//! disclosure.key              the node's secret
//! disclosures/sealed/<day>    sealed disclosures of a day, one after the other
//! disclosures/keys/<second>   keys that expire at that second; `without-end` for those that never do
//! ```

mod keys;
mod sealed;
mod show;

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use sallyport_trust::policy::Permit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{about::About, period::Period, secret};
use keys::{KeyFiles, Place};
use sealed::Segments;

pub(crate) use show::show;

const SECRET: &str = "disclosure.key";

/// What was disclosed of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disclosure {
    /// Milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) dataset: String,
    /// Name of the question, in hexadecimal.
    pub(crate) question: String,
    /// Federation Id of the person who asked.
    pub(crate) asker: String,
    pub(crate) agency: String,
    pub(crate) purpose: String,
    pub(crate) case_number: String,
    pub(crate) reason: String,
    /// What sort of score it is.
    pub(crate) nature: String,
    /// Which of the subject's rows took part, in words.
    #[serde(default)]
    pub(crate) rows: String,
}

/// Where disclosures were written, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Days since 1970: the file.
    pub(crate) day: u32,
    /// The first byte, and how many.
    pub(crate) from: u64,
    pub(crate) bytes: u64,
    /// SHA-256 of these bytes, in hexadecimal.
    pub(crate) digest: String,
}

/// All disclosures of a node.
pub(crate) struct Disclosures {
    keep: Period,
    keys: KeyFiles,
    sealed: Segments,
    /// Held while files change; readers see what is whole.
    changing: Mutex<()>,
}

impl Disclosures {
    /// Opens what is kept under `state`; every disclosure is kept for `keep` at least.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn open(state: &Path, keep: Period) -> io::Result<Self> {
        let directory = state.join("disclosures");
        Ok(Self {
            keep,
            keys: KeyFiles::open(&directory.join("keys"), secret::open(state, SECRET)?)?,
            sealed: Segments::open(&directory.join("sealed"))?,
            changing: Mutex::new(()),
        })
    }

    /// Until when a disclosure of this moment is kept, where the records themselves are kept until
    /// `life_ends_ms`; without end where these are.
    pub(crate) fn keep_until_ms(&self, now_ms: i64, life_ends_ms: Option<i64>) -> Option<i64> {
        life_ends_ms.map(|ends_ms| ends_ms.max(now_ms.saturating_add(self.keep.ms())))
    }

    /// Writes down that the same was disclosed of each of these; durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn record(
        &self,
        disclosure: &Disclosure,
        about: &[About],
        keep_until_ms: Option<i64>,
    ) -> io::Result<Written> {
        let plain = serde_json::to_vec(disclosure)?;
        let sealed = about.iter().map(|_| sealed::seal(&plain)).collect::<io::Result<Vec<_>>>()?;
        let day = u32::try_from(disclosure.at_ms.div_euclid(86_400_000)).unwrap_or_default();
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = sealed.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        let from = self.sealed.append(day, &bytes)?;
        let mut offset = from;
        let entries = about.iter().zip(&sealed).map(|(about, (key, bytes))| {
            let place = Place { day, offset, bytes: bytes.len() as u32 };
            offset += bytes.len() as u64;
            (*about, key, place)
        });
        let entries: Vec<_> = entries.collect();
        self.keys.append(keep_until_ms.map(|until_ms| self.expiry_s(until_ms)), &entries)?;
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Written { day, from, bytes: bytes.len() as u64, digest })
    }

    /// Keys that expire about the same time share a file: a hundredth of the time they are kept, and a
    /// day at most.
    fn expiry_s(&self, keep_until_ms: i64) -> u64 {
        let step_s = (self.keep.seconds() / 100).clamp(1, 86_400);
        let until_s = u64::try_from(keep_until_ms).unwrap_or_default().div_ceil(1_000);
        until_s.next_multiple_of(step_s)
    }

    /// What was disclosed of a subject, oldest first.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub(crate) fn of(&self, _permit: &Permit, about: About, now_ms: i64) -> io::Result<Vec<Disclosure>> {
        self.read(about, now_ms)
    }

    fn read(&self, about: About, now_ms: i64) -> io::Result<Vec<Disclosure>> {
        let mut found = Vec::new();
        for (key, place) in self.keys.of(about, now_ms)? {
            let plain = self.sealed.read(&place, &key)?;
            found.push(serde_json::from_slice::<Disclosure>(&plain).map_err(|_| sealed::damaged())?);
        }
        // What a crash interrupted may have been written down twice.
        found.sort_by(|a, b| (a.at_ms, &a.question, &a.dataset).cmp(&(b.at_ms, &b.question, &b.dataset)));
        found.dedup();
        Ok(found)
    }

    /// Whether keys have expired.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn is_any_due(&self, now_ms: i64) -> io::Result<bool> {
        Ok(!self.keys.due(now_ms)?.is_empty())
    }

    /// Erases every disclosure whose time has come, by destroying its key. How many keys that were.
    ///
    /// # Errors
    /// When a file cannot be destroyed; what is left is destroyed the next time.
    pub(crate) fn erase_due(&self, now_ms: i64) -> io::Result<u64> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys.erase_due(now_ms)
    }
}

#[cfg(test)]
mod tests;
