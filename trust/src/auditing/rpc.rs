//! The gRPC service for auditors: who the peer is comes from its certificate, the rest is one call each.

use std::sync::Arc;

use sallyport_proto::audit::v1::{
    ExportRequest, ExportResponse, ReportRequest, ReportResponse, SearchRequest, SearchResponse, ShowRequest,
    ShowResponse, VerifyRequest, VerifyResponse,
    audit_server::{Audit, AuditServer},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Auditing, wire};
use crate::identity::peer;

/// Full name of the service.
pub const NAME: &str = "sallyport.audit.v1.Audit";

/// Messages of an export that may wait for their reader.
const WAITING_MAX: usize = 4;

/// [`Auditing`] as the transport calls it.
pub struct AuditService(Arc<Auditing>);

impl AuditService {
    /// The service of a party; requests have at most `message_bytes` bytes.
    pub fn server(auditing: Arc<Auditing>, message_bytes: usize) -> AuditServer<Self> {
        AuditServer::new(Self(auditing)).max_decoding_message_size(message_bytes)
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    type ExportStream = ReceiverStream<Result<ExportResponse, Status>>;

    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        let peer = peer(&request)?;
        let SearchRequest { filter, before, limit } = request.into_inner();
        let query = wire::query(filter)?;
        Ok(Response::new(self.0.search(&peer, query, before, limit as usize).await?.into()))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Result<Response<ShowResponse>, Status> {
        let peer = peer(&request)?;
        let wanted = wire::wanted(request.into_inner())?;
        Ok(Response::new(self.0.show(&peer, wanted).await?.into()))
    }

    async fn export(&self, request: Request<ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        let peer = peer(&request)?;
        let query = wire::query(request.into_inner().filter)?;
        let (parts, stream) = mpsc::channel(WAITING_MAX);
        let auditing = Arc::clone(&self.0);
        tokio::spawn(async move {
            let sending = parts.clone();
            let send = move |actions| sending.blocking_send(Ok(wire::exported(actions))).is_ok();
            let closing = auditing.export(&peer, query, send).await;
            let _ = parts.send(closing.map(Into::into).map_err(Status::from)).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let peer = peer(&request)?;
        let ReportRequest { from_ms, until_ms } = request.into_inner();
        Ok(Response::new(self.0.report(&peer, from_ms, until_ms).await?.into()))
    }

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(self.0.verify(&peer).await?.answer.into()))
    }
}
