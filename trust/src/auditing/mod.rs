//! The way of an auditor's request at a party, each step a line: see [`Auditing::answer`].
//!
//! The gateway and every node offer the same service to whoever holds a certificate of
//! `spiffe://FEDERATION/auditor/NAME` and is allowed to audit by the party's own policy. An auditor
//! reads what the log records, and nothing else: no data, no names of subjects, for the log holds
//! none. That they read, and what they looked for, is recorded in the same log before they see it.

mod rpc;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::audit::archive::{Archive, ArchiveError, Page, Reading, Wanted};
use crate::audit::merkle::Hash;
use crate::audit::query::Query;
use crate::audit::report::{Report, ReportBuilder};
use crate::audit::{Verified, VerifyError, action::RecordedAction};
use crate::error::{Kind, Refusal};
use crate::guard::{Act, Guard, Trail, unavailable};
use crate::identity::{Role, SpiffeId};
use crate::policy::{Action, Attributes, Context, Request, attribute, kind};

pub use rpc::{AuditService, NAME};
pub use wire::Exported;

/// Requests that read the log at a time; more wait.
const READERS_MAX: usize = 2;
/// Actions on a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Bytes of entries that an export hands on at a time.
const EXPORT_BYTES: usize = 256 * 1024;
/// Bytes of what an auditor looked for, as it is recorded, at most.
const SOUGHT_BYTES_MAX: usize = 2_000;

/// An auditor, and what this party vouches for; the role is `auditor` unless it says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auditor {
    /// As in `spiffe://…/auditor/NAME`.
    pub name: String,
    /// Attributes that policies decide by.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Auditor {
    /// The first name that stands twice.
    pub fn named_twice(auditors: &[Self]) -> Option<&str> {
        let mut names = BTreeSet::new();
        auditors.iter().map(|auditor| auditor.name.as_str()).find(|name| !names.insert(*name))
    }
}

/// What a party's audit service needs.
pub struct Auditing {
    guard: Guard,
    archive: Arc<Archive>,
    federation: String,
    owner: String,
    auditors: Vec<Auditor>,
    readers: Arc<Semaphore>,
}

/// An answer with the checkpoint that it stands under.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed<T> {
    /// The answer.
    pub answer: T,
    /// The checkpoint's signed note.
    pub note: String,
    /// The log's key, as a "vkey".
    pub verifier_key: String,
}

/// One action and the proofs that its entries are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The action.
    pub action: RecordedAction,
    /// Inclusion proof of the opening.
    pub opening_proof: Vec<Hash>,
    /// Inclusion proof of the completion; empty without one.
    pub completion_proof: Vec<Hash>,
}

/// What came of recomputing a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// It is whole and as it was signed.
    Holds(Verified),
    /// The first thing that is wrong, in words.
    Broken(String),
}

impl Auditing {
    /// The audit service of a party that decides and records by `guard`, whose log lies in `log`.
    ///
    /// `owner` is the owner of the log in policies: the agency, or the federation at the gateway.
    /// Auditors that are not among `auditors` have their name and role and no other attribute.
    pub fn new(guard: Guard, log: &Path, federation: &str, owner: &str, auditors: Vec<Auditor>) -> Arc<Self> {
        let archive = Arc::new(Archive::new(log, guard.audit().verifier_key().clone()));
        let readers = Arc::new(Semaphore::new(READERS_MAX));
        let (federation, owner) = (federation.to_owned(), owner.to_owned());
        Arc::new(Self { guard, archive, federation, owner, auditors, readers })
    }

    /// identify auditor → open audit entry → authorise → read the log → complete audit → return
    async fn answer<T: Send + 'static>(
        &self,
        peer: &SpiffeId,
        act: &str,
        sought: &str,
        read: impl FnOnce(&mut Reading<'_>) -> Result<(T, u64), Refusal> + Send + 'static,
    ) -> Result<Signed<T>, Refusal> {
        let auditor = self.auditor(peer)?;
        let mut trail = self.guard.begin(Act::by(peer, act, "audit log").because("", "", &recordable(sought))).await?;
        let worked = self.read(auditor, &mut trail, read).await;
        trail.complete(worked.as_ref().err()).await?;
        worked
    }

    /// The auditor behind a client certificate, with the attributes this party vouches for.
    fn auditor(&self, peer: &SpiffeId) -> Result<Attributes, Refusal> {
        let name = match &peer.role {
            Role::Auditor { name } if peer.federation == self.federation => name,
            _ => {
                let refusal = Refusal::denied("wrong_role", "Only auditors of the federation may read the audit log.");
                return Err(self.guard.turn_away(peer, refusal));
            }
        };
        let known = self.auditors.iter().find(|auditor| auditor.name == *name);
        let attributes = Attributes::new().with(attribute::ROLE, "auditor");
        let vouched = known.into_iter().flat_map(|auditor| &auditor.attributes);
        let attributes = vouched.fold(attributes, |attributes, (name, value)| attributes.with(name, value));
        Ok(attributes.with(attribute::FEDERATION_ID, peer.to_string()))
    }

    async fn read<T: Send + 'static>(
        &self,
        auditor: Attributes,
        trail: &mut Trail,
        read: impl FnOnce(&mut Reading<'_>) -> Result<(T, u64), Refusal> + Send + 'static,
    ) -> Result<Signed<T>, Refusal> {
        let request = Request {
            subject: auditor,
            resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, self.owner.clone()),
            action: Action::Audit,
            context: Context { at_ms: self.guard.clock().now_ms(), ..Context::default() },
        };
        let permit = self.guard.authorise(trail, &request)?;
        let stopped = |error: &dyn std::fmt::Display| Refusal::internal("audit_reading_failed", error);
        let turn = self.readers.clone().acquire_owned().await.map_err(|error| stopped(&error))?;
        // Everything acknowledged so far comes under the checkpoint that is read.
        self.guard.audit().flush().await.map_err(unavailable)?;
        let (archive, own) = (Arc::clone(&self.archive), trail.id());
        let reading = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the caller, who may go away.
            let _turn = turn;
            let mut reading = archive.read(&permit)?.under(own);
            let (answer, actions) = read(&mut reading)?;
            let note = reading.published().note().to_owned();
            let verifier_key = archive.verifier_key().to_string();
            Ok::<_, Refusal>((Signed { answer, note, verifier_key }, actions))
        });
        let (signed, actions) = reading.await.map_err(|error| stopped(&error))??;
        trail.count("actions_read", actions);
        Ok(signed)
    }

    async fn search(
        &self,
        peer: &SpiffeId,
        query: Query,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Signed<Page>, Refusal> {
        let limit = if limit == 0 { PAGE_DEFAULT } else { limit };
        let sought = query.to_string();
        let read = move |reading: &mut Reading<'_>| {
            let page = reading.search(&query, before, limit)?;
            let actions = page.actions.len() as u64;
            Ok((page, actions))
        };
        self.answer(peer, "audit_search", &sought, read).await
    }

    async fn show(&self, peer: &SpiffeId, wanted: Wanted) -> Result<Signed<Shown>, Refusal> {
        let sought = match wanted {
            Wanted::Index(index) => format!("entry {index}"),
            Wanted::Id(id) => format!("action {id}"),
        };
        let read = move |reading: &mut Reading<'_>| {
            let action = reading.find(wanted)?.ok_or_else(|| {
                Refusal::new(
                    Kind::NotFound,
                    "entry_unknown",
                    "The log holds no such action; `audit search` lists them.",
                )
            })?;
            let opening_proof = reading.proof(action.opening.index)?;
            let completion = action.completion.as_ref().map(|completion| completion.index);
            let completion_proof = completion.map_or(Ok(Vec::new()), |index| reading.proof(index))?;
            Ok((Shown { action, opening_proof, completion_proof }, 1))
        };
        self.answer(peer, "audit_show", &sought, read).await
    }

    /// Hands all actions that fit to `send`, some at a time, oldest first; how many there were.
    async fn export(
        &self,
        peer: &SpiffeId,
        query: Query,
        mut send: impl FnMut(Vec<RecordedAction>) -> bool + Send + 'static,
    ) -> Result<Signed<u64>, Refusal> {
        let sought = query.to_string();
        let read = move |reading: &mut Reading<'_>| {
            let (mut waiting, mut bytes, mut taken) = (Vec::new(), 0, true);
            let actions = reading.each(&query, |action| {
                bytes += action.bytes();
                waiting.push(action);
                if bytes >= EXPORT_BYTES {
                    bytes = 0;
                    taken = send(std::mem::take(&mut waiting));
                }
                taken
            })?;
            if taken && send(waiting) {
                return Ok((actions, actions));
            }
            Err(Refusal::new(Kind::TimedOut, "cancelled", "The auditor went away before the end."))
        };
        self.answer(peer, "audit_export", &sought, read).await
    }

    async fn report(&self, peer: &SpiffeId, from_ms: i64, until_ms: i64) -> Result<Signed<Report>, Refusal> {
        let read = move |reading: &mut Reading<'_>| {
            let mut builder = ReportBuilder::new(from_ms, until_ms)
                .map_err(|error| Refusal::bad_input("report_period", error.to_string()))?;
            let (from_ms, until_ms) = (Some(builder.history_from_ms()), Some(until_ms));
            let own = reading.own();
            let actions = reading.each(&Query { from_ms, until_ms, ..Query::default() }, |action| {
                // The reporting itself is still under way.
                if own != Some(action.id) {
                    builder.add(&action);
                }
                true
            })?;
            Ok((builder.finish(), actions))
        };
        self.answer(peer, "audit_report", &format!("from_ms={from_ms} until_ms={until_ms}"), read).await
    }

    async fn verify(&self, peer: &SpiffeId) -> Result<Signed<Verification>, Refusal> {
        let read = |reading: &mut Reading<'_>| match reading.verify() {
            // A path is nobody else's business.
            Err(error @ VerifyError::Io { .. }) => Err(Refusal::internal("audit_log_unreadable", &error)),
            Err(error) => {
                tracing::error!(%error, "the audit log does not verify");
                Ok((Verification::Broken(error.to_string()), 0))
            }
            Ok(verified) => Ok((Verification::Holds(verified), 0)),
        };
        self.answer(peer, "audit_verify", "the whole log", read).await
    }
}

/// What an auditor looked for, in a form that can be recorded.
fn recordable(sought: &str) -> String {
    let mut text: String = sought.chars().filter(|c| !c.is_control()).collect();
    let end = text.floor_char_boundary(SOUGHT_BYTES_MAX);
    text.truncate(end);
    text
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        match &error {
            ArchiveError::Query(query) => Refusal::bad_input("audit_filter", query.to_string()),
            ArchiveError::Log(_) | ArchiveError::Action(_) => Refusal::internal("audit_log_broken", &error),
            ArchiveError::Index(_) => Refusal::internal("audit_index_unusable", &error),
            ArchiveError::OtherPermit => Refusal::internal("audit_other_permit", &error),
        }
    }
}
