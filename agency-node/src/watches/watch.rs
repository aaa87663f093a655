//! A watch: a question that stands, on behalf of a person, until a moment. Pure: it reads no clock.

use sallyport_trust::{
    error::{Kind, Refusal},
    question::{PERSON, PatternName, Question, Why, parse_question},
};
use serde::{Deserialize, Serialize};

/// How long a watch may stand without being renewed.
const STANDS_MS_MAX: i64 = 90 * 86_400_000;
const NAME_MAX: usize = 63;
/// With the name it is the reason of each asking, which has at most 250 bytes.
const REASON_MAX: usize = 160;
/// Entries of the history that are kept; the first one is among them.
const HISTORY_MAX: usize = 200;

/// A watch as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) name: String,
    pub(crate) what: Standing,
    /// SPIFFE ID of the person on whose behalf it asks.
    pub(crate) person: String,
    /// The certificates that they showed when they armed it or renewed it last.
    #[serde(default)]
    pub(crate) shown: Vec<String>,
    pub(crate) until_ms: i64,
    /// Why it was armed or last renewed.
    pub(crate) reason: String,
    /// It asks no more until somebody renews it.
    pub(crate) stopped: bool,
    /// Somebody ended it.
    pub(crate) disarmed: bool,
    /// What it asks for, as of the last asking.
    pub(crate) datasets: Vec<String>,
    pub(crate) asked: u64,
    pub(crate) asked_ms: i64,
    /// How the last asking ended.
    pub(crate) ended: String,
    /// Why it was not answered whole, in a sentence.
    #[serde(default)]
    pub(crate) ended_because: String,
    pub(crate) leads: u64,
    pub(crate) not_own: u32,
    pub(crate) history: Vec<Event>,
}

/// On whose behalf a watch asks, and how they proved who they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behalf {
    /// SPIFFE ID.
    pub(crate) person: String,
    /// As the agency's people call them.
    pub(crate) name: String,
    pub(crate) shown: Vec<String>,
}

/// What stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The text of a question file.
    Question(String),
    /// A published pattern.
    Pattern { name: String, purpose: String, case_number: String },
}

/// What happened to a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at_ms: i64,
    pub(crate) by: String,
    pub(crate) what: String,
    pub(crate) reason: String,
}

impl Standing {
    /// What is wrong with it, as far as can be told before it is asked.
    pub(crate) fn validate(&self, now_ms: i64) -> Result<(), Refusal> {
        match self {
            Self::Question(text) => {
                let file = parse_question(text, now_ms)?;
                if !file.lookup.is_empty() {
                    return Err(Refusal::bad_input(
                        "watch_look_up",
                        "A watch asks about all subjects, not a list of some.",
                    ));
                }
                rankable(&file.question)
            }
            Self::Pattern { name, purpose, case_number } => {
                name.parse::<PatternName>()?;
                let why = Why { purpose: purpose.clone(), case_number: case_number.clone(), reason: String::new() };
                why.validate()
            }
        }
    }

    /// The pattern's name without its version, as policies and playbooks know it.
    pub(crate) fn pattern(&self) -> Option<String> {
        match self {
            Self::Question(_) => None,
            Self::Pattern { name, .. } => Some(name.split_once('@').map_or(name.as_str(), |(name, _)| name).to_owned()),
        }
    }

    /// Purpose and case number.
    pub(crate) fn context(&self, now_ms: i64) -> (String, String) {
        match self {
            Self::Question(text) => parse_question(text, now_ms)
                .map(|file| (file.question.purpose, file.question.case_number))
                .unwrap_or_default(),
            Self::Pattern { purpose, case_number, .. } => (purpose.clone(), case_number.clone()),
        }
    }
}

/// A watch leads to subjects that somebody can act on.
pub(crate) fn rankable(question: &Question) -> Result<(), Refusal> {
    if question.subject == PERSON {
        return Err(Refusal::bad_input(
            "watch_of_persons",
            "A watch ranks one kind of identifier; ask about persons by hand.",
        ));
    }
    Ok(())
}

impl Watch {
    /// A watch that somebody arms.
    ///
    /// # Errors
    /// `watch_name`, `watch_until`, `watch_reason`, or what is wrong with the question.
    pub(crate) fn arm(
        name: &str,
        what: Standing,
        behalf: &Behalf,
        until_ms: i64,
        reason: &str,
        now_ms: i64,
    ) -> Result<Self, Refusal> {
        let is_name = !name.is_empty()
            && name.len() <= NAME_MAX
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_name {
            return Err(Refusal::bad_input("watch_name", "Name a watch with 1 to 63 of a-z, 0-9 and -."));
        }
        what.validate(now_ms)?;
        let mut watch = Self {
            name: name.to_owned(),
            what,
            person: String::new(),
            shown: Vec::new(),
            until_ms: 0,
            reason: String::new(),
            stopped: false,
            disarmed: false,
            datasets: Vec::new(),
            asked: 0,
            asked_ms: 0,
            ended: String::new(),
            ended_because: String::new(),
            leads: 0,
            not_own: 0,
            history: Vec::new(),
        };
        watch.stand(behalf, until_ms, reason, now_ms, "armed")?;
        Ok(watch)
    }

    /// Stands for longer, on behalf of whoever renews it.
    ///
    /// # Errors
    /// `watch_disarmed`, `watch_until`, `watch_reason`.
    pub(crate) fn renew(&mut self, who: &Behalf, until_ms: i64, reason: &str, now_ms: i64) -> Result<(), Refusal> {
        if self.disarmed {
            return Err(Refusal::new(Kind::Conflict, "watch_disarmed", "The watch was ended; arm it anew."));
        }
        self.stand(who, until_ms, reason, now_ms, "renewed")
    }

    fn stand(&mut self, behalf: &Behalf, until_ms: i64, reason: &str, now_ms: i64, what: &str) -> Result<(), Refusal> {
        if until_ms <= now_ms || until_ms > now_ms.saturating_add(STANDS_MS_MAX) {
            return Err(Refusal::bad_input("watch_until", "A watch stands for 90 days at most, then it is renewed."));
        }
        self.note(&behalf.name, what, reason, now_ms)?;
        (self.until_ms, self.reason) = (until_ms, reason.to_owned());
        (self.person, self.shown) = (behalf.person.clone(), behalf.shown.clone());
        self.stopped = false;
        Ok(())
    }

    /// Ends for good.
    ///
    /// # Errors
    /// `watch_reason`.
    pub(crate) fn disarm(&mut self, by: &str, reason: &str, now_ms: i64) -> Result<(), Refusal> {
        self.note(by, "disarmed", reason, now_ms)?;
        self.disarmed = true;
        Ok(())
    }

    /// Asks no more until somebody renews it, since asking on would be of no use.
    pub(crate) fn stop(&mut self, reason: &str, now_ms: i64) {
        if !self.stopped {
            self.stopped = true;
            // The reasons of refusals are short.
            let _ = self.note("the node", "stopped", reason, now_ms);
        }
    }

    fn note(&mut self, by: &str, what: &str, reason: &str, at_ms: i64) -> Result<(), Refusal> {
        if reason.trim().is_empty() || reason.len() > REASON_MAX || reason.chars().any(char::is_control) {
            return Err(Refusal::bad_input("watch_reason", "Say why, in 1 to 160 characters on one line."));
        }
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(1);
        }
        let (by, what, reason) = (by.to_owned(), what.to_owned(), reason.to_owned());
        self.history.push(Event { at_ms, by, what, reason });
        Ok(())
    }

    /// Whether it was ended for good.
    pub(crate) fn is_disarmed(&self) -> bool {
        self.disarmed
    }

    /// `armed`, `expired`, `stopped` or `disarmed`.
    pub(crate) fn state(&self, now_ms: i64) -> &'static str {
        match self {
            Self { disarmed: true, .. } => "disarmed",
            Self { stopped: true, .. } => "stopped",
            Self { until_ms, .. } if *until_ms <= now_ms => "expired",
            _ => "armed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    fn who(name: &str) -> Behalf {
        let shown = vec![format!("of {name}")];
        Behalf { person: format!("spiffe://f/agency/cbp/user/{name}"), name: name.to_owned(), shown }
    }

    fn pattern() -> Standing {
        let [name, purpose, case_number] = ["cbp.off-corridor@2", "customs-enforcement", "CBP-1"].map(str::to_owned);
        Standing::Pattern { name, purpose, case_number }
    }

    fn armed() -> Watch {
        Watch::arm("off-corridor", pattern(), &who("okafor"), DAY_MS, "trucks under bond", 0).unwrap()
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.unwrap_err().reason
    }

    #[test]
    fn a_watch_stands_until_its_moment_and_is_renewed_by_whoever_takes_it_over() {
        let mut watch = armed();
        assert_eq!((watch.state(DAY_MS - 1), watch.state(DAY_MS)), ("armed", "expired"));
        watch.renew(&who("reyes"), 3 * DAY_MS, "goes on", 2 * DAY_MS).unwrap();
        assert_eq!((watch.state(2 * DAY_MS), watch.person.as_str()), ("armed", "spiffe://f/agency/cbp/user/reyes"));
        assert_eq!(watch.shown, ["of reyes"]);
        let told: Vec<_> = watch.history.iter().map(|event| (event.by.as_str(), event.what.as_str())).collect();
        assert_eq!(told, [("okafor", "armed"), ("reyes", "renewed")]);
    }

    #[test]
    fn what_is_stopped_waits_for_somebody_and_what_is_disarmed_is_over() {
        let mut watch = armed();
        watch.stop("person_unknown", 1);
        watch.stop("person_unknown", 2);
        assert_eq!((watch.state(3), watch.history.len()), ("stopped", 2));
        watch.renew(&who("okafor"), DAY_MS, "again", 3).unwrap();
        assert_eq!(watch.state(4), "armed");
        watch.disarm("okafor", "case closed", 5).unwrap();
        assert_eq!(watch.state(6), "disarmed");
        assert_eq!(reason(watch.renew(&who("okafor"), DAY_MS, "again", 7)), "watch_disarmed");
    }

    #[test]
    fn what_makes_no_watch_is_refused_by_name() {
        let arm =
            |name: &str, what, until_ms, why: &str| reason(Watch::arm(name, what, &who("okafor"), until_ms, why, 0));
        assert_eq!(arm("Off Corridor", pattern(), DAY_MS, "x"), "watch_name");
        assert_eq!(arm("", pattern(), DAY_MS, "x"), "watch_name");
        assert_eq!(arm("a", pattern(), 0, "x"), "watch_until");
        assert_eq!(arm("a", pattern(), 91 * DAY_MS, "x"), "watch_until");
        assert_eq!(arm("a", pattern(), DAY_MS, " "), "watch_reason");
        assert_eq!(arm("a", pattern(), DAY_MS, "two\nlines"), "watch_reason");
        assert_eq!(arm("a", Standing::Question("subject = ".to_owned()), DAY_MS, "x"), "question_file");
    }
}
