//! Tags for this node's own identifiers: batch by batch, every other node through the gateway.
//!
//! What is tagged is kept as soon as a batch is done, so an interruption costs one batch; only
//! identifiers without a tag are ever sent again. The gateway and the other nodes see blinded points.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use prost::Message;
use sallyport_proto::{
    gateway::v1::{RelayKind, federation_client::FederationClient},
    node::v1::{EvaluationReply, EvaluationRequest, SignedMessage},
};
use sallyport_trust::{
    clock::Clock,
    error::Refusal,
    identity::{Identity, PeerChannel},
};

use super::{
    evaluate::EVALUATION,
    oprf::{Blinding, EpochKeys, Evaluated, KeySum, Tag, Tagged},
    relay,
};
use crate::identifier::{Canonical, IdentifierType};

/// Identifiers in one batch. Larger batches share more of the proofs' cost; this many take 128 KiB.
pub(crate) const BATCH: usize = 2_048;
/// Batches under way at a time: one is blinded or finished while others are evaluated.
const BATCHES_UNDER_WAY: usize = 4;

/// What tagging needs to know of the epoch and the others.
pub(crate) struct Tagger {
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Clock,
    pub(crate) gateway: FederationClient<PeerChannel>,
    pub(crate) epoch_digest: [u8; 32],
    pub(crate) keys: Arc<EpochKeys>,
    /// The other members, in the order of [`EpochKeys::others`].
    pub(crate) others: Vec<String>,
    /// Places among them of those who joined in an epoch that continues another one.
    pub(crate) joined: Vec<usize>,
}

/// Identifiers to tag at once.
pub(crate) struct Batch {
    pub(crate) numbers: Vec<u32>,
    pub(crate) identifiers: Vec<Canonical>,
    /// Their sums of keys in the epoch that is continued; empty when every member must evaluate.
    pub(crate) before: Vec<KeySum>,
}

impl Tagger {
    /// Tags of up to [`super::oprf::MAX_BATCH`] identifiers.
    ///
    /// # Errors
    /// When a node cannot be reached, refuses, is out of quota, or its proof does not hold; then no
    /// tag of the batch is used.
    pub(crate) async fn tags(&self, kind: IdentifierType, identifiers: Vec<Canonical>) -> Result<Vec<Tag>, Refusal> {
        let tagged = self.tagged_by_all(kind, identifiers).await?;
        Ok(tagged.into_iter().map(|tagged| tagged.tag).collect())
    }

    async fn tagged_by_all(&self, kind: IdentifierType, identifiers: Vec<Canonical>) -> Result<Vec<Tagged>, Refusal> {
        let blinding = on_its_own_thread(move || Blinding::blind_batch(kind, &identifiers, &mut rand::rng())).await?;
        let asked = self.others.iter().map(|other| self.evaluated_by(other, blinding.blinded()));
        let evaluations = try_join_all(asked).await?;
        let keys = self.keys.clone();
        on_its_own_thread(move || blinding.finish(&keys, &evaluations)).await
    }

    async fn tagged_by_joined(
        &self,
        kind: IdentifierType,
        identifiers: Vec<Canonical>,
        before: Vec<KeySum>,
    ) -> Result<Vec<Tagged>, Refusal> {
        let blinding = on_its_own_thread(move || Blinding::blind_batch(kind, &identifiers, &mut rand::rng())).await?;
        let blinded = blinding.blinded();
        let asked = self
            .joined
            .iter()
            .map(async |&place| Ok::<_, Refusal>((place, self.evaluated_by(&self.others[place], blinded).await?)));
        let evaluations = try_join_all(asked).await?;
        let keys = self.keys.clone();
        on_its_own_thread(move || blinding.finish_joined(&keys, &before, &evaluations)).await
    }

    async fn tagged(&self, kind: IdentifierType, batch: Batch) -> Result<Vec<(u32, Tagged)>, Refusal> {
        let Batch { numbers, identifiers, before } = batch;
        let tagged = match before.is_empty() {
            true => self.tagged_by_all(kind, identifiers).await?,
            false => self.tagged_by_joined(kind, identifiers, before).await?,
        };
        Ok(numbers.into_iter().zip(tagged).collect())
    }

    /// Tags batch after batch, a few at a time; `done` is called with each batch as it is finished.
    pub(crate) async fn tag_all(
        &self,
        kind: IdentifierType,
        batches: Vec<Batch>,
        mut done: impl FnMut(&[(u32, Tagged)]) -> Result<(), Refusal> + Send,
    ) -> Result<(), Refusal> {
        let under_way = stream::iter(batches).map(|batch| self.tagged(kind, batch)).buffer_unordered(BATCHES_UNDER_WAY);
        under_way.try_for_each(|tagged| std::future::ready(done(&tagged))).await
    }

    async fn evaluated_by(&self, other: &str, blinded: &[u8]) -> Result<Evaluated, Refusal> {
        let request = EvaluationRequest {
            epoch_digest: self.epoch_digest.to_vec(),
            to: other.to_owned(),
            issued_at_ms: self.clock.now_ms(),
            blinded: blinded.to_vec(),
        };
        let message = request.encode_to_vec();
        let signature = self.identity.sign(EVALUATION, &message).map_err(Refusal::from)?;
        let signed = SignedMessage { message, signature: Some(signature.into()) };
        let reply: EvaluationReply = relay::send(&self.gateway, other, RelayKind::Evaluate, &signed).await?;
        Evaluated::from_bytes(&reply.evaluated, &reply.proof).map_err(|error| refused(&error))
    }
}

async fn on_its_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, super::oprf::Error> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refusal::internal("tagging_failed", &error))?
        .map_err(|error| refused(&error))
}

fn refused(error: &super::oprf::Error) -> Refusal {
    Refusal::bad_input("evaluation_refused", error.to_string())
}
