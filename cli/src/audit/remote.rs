//! A party's audit log, as an auditor's command line speaks with it.
//!
//! Every answer comes with the signed checkpoint it stands under. What can be checked here is checked:
//! the checkpoint's signature, that it is of the log that was asked, and the proofs of single entries.

use std::sync::Arc;

use sallyport_proto::audit::v1::{
    ExportRequest, ReportRequest, SearchRequest, ShowRequest, VerifyRequest, audit_client::AuditClient,
};
use sallyport_trust::{
    audit::{
        action::RecordedAction,
        archive::{Page, Wanted},
        checkpoint::{Checkpoint, VerifierKey},
        merkle::{Hash, leaf_hash, verify_inclusion},
        query::Query,
        report::Report,
    },
    auditing::{Exported, Shown, Signed, Verification},
    clock::Clock,
    error::{Kind, Refusal},
    identity::{ConnectSettings, Identity, Role, SpiffeId, connect, refusal_of},
};
use tonic::{Status, transport::Channel};

use crate::{failure::Failure, people::Auditor};

/// Bytes of one message from a party, at most.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection to a party's audit service.
pub(super) struct RemoteLog {
    client: AuditClient<Channel>,
    /// Name that the log must have.
    origin: String,
}

/// Something that stands under a checkpoint, both checked.
pub(super) struct Checked<T> {
    pub(super) answer: T,
    pub(super) checkpoint: Checkpoint,
    pub(super) verifier_key: String,
}

impl RemoteLog {
    /// Prepares the connection; the first call makes it.
    pub(super) fn of(auditor: &Auditor, place: &str) -> Result<Self, Failure> {
        let known = auditor.places.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let address = auditor.places.get(place).ok_or_else(|| {
            Failure::input("place_unknown", format!("the people file does not say where `{place}` is; known: {known}"))
        })?;
        let identity: Arc<Identity> = Identity::load(&auditor.tls, Clock::system())
            .map_err(|error| Failure::input("identity", error.to_string()))?;
        let federation = &identity.id().federation;
        let role = if place == "gateway" { Role::Gateway } else { Role::Node { agency: place.to_owned() } };
        let party =
            SpiffeId::new(federation, role).map_err(|error| Failure::input("place_unknown", error.to_string()))?;
        let origin = format!("{federation}/{place}");
        let channel = connect(&identity, address, &party, &ConnectSettings::default()).map_err(Refusal::from)?;
        Ok(Self { client: AuditClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX), origin })
    }

    /// The name of the log.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// A page of the actions that fit, newest first.
    pub(super) async fn search(
        &mut self,
        query: &Query,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Checked<Page>, Failure> {
        let request = SearchRequest { filter: Some(query.into()), before, limit };
        let page = self.client.search(request).await.map_err(refused)?.into_inner();
        self.checked(page.try_into()?)
    }

    /// One action, whose entries are proved to be in the log.
    pub(super) async fn show(&mut self, wanted: Wanted) -> Result<Checked<Shown>, Failure> {
        let shown = self.client.show(ShowRequest::from(wanted)).await.map_err(refused)?.into_inner();
        let shown: Checked<Shown> = self.checked(shown.try_into()?)?;
        let Shown { action, opening_proof, completion_proof } = &shown.answer;
        included(action.opening.index, &action.opening.bytes, opening_proof, &shown.checkpoint)?;
        if let Some(completion) = &action.completion {
            included(completion.index, &completion.bytes, completion_proof, &shown.checkpoint)?;
        }
        Ok(shown)
    }

    /// Hands every action that fits to `take`, oldest first.
    pub(super) async fn export(
        &mut self,
        query: &Query,
        mut take: impl FnMut(&RecordedAction) -> Result<(), Failure>,
    ) -> Result<Checked<u64>, Failure> {
        let request = ExportRequest { filter: Some(query.into()) };
        let mut parts = self.client.export(request).await.map_err(refused)?.into_inner();
        let mut taken = 0;
        while let Some(part) = parts.message().await.map_err(refused)? {
            match part.try_into()? {
                Exported::Actions(actions) => {
                    taken += actions.len() as u64;
                    actions.iter().try_for_each(&mut take)?;
                }
                Exported::Closing(closing) if closing.answer == taken => return self.checked(closing),
                Exported::Closing(_) => break,
            }
        }
        Err(Refusal::new(Kind::Unavailable, "export_incomplete", "The export broke off; start it again.").into())
    }

    /// The counts of a period.
    pub(super) async fn report(&mut self, from_ms: i64, until_ms: i64) -> Result<Checked<Report>, Failure> {
        let request = ReportRequest { from_ms, until_ms };
        let report = self.client.report(request).await.map_err(refused)?.into_inner();
        self.checked(report.try_into()?)
    }

    /// What the party finds when it recomputes its log.
    pub(super) async fn verify(&mut self) -> Result<Verification, Failure> {
        let verified = self.client.verify(VerifyRequest {}).await.map_err(refused)?.into_inner();
        Ok(verified.try_into()?)
    }

    fn checked<T>(&self, signed: Signed<T>) -> Result<Checked<T>, Failure> {
        let key: VerifierKey = signed.verifier_key.parse().map_err(|error| unsound(&error))?;
        let checkpoint = key.verify(&signed.note).map_err(|error| unsound(&error))?;
        if checkpoint.origin != self.origin {
            return Err(unsound(&format!("the answer is of the log {}, not of {}", checkpoint.origin, self.origin)));
        }
        Ok(Checked { answer: signed.answer, checkpoint, verifier_key: signed.verifier_key })
    }
}

fn refused(status: Status) -> Failure {
    refusal_of(&status).into()
}

fn unsound(problem: &dyn std::fmt::Display) -> Failure {
    Failure::check("checkpoint_unsound", format!("{problem}; do not trust this answer"))
}

fn included(index: u64, entry: &[u8], proof: &[Hash], checkpoint: &Checkpoint) -> Result<(), Failure> {
    verify_inclusion(&leaf_hash(entry), index, checkpoint.size, proof, &checkpoint.root)
        .map_err(|error| Failure::check("entry_not_proven", format!("entry {index}: {error}")))
}
