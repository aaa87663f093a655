//! A playbook as it is written. What may be missing here is what [`check`](super::check) tells of.

use serde::Deserialize;

use crate::{people::Who, period::Period};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) name: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) patterns: Vec<String>,
    #[serde(default)]
    pub(super) watches: Vec<String>,
    /// Matches below this score raise no lead.
    pub(super) raise_from_qe: Option<f64>,
    #[serde(default)]
    pub(super) severity: Vec<Severity>,
    #[serde(default)]
    pub(super) escalation: Vec<Escalation>,
    #[serde(default)]
    pub(super) exception: Vec<WrittenException>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Severity {
    pub(super) name: String,
    /// The lowest score of this severity.
    pub(super) from_qe: f64,
    /// The score where the next severity begins; open above when absent.
    pub(super) below_qe: Option<f64>,
    pub(super) who: Option<Who>,
    #[serde(default)]
    pub(super) steps: Vec<String>,
    pub(super) acknowledge_within: Option<Period>,
    pub(super) pursue_within: Option<Period>,
    pub(super) conclude_within: Option<Period>,
    /// Name of the first escalation.
    pub(super) escalation: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Escalation {
    pub(super) name: String,
    pub(super) to: Who,
    pub(super) after: Period,
    /// Name of the escalation after this one.
    pub(super) then: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenException {
    pub(super) name: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) check: String,
    #[serde(default)]
    pub(super) confirmed_by: Vec<Who>,
    /// How long a confirmation lasts.
    pub(super) clears_for: Option<Period>,
}
