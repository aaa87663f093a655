//! Past decisions, made again by another policy: what would change before anybody meets it.
//!
//! What was decided and on what stands in the audit log. An entry that does not hold everything its
//! decision was made on is counted and left alone: a request is never guessed. Pure: whoever rehearses
//! reads the log, checks it, and hands in its entries in order.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::store::Policy;
use super::{Decision, RELEASED_QUESTION, RELEASES, Request};
use crate::audit::{Completion, Decision as Recorded, Entry, EntryId, Opening, Phase, Ruling};
use crate::policy_life::LOAD_POLICY;

/// Examples of one change, at most.
pub const EXAMPLES_MAX: usize = 5;

/// A rehearsal under way.
pub struct Rehearsal<'a> {
    policy: &'a Policy,
    since_ms: i64,
    until_ms: i64,
    /// Openings that wait for their completion.
    open: HashMap<EntryId, Opening>,
    changes: BTreeMap<Changed, (u64, Vec<Example>)>,
    report: Report,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Hash of the policy that was rehearsed.
    pub policy: String,
    /// Decisions of that time that the entries tell of.
    pub decisions: u64,
    /// Those whose entries do not hold what they were made on.
    pub not_rehearsable: u64,
    /// Those that come out as they did.
    pub unchanged: u64,
    /// What comes out otherwise, most frequent first.
    pub changes: Vec<Change>,
}

/// Decisions that change in the same way, by the same rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What was decided: `allow`, `deny` or `hold`; what people then released was held.
    pub from: &'static str,
    /// What would be decided; the same as before when only obligations change.
    pub to: &'static str,
    /// The rules that decided then, as they stand in the log.
    pub rule_then: String,
    /// The rules that would decide now; `default-deny` when there are none.
    pub rule_now: String,
    /// The reason that an asker would be told of a denial.
    pub reason: Option<&'static str>,
    /// What an answer would have to keep to otherwise, as `NAME was VALUE, now VALUE`.
    pub obligations: Vec<String>,
    /// How many decisions.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// One decision that would change. No subject of anybody's data: an entry names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Name of the entry.
    pub entry: String,
    /// When it was completed, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// On whose behalf.
    pub actor: String,
    /// What was to be done, and on what.
    pub action: String,
    /// The purpose that was stated.
    pub purpose: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    from: &'static str,
    to: &'static str,
    rule_then: String,
    rule_now: String,
    reason: Option<&'static str>,
    obligations: Vec<String>,
}

impl<'a> Rehearsal<'a> {
    /// Rehearses decisions completed from `since_ms` and before `until_ms`, in milliseconds since 1970.
    pub fn of(policy: &'a Policy, since_ms: i64, until_ms: i64) -> Self {
        let report = Report { policy: policy.hash().to_owned(), ..Report::default() };
        Self { policy, since_ms, until_ms, open: HashMap::new(), changes: BTreeMap::new(), report }
    }

    /// The next entry of a log.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.phase {
            Phase::Open(opening) => {
                self.open.insert(entry.entry, opening.clone());
            }
            Phase::Complete(completion) => {
                let opening = self.open.remove(&entry.entry);
                let within = (self.since_ms..self.until_ms).contains(&entry.at_ms);
                // That a policy came into force was ruled by nobody's rules.
                let asked = opening.filter(|opening| within && opening.action != LOAD_POLICY);
                if let (Some(opening), Some(ruling)) = (asked, &completion.ruling) {
                    self.decision(entry, &opening, completion, ruling);
                }
            }
        }
    }

    fn decision(&mut self, entry: &Entry, opening: &Opening, completion: &Completion, ruling: &Ruling) {
        self.report.decisions += 1;
        let Ok(request) = Request::from_written(&completion.decided_on) else {
            self.report.not_rehearsable += 1;
            return;
        };
        let Some(changed) = changed(ruling, &self.policy.decide(&request)) else {
            self.report.unchanged += 1;
            return;
        };
        let (count, examples) = self.changes.entry(changed).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(Example {
                entry: entry.entry.to_string(),
                at_ms: entry.at_ms,
                actor: opening.actor.clone(),
                action: format!("{} {}", opening.action, opening.resource),
                purpose: opening.purpose.clone(),
            });
        }
    }

    /// What came of it.
    pub fn report(self) -> Report {
        let changes = self.changes.into_iter().map(|(changed, (count, examples))| Change {
            from: changed.from,
            to: changed.to,
            rule_then: changed.rule_then,
            rule_now: changed.rule_now,
            reason: changed.reason,
            obligations: changed.obligations,
            count,
            examples,
        });
        let mut changes: Vec<Change> = changes.collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.count));
        Report { changes, ..self.report }
    }
}

/// How a decision differs from what is recorded; none when it does not.
fn changed(ruling: &Ruling, decision: &Decision) -> Option<Changed> {
    let from = match ruling.decision {
        Recorded::Allow if ruling.obligations.contains_key(RELEASED_QUESTION) => "hold",
        Recorded::Allow => "allow",
        Recorded::Deny => "deny",
        Recorded::Hold => "hold",
    };
    let (to, reason, obligations) = match decision {
        Decision::Allow(permit) => ("allow", None, differing(ruling, permit.obligations().written())),
        Decision::Deny(denial) => ("deny", Some(denial.reason), Vec::new()),
        Decision::Hold(hold) => {
            let releases: u32 = hold.release_by.values().sum();
            let written = hold.obligations().written().into_iter().chain([(RELEASES, releases.to_string())]);
            ("hold", None, differing(ruling, written))
        }
    };
    let rules = decision.deciding_rules().join(" ");
    let rule_now = if rules.is_empty() { "default-deny".to_owned() } else { rules };
    let is_changed = from != to || !obligations.is_empty();
    is_changed.then(|| Changed { from, to, rule_then: ruling.rule.clone(), rule_now, reason, obligations })
}

/// Recorded obligations that would be others now. Of what was held and never released, none is recorded.
fn differing(ruling: &Ruling, now: impl IntoIterator<Item = (&'static str, String)>) -> Vec<String> {
    let differs = now.into_iter().filter_map(|(name, now)| {
        let then = ruling.obligations.get(name).filter(|then| **then != now)?;
        Some(format!("{name} was {then}, now {now}"))
    });
    differs.collect()
}
