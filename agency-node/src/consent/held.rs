//! A question that waits for people of its owner: what they need to know, what they decide, what comes
//! of it. Pure: the moment is handed in, and nothing is read or written here.
//!
//! ```text
//! waiting ──grants of enough different people──► granted, once ──rows are about to leave──► used
//!    │                                        └► granted until a time (standing) ──the time──► expired
//!    ├──one refusal, at any time before use──► refused
//!    └──nobody decides in time──► expired
//! ```

use std::collections::{BTreeMap, BTreeSet};

use sallyport_trust::{
    error::{Kind, Refusal},
    policy::{Obligations, attribute},
    question::{AGE_MAX_MS, Asker, QuestionId, SKEW_MAX_MS, words},
};
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
/// How long a question waits for a decision, and a decision for the asker.
pub(super) const WAITING_MS: i64 = 7 * DAY_MS;
/// How far ahead a standing grant may reach.
const STANDING_MAX_MS: i64 = 31 * DAY_MS;
/// How long a used grant is remembered: as long as other parts of the same question may still come.
const USED_MS: i64 = AGE_MAX_MS + SKEW_MAX_MS;

/// A held question, as far as it asks one data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldQuestion {
    /// What release officers call it: 16 hexadecimal digits, drawn by chance.
    pub(super) id: String,
    /// The question as it was first asked.
    pub(super) question: QuestionId,
    /// Digest of everything in the question's header that matters, and of what of it a standing grant
    /// looks at.
    pub(super) context: [u8; 32],
    pub(super) pattern: [u8; 32],
    pub(super) asked: Asked,
    /// What is asked of the data set; more than one for relations and several indicators.
    pub(super) parts: Vec<Part>,
    /// The rule that holds it.
    pub(super) rule: String,
    /// Roles whose people must agree, and how many different ones of each.
    pub(super) release_by: BTreeMap<String, u32>,
    pub(super) maximum_results: u32,
    pub(super) score_step_thousandths: u32,
    #[serde(default)]
    pub(super) minimum_cohort: u32,
    pub(super) asked_at_ms: i64,
    pub(super) expires_at_ms: i64,
    pub(super) decisions: Vec<Decision>,
    /// The question whose rows the grant let out.
    pub(super) used_by: Option<QuestionId>,
}

/// Who asks, why, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) agency: String,
    /// Attributes of the asker that the agency vouches for.
    pub(super) asker: Asker,
    pub(super) purpose: String,
    pub(super) case_number: String,
    pub(super) reason: String,
    pub(super) dataset: String,
    pub(super) subject: String,
    /// Ranges in which those who are looked up are hidden; 0 for a ranking of all.
    pub(super) looked_up: u32,
    /// Identifiers on the list of those who are looked up.
    #[serde(default)]
    pub(super) identifiers: u32,
    pub(super) minimum_datasets: u32,
    pub(super) top: u32,
}

impl Asked {
    /// SPIFFE ID of the person who asks.
    pub(super) fn person(&self) -> &str {
        self.asker.get(attribute::FEDERATION_ID).map_or("", String::as_str)
    }
}

/// One part of a question in plain words, and how much of the data set it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) digest: [u8; 32],
    /// Which identifier names the subject; empty when there is only one.
    pub(super) identifier: String,
    pub(super) measure: String,
    pub(super) filter: String,
    pub(super) window: String,
    /// Empty for a part that stands alone.
    pub(super) relation: String,
    pub(super) rows: u64,
    pub(super) subjects: u64,
}

/// What one person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decision {
    /// The person's SPIFFE ID.
    pub(super) officer: String,
    /// The role they decided in.
    pub(super) role: String,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) at_ms: i64,
}

/// Yes for one answer, yes until a moment for every answer of the same pattern, or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Once,
    UntilMs(i64),
    Refuse,
}

/// Where a held question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// For one answer.
    Granted,
    /// For every answer of the same pattern before this moment.
    Standing(i64),
    Refused,
    Used,
    Expired,
}

impl HeldQuestion {
    pub(super) fn has_part(&self, digest: &[u8; 32]) -> bool {
        self.parts.iter().any(|part| part.digest == *digest)
    }

    pub(super) fn state(&self, now_ms: i64) -> State {
        if now_ms >= self.expires_at_ms {
            State::Expired
        } else if self.refusal().is_some() {
            State::Refused
        } else if self.used_by.is_some() {
            State::Used
        } else if !self.is_released() {
            State::Waiting
        } else {
            self.standing_until_ms().map_or(State::Granted, State::Standing)
        }
    }

    /// The decision that refuses it, if any.
    pub(super) fn refusal(&self) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.verdict == Verdict::Refuse)
    }

    /// Who has granted it, each with the role they did it in.
    pub(super) fn granted_by(&self) -> impl Iterator<Item = (&str, &str)> {
        let grants = self.decisions.iter().filter(|decision| decision.verdict != Verdict::Refuse);
        grants.map(|grant| (grant.officer.as_str(), grant.role.as_str()))
    }

    /// How many different people with the role have granted it.
    pub(super) fn granted(&self, role: &str) -> u32 {
        let people: BTreeSet<&str> =
            self.granted_by().filter(|(_, granted_as)| *granted_as == role).map(|(officer, _)| officer).collect();
        people.len() as u32
    }

    fn is_released(&self) -> bool {
        self.release_by.iter().all(|(role, needed)| self.granted(role) >= *needed)
    }

    /// The earliest end that a grant names; none when one of them is for one answer only.
    fn standing_until_ms(&self) -> Option<i64> {
        let grants = self.decisions.iter().filter(|decision| decision.verdict != Verdict::Refuse);
        let ends: Option<Vec<i64>> = grants
            .map(|grant| match grant.verdict {
                Verdict::UntilMs(until_ms) => Some(until_ms),
                _ => None,
            })
            .collect();
        ends?.into_iter().min()
    }

    /// The question after one more decision.
    ///
    /// # Errors
    /// `self_release`, `release_role`, `release_decided`, `release_twice` or `release_until`.
    pub(super) fn decided(mut self, decision: Decision) -> Result<Self, Refusal> {
        self.check(&decision)?;
        let now_ms = decision.at_ms;
        self.decisions.push(decision);
        self.expires_at_ms = match self.state(now_ms) {
            State::Granted | State::Refused => now_ms.saturating_add(WAITING_MS),
            State::Standing(until_ms) => until_ms,
            _ => self.expires_at_ms,
        };
        Ok(self)
    }

    fn check(&self, decision: &Decision) -> Result<(), Refusal> {
        if decision.officer == self.asked.person() {
            return Err(Refusal::denied("self_release", "Nobody decides about their own question; ask a colleague."));
        }
        if !self.release_by.contains_key(&decision.role) {
            let roles: Vec<&str> = self.release_by.keys().map(String::as_str).collect();
            return Err(Refusal::denied(
                "release_role",
                format!("Rule `{}` leaves this to people with the role {}.", self.rule, roles.join(" or ")),
            ));
        }
        match (self.state(decision.at_ms), decision.verdict) {
            (State::Waiting, _) | (State::Granted | State::Standing(_), Verdict::Refuse) => {}
            (state, _) => return Err(too_late(state)),
        }
        if decision.verdict != Verdict::Refuse && self.granted_by().any(|(officer, _)| officer == decision.officer) {
            return Err(Refusal::new(
                Kind::Conflict,
                "release_twice",
                "You have granted this already; another person must grant it too.",
            ));
        }
        match decision.verdict {
            Verdict::UntilMs(until_ms) if !(1..=STANDING_MAX_MS).contains(&until_ms.saturating_sub(decision.at_ms)) => {
                Err(Refusal::bad_input("release_until", "A grant may last until a moment within the next 31 days."))
            }
            _ => Ok(()),
        }
    }

    /// The question after rows of `question` were let out.
    ///
    /// # Errors
    /// `held` when its grant is not there any more.
    pub(super) fn used(mut self, question: QuestionId, now_ms: i64) -> Result<Self, Refusal> {
        match self.state(now_ms) {
            State::Standing(_) => Ok(self),
            State::Used if self.used_by == Some(question) => Ok(self),
            State::Granted => {
                self.used_by = Some(question);
                self.expires_at_ms = now_ms.saturating_add(USED_MS);
                Ok(self)
            }
            _ => Err(Refusal::denied(
                "held",
                "The grant was used or withdrawn meanwhile; complete the question again to have it released anew.",
            )),
        }
    }

    /// The question under stricter rules than those that held it: it waits for more people.
    pub(super) fn needing(
        mut self,
        hold: (&str, &BTreeMap<String, u32>),
        obligations: Obligations,
        now_ms: i64,
    ) -> Self {
        let (rule, release_by) = hold;
        self.rule = rule.to_owned();
        self.release_by = release_by.clone();
        self.maximum_results = self.asked.top.min(obligations.maximum_results);
        self.score_step_thousandths = obligations.score_step_thousandths;
        self.minimum_cohort = obligations.minimum_cohort;
        self.expires_at_ms = now_ms.saturating_add(WAITING_MS);
        self
    }
}

fn too_late(state: State) -> Refusal {
    let why = match state {
        State::Refused => "It was refused; the asker may ask anew.".to_owned(),
        State::Granted => "It is granted already, for one answer; refuse it to take that back.".to_owned(),
        State::Standing(until_ms) => {
            format!("It is granted already, until {}; refuse it to take that back.", words::moment(until_ms))
        }
        State::Used => "It was granted and has been answered.".to_owned(),
        State::Waiting | State::Expired => "It waited too long and has expired; the asker may ask anew.".to_owned(),
    };
    Refusal::new(Kind::Conflict, "release_decided", why)
}

#[cfg(test)]
#[path = "held/tests.rs"]
mod tests;
