//! Why a file is no corridor: a stable reason and a sentence that says what to do.

/// What is wrong with a corridor's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CorridorError {
    reason: &'static str,
    message: String,
}

impl CorridorError {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The same error, said of a file.
    pub(crate) fn of(self, file: &str) -> Self {
        Self { reason: self.reason, message: format!("{file}: {}", self.message) }
    }

    /// Stable reason in `snake_case`, for scripts and tests.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}
