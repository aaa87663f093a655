//! Receipts for what stands in the own log, as soon as witnesses have cosigned it.

use std::time::Duration;

use tokio::time::timeout;

use super::answer::Witness;
use super::keys::SignedKeys;
use super::memory::locked;
use crate::audit::checkpoint::SignedCheckpoint;
use crate::audit::{AuditError, Place};
use crate::error::{Kind, Refusal};
use crate::receipt::{Logged, Receipt};

impl Witness {
    /// The receipt of an action, once a checkpoint that covers it has been cosigned.
    ///
    /// # Errors
    /// `receipt_not_ready` when that takes longer than `patience`, or faults of our own.
    pub async fn receipt(&self, place: Place, patience: Duration) -> Result<String, Refusal> {
        let mut cosigned = self.log.cosigned();
        let covers = |cosigned: &Option<SignedCheckpoint>| {
            cosigned.as_ref().is_some_and(|cosigned| cosigned.size > place.completion)
        };
        let waited = timeout(patience, cosigned.wait_for(covers)).await;
        let ready = waited.ok().and_then(Result::ok).and_then(|cosigned| cosigned.clone());
        let checkpoint = ready.ok_or_else(|| {
            Refusal::new(
                Kind::Unavailable,
                "receipt_not_ready",
                "No witness has cosigned the audit log since; ask for the receipt again a little later.",
            )
        })?;
        let receipt = self.prove(place, checkpoint.clone());
        let mut receipt = receipt.map_err(|error| Refusal::internal("receipt_failed", &error))?;
        receipt.keys = self.stated_keys(&checkpoint.note)?;
        Ok(receipt.to_string())
    }

    /// The own keys, then those of the witnesses that have cosigned a note, all under certificates.
    pub(super) fn stated_keys(&self, note: &str) -> Result<Vec<SignedKeys>, Refusal> {
        let mut keys = vec![SignedKeys::sign(&self.identity, &self.own, self.clock.now_ms())?];
        keys.extend(self.memory.parties().iter().filter_map(|party| {
            let slot = self.memory.of(party)?;
            let known = locked(&slot).known()?.clone();
            matches!(known.keys.cosigner.cosigned_at(note), Ok(Some(_))).then_some(known.signed)
        }));
        Ok(keys)
    }

    fn prove(&self, place: Place, checkpoint: SignedCheckpoint) -> Result<Receipt, AuditError> {
        let proofs = self.log.proofs(checkpoint.size);
        let logged =
            |index| Ok::<_, AuditError>(Logged { index, entry: proofs.entry(index)?, proof: proofs.inclusion(index)? });
        let (opening, completion) = (logged(place.opening)?, logged(place.completion)?);
        Ok(Receipt { opening, completion, note: checkpoint.note, keys: Vec::new() })
    }
}
