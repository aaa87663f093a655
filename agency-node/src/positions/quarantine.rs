//! Points that were refused, kept so that their sender can find the fault.
//!
//! They become durable in the journal with their batch, and move into files when that settles: JSON lines in
//! `quarantine/FEED/FIRST-PLACE`. Of each feed the newest are kept.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use sallyport_feed::RefusedPoint;
use serde::{Deserialize, Serialize};

use super::{
    batch::{BATCH_LIMIT_POINTS, Placed},
    cursor::Cursor,
    error::StoreError,
    journal::{segment_name, segments},
};
use crate::disk;

/// What a file takes on disk at least; it also bounds how many there are.
const BLOCK_BYTES: u64 = 4_096;

/// A refused point of a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its number, above 0 and growing; numbers in between are of other feeds, or were never given.
    pub number: u64,
    /// When it came, in milliseconds since 1970.
    pub received_ms: i64,
    /// Its stream.
    pub stream: String,
    /// Its batch in the stream.
    pub sequence: u64,
    /// The point and why it was refused.
    pub point: RefusedPoint,
}

/// The refused points of a batch, numbered.
pub(super) fn of(placed: &Placed) -> impl Iterator<Item = Quarantined> {
    let batch = &placed.batch;
    // A batch holds fewer points than there are numbers for each place.
    (first_number(placed.place)..).zip(&batch.refused).map(|(number, point)| Quarantined {
        number,
        received_ms: batch.received_ms,
        stream: batch.stream.clone(),
        sequence: batch.sequence,
        point: point.clone(),
    })
}

fn first_number(place: u64) -> u64 {
    place * BATCH_LIMIT_POINTS as u64 + 1
}

/// The files of refused points.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    pub(super) directory: PathBuf,
    /// Bytes that are kept of each feed.
    pub(super) limit_bytes: u64,
}

impl Quarantine {
    /// Keeps points that came from a place on; durable on return. Done again, it replaces what it did.
    pub(super) fn keep(&self, feed: &str, first_place: u64, points: &[Quarantined]) -> Result<(), StoreError> {
        let directory = self.directory.join(feed);
        let keep = || -> io::Result<()> {
            disk::create_directory(&directory)?;
            disk::sync_directory_of(&directory)?;
            let mut lines = Vec::new();
            for point in points {
                serde_json::to_writer(&mut lines, point)?;
                lines.push(b'\n');
            }
            disk::replace(&directory.join(segment_name(first_place)), &lines)
        };
        keep().map_err(|error| StoreError::files(&directory, &error))?;
        self.trim(&directory)
    }

    /// Deletes the oldest files of a feed beyond the limit.
    fn trim(&self, directory: &Path) -> Result<(), StoreError> {
        let mut held = 0;
        for first in segments(directory)?.into_iter().rev() {
            let path = directory.join(segment_name(first));
            let at = |error| StoreError::files(&path, &error);
            held += fs::metadata(&path).map_err(at)?.len().max(BLOCK_BYTES);
            if held > self.limit_bytes {
                fs::remove_file(&path).map_err(at)?;
            }
        }
        Ok(())
    }

    /// Refused points of a feed with numbers above `after`: from files up to the place that is settled, from
    /// there to the end from the journal.
    pub(super) fn read(&self, journal: Cursor, end: u64, wanted: &Wanted) -> Result<Vec<Quarantined>, StoreError> {
        let mut found = self.read_files(wanted, first_number(journal.place()))?;
        let mut journal = journal;
        while found.len() < wanted.limit && journal.place() < end {
            for placed in journal.read(end)?.iter().filter(|placed| placed.batch.feed == wanted.feed) {
                found.extend(of(placed).filter(|point| point.number > wanted.after));
            }
        }
        found.truncate(wanted.limit);
        Ok(found)
    }

    fn read_files(&self, wanted: &Wanted, before: u64) -> Result<Vec<Quarantined>, StoreError> {
        let directory = self.directory.join(&wanted.feed);
        let mut found = Vec::new();
        if !directory.is_dir() {
            return Ok(found);
        }
        let files = segments(&directory)?;
        // The file before the first that begins after the wanted number may hold it, and none before that.
        let start = files.partition_point(|first| first_number(*first) <= wanted.after).saturating_sub(1);
        for first in &files[start..] {
            if found.len() >= wanted.limit {
                break;
            }
            let path = directory.join(segment_name(*first));
            let read = read_file(&path, |point| {
                if point.number > wanted.after && point.number < before {
                    found.push(point);
                }
                found.len() < wanted.limit
            });
            match read {
                // Deleted since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                read => read.map_err(|error| StoreError::files(&path, &error))?,
            }
        }
        Ok(found)
    }
}

/// Which refused points are asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) feed: String,
    pub(super) after: u64,
    pub(super) limit: usize,
}

/// Hands out points until told to stop.
fn read_file(path: &Path, mut each: impl FnMut(Quarantined) -> bool) -> io::Result<()> {
    for line in BufReader::new(fs::File::open(path)?).lines() {
        if !each(serde_json::from_str(&line?)?) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sallyport_feed::Reason;

    use super::{super::fixtures::position, *};

    #[test]
    fn of_each_feed_the_newest_are_kept_and_a_repetition_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let quarantine = Quarantine { directory: directory.path().to_owned(), limit_bytes: 10 * BLOCK_BYTES };
        let keep = |feed: &str, place: u64| {
            let point = RefusedPoint::new(0, Reason::InFuture, &position(1));
            let number = first_number(place);
            let point = Quarantined { number, received_ms: 0, stream: "s".to_owned(), sequence: place, point };
            quarantine.keep(feed, place, &[point]).unwrap();
        };
        (0..50).for_each(|place| keep("loud", place));
        keep("quiet", 50);
        keep("quiet", 50);
        let read = |feed: &str| {
            let wanted = Wanted { feed: feed.to_owned(), after: 0, limit: usize::MAX };
            let found = quarantine.read(Cursor::new(directory.path(), 51), 51, &wanted).unwrap();
            found.into_iter().map(|point| point.sequence).collect::<Vec<_>>()
        };
        assert_eq!(read("quiet"), [50]);
        assert_eq!(read("loud"), (40..50).collect::<Vec<_>>());
    }
}
