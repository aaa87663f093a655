//! Clocks: by when something must happen to a lead, and who is told when it did not. All of it follows
//! from the lead and a moment.
//!
//! A clock that stops late has gone as far as it has: what was escalated stays so until the lead is
//! reopened or becomes more severe.

use crate::{event::What, lead::Lead, people::Who};

/// What must happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// Somebody takes it in hand.
    Acknowledge,
    /// It is pursued or declined.
    Pursue,
    /// It gets an outcome.
    Conclude,
}

impl Clock {
    /// Stable name in `snake_case`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Pursue => "pursue",
            Self::Conclude => "conclude",
        }
    }
}

/// By when something must happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// What.
    pub clock: Clock,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub due_ms: i64,
    /// When it happened, or was not needed any more.
    pub stopped_ms: Option<i64>,
}

impl Deadline {
    /// The last moment until which the clock has run.
    fn ran_until_ms(&self, now_ms: i64) -> i64 {
        self.stopped_ms.map_or(now_ms, |stopped_ms| stopped_ms.min(now_ms))
    }

    /// Whether it passed before it happened.
    pub fn is_missed(&self, now_ms: i64) -> bool {
        self.ran_until_ms(now_ms) >= self.due_ms
    }
}

/// A deadline that passed, and whom the lead went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// What did not happen in time.
    pub clock: Clock,
    /// 1 for the first step of the chain.
    pub level: u32,
    /// Whom it went to.
    pub to: Who,
    /// When.
    pub at_ms: i64,
}

/// Something that somebody must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Unlike that of every other notice of the lead, and the same whenever it is computed.
    pub key: String,
    /// Who is told.
    pub to: Who,
    /// When it became so.
    pub at_ms: i64,
    /// What became so.
    pub about: About,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A lead was raised, reopened or became more severe.
    Raised,
    /// It was given to the person.
    Assigned,
    /// A deadline passed.
    Missed(Clock),
    /// Nobody acted after a deadline, and it goes to the next.
    Escalated(Clock, u32),
}

/// By when what must happen to the lead.
pub fn deadlines(lead: &Lead) -> Vec<Deadline> {
    let (round, plan) = (&lead.round, &lead.plan);
    let first = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
    let mut deadlines = vec![
        Deadline {
            clock: Clock::Acknowledge,
            due_ms: round.began_ms.saturating_add(plan.acknowledge_ms),
            stopped_ms: first(round.acknowledged_ms, round.ended_ms),
        },
        Deadline {
            clock: Clock::Pursue,
            due_ms: round.began_ms.saturating_add(plan.pursue_ms),
            stopped_ms: first(round.pursued_ms, round.ended_ms),
        },
    ];
    if let Some((pursued_ms, conclude_ms)) = round.pursued_ms.zip(plan.conclude_ms) {
        let due_ms = pursued_ms.saturating_add(conclude_ms);
        deadlines.push(Deadline { clock: Clock::Conclude, due_ms, stopped_ms: round.ended_ms });
    }
    deadlines
}

/// Whom the lead went to until now because deadlines passed, in order of time.
pub fn escalations(lead: &Lead, now_ms: i64) -> Vec<Escalation> {
    let mut escalations = Vec::new();
    for deadline in deadlines(lead).iter().filter(|deadline| deadline.is_missed(now_ms)) {
        let mut at_ms = deadline.due_ms;
        for (step, level) in lead.plan.chain.iter().zip(1..) {
            at_ms = at_ms.saturating_add(step.after_ms);
            if at_ms > deadline.ran_until_ms(now_ms) {
                break;
            }
            escalations.push(Escalation { clock: deadline.clock, level, to: step.to.clone(), at_ms });
        }
    }
    escalations.sort_by_key(|escalation| (escalation.at_ms, escalation.clock, escalation.level));
    escalations
}

/// How far along the chain the lead is; 0 while nobody else needs to know.
pub fn level(lead: &Lead, now_ms: i64) -> u32 {
    escalations(lead, now_ms).iter().map(|escalation| escalation.level).max().unwrap_or(0)
}

/// Everything that somebody must have been told until now, about the present round.
pub fn notices(lead: &Lead, now_ms: i64) -> Vec<Notice> {
    let round = lead.round.number;
    let raised = Notice {
        key: format!("{round}-raised"),
        to: lead.plan.who.clone(),
        at_ms: lead.round.began_ms,
        about: About::Raised,
    };
    let mut notices = vec![raised];
    notices.extend(assignments(lead));
    for missed in deadlines(lead).iter().filter(|deadline| deadline.is_missed(now_ms)) {
        notices.push(Notice {
            key: format!("{round}-{}-0", missed.clock.name()),
            to: lead.owner.clone().map_or_else(|| lead.plan.who.clone(), Who::Person),
            at_ms: missed.due_ms,
            about: About::Missed(missed.clock),
        });
    }
    notices.extend(escalations(lead, now_ms).into_iter().map(|escalation| Notice {
        key: format!("{round}-{}-{}", escalation.clock.name(), escalation.level),
        to: escalation.to,
        at_ms: escalation.at_ms,
        about: About::Escalated(escalation.clock, escalation.level),
    }));
    notices.retain(|notice| notice.at_ms <= now_ms);
    notices.sort_by_key(|notice| notice.at_ms);
    notices
}

/// Assignments by somebody else than the person themselves.
fn assignments(lead: &Lead) -> impl Iterator<Item = Notice> {
    lead.history().iter().zip(0_u32..).filter_map(|(event, number)| match &event.what {
        What::Assigned { to } if *to != event.by.name && event.at_ms >= lead.round.began_ms => Some(Notice {
            key: format!("assigned-{number}"),
            to: Who::Person(to.clone()),
            at_ms: event.at_ms,
            about: About::Assigned,
        }),
        _ => None,
    })
}

#[cfg(test)]
#[path = "clock/tests.rs"]
mod tests;
