//! Following the store: durable batches in their order.
//!
//! A follower reads the journal at its own pace and holds one group in memory at most; a slow one delays nobody.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use tokio::sync::watch;

use super::{batch::Placed, cursor::Cursor, error::StoreError};

/// A follower's place in the store.
#[derive(Debug)]
pub struct Subscription {
    journal: PathBuf,
    /// The next batch.
    place: u64,
    /// Read and not yet handed out.
    ready: VecDeque<Placed>,
    /// Where the next group lies; lost when a caller goes away during a read.
    cursor: Option<Cursor>,
    durable: watch::Receiver<u64>,
}

impl Subscription {
    pub(super) fn new(journal: &Path, from: u64, durable: watch::Receiver<u64>) -> Self {
        Self { journal: journal.to_owned(), place: from, ready: VecDeque::new(), cursor: None, durable }
    }

    /// The next durable batch, awaited where it has not come yet; `None` when the store was closed. Nothing is
    /// lost when the caller gives up waiting.
    ///
    /// # Errors
    /// [`StoreError::PlaceGone`] when the batch has left the journal, and when that cannot be read.
    pub async fn next(&mut self) -> Result<Option<Placed>, StoreError> {
        loop {
            if let Some(placed) = self.ready.pop_front() {
                self.place = placed.place + 1;
                return Ok(Some(placed));
            }
            let place = self.place;
            let Ok(end) = self.durable.wait_for(|end| *end > place).await.map(|end| *end) else {
                return Ok(None);
            };
            let mut cursor = self.cursor.take().unwrap_or_else(|| Cursor::new(&self.journal, place));
            let reading = tokio::task::spawn_blocking(move || cursor.read(end).map(|batches| (cursor, batches)));
            let read = reading.await.map_err(|error| StoreError::Unwritable(error.to_string()))?;
            let (cursor, batches) = read?;
            (self.cursor, self.ready) = (Some(cursor), batches.into());
        }
    }
}
