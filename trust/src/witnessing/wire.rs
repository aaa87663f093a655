//! The edge between what witnesses say and its protobuf form; the only file that knows both.

use sallyport_proto::audit::v1 as pb;

use super::answer::{Reply, Submission};
use super::keys::SignedKeys;
use crate::error::Refusal;

fn missing() -> Refusal {
    Refusal::bad_input("audit_keys_unusable", "The message lacks the sender's audit keys.")
}

impl From<SignedKeys> for pb::SignedKeys {
    fn from(keys: SignedKeys) -> Self {
        Self { statement: keys.statement, signature: Some(keys.signature.into()) }
    }
}

impl TryFrom<pb::SignedKeys> for SignedKeys {
    type Error = Refusal;

    fn try_from(keys: pb::SignedKeys) -> Result<Self, Refusal> {
        Ok(Self { statement: keys.statement, signature: keys.signature.ok_or_else(missing)?.try_into()? })
    }
}

impl From<Submission> for pb::AddCheckpointRequest {
    fn from(submission: Submission) -> Self {
        Self { request: submission.request, keys: Some(submission.keys.into()) }
    }
}

impl TryFrom<pb::AddCheckpointRequest> for Submission {
    type Error = Refusal;

    fn try_from(request: pb::AddCheckpointRequest) -> Result<Self, Refusal> {
        Ok(Self { request: request.request, keys: request.keys.ok_or_else(missing)?.try_into()? })
    }
}

impl From<Reply> for pb::AddCheckpointResponse {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status.into(),
            cosignature: reply.cosignature,
            held: reply.held,
            keys: Some(reply.keys.into()),
            pinned: reply.pinned.map(Into::into),
        }
    }
}

impl TryFrom<pb::AddCheckpointResponse> for Reply {
    type Error = Refusal;

    fn try_from(response: pb::AddCheckpointResponse) -> Result<Self, Refusal> {
        Ok(Self {
            // What is no status is none that means success.
            status: response.status.try_into().unwrap_or_default(),
            cosignature: response.cosignature,
            held: response.held,
            keys: response.keys.ok_or_else(missing)?.try_into()?,
            pinned: response.pinned.map(TryInto::try_into).transpose()?,
        })
    }
}
