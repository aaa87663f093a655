//! Reading the journal from a place, frame by frame.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use super::{
    batch::{Batch, Placed},
    error::StoreError,
    journal::{read_frame, segment_name, segments},
};

/// A place in the journal from which durable batches are read. It holds one frame in memory at most.
#[derive(Debug)]
pub(super) struct Cursor {
    directory: PathBuf,
    /// The next batch.
    place: u64,
    segment: Option<Segment>,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    file: BufReader<File>,
}

impl Cursor {
    /// Starts at a place, which need not have come yet.
    pub(super) fn new(directory: &Path, place: u64) -> Self {
        Self { directory: directory.to_owned(), place, segment: None }
    }

    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The next batches, as many as became durable together; none when everything before `end` was read.
    /// `end` is where the durable batches end, so that nothing is read that is being written.
    ///
    /// # Errors
    /// When the place has left the journal, or the journal cannot be read or is damaged.
    pub(super) fn read(&mut self, end: u64) -> Result<Vec<Placed>, StoreError> {
        while self.place < end {
            let mut segment = match self.segment.take() {
                Some(segment) => segment,
                None => self.open_segment()?,
            };
            let frame = read_frame(&mut segment.file).map_err(|error| StoreError::files(&self.directory, &error))?;
            // Where a segment ends, the next one begins with the place that is wanted.
            let Some(frame) = frame else {
                if segment.first == self.place || !self.directory.join(segment_name(self.place)).is_file() {
                    return Err(StoreError::Damaged(format!("the journal cannot be read at place {}", self.place)));
                }
                continue;
            };
            self.segment = Some(segment);
            let after = frame.place + frame.group.batches.len() as u64;
            if after > self.place {
                let placed = (frame.place..).zip(frame.group.batches);
                let wanted = placed.filter(|(place, _)| *place >= self.place);
                let batches = wanted.map(|(place, batch)| Placed { place, batch: Batch::from(batch) }).collect();
                self.place = after;
                return Ok(batches);
            }
        }
        Ok(Vec::new())
    }

    fn open_segment(&self) -> Result<Segment, StoreError> {
        let all = segments(&self.directory)?;
        let Some(&first) = all.iter().rfind(|first| **first <= self.place) else {
            return Err(StoreError::PlaceGone { first: all.first().copied().unwrap_or(0) });
        };
        let path = self.directory.join(segment_name(first));
        match File::open(&path) {
            Ok(file) => Ok(Segment { first, file: BufReader::new(file) }),
            // Deleted since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let first = all.iter().copied().find(|other| *other > first).unwrap_or(0);
                Err(StoreError::PlaceGone { first })
            }
            Err(error) => Err(StoreError::files(&path, &error)),
        }
    }
}
