//! No entry, no action: the audit entry is durable before the work, its completion before the answer,
//! and every decision of the policy is written into it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    audit::{
        AuditError, AuditLog, Completion, Decision as Recorded, EntryId, OpenEntry, Opening, Outcome, Place, Ruling,
    },
    clock::Clock,
    error::{Kind, Refusal},
    identity::SpiffeId,
    policy::{Decision, Hold, Obligations, Permit, PolicyStore, RELEASED_QUESTION, RELEASES, Request},
    question::{QuestionId, SignedQuestion},
    refusals::Refusals,
};

/// What a party decides with and writes down in. Cheap to clone; all clones are one guard.
#[derive(Clone)]
pub struct Guard {
    policy: Arc<PolicyStore>,
    audit: AuditLog,
    clock: Clock,
    refusals: Arc<Refusals>,
}

/// What someone is about to do.
pub struct Act(Opening);

/// What the policy rules on a request that it does not deny.
pub enum Ruled {
    /// It may be done.
    Allowed(Permit),
    /// It may be done once people of the owner have released it.
    Held(Hold),
}

/// An open audit entry and what has come of the work so far.
pub struct Trail {
    entry: OpenEntry,
    ruling: Option<Ruling>,
    /// What the ruling was made on; empty when that cannot be written down whole.
    decided_on: BTreeMap<String, String>,
    counts: BTreeMap<String, u64>,
    detail: Option<String>,
}

impl Act {
    /// `peer` does `action` on `resource`.
    pub fn by(peer: &SpiffeId, action: &str, resource: &str) -> Self {
        Self(Opening {
            actor: peer.to_string(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            ..Opening::default()
        })
    }

    /// The act of a question that `peer` brings. What the question says of itself is written down as
    /// claimed, before it is verified; what cannot be written down is left out.
    #[must_use]
    pub fn of_question(peer: &SpiffeId, action: &str, resource: &str, question: &SignedQuestion) -> Self {
        let mut act = Self::by(peer, action, resource);
        act.0.question = Some(question.id().to_string());
        if let Some(header) = question.claimed() {
            let line = |text: &str| {
                let cut: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                (!cut.is_empty()).then_some(cut)
            };
            if let Some(asker) = header.asker.get(crate::policy::attribute::FEDERATION_ID).and_then(|id| line(id)) {
                act.0.via = Some(std::mem::replace(&mut act.0.actor, asker));
            }
            act.0.purpose = line(&header.purpose);
            act.0.case_number = line(&header.case_number);
            act.0.reason = line(&header.reason);
        }
        act
    }

    /// Names the question, once it has a name.
    #[must_use]
    pub fn about(mut self, question: Option<QuestionId>) -> Self {
        self.0.question = question.map(|id| id.to_string());
        self
    }

    /// Says why, in the person's own words; all three must already be checked.
    #[must_use]
    pub fn because(mut self, purpose: &str, case_number: &str, reason: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (self.0.purpose, self.0.case_number, self.0.reason) = (some(purpose), some(case_number), some(reason));
        self
    }
}

impl Guard {
    /// Decides by `policy`, writes into `audit`.
    pub fn new(policy: impl Into<Arc<PolicyStore>>, audit: AuditLog, clock: Clock) -> Self {
        Self { policy: policy.into(), audit, clock, refusals: Arc::default() }
    }

    /// The log that is written into.
    pub(crate) fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// The clock that decisions are made by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Opens an audit entry; it is durable when this returns.
    ///
    /// # Errors
    /// `audit_unavailable`, `audit_contradicted` or `witnesses_away`: nothing may be done.
    pub async fn begin(&self, act: Act) -> Result<Trail, Refusal> {
        let entry = self.audit.begin(act.0).await.map_err(unavailable)?;
        Ok(Trail { entry, ruling: None, decided_on: BTreeMap::new(), counts: BTreeMap::new(), detail: None })
    }

    /// Decides, and writes the decision into the trail. For what cannot wait: a hold is a refusal.
    ///
    /// # Errors
    /// The denial with its rule or the missing attribute; `held` when the owner must decide.
    pub fn authorise(&self, trail: &mut Trail, request: &Request) -> Result<Permit, Refusal> {
        match self.rule(trail, request)? {
            Ruled::Allowed(permit) => Ok(permit),
            Ruled::Held(hold) => Err(Refusal::denied(
                "held",
                format!(
                    "Rule {} holds this for people of the owner, and it is nothing that can wait for them.",
                    hold.rule
                ),
            )),
        }
    }

    /// Decides, and writes the decision into the trail.
    ///
    /// # Errors
    /// The denial with its rule or the missing attribute.
    pub fn rule(&self, trail: &mut Trail, request: &Request) -> Result<Ruled, Refusal> {
        trail.decided_on = request.written().unwrap_or_default();
        match self.policy.decide(request) {
            Decision::Allow(permit) => {
                trail.under(&permit);
                Ok(Ruled::Allowed(permit))
            }
            Decision::Deny(denial) => {
                // Where no rule speaks, it is the lack of one that denies.
                let rule = denial.rule.as_deref().unwrap_or("default-deny");
                trail.ruling = Some(self.ruling(Recorded::Deny, rule));
                Err(Refusal::denied(denial.reason, denial.explanation))
            }
            Decision::Hold(hold) => {
                trail.ruling = Some(self.ruling(Recorded::Hold, &hold.rule));
                Ok(Ruled::Held(hold))
            }
        }
    }

    /// The permit of what was held, once enough people have released it; the trail then says which
    /// question they released.
    pub fn release<'a>(
        &self,
        trail: &mut Trail,
        hold: &Hold,
        question: QuestionId,
        released_by: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<Permit> {
        let permit = hold.released(released_by)?;
        trail.under(&permit);
        if let Some(ruling) = &mut trail.ruling {
            let releases: u32 = hold.release_by.values().sum();
            ruling.obligations.insert(RELEASES.to_owned(), releases.to_string());
            ruling.obligations.insert(RELEASED_QUESTION.to_owned(), question.to_string());
        }
        Some(permit)
    }

    /// Counts a peer that is refused for who it is, before an entry is opened for what it wants. The
    /// counts are written down from time to time: see [`crate::life`].
    #[must_use]
    pub fn turn_away(&self, peer: &SpiffeId, refusal: Refusal) -> Refusal {
        self.refusals.count(peer, &refusal);
        refusal
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    fn ruling(&self, decision: Recorded, rule: &str) -> Ruling {
        let policy = self.policy.policy_hash().to_string();
        Ruling { decision, rule: rule.to_owned(), policy, obligations: BTreeMap::new() }
    }

    /// Publishes what is written and closes the log.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn close(&self) -> Result<(), AuditError> {
        self.audit.flush().await
    }
}

fn recorded(obligations: &Obligations) -> BTreeMap<String, String> {
    obligations.written().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Trail {
    /// The work is done under a permit that was given before; it is written down as its ruling.
    pub fn under(&mut self, permit: &Permit) {
        self.ruling = Some(Ruling {
            decision: Recorded::Allow,
            rule: permit.rules().join(" "),
            policy: permit.policy_hash().to_owned(),
            obligations: recorded(&permit.obligations()),
        });
    }

    /// The name of the entry.
    pub fn id(&self) -> EntryId {
        self.entry.id()
    }

    /// Adds to a count that the completion will hold; never about one subject.
    pub fn count(&mut self, name: &str, amount: u64) {
        *self.counts.entry(name.to_owned()).or_default() += amount;
    }

    /// Says in `snake_case` how the work ended, where it was not refused; never about one subject.
    pub fn tell(&mut self, detail: &str) {
        self.detail = Some(detail.to_owned());
    }

    /// Completes the entry; durable when this returns, with its place in the log. Only then may an answer
    /// leave.
    ///
    /// # Errors
    /// `audit_unavailable`: the answer must not leave.
    pub async fn complete(self, refusal: Option<&Refusal>) -> Result<Place, Refusal> {
        let mut completion = Completion::new(refusal.map_or(Outcome::Answered, outcome));
        completion.ruling = self.ruling;
        completion.decided_on = self.decided_on;
        completion.counts = self.counts;
        completion.detail = refusal.map(|refusal| refusal.reason.clone()).or(self.detail);
        self.entry.complete(completion).await.map_err(unavailable)
    }
}

fn outcome(refusal: &Refusal) -> Outcome {
    match (refusal.kind, refusal.reason.as_str()) {
        (_, "held") => Outcome::Held,
        (_, "cancelled") => Outcome::Cancelled,
        (Kind::Denied | Kind::Unauthenticated, _) => Outcome::Denied,
        (Kind::TimedOut, _) => Outcome::TimedOut,
        _ => Outcome::Failed,
    }
}

pub(crate) fn unavailable(error: AuditError) -> Refusal {
    tracing::error!(%error, "no audit entry, no action");
    let (reason, message) = match error {
        AuditError::Contradicted { .. } | AuditError::Replaced { .. } => (
            "audit_contradicted",
            "Nothing can be done here: witnesses hold proof that this party's audit log is not what it was. Its \
             operator must put back the newest copy of it.",
        ),
        AuditError::WitnessesAway { .. } => (
            "witnesses_away",
            "Nothing can be done here until others witness this party's audit log again; its operator must see to \
             the connection.",
        ),
        _ => (
            "audit_unavailable",
            "Nothing can be done here while the audit log cannot be written; its operator must see to it.",
        ),
    };
    Refusal::new(Kind::Unavailable, reason, message)
}
