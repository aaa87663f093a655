//! What a peer or a person is told when something is refused.
//!
//! One type carries a stable, machine-readable reason and a sentence that says what to do next; one
//! map turns it into a gRPC status with `google.rpc.ErrorInfo`. It never carries an error chain, a
//! path, a secret or an identifier of a subject.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` sent by this project.
pub const ERROR_DOMAIN: &str = "sallyport";

/// The kind of a refusal; it decides the gRPC code and the exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request itself is wrong; sending it again unchanged cannot succeed.
    BadInput,
    /// The peer did not prove who it is.
    Unauthenticated,
    /// The peer is known and may not do this.
    Denied,
    /// What was named does not exist here.
    NotFound,
    /// The request does not fit the present state (replayed, another epoch, already running).
    Conflict,
    /// A limit or a budget is used up.
    Exhausted,
    /// A party needed for the work is away; trying again later may succeed.
    Unavailable,
    /// The deadline passed.
    TimedOut,
    /// A fault of our own; details are in the log of the process, never in the answer.
    Internal,
}

impl Kind {
    fn code(self) -> Code {
        match self {
            Kind::BadInput => Code::InvalidArgument,
            Kind::Unauthenticated => Code::Unauthenticated,
            Kind::Denied => Code::PermissionDenied,
            Kind::NotFound => Code::NotFound,
            Kind::Conflict => Code::FailedPrecondition,
            Kind::Exhausted => Code::ResourceExhausted,
            Kind::Unavailable => Code::Unavailable,
            Kind::TimedOut => Code::DeadlineExceeded,
            Kind::Internal => Code::Internal,
        }
    }

    fn of(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Kind::BadInput,
            Code::Unauthenticated => Kind::Unauthenticated,
            Code::PermissionDenied => Kind::Denied,
            Code::NotFound => Kind::NotFound,
            Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => Kind::Conflict,
            Code::ResourceExhausted => Kind::Exhausted,
            Code::Unavailable | Code::Unknown => Kind::Unavailable,
            Code::DeadlineExceeded | Code::Cancelled => Kind::TimedOut,
            _ => Kind::Internal,
        }
    }
}

/// A refusal as a peer or a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What sort of refusal this is.
    pub kind: Kind,
    /// Stable reason in `snake_case`, for scripts and tests.
    pub reason: String,
    /// One or two sentences for a person, saying what to do next.
    pub message: String,
}

impl Refusal {
    /// A refusal with its stable reason and its sentence for a person.
    pub fn new(kind: Kind, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, reason: reason.to_owned(), message: message.into() }
    }

    /// Shorthand for [`Kind::BadInput`].
    pub fn bad_input(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, reason, message)
    }

    /// Shorthand for [`Kind::Denied`].
    pub fn denied(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, reason, message)
    }

    /// A fault of our own: `cause` goes to the local log, the peer learns only that it happened.
    pub fn internal(reason: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(reason, %cause, "internal fault");
        Self::new(
            Kind::Internal,
            reason,
            "The other party had a fault of its own; its operator finds the cause in its log. Try again later.",
        )
    }

    /// Reads the reason back from a status that a peer sent. What no process of this project wrote is told in our
    /// words by its code: the texts of libraries help nobody, and those of strangers are not shown.
    pub fn from_status(status: &Status) -> Self {
        let own = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let (reason, message) = match own {
            Some(info) => (info.reason, status.message().to_owned()),
            None => {
                tracing::debug!(code = ?status.code(), "a status that no party of the federation wrote");
                let (reason, sentence) = of_transport(status.code());
                (reason.to_owned(), sentence.to_owned())
            }
        };
        Self { kind: Kind::of(status.code()), reason, message }
    }
}

fn of_transport(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Unavailable | Code::Unknown => {
            ("peer_unreachable", "The connection broke. Check that the other party's process runs, and try again.")
        }
        Code::DeadlineExceeded => ("deadline_passed", "No answer came in time. Try again, or allow more time."),
        Code::Cancelled => ("cancelled", "The call was ended before its answer. Try again."),
        Code::OutOfRange => ("message_too_large", "A message is too large. Ask for less at once."),
        Code::Unimplemented => {
            ("not_offered_here", "The other party does not offer this. Its version may be older; ask its operator.")
        }
        _ => ("transport_error", "The connection failed. Try again; if it lasts, tell the operator of your node."),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let details = ErrorDetails::with_error_info(refusal.reason, ERROR_DOMAIN, HashMap::new());
        Status::with_error_details(refusal.kind.code(), refusal.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_wire() {
        let refusal = Refusal::denied("policy_denied", "Ask your security officer.");
        assert_eq!(Refusal::from_status(&Status::from(refusal.clone())), refusal);
    }

    #[test]
    fn what_no_party_wrote_is_told_in_our_words() {
        for code in 1..=16 {
            let told = Refusal::from_status(&Status::new(Code::from_i32(code), "h2 protocol error of /var/secret"));
            assert!(!told.message.contains("h2") && told.message.ends_with('.'), "{told:?}");
        }
        let posing = ErrorDetails::with_error_info("policy_denied", "elsewhere", HashMap::new());
        let told = Refusal::from_status(&Status::with_error_details(Code::PermissionDenied, "send money", posing));
        assert_eq!((told.kind, &*told.reason), (Kind::Denied, "transport_error"));
        assert!(!told.message.contains("money"));
    }

    #[test]
    fn an_internal_fault_keeps_its_cause_at_home() {
        let status = Status::from(Refusal::internal("store_failed", &"/var/secret/path"));
        assert!(!format!("{status:?}").contains("/var/secret"));
    }
}
