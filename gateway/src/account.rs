//! Tells each contributor which of its rows were released, so that it can account for them.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use sallyport_proto::{gateway::v1::Match, node::v1::AccountRequest};
use sallyport_trust::question::OpenedQuestion;
use tokio::time::timeout;

use crate::{run::Gateway, streams::ContributorStream};

/// How long one contributor may take to write it down.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the keys of the released rows to their owners, all at once, and to those who answered in vain
/// that none were; an owner that cannot be reached is logged, and misses the account by itself.
pub(crate) async fn tell_contributors(
    gateway: &Gateway,
    question: &OpenedQuestion,
    streams: &[ContributorStream],
    released: &[Match],
) {
    let mut keys: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for found in released {
        // A person is accounted for by each of its records.
        for record in &found.records {
            keys.entry(record.indicator).or_default().push(record.reference.clone());
        }
        for evidence in found.evidence.iter().filter(|_| found.records.is_empty()) {
            keys.entry(evidence.indicator).or_default().push(found.key.clone());
        }
    }
    // Whoever began to answer awaits an account, whatever came of its stream.
    let answered = streams.iter().filter(|stream| stream.obligations.is_some());
    let telling = answered.map(|stream| {
        // An indicator that stands in relation has more than one stream: the first accounts for its rows.
        let keys = keys.remove(&stream.coverage.indicator).unwrap_or_default();
        let client = gateway.contributors.of(&stream.owner).ok();
        let request = AccountRequest { question_id: question.id.0.to_vec(), part: stream.part as u32, keys };
        async move {
            let told = match client {
                Some(mut client) => timeout(PATIENCE, client.account(request)).await.is_ok_and(|told| told.is_ok()),
                None => false,
            };
            if !told {
                tracing::warn!(owner = stream.owner, "an owner could not be told of its released rows");
            }
        }
    });
    join_all(telling.collect::<Vec<_>>()).await;
}
