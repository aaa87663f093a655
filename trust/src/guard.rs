//! No entry, no action: the audit entry is durable before the work, its completion before the answer,
//! and every decision of the policy is written into it.

use std::collections::BTreeMap;

use crate::{
    audit::{AuditError, AuditLog, Completion, Decision as Recorded, OpenEntry, Opening, Outcome, Place, Ruling},
    clock::Clock,
    error::{Kind, Refusal},
    identity::SpiffeId,
    policy::{Decision, Mask, Obligations, Permit, PolicyStore, Request},
    question::{QuestionId, SignedQuestion},
};

/// What a party decides with and writes down in.
pub struct Guard {
    policy: PolicyStore,
    audit: AuditLog,
    clock: Clock,
}

/// What someone is about to do.
pub struct Act(Opening);

/// An open audit entry and what has come of the work so far.
pub struct Trail {
    entry: OpenEntry,
    ruling: Option<Ruling>,
    counts: BTreeMap<String, u64>,
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
    pub fn new(policy: PolicyStore, audit: AuditLog, clock: Clock) -> Self {
        Self { policy, audit, clock }
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
        Ok(Trail { entry, ruling: None, counts: BTreeMap::new() })
    }

    /// Decides, and writes the decision into the trail.
    ///
    /// # Errors
    /// The denial with its rule or the missing attribute; `held` when the owner must decide.
    pub fn authorise(&self, trail: &mut Trail, request: &Request) -> Result<Permit, Refusal> {
        match self.policy.decide(request) {
            Decision::Allow(permit) => {
                trail.under(&permit);
                Ok(permit)
            }
            Decision::Deny(denial) => {
                // Where no rule speaks, it is the lack of one that denies.
                let rule = denial.rule.as_deref().unwrap_or("default-deny");
                trail.ruling = Some(self.ruling(Recorded::Deny, rule));
                Err(Refusal::denied(denial.reason, denial.explanation))
            }
            Decision::Hold(hold) => {
                trail.ruling = Some(self.ruling(Recorded::Hold, &hold.rule));
                Err(Refusal::denied(
                    "held",
                    format!(
                        "Rule {} lets the owner's {} decide; nothing is released until then.",
                        hold.rule, hold.owner_role
                    ),
                ))
            }
        }
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
    let mask = match obligations.mask {
        Mask::None => "none",
        Mask::LastFour => "last_four",
        Mask::All => "all",
    };
    BTreeMap::from([
        ("minimum_datasets".to_owned(), obligations.minimum_datasets.to_string()),
        ("maximum_results".to_owned(), obligations.maximum_results.to_string()),
        ("score_step_thousandths".to_owned(), obligations.score_step_thousandths.to_string()),
        ("mask".to_owned(), mask.to_owned()),
    ])
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

    /// Adds to a count that the completion will hold; never about one subject.
    pub fn count(&mut self, name: &str, amount: u64) {
        *self.counts.entry(name.to_owned()).or_default() += amount;
    }

    /// Completes the entry; durable when this returns, with its place in the log. Only then may an answer
    /// leave.
    ///
    /// # Errors
    /// `audit_unavailable`: the answer must not leave.
    pub async fn complete(self, refusal: Option<&Refusal>) -> Result<Place, Refusal> {
        let mut completion = Completion::new(refusal.map_or(Outcome::Answered, outcome));
        completion.ruling = self.ruling;
        completion.counts = self.counts;
        completion.detail = refusal.map(|refusal| refusal.reason.clone());
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

fn unavailable(error: AuditError) -> Refusal {
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
