//! The gRPC service of a witness, the same at the gateway and at every node.

use std::sync::Arc;

use prost::Message;
use sallyport_proto::audit::v1::{
    AddCheckpointRequest, AddCheckpointResponse,
    witness_client::WitnessClient,
    witness_server::{Witness as WitnessRpc, WitnessServer},
};
use tonic::{Request, Response, Status};

use super::answer::{Reply, Submission, Witness};
use crate::error::Refusal;
use crate::identity::{PeerChannel, SpiffeId, peer, refusal_of};

/// The service's full name, for the health service.
pub const SERVICE_NAME: &str = "sallyport.audit.v1.Witness";

/// Serves a witness to parties that come themselves.
pub struct WitnessService(Arc<Witness>);

/// The service of a witness, to be added to a process's routes.
pub fn service(witness: Arc<Witness>, message_bytes: usize) -> WitnessServer<WitnessService> {
    WitnessServer::new(WitnessService(witness)).max_decoding_message_size(message_bytes)
}

#[tonic::async_trait]
impl WitnessRpc for WitnessService {
    async fn add_checkpoint(
        &self,
        request: Request<AddCheckpointRequest>,
    ) -> Result<Response<AddCheckpointResponse>, Status> {
        let peer = peer(&request)?;
        self.0.only_parties(&peer)?;
        let reply = self.0.answer(&peer, None, request.into_inner().try_into()?).await?;
        Ok(Response::new(reply.into()))
    }
}

/// Answers a message of `party` that the gateway carried.
///
/// # Errors
/// `relay_unreadable`, or as [`Witness::answer`].
pub async fn carried(
    witness: &Arc<Witness>,
    party: &SpiffeId,
    via: &SpiffeId,
    payload: &[u8],
) -> Result<Vec<u8>, Refusal> {
    witness.only_parties(party)?;
    let unreadable = |_| Refusal::bad_input("relay_unreadable", "The carried message cannot be read.");
    let request = AddCheckpointRequest::decode(payload).map_err(unreadable)?;
    let reply = witness.answer(party, Some(via), request.try_into()?).await?;
    Ok(AddCheckpointResponse::from(reply).encode_to_vec())
}

/// Asks a witness that can be reached directly.
///
/// # Errors
/// What the witness refused with, or that it is away.
pub async fn ask(mut witness: WitnessClient<PeerChannel>, submission: Submission) -> Result<Reply, Refusal> {
    let request = AddCheckpointRequest::from(submission);
    let response = witness.add_checkpoint(request).await.map_err(|status| refusal_of(&status))?;
    response.into_inner().try_into()
}
