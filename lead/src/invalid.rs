//! Why something cannot be done with a lead.

use crate::people::Who;

/// Bytes of one text about a lead, at most.
pub const TEXT_BYTES_MAX: usize = 1_000;
/// Events of one lead, at most.
pub const EVENTS_MAX: usize = 1_000;
/// Events that notes and repeated matches may take; the rest is for what changes a lead.
pub(crate) const REMARKS_MAX: usize = 800;

/// Something that is not done, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The first event is another than the raising, or a later one is.
    #[error("A lead begins with its raising, once; its history is damaged.")]
    Beginning,
    /// An event is older than the one before it.
    #[error("A lead's events follow each other in time; its history is damaged.")]
    Backwards,
    /// Nobody has it in hand.
    #[error("Nobody has this lead in hand yet; assign it first, to yourself if you take it.")]
    NotAssigned,
    /// Somebody else has it in hand.
    #[error("{0} has this lead in hand; assign it to yourself first if you take it over.")]
    NotOwner(String),
    /// It is not pursued yet.
    #[error("This outcome comes of a lead that is pursued; pursue it first, or decline it with a reason.")]
    NotPursued,
    /// It is pursued already.
    #[error("This lead is pursued already; record its outcome when there is one.")]
    AlreadyPursued,
    /// It is over.
    #[error("This lead is closed; reopen it with a reason if it is not over.")]
    Closed,
    /// It is not over.
    #[error("This lead is open; only a closed one is reopened.")]
    Open,
    /// A text is missing, too long, or holds control characters.
    #[error("Say it in one line of at most {TEXT_BYTES_MAX} bytes.")]
    Text,
    /// The playbook knows no such exception.
    #[error("The playbook of this lead has no exception `{0}`; `sallyport lead show` lists those that it has.")]
    ExceptionUnknown(String),
    /// The actor may not confirm the exception.
    #[error("This exception is confirmed or rejected by {}; ask them.", list(.0))]
    ExceptionNotYours(Vec<Who>),
    /// The moment until which a false match holds is past or too far away.
    #[error("Say until when the match counts as false: a moment ahead, at most five years.")]
    FalseMatchUntil,
    /// An amount is no amount.
    #[error("Say how many people were arrested, or how much was seized: a number above zero.")]
    Amount,
    /// What happened again is another match.
    #[error("The match is of another subject; raise it as a lead of its own.")]
    OtherSubject,
    /// There are too many events.
    #[error("The history of this lead is full; conclude it and raise a new one.")]
    Full,
}

impl Invalid {
    /// Stable reason in `snake_case`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Beginning | Self::Backwards => "lead_history",
            Self::NotAssigned => "lead_not_assigned",
            Self::NotOwner(_) => "lead_not_yours",
            Self::NotPursued => "lead_not_pursued",
            Self::AlreadyPursued => "lead_already_pursued",
            Self::Closed => "lead_closed",
            Self::Open => "lead_open",
            Self::Text => "lead_text",
            Self::ExceptionUnknown(_) => "exception_unknown",
            Self::ExceptionNotYours(_) => "exception_not_yours",
            Self::FalseMatchUntil => "false_match_until",
            Self::Amount => "outcome_amount",
            Self::OtherSubject => "lead_other_subject",
            Self::Full => "lead_full",
        }
    }

    /// Whether it is the person who may not, rather than the lead that does not allow it.
    pub fn is_about_person(&self) -> bool {
        matches!(self, Self::NotOwner(_) | Self::ExceptionNotYours(_))
    }

    /// Whether what was said is wrong, whatever the lead.
    pub fn is_about_words(&self) -> bool {
        matches!(self, Self::Text | Self::ExceptionUnknown(_) | Self::FalseMatchUntil | Self::Amount)
    }
}

/// Whether a text can stand in the history of a lead.
///
/// # Errors
/// [`Invalid::Text`] when it is empty, too long, or holds control characters.
pub fn said(text: &str) -> Result<(), Invalid> {
    let is_said = !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    if is_said { Ok(()) } else { Err(Invalid::Text) }
}

fn list(who: &[Who]) -> String {
    who.iter().map(Who::to_string).collect::<Vec<_>>().join(" or ")
}
