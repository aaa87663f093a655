//! How a command fails: a sentence for the person, a reason and an exit code for scripts.

use std::{fmt::Display, process::ExitCode};

use sallyport_trust::error::{Kind, Refusal};

use crate::terminal;

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Failure {
    reason: String,
    pub(crate) message: String,
    code: u8,
}

impl Failure {
    /// The person's input is wrong.
    pub(crate) fn input(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), code: 2 }
    }

    /// The machine does not play along.
    pub(crate) fn machine(what: &str, error: &dyn Display) -> Self {
        Self::machine_with("machine", what, error)
    }

    /// The machine does not play along, in a way that has its own reason.
    pub(crate) fn machine_with(reason: &str, what: &str, error: &dyn Display) -> Self {
        Self { reason: reason.to_owned(), message: format!("{what}: {error}"), code: 1 }
    }

    /// The work was done and what it should show does not hold.
    pub(crate) fn check(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), code: 5 }
    }

    /// The stable reason, for scripts.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Tells the person and gives the exit code: 2 bad input, 3 refused, 4 a party away or too slow,
    /// 5 a check failed, 1 anything else.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("sallyport: {} [{}]", terminal::lines(&self.message), terminal::line(&self.reason));
        ExitCode::from(self.code)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.kind {
            Kind::BadInput | Kind::NotFound => 2,
            Kind::Denied | Kind::Unauthenticated | Kind::Exhausted | Kind::Conflict => 3,
            Kind::Unavailable | Kind::TimedOut => 4,
            Kind::Internal => 1,
        };
        Self { reason: refusal.reason, message: refusal.message, code }
    }
}
