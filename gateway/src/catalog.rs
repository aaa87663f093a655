//! What every node offers to the introduced person, asked of all nodes at once.

use std::time::Duration;

use futures::future::join_all;
use sallyport_proto::{
    common::v1::Outcome,
    gateway::v1::{CatalogRequest, CatalogResponse, NodeCatalog},
    node::v1::{DescribeRequest, DescribeResponse, contribution_client::ContributionClient},
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{PeerChannel, SpiffeId, refusal_of},
    policy::{Action, Attributes, Context, Request, attribute, kind},
};
use tokio::time::timeout;

use crate::run::Gateway;

/// How long one node may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// identify node → open audit entry → authorise → ask every node → complete audit → return
pub(crate) async fn catalog(
    gateway: &Gateway,
    peer: SpiffeId,
    request: CatalogRequest,
) -> Result<CatalogResponse, Refusal> {
    let home = gateway.member(&peer)?;
    let mut trail = gateway.guard.begin(Act::by(&peer, "catalog", "federation")).await?;
    let listed = list(gateway, &mut trail, &home, request).await;
    trail.complete(listed.as_ref().err()).await?;
    listed
}

async fn list(
    gateway: &Gateway,
    trail: &mut Trail,
    home: &str,
    request: CatalogRequest,
) -> Result<CatalogResponse, Refusal> {
    let asked = Request {
        subject: Attributes::new().with(attribute::AGENCY, home).with(attribute::ROLE, "node"),
        resource: Attributes::new()
            .with(attribute::KIND, kind::CATALOG)
            .with(attribute::OWNER, gateway.identity.id().federation.clone()),
        action: Action::Catalog,
        context: Context { at_ms: gateway.clock.now_ms(), ..Context::default() },
    };
    let _permit = gateway.guard.authorise(trail, &asked)?;
    let describe = DescribeRequest { introduction: request.introduction, signature: request.signature };
    let nodes = gateway.contributors.all().into_iter().map(|(agency, client)| one(agency, client, describe.clone()));
    let nodes = join_all(nodes).await;
    Ok(CatalogResponse { nodes })
}

async fn one(agency: String, mut client: ContributionClient<PeerChannel>, request: DescribeRequest) -> NodeCatalog {
    let answer = timeout(PATIENCE, client.describe(request)).await;
    let (outcome, reason, listed) = match answer {
        Ok(Ok(answer)) => (Outcome::Answered, String::new(), answer.into_inner()),
        Ok(Err(status)) => {
            let refusal = refusal_of(&status);
            let denied = refusal.kind == sallyport_trust::error::Kind::Denied;
            (if denied { Outcome::Denied } else { Outcome::Unavailable }, refusal.reason, DescribeResponse::default())
        }
        Err(_) => (Outcome::TimedOut, "deadline_passed".to_owned(), DescribeResponse::default()),
    };
    let DescribeResponse { datasets, patterns, budgets } = listed;
    NodeCatalog { agency, outcome: outcome.into(), reason, datasets, patterns, budgets }
}
