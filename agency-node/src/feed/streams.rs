//! Which streams are open: each in one place at a time.
//!
//! A sender that was cut off opens its stream again before this side knows that the first connection is
//! dead. The later one takes over, once the earlier one has finished the batch it is at.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sallyport_trust::error::{Kind, Refusal};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

type Key = (String, String);
type Places = Mutex<HashMap<Key, Place>>;

#[derive(Default)]
pub(super) struct OpenStreams(Arc<Places>);

#[derive(Clone, Default)]
struct Place {
    /// Held by whoever works on the stream.
    turn: Arc<Turn<()>>,
    /// Cancelled when somebody takes over from the last who claimed it.
    last: CancellationToken,
}

/// The right to work on a stream, until it is dropped or taken over.
pub(super) struct Claim {
    key: Key,
    places: Arc<Places>,
    taken: CancellationToken,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl OpenStreams {
    /// Takes a stream over from whoever has it, and waits until they have finished.
    ///
    /// # Errors
    /// `stream_taken_over` when a third one came meanwhile.
    pub(super) async fn claim(&self, feed: &str, stream: &str) -> Result<Claim, Refusal> {
        let key = (feed.to_owned(), stream.to_owned());
        let taken = CancellationToken::new();
        let turn = {
            let mut places = locked(&self.0);
            let place = places.entry(key.clone()).or_default();
            std::mem::replace(&mut place.last, taken.clone()).cancel();
            place.turn.clone()
        };
        let mut claim = Claim { key, places: self.0.clone(), taken, _turn: None };
        tokio::select! {
            biased;
            refusal = claim.taken_over() => return Err(refusal),
            turn = turn.lock_owned() => claim._turn = Some(turn),
        }
        Ok(claim)
    }
}

impl Claim {
    /// Returns when another connection has opened the stream.
    pub(super) async fn taken_over(&self) -> Refusal {
        self.taken.cancelled().await;
        Refusal::new(
            Kind::Conflict,
            "stream_taken_over",
            "This stream was opened again elsewhere; send under one name from one place.",
        )
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut places = locked(&self.places);
        // Whoever took over still needs the place.
        if !self.taken.is_cancelled() {
            places.remove(&self.key);
        }
    }
}

fn locked(places: &Places) -> MutexGuard<'_, HashMap<Key, Place>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_later_connection_takes_over_and_nothing_is_left_behind() {
        let open = OpenStreams::default();
        let first = open.claim("f", "s").await.unwrap();
        let other = open.claim("f", "t").await.unwrap();
        let second = tokio::spawn({
            let open = OpenStreams(open.0.clone());
            async move { open.claim("f", "s").await }
        });
        assert_eq!(first.taken_over().await.reason, "stream_taken_over");
        assert!(!second.is_finished(), "the first is still at work");
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert!(!second.taken.is_cancelled() && !other.taken.is_cancelled());
        drop(second);
        drop(other);
        assert!(locked(&open.0).is_empty());
    }

    #[tokio::test]
    async fn of_many_that_wait_the_last_one_gets_the_stream() {
        let open = OpenStreams::default();
        let first = open.claim("f", "s").await.unwrap();
        let claim = || {
            let open = OpenStreams(open.0.clone());
            tokio::spawn(async move { open.claim("f", "s").await.map(|_| ()).map_err(|refusal| refusal.reason) })
        };
        let second = claim();
        assert_eq!(first.taken_over().await.reason, "stream_taken_over");
        let third = claim();
        assert_eq!(second.await.unwrap(), Err("stream_taken_over".to_owned()));
        drop(first);
        assert_eq!(third.await.unwrap(), Ok(()));
        assert!(locked(&open.0).is_empty());
    }
}
