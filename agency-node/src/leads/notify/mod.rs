//! Notices on their way to people: a file each until it was delivered, to a program on this machine, as
//! e-mail, or both. A notice says which lead waits for whom, never whom the lead is about.

mod mail;
mod webhook;

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sallyport_lead::{
    clock::{self, About, Notice},
    lead::Lead,
    people::People,
};
use sallyport_trust::{
    clock::Clock,
    error::{Kind, Refusal},
};
use serde::{Deserialize, Serialize};

use super::{LeadSettings, settings::Mail};
use crate::folder::Folder;
use webhook::Hook;

/// Notices that wait at a time, at most.
const WAITING_MAX: usize = 10_000;
/// First and longest wait before a delivery is tried again, and when it is given up.
const RETRY_MS: (i64, i64) = (1_000, 600_000);
const GIVEN_UP_MS: i64 = 7 * 86_400_000;
/// Deliveries in one go: whoever waits behind an unreachable program waits no longer than so many.
const AT_ONCE: usize = 32;
const DAMAGED: &str = "remove it; its lead shows what was due";

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The lead's id and the notice's key: the same however often it is sent.
    pub(super) id: String,
    pub(super) lead: String,
    /// `raised`, `assigned`, `missed` or `escalated`.
    pub(super) about: String,
    /// The clock that ran out; empty when none did.
    pub(super) clock: String,
    /// How far along the chain of escalation; 0 outside of one.
    pub(super) level: u32,
    pub(super) playbook: String,
    pub(super) title: String,
    pub(super) severity: String,
    /// Who is told, in words, and by name.
    pub(super) to: String,
    pub(super) people: Vec<String>,
    pub(super) at_ms: i64,
    /// Deadlines that still run, by clock.
    pub(super) due_ms: BTreeMap<String, i64>,
}

impl Message {
    pub(super) fn of(lead: &Lead, notice: &Notice, people: &People) -> Self {
        let (about, clock, level) = match notice.about {
            About::Raised => ("raised", None, 0),
            About::Assigned => ("assigned", None, 0),
            About::Missed(clock) => ("missed", Some(clock), 0),
            About::Escalated(clock, level) => ("escalated", Some(clock), level),
        };
        let running = clock::deadlines(lead).into_iter().filter(|deadline| deadline.stopped_ms.is_none());
        Self {
            id: format!("{}-{}", lead.id, notice.key),
            lead: lead.id.clone(),
            about: about.to_owned(),
            clock: clock.map_or_else(String::new, |clock| clock.name().to_owned()),
            level,
            playbook: lead.plan.playbook.clone(),
            title: lead.plan.title.clone(),
            severity: lead.plan.severity.clone(),
            to: notice.to.to_string(),
            people: people.names(&notice.to).into_iter().map(str::to_owned).collect(),
            at_ms: notice.at_ms,
            due_ms: running.map(|deadline| (deadline.clock.name().to_owned(), deadline.due_ms)).collect(),
        }
    }
}

/// A notice and where it must still go.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    message: Message,
    webhook: bool,
    mail: bool,
    /// How often it was tried in vain since the start, and when it is tried again.
    #[serde(skip)]
    tries: u32,
    #[serde(skip)]
    next_ms: i64,
}

/// Notices that wait for delivery.
pub(super) struct Outbox {
    folder: Folder,
    waiting: Mutex<BTreeMap<String, Waiting>>,
    hook: Option<Hook>,
    mail: Option<Mail>,
}

impl Outbox {
    /// Opens what is kept under `state`.
    ///
    /// # Errors
    /// When it cannot be read, or the authorities of the webhook cannot be used.
    pub(super) fn open(state: &Path, settings: &LeadSettings) -> io::Result<Self> {
        let (folder, waiting) = Folder::open::<Waiting>(&state.join("outbox"), DAMAGED)?;
        if let Some(mail) = &settings.mail {
            std::fs::create_dir_all(&mail.directory)?;
        }
        Ok(Self {
            folder,
            waiting: Mutex::new(waiting.into_iter().map(|waiting| (waiting.message.id.clone(), waiting)).collect()),
            hook: settings.webhook.as_ref().map(Hook::open).transpose()?,
            mail: settings.mail.clone(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a message wait for its delivery; durable when this returns.
    ///
    /// # Errors
    /// `too_many_notices`, or when it cannot be kept.
    pub(super) fn put(&self, message: Message) -> Result<(), Refusal> {
        let waiting = Waiting {
            webhook: self.hook.is_some(),
            mail: self.mail.is_some() && !message.people.is_empty(),
            message,
            tries: 0,
            next_ms: 0,
        };
        if !waiting.webhook && !waiting.mail {
            return Ok(());
        }
        let mut all = self.waiting();
        if all.len() >= WAITING_MAX {
            return Err(Refusal::new(
                Kind::Exhausted,
                "too_many_notices",
                "Too many notices wait for delivery; see to the webhook and the mail directory of [leads].",
            ));
        }
        self.keep(&mut all, waiting)
    }

    fn keep(&self, all: &mut BTreeMap<String, Waiting>, waiting: Waiting) -> Result<(), Refusal> {
        let id = waiting.message.id.clone();
        self.folder.write(&id, &waiting).map_err(|error| Refusal::internal("notice_not_kept", &error))?;
        all.insert(id, waiting);
        Ok(())
    }

    /// Tries to deliver what is due.
    pub(super) async fn deliver(&self, clock: &Clock) {
        let now_ms = clock.now_ms();
        let due: Vec<Waiting> =
            self.waiting().values().filter(|waiting| waiting.next_ms <= now_ms).take(AT_ONCE).cloned().collect();
        for waiting in due {
            let delivered = self.try_once(waiting).await;
            self.settle(delivered, clock.now_ms());
        }
    }

    async fn try_once(&self, mut waiting: Waiting) -> Waiting {
        let message = &waiting.message;
        if let Some(mail) = self.mail.as_ref().filter(|_| waiting.mail) {
            match mail::drop_in(mail, message) {
                Ok(()) => waiting.mail = false,
                Err(error) => tracing::warn!(lead = message.lead, %error, "an e-mail cannot be written"),
            }
        }
        if let Some(hook) = self.hook.as_ref().filter(|_| waiting.webhook) {
            match hook.post(message).await {
                Ok(()) => waiting.webhook = false,
                Err(problem) => tracing::warn!(lead = message.lead, problem, "the webhook did not take a notice"),
            }
        }
        // A channel that is configured no more is waited for no more.
        waiting.webhook &= self.hook.is_some();
        waiting.mail &= self.mail.is_some();
        waiting
    }

    fn settle(&self, mut waiting: Waiting, now_ms: i64) {
        let id = waiting.message.id.clone();
        let mut all = self.waiting();
        let delivered = !(waiting.webhook || waiting.mail);
        let given_up = !delivered && now_ms.saturating_sub(waiting.message.at_ms) > GIVEN_UP_MS;
        if given_up {
            tracing::error!(lead = waiting.message.lead, "a notice could not be delivered for a week and is given up");
        }
        if delivered || given_up {
            match self.folder.remove(&id) {
                Ok(()) => drop(all.remove(&id)),
                Err(error) => tracing::warn!(%error, "a delivered notice cannot be removed"),
            }
            return;
        }
        let pause_ms = RETRY_MS.0.saturating_mul(1 << waiting.tries.min(20)).min(RETRY_MS.1);
        waiting.tries += 1;
        waiting.next_ms = now_ms.saturating_add(pause_ms);
        if let Err(refusal) = self.keep(&mut all, waiting) {
            tracing::warn!(reason = refusal.reason, "{}", refusal.message);
        }
    }
}

#[cfg(test)]
mod tests;
