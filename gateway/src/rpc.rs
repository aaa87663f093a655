//! The gateway's gRPC service: who the peer is comes from its certificate, the rest is one call each.

use std::sync::Arc;

use sallyport_proto::gateway::v1::{
    AskEvent, AskRequest, CatalogRequest, CatalogResponse, RelayRequest, RelayResponse, federation_server::Federation,
};
use sallyport_trust::{error::Refusal, identity::peer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{ask, catalog, relay, run::Gateway};

/// Events of a question that may wait for its reader.
const EVENTS_WAITING_MAX: usize = 4;

pub(crate) struct FederationService(pub(crate) Arc<Gateway>);

#[tonic::async_trait]
impl Federation for FederationService {
    type AskStream = ReceiverStream<Result<AskEvent, Status>>;

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<Self::AskStream>, Status> {
        let peer = peer(&request)?;
        let question = request
            .into_inner()
            .question
            .ok_or_else(|| Refusal::bad_input("question_missing", "The request holds no question."))?;
        let (events, stream) = mpsc::channel(EVENTS_WAITING_MAX);
        let gateway = self.0.clone();
        tokio::spawn(async move {
            if let Err(refusal) = ask::ask(gateway, peer, question, events.clone()).await {
                let _ = events.send(Err(refusal.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn relay(&self, request: Request<RelayRequest>) -> Result<Response<RelayResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(relay::relay(&self.0, peer, request.into_inner()).await?))
    }

    async fn catalog(&self, request: Request<CatalogRequest>) -> Result<Response<CatalogResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(catalog::catalog(&self.0, peer, request.into_inner()).await?))
    }
}
