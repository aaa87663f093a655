//! Where the points of feeds are kept.

use std::sync::Arc;

use sallyport_feed::{Position, RefusedPoint};
use sallyport_trust::error::Refusal;

use crate::positions::{Quarantined, Reached, Store};

/// Keeps batches of streams, each once.
pub(crate) trait Keep: Send + Sync + 'static {
    /// Keeps a batch. It is durable on return; a number that was kept before is not kept again.
    fn append(
        &self,
        feed: &str,
        stream: &str,
        sequence: u64,
        positions: Vec<Position>,
        refused: Vec<RefusedPoint>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// How far a stream is durable.
    fn reached(&self, feed: &str, stream: &str) -> Option<Reached>;

    /// Refused points of a feed with numbers above `after`, oldest first, `limit` at most.
    fn quarantine(
        &self,
        feed: &str,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Quarantined>, Refusal>> + Send;
}

impl Keep for Arc<Store> {
    async fn append(
        &self,
        feed: &str,
        stream: &str,
        sequence: u64,
        positions: Vec<Position>,
        refused: Vec<RefusedPoint>,
    ) -> Result<(), Refusal> {
        Store::append(self, feed, stream, sequence, positions, refused).await
    }

    fn reached(&self, feed: &str, stream: &str) -> Option<Reached> {
        Store::reached(self, feed, stream)
    }

    async fn quarantine(&self, feed: &str, after: u64, limit: usize) -> Result<Vec<Quarantined>, Refusal> {
        Store::quarantine(self, feed, after, limit).await
    }
}
