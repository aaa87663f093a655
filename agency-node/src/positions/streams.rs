//! How far each stream has come: a stream goes on with the number after its last one, and with no other.

use std::collections::HashMap;

use super::{
    batch::{Group, StoredStream},
    error::StoreError,
};

/// Streams that one feed may have.
const STREAMS_PER_FEED: usize = 1_000;
/// A stream that was silent for so long is forgotten, and begins again at 1.
const MEMORY_MS: i64 = 30 * 86_400_000;

/// Feed and stream.
pub(super) type StreamName = (String, String);

#[derive(Debug, Clone, Copy)]
struct Progress {
    sequence: u64,
    received_ms: i64,
}

/// What is to be done with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the next of its stream.
    Next,
    /// It was taken before.
    Repeated,
}

/// How far each stream has come.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<StreamName, Progress>);

impl Streams {
    /// Takes in what a frame says.
    pub(super) fn read(&mut self, group: &Group) {
        for stream in &group.streams {
            self.advance((stream.feed.clone(), stream.stream.clone()), stream.sequence, stream.received_ms);
        }
        for batch in &group.batches {
            self.advance((batch.feed.clone(), batch.stream.clone()), batch.sequence, batch.received_ms);
        }
    }

    /// The last number of a stream.
    pub(super) fn last(&self, name: &StreamName) -> Option<u64> {
        self.0.get(name).map(|progress| progress.sequence)
    }

    /// Whether a batch is the next of its stream.
    ///
    /// # Errors
    /// When it leaves a gap, or begins a stream too many.
    pub(super) fn admit(&self, name: &StreamName, sequence: u64) -> Result<Admission, StoreError> {
        let last = self.last(name);
        let expected = last.unwrap_or(0) + 1;
        if sequence > expected || sequence == 0 {
            return Err(StoreError::Gap { expected, sequence });
        }
        if sequence < expected {
            return Ok(Admission::Repeated);
        }
        let streams = || self.0.keys().filter(|(feed, _)| *feed == name.0).count();
        if last.is_none() && streams() >= STREAMS_PER_FEED {
            return Err(StoreError::TooManyStreams);
        }
        Ok(Admission::Next)
    }

    /// Moves a stream on.
    pub(super) fn advance(&mut self, name: StreamName, sequence: u64, received_ms: i64) {
        self.0.insert(name, Progress { sequence, received_ms });
    }

    /// Forgets streams that were silent for too long.
    pub(super) fn forget_idle(&mut self, now_ms: i64) {
        self.0.retain(|_, progress| now_ms.saturating_sub(progress.received_ms) < MEMORY_MS);
    }

    /// What a new segment begins with.
    pub(super) fn to_group(&self) -> Group {
        let stored = |((feed, stream), progress): (&StreamName, &Progress)| StoredStream {
            feed: feed.clone(),
            stream: stream.clone(),
            sequence: progress.sequence,
            received_ms: progress.received_ms,
        };
        Group { streams: self.0.iter().map(stored).collect(), batches: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(stream: &str) -> StreamName {
        ("gps".to_owned(), stream.to_owned())
    }

    #[test]
    fn a_stream_goes_on_with_the_number_after_its_last() {
        let mut streams = Streams::default();
        assert_eq!(streams.admit(&name("a"), 0), Err(StoreError::Gap { expected: 1, sequence: 0 }));
        assert_eq!(streams.admit(&name("a"), 2), Err(StoreError::Gap { expected: 1, sequence: 2 }));
        assert_eq!(streams.admit(&name("a"), 1), Ok(Admission::Next));
        streams.advance(name("a"), 1, 0);
        assert_eq!(streams.admit(&name("a"), 1), Ok(Admission::Repeated));
        assert_eq!(streams.admit(&name("a"), 2), Ok(Admission::Next));
        assert_eq!(streams.admit(&name("b"), 2), Err(StoreError::Gap { expected: 1, sequence: 2 }));
    }

    #[test]
    fn a_feed_has_so_many_streams_and_idle_ones_make_room() {
        let mut streams = Streams::default();
        for number in 0..STREAMS_PER_FEED {
            streams.advance(name(&number.to_string()), 1, number as i64);
        }
        assert_eq!(streams.admit(&name("one more"), 1), Err(StoreError::TooManyStreams));
        assert_eq!(streams.admit(&name("7"), 2), Ok(Admission::Next));
        assert_eq!(streams.admit(&("other".to_owned(), "a".to_owned()), 1), Ok(Admission::Next));
        streams.forget_idle(MEMORY_MS);
        assert_eq!(streams.last(&name("0")), None);
        assert_eq!(streams.admit(&name("one more"), 1), Ok(Admission::Next));
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let mut streams = Streams::default();
        streams.advance(name("a"), 7, 3);
        let mut again = Streams::default();
        again.read(&streams.to_group());
        assert_eq!(again.last(&name("a")), Some(7));
    }
}
