//! What can happen to a lead, as it is written down.

use serde::{Deserialize, Serialize};

use crate::{people::Actor, playbook::Plan};

/// Something that happened to a lead: what, when, and who did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Who did it.
    pub by: Actor,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A match became a lead.
    Raised {
        /// The match.
        sighting: Sighting,
        /// What it obliges to.
        plan: Box<Plan>,
    },
    /// The same subject matched again, with newer or stronger evidence.
    SeenAgain {
        /// The match.
        sighting: Sighting,
        /// What it obliges to, if that is more than before; clocks begin again then.
        plan: Option<Box<Plan>>,
    },
    /// Somebody has it in hand.
    Assigned {
        /// Name of the person.
        to: String,
    },
    /// Its owner acts on it.
    Pursued,
    /// Its owner does not act on it.
    Declined {
        /// Why.
        reason: String,
    },
    /// Something to remember.
    Noted {
        /// In words.
        text: String,
    },
    /// A lawful exception holds: nobody acts.
    ExceptionConfirmed {
        /// Its name in the playbook.
        exception: String,
        /// How that is known.
        note: String,
    },
    /// A lawful exception was looked for and does not hold.
    ExceptionRejected {
        /// Its name in the playbook.
        exception: String,
        /// How that is known.
        note: String,
    },
    /// What came of it.
    Concluded {
        /// The outcome.
        outcome: Outcome,
        /// In words.
        note: String,
    },
    /// It is not over after all.
    Reopened {
        /// Why.
        reason: String,
    },
}

impl What {
    /// Stable name in `snake_case`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raised { .. } => "raised",
            Self::SeenAgain { .. } => "seen_again",
            Self::Assigned { .. } => "assigned",
            Self::Pursued => "pursued",
            Self::Declined { .. } => "declined",
            Self::Noted { .. } => "noted",
            Self::ExceptionConfirmed { .. } => "exception_confirmed",
            Self::ExceptionRejected { .. } => "exception_rejected",
            Self::Concluded { .. } => "concluded",
            Self::Reopened { .. } => "reopened",
        }
    }
}

/// A match, as whoever asked saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The watch that found it; none when a person raised it by hand.
    pub watch: Option<String>,
    /// The pattern that was asked, as `AGENCY.NAME@VERSION`, if one was.
    pub pattern: Option<String>,
    /// Id of the question, in hexadecimal: the receipt under which every party's audit log knows it.
    pub question: String,
    /// Type of the identifier, such as `plate`.
    pub subject_kind: String,
    /// The identifier in its canonical form, from the home node's own records.
    pub subject: String,
    /// Quality of evidence in millionths.
    pub qe_millionths: u32,
    /// What the score is made of.
    pub evidence: Vec<Evidence>,
}

impl Sighting {
    /// The newest day of any evidence, in days since 1970-01-01; 0 when none has a time.
    pub fn newest_day(&self) -> u32 {
        self.evidence.iter().map(|piece| piece.newest_day).max().unwrap_or(0)
    }

    /// Whether both are of one subject.
    pub fn is_of_subject(&self, other: &Self) -> bool {
        (&self.subject_kind, &self.subject) == (&other.subject_kind, &other.subject)
    }
}

/// What one data set gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// As `AGENCY.NAME`.
    pub dataset: String,
    /// Strength, 0 to 1,000.
    pub strength_thousandths: u32,
    /// Days since 1970-01-01; 0 when the data set has no time.
    pub newest_day: u32,
}

/// What came of a lead that was looked into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// People were arrested.
    Arrest {
        /// How many; at least one.
        people: u32,
    },
    /// Something was seized.
    Seizure {
        /// What.
        what: String,
        /// How much.
        amount: f64,
        /// Of what unit, such as `kg` or `USD`.
        unit: String,
    },
    /// Nothing was found.
    NoFinding,
    /// It was not who or what it seemed to be: not raised again until then.
    FalseMatch {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        until_ms: i64,
    },
    /// It was handed to somebody else.
    Referred {
        /// To whom.
        to: String,
    },
    /// Anything else.
    Other {
        /// What.
        what: String,
    },
}

impl Outcome {
    /// Stable name in `snake_case`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Arrest { .. } => "arrest",
            Self::Seizure { .. } => "seizure",
            Self::NoFinding => "no_finding",
            Self::FalseMatch { .. } => "false_match",
            Self::Referred { .. } => "referred",
            Self::Other { .. } => "other",
        }
    }

    /// Whether the match was right; none where the outcome does not tell.
    pub fn is_positive(&self) -> Option<bool> {
        match self {
            Self::Arrest { .. } | Self::Seizure { .. } => Some(true),
            Self::NoFinding | Self::FalseMatch { .. } => Some(false),
            Self::Referred { .. } | Self::Other { .. } => None,
        }
    }
}
