//! What this node does for others' tags: it multiplies their blinded points by its epoch key.
//!
//! It never learns what it evaluates. A quota for each asking node and epoch bounds how much of a
//! small domain (all phone numbers) anyone could have tagged; it is written down before the work.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use prost::Message;
use sallyport_proto::node::v1::{EvaluationReply, EvaluationRequest, SignedMessage};
use sallyport_trust::{
    error::{Kind, Refusal},
    identity::{Identity, Role, Signature, SigningPurpose},
    question::check_freshness,
};

use sha2::{Digest, Sha256};

use super::oprf::EpochKeys;

pub(crate) const EVALUATION: SigningPurpose = SigningPurpose::new("evaluation request");

/// How many evaluations are reserved on disk at a time.
const RESERVED_AT_A_TIME: u64 = 65_536;

/// Evaluations given to each node in this epoch.
pub(crate) struct Quota {
    directory: PathBuf,
    limit: u64,
    used: Mutex<HashMap<String, Used>>,
}

#[derive(Clone, Copy, Default)]
struct Used {
    given: u64,
    /// What the file says: at least `given`, so that a crash never gives more than the limit.
    reserved: u64,
}

impl Quota {
    /// Counts in `directory`; each node gets `limit` evaluations.
    pub(crate) fn open(directory: PathBuf, limit: u64) -> std::io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut used = HashMap::new();
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(reserved) = fs::read_to_string(entry.path())?.trim().parse() {
                used.insert(name, Used { given: reserved, reserved });
            }
        }
        Ok(Self { directory, limit, used: Mutex::new(used) })
    }

    /// Takes `count` evaluations for `agency`; what is left afterwards.
    ///
    /// # Errors
    /// `evaluation_quota` when too few are left; nothing is taken then.
    pub(crate) fn take(&self, agency: &str, count: u64) -> Result<u64, Refusal> {
        let mut all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(agency.to_owned()).or_default();
        let given = used.given.saturating_add(count);
        if given > self.limit {
            return Err(Refusal::new(
                Kind::Exhausted,
                "evaluation_quota",
                format!(
                    "The budget of {} evaluations per node and epoch is used up ({} left); it renews with the next \
                     epoch, and the owner can raise it.",
                    self.limit,
                    self.limit.saturating_sub(used.given)
                ),
            ));
        }
        if given > used.reserved {
            let reserved = given.saturating_add(RESERVED_AT_A_TIME).min(self.limit);
            self.write(agency, reserved).map_err(|error| Refusal::internal("quota_not_kept", &error))?;
            used.reserved = reserved;
        }
        used.given = given;
        Ok(self.limit - given)
    }

    fn write(&self, agency: &str, reserved: u64) -> std::io::Result<()> {
        let aside = self.directory.join(format!("{agency}.new"));
        let mut out = fs::File::create(&aside)?;
        out.write_all(reserved.to_string().as_bytes())?;
        out.sync_all()?;
        fs::rename(&aside, self.directory.join(agency))?;
        fs::File::open(&self.directory)?.sync_all()
    }
}

/// A verified request for evaluations.
pub(crate) struct Wanted {
    pub(crate) agency: String,
    pub(crate) epoch_digest: Vec<u8>,
    /// Of the signed message: the gateway must not spend a node's quota with what it carried before.
    pub(crate) nonce: [u8; 32],
    pub(crate) issued_at_ms: i64,
    blinded: Vec<u8>,
}

impl Wanted {
    /// Points to evaluate.
    pub(crate) fn count(&self) -> u64 {
        (self.blinded.len() / 32) as u64
    }
}

/// Verifies who asks, and that the request is meant for us now.
pub(crate) fn verify(
    identity: &Identity,
    own_agency: &str,
    from: &str,
    now_ms: i64,
    signed: SignedMessage,
) -> Result<Wanted, Refusal> {
    let unusable = || Refusal::bad_input("evaluation_unusable", "The evaluation request cannot be read.");
    let signature: Signature = signed.signature.ok_or_else(unusable)?.try_into()?;
    let signer = identity.verify(EVALUATION, &signed.message, &signature)?;
    if signer.role != (Role::Node { agency: from.to_owned() }) || signer.federation != identity.id().federation {
        return Err(Refusal::denied("evaluation_wrong_signer", "Only a member's node may ask for evaluations."));
    }
    let request = EvaluationRequest::decode(signed.message.as_slice()).map_err(|_| unusable())?;
    check_freshness(request.issued_at_ms, now_ms)?;
    if request.to != own_agency {
        return Err(Refusal::denied("evaluation_wrong_audience", "The evaluation request is meant for another node."));
    }
    if request.blinded.is_empty() || !request.blinded.len().is_multiple_of(32) {
        return Err(unusable());
    }
    Ok(Wanted {
        agency: from.to_owned(),
        epoch_digest: request.epoch_digest,
        nonce: Sha256::digest(&signed.message).into(),
        issued_at_ms: request.issued_at_ms,
        blinded: request.blinded,
    })
}

/// Evaluates on a thread of its own: a batch takes a tenth of a second.
pub(crate) async fn evaluate(
    keys: Arc<EpochKeys>,
    wanted: Wanted,
    quota_left: u64,
) -> Result<EvaluationReply, Refusal> {
    let worked =
        tokio::task::spawn_blocking(move || keys.own().evaluate_batch(&wanted.blinded, &mut rand::rng())).await;
    let evaluated = worked
        .map_err(|error| Refusal::internal("evaluation_failed", &error))?
        .map_err(|error| Refusal::bad_input("evaluation_unusable", error.to_string()))?;
    Ok(EvaluationReply { evaluated: evaluated.elements().to_vec(), proof: evaluated.proof().to_vec(), quota_left })
}
