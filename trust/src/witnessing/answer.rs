//! Being a witness: what a party answers to another that asks for a cosignature.

use std::path::Path;
use std::sync::Arc;

use super::keys::{PartyKeys, SignedKeys};
use super::memory::{Known, Memory, Slot, cosigner, locked};
use super::origin;
use super::settings::WitnessSettings;
use crate::audit::cosignature::Cosigner;
use crate::audit::witness::{AddCheckpoint, Refused, judge};
use crate::audit::{AuditError, AuditLog, Completion, Opening, Outcome};
use crate::clock::Clock;
use crate::error::Refusal;
use crate::identity::{Identity, SpiffeId};

/// What a party sends to have its checkpoint cosigned.
#[derive(Debug, Clone)]
pub struct Submission {
    /// As [`AddCheckpoint`] writes itself.
    pub request: String,
    /// The sender's keys.
    pub keys: SignedKeys,
}

/// What a witness answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200, or the status of [`Refused`].
    pub status: u16,
    /// The signature line, with 200.
    pub cosignature: String,
    /// The newest checkpoint that the witness has cosigned, where it speaks against this one.
    pub held: String,
    /// The witness's own keys.
    pub keys: SignedKeys,
    /// The keys that are pinned for the sender, where they differ.
    pub pinned: Option<SignedKeys>,
}

/// A party as witness of others, and what it needs to have witnesses itself.
pub struct Witness {
    pub(super) identity: Arc<Identity>,
    pub(super) log: AuditLog,
    pub(super) clock: Clock,
    pub(super) memory: Memory,
    pub(super) own: PartyKeys,
    pub(super) settings: WitnessSettings,
    cosigner: Cosigner,
}

/// A refusal and what speaks against the log, for the witness's own log.
type Answered = (Reply, Option<&'static str>);

impl Witness {
    /// Reads what is known of `parties` from a directory, made at the first start, and requires them as
    /// witnesses of `log`: no work begins in it before [`super::collect`] has asked them.
    ///
    /// # Errors
    /// [`AuditError`], when the directory cannot be used or was changed.
    pub fn open(
        identity: &Arc<Identity>,
        log: &AuditLog,
        directory: &Path,
        parties: &[SpiffeId],
        settings: &WitnessSettings,
        clock: Clock,
    ) -> Result<Arc<Self>, AuditError> {
        let memory = Memory::open(directory, parties)?;
        let cosigner = cosigner(directory, log.verifier_key().name())?;
        let own = PartyKeys { log: log.verifier_key().clone(), cosigner: cosigner.key().clone() };
        log.require_witnesses(settings.grace_ms());
        let (identity, log, settings) = (identity.clone(), log.clone(), settings.clone());
        Ok(Arc::new(Self { identity, log, clock, memory, own, settings, cosigner }))
    }

    /// Takes these as the other parties from now on: members join and leave.
    ///
    /// # Errors
    /// [`AuditError`] when what is known of one cannot be used; the parties stay as they were.
    pub fn expect(&self, parties: &[SpiffeId]) -> Result<(), AuditError> {
        self.memory.expect(parties)
    }

    /// Refuses everyone who is no other party of this federation.
    ///
    /// # Errors
    /// `wrong_role`.
    pub fn only_parties(&self, peer: &SpiffeId) -> Result<(), Refusal> {
        self.memory.of(peer).is_some().then_some(()).ok_or_else(no_party)
    }

    /// Answers a party of the federation, whose message a peer may have brought. What speaks against
    /// the party's log is named in the own one.
    ///
    /// # Errors
    /// `wrong_role` for everyone else, and faults of our own.
    pub async fn answer(
        self: &Arc<Self>,
        party: &SpiffeId,
        via: Option<&SpiffeId>,
        submission: Submission,
    ) -> Result<Reply, Refusal> {
        let (witness, of) = (self.clone(), party.clone());
        let working = tokio::task::spawn_blocking(move || witness.judge(&of, &submission));
        let (reply, accusation) = working.await.map_err(|error| Refusal::internal("witness_failed", &error))??;
        if let Some(reason) = accusation {
            tracing::warn!(%party, reason, "the audit log of another party is not what it was");
            // Its own log may be waiting for witnesses, among them this party.
            let (witness, party, via) = (self.clone(), party.clone(), via.cloned());
            tokio::spawn(async move {
                if let Err(error) = witness.record(&party, via.as_ref(), reason).await {
                    tracing::warn!(%error, "that could not be written into the own log");
                }
            });
        }
        Ok(reply)
    }

    fn judge(&self, party: &SpiffeId, submission: &Submission) -> Result<Answered, Refusal> {
        let slot = self.memory.of(party).ok_or_else(no_party)?;
        let mut slot = locked(&slot);
        let keys = SignedKeys::sign(&self.identity, &self.own, self.clock.now_ms())?;
        let reply = Reply { status: 200, cosignature: String::new(), held: String::new(), keys, pinned: None };
        let Ok(request) = submission.request.parse::<AddCheckpoint>() else {
            return Ok((Reply { status: Refused::Malformed.status(), ..reply }, None));
        };
        let known = match slot.known() {
            Some(known) => known.clone(),
            None => {
                let keys = submission.keys.verify(&self.identity, party, self.clock.now_ms())?;
                Known { keys, signed: submission.keys.clone(), held: None }
            }
        };
        let held = known.held.as_ref().map(|(checkpoint, _)| checkpoint);
        match judge(&request, &known.keys.log, held) {
            Ok(checkpoint) => {
                if held != Some(&checkpoint) {
                    let kept = Known { held: Some((checkpoint, request.note.clone())), ..known };
                    slot.keep(kept).map_err(|error| Refusal::internal("witness_not_kept", &error))?;
                }
                let time_s = u64::try_from(self.clock.now_ms() / 1_000).unwrap_or_default();
                let cosignature = self.cosigner.cosign(&request.note, time_s);
                let cosignature = cosignature.map_err(|error| Refusal::internal("witness_failed", &error))?;
                Ok((Reply { cosignature, ..reply }, None))
            }
            Err(refused) => Ok(self.refuse(&mut slot, known, party, submission, refused, reply)),
        }
    }

    fn refuse(
        &self,
        slot: &mut Slot,
        known: Known,
        party: &SpiffeId,
        submission: &Submission,
        refused: Refused,
        reply: Reply,
    ) -> Answered {
        let (held, mut pinned) = (known.held.map(|(_, note)| note).unwrap_or_default(), None);
        let mut accusation = refused.accusation();
        if refused == Refused::NotSigned {
            pinned = Some(known.signed);
            // The party itself names another key: its log was exchanged.
            let stated = submission.keys.verify(&self.identity, party, self.clock.now_ms());
            if stated.is_ok_and(|stated| stated.log != known.keys.log) {
                accusation = Some("log_key_changed");
            }
        }
        let accused = accusation.map(|reason| (reason, submission.request.clone()));
        let news = accused.is_some() && slot.accused != accused;
        if news {
            slot.accused = accused;
        }
        (Reply { status: refused.status(), held, pinned, ..reply }, accusation.filter(|_| news))
    }

    async fn record(&self, party: &SpiffeId, via: Option<&SpiffeId>, reason: &str) -> Result<(), AuditError> {
        let opening = Opening {
            actor: party.to_string(),
            via: via.map(ToString::to_string),
            action: "witness".to_owned(),
            resource: origin(party).unwrap_or_default(),
            ..Opening::default()
        };
        let completion = Completion { detail: Some(reason.to_owned()), ..Completion::new(Outcome::Denied) };
        self.log.begin(opening).await?.complete(completion).await?;
        Ok(())
    }
}

fn no_party() -> Refusal {
    Refusal::denied("wrong_role", "Only the gateway and the nodes of this federation are witnessed here.")
}
