//! What happened at one party in a period, counted from the actions that its log records.
//!
//! Pure: actions go in one after the other, oldest first, tables come out. Counts are of actions at
//! this party: a question is an `ask` or a `look_up` where a person asks, an `ask` at the gateway, and
//! a `contribute` for each of its parts at an owner. Who an actor is counts only where the policy
//! decided, because what a question says of itself before that was not verified. The tables are
//! bounded, whoever writes into the log; what they do not hold is counted as not listed.

mod volume;

use std::collections::BTreeMap;

use super::action::RecordedAction;
use super::entry::{Decision, Outcome};

use volume::Volumes;
pub use volume::{HISTORY_DAYS, HISTORY_DAYS_MIN, UNUSUAL_Z, UnusualVolume};

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Days that one report covers, at most.
pub const PERIOD_DAYS_MAX: i64 = 366;
/// Lines of one table, at most.
const LINES_MAX: usize = 10_000;

/// Actions that are questions.
const QUESTIONS: [&str; 3] = ["ask", "look_up", "contribute"];
/// The count in a completion that says how many scores were released.
const RELEASED: &str = "released";

/// Why a report is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The period is empty or too long.
    #[error("a report covers a period of up to {PERIOD_DAYS_MAX} days that begins before it ends")]
    Period,
}

/// A report on one party's log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Beginning of the period, in milliseconds since 1970-01-01T00:00:00Z.
    pub from_ms: i64,
    /// End of the period; this moment is not part of it.
    pub until_ms: i64,
    /// Actions opened in the period.
    pub actions: u64,
    /// Those of them that have no completion.
    pub still_open: u64,
    /// Questions by what was done, agency, purpose and decision.
    pub questions: Vec<QuestionCount>,
    /// What was denied, by rule or by the check before the rules.
    pub denials: Vec<DenialCount>,
    /// Scores released, by what was done and data set.
    pub releases: Vec<ReleaseCount>,
    /// Days on which someone did far more than on their own earlier days, most unusual first.
    pub unusual: Vec<UnusualVolume>,
    /// Days of persons that could not be judged, for want of earlier days.
    pub unjudged_days: u64,
    /// Actions that stand in no table because it was full.
    pub not_listed: u64,
}

/// Questions that have these words in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionCount {
    /// What was done.
    pub action: String,
    /// Agency of the person; empty when the name says none.
    pub agency: String,
    /// Purpose; empty when none was stated.
    pub purpose: String,
    /// What the policy decided; none when a check before it refused, or the work goes on.
    pub decision: Option<Decision>,
    /// How many.
    pub count: u64,
}

/// Denials that have their cause in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DenialCount {
    /// The rule; empty when a check before or after the own rules denied.
    pub rule: String,
    /// Stable reason.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Scores released from one data set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseCount {
    /// What was done: `account` at an owner, `ask` at the gateway.
    pub action: String,
    /// The data set; `federation` at the gateway.
    pub resource: String,
    /// Actions that released any.
    pub answers: u64,
    /// Scores released.
    pub scores: u64,
}

/// A report in the making.
#[derive(Debug)]
pub struct ReportBuilder {
    report: Report,
    questions: Tally<(String, String, String, Option<Decision>)>,
    denials: Tally<(String, String)>,
    answers: Tally<(String, String)>,
    scores: Tally<(String, String)>,
    volumes: Volumes,
}

impl ReportBuilder {
    /// A report on the time from `from_ms` until before `until_ms`, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ReportError::Period`].
    pub fn new(from_ms: i64, until_ms: i64) -> Result<Self, ReportError> {
        let length_ms = until_ms.checked_sub(from_ms).ok_or(ReportError::Period)?;
        // Before 1970 there is nothing, and sums with days stay far from overflow.
        if from_ms < 0 || length_ms <= 0 || length_ms > PERIOD_DAYS_MAX * DAY_MS || until_ms > i64::MAX / 2 {
            return Err(ReportError::Period);
        }
        Ok(Self {
            report: Report { from_ms, until_ms, ..Report::default() },
            questions: Tally::default(),
            denials: Tally::default(),
            answers: Tally::default(),
            scores: Tally::default(),
            volumes: Volumes::default(),
        })
    }

    /// Actions from this moment on are wanted: unusual volumes are judged by earlier days.
    pub fn history_from_ms(&self) -> i64 {
        self.report.from_ms.div_euclid(DAY_MS) * DAY_MS - HISTORY_DAYS * DAY_MS
    }

    /// Counts one action.
    pub fn add(&mut self, action: &RecordedAction) {
        let at_ms = action.opening.at_ms;
        if at_ms >= self.report.until_ms {
            return;
        }
        let said = &action.opening.said;
        let is_question = QUESTIONS.contains(&said.action.as_str());
        if is_question && action.decision().is_some() && !self.volumes.add(&said.actor, &said.action, at_ms) {
            self.report.not_listed += 1;
        }
        if at_ms < self.report.from_ms {
            return;
        }
        self.report.actions += 1;
        self.report.still_open += u64::from(action.completion.is_none());
        if is_question {
            let purpose = said.purpose.clone().unwrap_or_default();
            let agency = action.agency().unwrap_or_default();
            self.count_into(|all| &mut all.questions, (said.action.clone(), agency, purpose, action.decision()));
        }
        if action.outcome() == Some(Outcome::Denied) {
            let by_rule = action.decision() == Some(Decision::Deny);
            let rule = if by_rule { action.rule().to_owned() } else { String::new() };
            self.count_into(|all| &mut all.denials, (rule, action.detail().to_owned()));
        }
        self.add_release(action);
    }

    fn add_release(&mut self, action: &RecordedAction) {
        let counts = action.completion.as_ref().map(|completion| &completion.said.counts);
        let Some(&scores) = counts.and_then(|counts| counts.get(RELEASED)).filter(|scores| **scores > 0) else {
            return;
        };
        let key = (action.opening.said.action.clone(), action.opening.said.resource.clone());
        self.scores.add(key.clone(), scores);
        self.count_into(|all| &mut all.answers, key);
    }

    fn count_into<K: Ord>(&mut self, tally: impl FnOnce(&mut Self) -> &mut Tally<K>, key: K) {
        if !tally(self).add(key, 1) {
            self.report.not_listed += 1;
        }
    }

    /// The report.
    pub fn finish(self) -> Report {
        let mut report = self.report;
        let from_day = report.from_ms.div_euclid(DAY_MS);
        (report.unusual, report.unjudged_days) = self.volumes.judge(from_day);
        let question =
            |((action, agency, purpose, decision), count)| QuestionCount { action, agency, purpose, decision, count };
        report.questions = self.questions.0.into_iter().map(question).collect();
        let denial = |((rule, reason), count)| DenialCount { rule, reason, count };
        report.denials = self.denials.0.into_iter().map(denial).collect();
        let scores = self.scores.0;
        let release = |(key, answers)| {
            let scores = scores.get(&key).copied().unwrap_or_default();
            let (action, resource) = key;
            ReleaseCount { action, resource, answers, scores }
        };
        report.releases = self.answers.0.into_iter().map(release).collect();
        report
    }
}

/// Counts by key, bounded.
#[derive(Debug)]
struct Tally<K>(BTreeMap<K, u64>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Tally<K> {
    /// Adds to a key's count; false when the key is new and there is no room for it.
    fn add(&mut self, key: K, amount: u64) -> bool {
        if self.0.len() >= LINES_MAX && !self.0.contains_key(&key) {
            return false;
        }
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(amount);
        true
    }
}

#[cfg(test)]
mod tests;
