//! What one severity obliges to, as a lead keeps it: a playbook that changes later does not change what
//! was asked of people.

use serde::{Deserialize, Serialize};

use crate::{
    invalid::Invalid,
    people::{Actor, Who},
};

/// Who acts on a lead, how, by when, and whom it goes to if nobody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the playbook.
    pub playbook: String,
    /// What the playbook is about.
    pub title: String,
    /// Name of the severity.
    pub severity: String,
    /// 0 for the mildest severity of the playbook.
    pub rank: u32,
    /// Who acts.
    pub who: Who,
    /// What they do, in order.
    pub steps: Vec<String>,
    /// Somebody must have it in hand after so long, in milliseconds.
    pub acknowledge_ms: i64,
    /// It must be pursued or declined after so long, in milliseconds from its raising.
    pub pursue_ms: i64,
    /// It must have an outcome after so long, in milliseconds from when it was pursued.
    pub conclude_ms: Option<i64>,
    /// Whom it goes to when a deadline passes, one after the other.
    pub chain: Vec<Step>,
    /// Lawful exceptions to check first.
    pub exceptions: Vec<Exception>,
}

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whom it goes to.
    pub to: Who,
    /// How long after the deadline, or after the step before, in milliseconds.
    pub after_ms: i64,
}

/// Something that makes a match lawful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Its name in the playbook.
    pub name: String,
    /// What it is.
    pub title: String,
    /// How to find out.
    pub check: String,
    /// Who can confirm it.
    pub confirmed_by: Vec<Who>,
    /// How long a confirmation keeps the subject from being raised again, in milliseconds.
    pub clears_ms: i64,
}

/// The exception of this name, if the actor may say whether it holds.
///
/// # Errors
/// [`Invalid::ExceptionUnknown`], [`Invalid::ExceptionNotYours`].
pub(crate) fn exception_for<'a>(exceptions: &'a [Exception], name: &str, by: &Actor) -> Result<&'a Exception, Invalid> {
    let known = exceptions.iter().find(|exception| exception.name == name);
    let exception = known.ok_or_else(|| Invalid::ExceptionUnknown(name.to_owned()))?;
    if !exception.confirmed_by.iter().any(|who| who.is(by)) {
        return Err(Invalid::ExceptionNotYours(exception.confirmed_by.clone()));
    }
    Ok(exception)
}
