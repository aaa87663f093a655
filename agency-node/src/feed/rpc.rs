//! The gRPC service for partners. Who the peer is comes from its certificate.

use std::sync::Arc;

use sallyport_proto::feed::v1::{
    PushRequest, PushResponse, QuarantineRequest, QuarantineResponse, feed_server::Feed as Service,
};
use sallyport_trust::identity::peer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Feeds, Keep, push, quarantine};

/// Acknowledgements that may wait for their reader.
const WAITING_MAX: usize = 8;

pub(crate) struct FeedService<K>(pub(crate) Arc<Feeds<K>>);

#[tonic::async_trait]
impl<K: Keep> Service for FeedService<K> {
    type PushStream = ReceiverStream<Result<PushResponse, Status>>;

    async fn push(&self, request: Request<Streaming<PushRequest>>) -> Result<Response<Self::PushStream>, Status> {
        let peer = peer(&request)?;
        let requests = request.into_inner();
        let (responses, stream) = mpsc::channel(WAITING_MAX);
        let feeds = self.0.clone();
        tokio::spawn(async move {
            if let Err(refusal) = push::push(&feeds, &peer, requests, &responses).await {
                let _ = responses.send(Err(refusal.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn quarantine(&self, request: Request<QuarantineRequest>) -> Result<Response<QuarantineResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(quarantine::show(&self.0, &peer, request.into_inner()).await?))
    }
}
