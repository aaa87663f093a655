//! Whether work may begin, by what a log's witnesses last said.
//!
//! A log that nobody witnesses can be rewritten by whoever has its key. So once witnesses are
//! required, no work begins before they were asked for the first time after a start, and none while
//! the last moment at which enough of them had cosigned lies further back than a grace period.
//! Work that has begun may always be completed.

use tokio::sync::watch;

use super::error::AuditError;

/// The state that callers wait on.
#[derive(Debug)]
pub(super) struct Standing(watch::Sender<State>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// No witnesses are required.
    Alone,
    /// The witnesses have not been asked since the start.
    Asking(Grace),
    /// Work may begin within the grace.
    Known(Grace),
}

/// How long a log may go on without its witnesses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    /// When enough witnesses had last cosigned; or, as long as they never have, when the log began.
    pub(super) since_ms: i64,
    pub(super) grace_ms: i64,
}

impl Default for Standing {
    fn default() -> Self {
        Self(watch::Sender::new(State::Alone))
    }
}

impl Standing {
    /// Requires witnesses from now on.
    pub(super) fn require(&self, grace: Grace) {
        self.0.send_replace(State::Asking(grace));
    }

    /// The witnesses were asked; whoever waited for that goes on.
    pub(super) fn asked(&self) {
        self.0.send_if_modified(|state| match *state {
            State::Asking(grace) => {
                *state = State::Known(grace);
                true
            }
            State::Alone | State::Known(_) => false,
        });
    }

    /// Enough witnesses had cosigned at this moment.
    pub(super) fn cosigned(&self, at_ms: i64) {
        self.0.send_modify(|state| match state {
            State::Alone => {}
            State::Asking(grace) | State::Known(grace) => grace.since_ms = grace.since_ms.max(at_ms),
        });
    }

    /// Waits until the witnesses have been asked, then lets work begin or refuses it.
    ///
    /// # Errors
    /// [`AuditError::WitnessesAway`].
    pub(super) async fn admit(&self, now_ms: impl Fn() -> i64) -> Result<(), AuditError> {
        let mut state = *self.0.borrow();
        if matches!(state, State::Asking(_)) {
            let mut changes = self.0.subscribe();
            if let Ok(known) = changes.wait_for(|state| !matches!(state, State::Asking(_))).await {
                state = *known;
            }
        }
        match state {
            State::Alone => Ok(()),
            State::Known(grace) if now_ms().saturating_sub(grace.since_ms) <= grace.grace_ms => Ok(()),
            State::Known(grace) | State::Asking(grace) => {
                Err(AuditError::WitnessesAway { grace_s: grace.grace_ms / 1000 })
            }
        }
    }
}
