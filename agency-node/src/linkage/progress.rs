//! How far each member is with an epoch, as the members tell each other under their signatures.
//!
//! The gateway carries it and can hold it back, no more. What was told once is never taken back: an epoch
//! that is complete at a node stays so.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use sallyport_proto::node::v1::{EpochProgress, SignedMessage};
use sallyport_trust::{
    error::Refusal,
    identity::{Identity, Role, Signature, SigningPurpose},
};

const PROGRESS: SigningPurpose = SigningPurpose::new("epoch progress");
/// Proposals of other nodes that are remembered.
const PROPOSALS_MAX: usize = 64;

/// What is known of one member in one epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Digest that the member has agreed on.
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) tagged_thousandths: u32,
    pub(crate) complete: bool,
    pub(crate) in_use: bool,
    /// Why the member could not be asked, or what it refused, the last time.
    pub(crate) failed: Option<String>,
}

/// An epoch that another node has begun and this one has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) epoch: u64,
    pub(crate) members: Vec<String>,
}

/// What the other members have told.
#[derive(Default)]
pub(crate) struct Reports {
    told: Mutex<BTreeMap<(u64, String), Told>>,
    proposals: Mutex<BTreeMap<String, Proposal>>,
}

impl Reports {
    fn told(&self) -> MutexGuard<'_, BTreeMap<(u64, String), Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a member.
    pub(crate) fn of(&self, epoch: u64, member: &str) -> Told {
        self.told().get(&(epoch, member.to_owned())).cloned().unwrap_or_default()
    }

    /// Takes what a member told; true if that is something new.
    pub(crate) fn take(&self, progress: &EpochProgress) -> bool {
        let mut all = self.told();
        let told = all.entry((progress.epoch, progress.agency.clone())).or_default();
        let before = told.clone();
        let digest: Option<[u8; 32]> = progress.epoch_digest.as_slice().try_into().ok();
        if digest.is_some() && digest != told.digest {
            *told = Told { digest, ..Told::default() };
        }
        told.tagged_thousandths = told.tagged_thousandths.max(progress.tagged_thousandths.min(1_000));
        told.complete |= progress.complete;
        told.in_use |= progress.in_use;
        told.failed = None;
        before != *told
    }

    /// Keeps why a member could not be asked.
    pub(crate) fn failed(&self, epoch: u64, member: &str, refusal: &Refusal) {
        self.told().entry((epoch, member.to_owned())).or_default().failed = Some(refusal.message.clone());
    }

    /// Keeps what another node has begun, as its latest.
    pub(crate) fn propose(&self, agency: &str, proposal: Proposal) {
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        if proposals.len() < PROPOSALS_MAX || proposals.contains_key(agency) {
            proposals.insert(agency.to_owned(), proposal);
        }
    }

    /// What others have begun beyond `highest`.
    pub(crate) fn proposals(&self, highest: u64) -> Vec<(String, Proposal)> {
        let proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        let beyond = proposals.iter().filter(|(_, proposal)| proposal.epoch > highest);
        beyond.map(|(agency, proposal)| (agency.clone(), proposal.clone())).collect()
    }

    /// Forgets everything about epochs below `epoch`.
    pub(crate) fn forget_before(&self, epoch: u64) {
        self.told().retain(|(of, _), _| *of >= epoch);
    }
}

/// Puts this node's signature under its progress.
pub(crate) fn sign(identity: &Identity, progress: &EpochProgress) -> Result<SignedMessage, Refusal> {
    let message = progress.encode_to_vec();
    let signature = identity.sign(PROGRESS, &message).map_err(Refusal::from)?;
    Ok(SignedMessage { message, signature: Some(signature.into()) })
}

/// Reads a member's progress.
///
/// # Errors
/// When it is not signed by the member itself, or is of another epoch.
pub(crate) fn verify(
    identity: &Identity,
    from: &str,
    epoch: u64,
    signed: SignedMessage,
) -> Result<EpochProgress, Refusal> {
    let unusable = || Refusal::bad_input("epoch_unusable", format!("What the node of `{from}` told cannot be used."));
    let signature: Signature = signed.signature.ok_or_else(unusable)?.try_into()?;
    let signer = identity.verify(PROGRESS, &signed.message, &signature)?;
    let progress = EpochProgress::decode(signed.message.as_slice()).map_err(|_| unusable())?;
    let federation = &identity.id().federation;
    let is_theirs = signer.role == (Role::Node { agency: from.to_owned() })
        && signer.federation == *federation
        && progress.federation == *federation
        && progress.agency == from;
    if !is_theirs || progress.epoch != epoch {
        return Err(Refusal::denied("epoch_wrong_signer", "A member tells of its own progress, under its signature."));
    }
    Ok(progress)
}
