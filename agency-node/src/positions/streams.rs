//! How far each stream has come: a stream goes on with the number after its last one, and with no other.
//! Nothing here refuses for want of room: a feed never ends because its sender makes many streams.

use std::collections::HashMap;

use super::{
    batch::{Group, Reached, StoredStream},
    error::StoreError,
};

/// Streams that one feed may have: a file every five minutes for a month. For one more, the one that was idle
/// longest is forgotten. Should it be sent again all the same, it begins at 1, and what it holds is kept twice.
const STREAMS_PER_FEED: usize = 10_000;
/// Streams of all feeds, which together fit into one frame of the journal.
const STREAMS_MAX: usize = 200_000;
/// A stream that was silent for so long is forgotten, and begins again at 1.
const MEMORY_MS: i64 = 30 * 86_400_000;

/// Feed and stream.
pub(super) type StreamName = (String, String);

#[derive(Debug, Clone, Copy)]
struct Progress {
    reached: Reached,
    received_ms: i64,
    /// Moves of all streams before its last one: the smallest was idle longest, whatever the clock said.
    moved: u64,
}

/// What is to be done with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the next of its stream.
    Next,
    /// It was taken before.
    Repeated,
}

/// How far each stream of each feed has come.
#[derive(Debug, Default)]
pub(super) struct Streams {
    feeds: HashMap<String, HashMap<String, Progress>>,
    moves: u64,
}

impl Streams {
    /// Takes in what a frame says.
    pub(super) fn read(&mut self, group: &Group) {
        for stream in &group.streams {
            let reached = Reached { sequence: stream.sequence, points: stream.points };
            self.put((stream.feed.clone(), stream.stream.clone()), reached, stream.received_ms);
        }
        for batch in &group.batches {
            let name = (batch.feed.clone(), batch.stream.clone());
            self.advance(name, batch.sequence, batch.points(), batch.received_ms);
        }
    }

    /// How far a stream has come.
    pub(super) fn reached(&self, (feed, stream): &StreamName) -> Option<Reached> {
        self.feeds.get(feed)?.get(stream).map(|progress| progress.reached)
    }

    /// The last number of a stream.
    fn last(&self, name: &StreamName) -> Option<u64> {
        self.reached(name).map(|reached| reached.sequence)
    }

    /// Whether a batch is the next of its stream.
    ///
    /// # Errors
    /// When it leaves a gap.
    pub(super) fn admit(&self, name: &StreamName, sequence: u64) -> Result<Admission, StoreError> {
        let expected = self.last(name).unwrap_or(0) + 1;
        if sequence > expected || sequence == 0 {
            return Err(StoreError::Gap { expected, sequence });
        }
        Ok(if sequence < expected { Admission::Repeated } else { Admission::Next })
    }

    /// Moves a stream on by a batch; a new one takes the place of the one that was idle longest, if there are too
    /// many.
    pub(super) fn advance(&mut self, name: StreamName, sequence: u64, points: u64, received_ms: i64) {
        let before = match self.reached(&name) {
            Some(reached) => reached.points,
            None => (sequence == 1).then_some(0),
        };
        self.put(name, Reached { sequence, points: before.map(|before| before.saturating_add(points)) }, received_ms);
    }

    fn put(&mut self, name: StreamName, reached: Reached, received_ms: i64) {
        if self.last(&name).is_none() {
            self.make_room(&name.0);
        }
        let progress = Progress { reached, received_ms, moved: self.moves };
        self.moves += 1;
        self.feeds.entry(name.0).or_default().insert(name.1, progress);
    }

    /// Forgets streams that were silent for too long.
    pub(super) fn forget_idle(&mut self, now_ms: i64) {
        for streams in self.feeds.values_mut() {
            streams.retain(|_, progress| now_ms.saturating_sub(progress.received_ms) < MEMORY_MS);
        }
    }

    /// What a new segment begins with: streams by how long they were idle, the longest first.
    pub(super) fn to_group(&self) -> Group {
        let mut all: Vec<_> = self.all().collect();
        all.sort_unstable_by_key(|(_, _, progress)| progress.moved);
        let stored = |(feed, stream, progress): (&str, &str, &Progress)| StoredStream {
            feed: feed.to_owned(),
            stream: stream.to_owned(),
            sequence: progress.reached.sequence,
            points: progress.reached.points,
            received_ms: progress.received_ms,
        };
        Group { streams: all.into_iter().map(stored).collect(), batches: Vec::new() }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str, &Progress)> {
        self.feeds.iter().flat_map(|(feed, streams)| {
            streams.iter().map(move |(stream, progress)| (feed.as_str(), stream.as_str(), progress))
        })
    }

    /// Makes room for one more stream of a feed.
    fn make_room(&mut self, feed: &str) {
        if self.feeds.get(feed).is_some_and(|streams| streams.len() >= STREAMS_PER_FEED) {
            self.forget_longest_idle(|of| of == feed);
        }
        if self.feeds.values().map(HashMap::len).sum::<usize>() >= STREAMS_MAX {
            self.forget_longest_idle(|_| true);
        }
    }

    fn forget_longest_idle(&mut self, of: impl Fn(&str) -> bool) {
        let among = self.all().filter(|(feed, _, _)| of(feed));
        let idle = among.min_by_key(|(_, _, progress)| progress.moved);
        let Some((feed, stream)) = idle.map(|(feed, stream, _)| (feed.to_owned(), stream.to_owned())) else { return };
        if let Some(streams) = self.feeds.get_mut(&feed) {
            streams.remove(&stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{super::journal::PAYLOAD_LIMIT_BYTES, *};

    fn name(stream: &str) -> StreamName {
        ("gps".to_owned(), stream.to_owned())
    }

    #[test]
    fn a_stream_goes_on_with_the_number_after_its_last() {
        let mut streams = Streams::default();
        assert_eq!(streams.admit(&name("a"), 0), Err(StoreError::Gap { expected: 1, sequence: 0 }));
        assert_eq!(streams.admit(&name("a"), 2), Err(StoreError::Gap { expected: 1, sequence: 2 }));
        assert_eq!(streams.admit(&name("a"), 1), Ok(Admission::Next));
        streams.advance(name("a"), 1, 5, 0);
        assert_eq!(streams.admit(&name("a"), 1), Ok(Admission::Repeated));
        assert_eq!(streams.admit(&name("a"), 2), Ok(Admission::Next));
        assert_eq!(streams.admit(&name("b"), 2), Err(StoreError::Gap { expected: 1, sequence: 2 }));
    }

    #[test]
    fn one_stream_too_many_takes_the_place_of_the_one_that_was_idle_longest() {
        let mut streams = Streams::default();
        for number in 0..STREAMS_PER_FEED {
            streams.advance(name(&number.to_string()), 1, 5, 0);
        }
        streams.advance(name("0"), 2, 5, 0);
        streams.advance(("other".to_owned(), "a".to_owned()), 1, 5, 0);
        assert_eq!(streams.last(&name("1")), Some(1));
        // What is read again knows as well which was idle longest.
        let mut again = Streams::default();
        again.read(&streams.to_group());
        for mut streams in [streams, again] {
            assert_eq!(streams.admit(&name("one more"), 1), Ok(Admission::Next));
            streams.advance(name("one more"), 1, 5, 0);
            assert_eq!(streams.last(&name("1")), None);
            assert_eq!(streams.to_group().streams.len(), STREAMS_PER_FEED + 1);
            for (kept, last) in [("0", 2), ("2", 1), ("one more", 1)] {
                assert_eq!(streams.last(&name(kept)), Some(last));
            }
        }
    }

    #[test]
    fn streams_of_all_feeds_fit_into_one_frame() {
        let mut streams = Streams::default();
        for number in 0..=STREAMS_MAX {
            streams.advance(
                (format!("{:064}", number / STREAMS_PER_FEED), format!("{number:064}")),
                u64::MAX,
                u64::MAX,
                i64::MAX,
            );
        }
        let group = streams.to_group();
        assert_eq!(group.streams.len(), STREAMS_MAX);
        assert!(group.encoded_len() <= PAYLOAD_LIMIT_BYTES, "{}", group.encoded_len());
    }

    #[test]
    fn what_was_silent_for_a_month_is_forgotten() {
        let mut streams = Streams::default();
        streams.advance(name("a"), 1, 5, 0);
        streams.advance(name("b"), 1, 5, 1);
        streams.forget_idle(MEMORY_MS);
        assert_eq!((streams.last(&name("a")), streams.last(&name("b"))), (None, Some(1)));
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let mut streams = Streams::default();
        streams.advance(name("a"), 1, 5, 3);
        streams.advance(name("a"), 2, 5, 3);
        let mut again = Streams::default();
        again.read(&streams.to_group());
        again.advance(name("a"), 3, 5, 3);
        assert_eq!(again.reached(&name("a")), Some(Reached { sequence: 3, points: Some(15) }));
        // Of one that is known from before points were counted, they are never known.
        let mut group = streams.to_group();
        group.streams[0].points = None;
        let mut older = Streams::default();
        older.read(&group);
        older.advance(name("a"), 3, 5, 3);
        assert_eq!(older.reached(&name("a")), Some(Reached { sequence: 3, points: None }));
    }
}
