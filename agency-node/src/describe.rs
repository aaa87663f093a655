//! What can be asked of whom: this node's data sets and patterns for an introduced person, and
//! everyone's for ours.

use prost::Message;
use sallyport_proto::{
    common::v1::{AttributeDescription, Budget, DatasetDescription, IdentifierDescription},
    gateway::v1::{CatalogRequest, NodeCatalog},
    node::v1::{DescribeRequest, DescribeResponse, Introduction},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::{Signature, SigningPurpose, SpiffeId, refusal_of},
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{Asker, PERSON, check_freshness, vouches_for},
};

use crate::{dataset::Dataset, holdings::CELL, identifier::IdentifierType, node::Node, patterns};

const INTRODUCTION: SigningPurpose = SigningPurpose::new("introduction");

/// identify gateway → open audit entry → verify introduction → authorise each data set and pattern →
/// complete audit
pub(crate) async fn describe(
    node: &Node,
    peer: SpiffeId,
    request: DescribeRequest,
) -> Result<DescribeResponse, Refusal> {
    node.only_gateway(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, "describe", "catalog")).await?;
    let listed = list(node, &mut trail, request);
    trail.complete(listed.as_ref().err()).await?;
    listed
}

fn list(node: &Node, trail: &mut Trail, request: DescribeRequest) -> Result<DescribeResponse, Refusal> {
    let asker = introduced(node, request)?;
    let (patterns, mut refused) = patterns::listed(node, trail, &asker);
    let mut datasets = Vec::new();
    for dataset in node.holdings.datasets() {
        let request = Request {
            subject: asker.clone().into_iter().collect(),
            resource: Attributes::new()
                .with(attribute::KIND, kind::DATASET)
                .with(attribute::OWNER, node.agency.clone())
                .with(attribute::DATASET, dataset.name.clone())
                .with(attribute::SENSITIVITY, dataset.sensitivity.name()),
            action: Action::Catalog,
            context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
        };
        match node.guard.authorise(trail, &request) {
            Ok(_permit) => datasets.push(description(node, dataset)),
            Err(refusal) => refused = Some(refusal),
        }
    }
    trail.count("datasets_listed", datasets.len() as u64);
    match refused {
        Some(refusal) if datasets.is_empty() && patterns.is_empty() => Err(refusal),
        _ => Ok(DescribeResponse { datasets, patterns, budgets: budgets(node, &asker) }),
    }
}

/// What may still be asked here, shown before anybody runs into it.
fn budgets(node: &Node, asker: &Asker) -> Vec<Budget> {
    let of = |name| asker.get(name).map_or("", String::as_str);
    let (person, agency) = (of(attribute::FEDERATION_ID), of(attribute::AGENCY));
    node.books.budgets.standings(person, agency, node.clock.now_ms()).into_iter().map(Into::into).collect()
}

fn description(node: &Node, dataset: &Dataset) -> DatasetDescription {
    let manifest = node.holdings.manifest(&dataset.name).unwrap_or_default();
    let subjects = |name: &str| manifest.subjects.get(name).copied().unwrap_or_default();
    // The tables do not tell which data set an identifier without a tag stands in: the worst is told.
    let untagged = |kind, name: &str| node.untagged_count(kind).min(subjects(name));
    let untagged_cells = dataset.place.iter().map(|_| untagged(IdentifierType::Cell, CELL));
    let day = |moment_ms: i64| u32::try_from(moment_ms.div_euclid(86_400_000)).ok();
    DatasetDescription {
        name: dataset.name.clone(),
        title: dataset.title.clone(),
        owner: node.agency.clone(),
        sensitivity: dataset.sensitivity.name().to_owned(),
        identifiers: dataset
            .identifier
            .iter()
            .map(|identifier| IdentifierDescription {
                name: identifier.name.clone(),
                r#type: identifier.kind.name().to_owned(),
                tagged: subjects(&identifier.name) - untagged(identifier.kind, &identifier.name),
            })
            .chain(dataset.person.iter().map(|_| IdentifierDescription {
                name: PERSON.to_owned(),
                r#type: PERSON.to_owned(),
                // A person is found when all keys have their tags.
                tagged: match node.untagged_count(IdentifierType::PersonKey) {
                    0 => manifest.records,
                    _ => 0,
                },
            }))
            .collect(),
        attributes: dataset
            .attribute
            .iter()
            .map(|attribute| AttributeDescription {
                name: attribute.name.clone(),
                r#type: attribute.kind.name().to_owned(),
                title: attribute.title.clone(),
            })
            .collect(),
        has_time: dataset.time.is_some(),
        rows: manifest.rows,
        unusable: manifest.unusable.values().sum::<u64>() + manifest.unreadable,
        has_place: dataset.place.is_some(),
        counted_by: dataset.counts.iter().flat_map(|counts| counts.by.clone()).collect(),
        untagged: dataset.identifier.iter().map(|i| untagged(i.kind, &i.name)).chain(untagged_cells).sum(),
        oldest_day: manifest.oldest_ms.and_then(day),
        newest_day: manifest.newest_ms.and_then(day),
        gaps: dataset.coverage.gaps.clone(),
        retention_days: dataset.retention_days,
    }
}

fn introduced(node: &Node, request: DescribeRequest) -> Result<Asker, Refusal> {
    let unusable = || Refusal::bad_input("introduction_unusable", "The person's introduction cannot be read.");
    let signature: Signature = request.signature.ok_or_else(unusable)?.try_into()?;
    let signer = node.identity.verify(INTRODUCTION, &request.introduction, &signature)?;
    let introduction = Introduction::decode(request.introduction.as_slice()).map_err(|_| unusable())?;
    check_freshness(introduction.issued_at_ms, node.clock.now_ms())?;
    let asker: Asker = introduction.asker.into_iter().collect();
    if !vouches_for(&signer, &asker) || introduction.federation != node.identity.id().federation {
        return Err(Refusal::denied("introduction_wrong_signer", "A person is introduced by their own agency's node."));
    }
    Ok(asker)
}

/// The catalog of all nodes for a person of this agency, through the gateway.
pub(crate) async fn of_all(node: &Node, peer: &SpiffeId) -> Result<Vec<NodeCatalog>, Refusal> {
    let asker = node.person(peer)?;
    let introduction = Introduction {
        asker: asker.into_iter().collect(),
        federation: node.identity.id().federation.clone(),
        issued_at_ms: node.clock.now_ms(),
    }
    .encode_to_vec();
    let signature = node.identity.sign(INTRODUCTION, &introduction).map_err(Refusal::from)?;
    let request = CatalogRequest { introduction, signature: Some(signature.into()) };
    let answer = node.gateway.clone().catalog(request).await.map_err(|status| refusal_of(&status))?;
    Ok(answer.into_inner().nodes)
}

/// identify person → open audit entry → authorise → ask all → complete audit → show
pub(crate) async fn show(node: &Node, peer: SpiffeId) -> Result<Vec<NodeCatalog>, Refusal> {
    node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, "catalog", "federation")).await?;
    let listed = authorised(node, &mut trail, &peer).await;
    trail.complete(listed.as_ref().err()).await?;
    listed
}

/// The catalog, if the person may read it.
pub(crate) async fn authorised(node: &Node, trail: &mut Trail, peer: &SpiffeId) -> Result<Vec<NodeCatalog>, Refusal> {
    let request = Request {
        subject: node.person(peer)?.into_iter().collect(),
        resource: Attributes::new().with(attribute::KIND, kind::CATALOG).with(attribute::OWNER, node.agency.clone()),
        action: Action::Catalog,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    };
    let _permit = node.guard.authorise(trail, &request)?;
    of_all(node, peer).await.map_err(|refusal| match refusal.kind {
        Kind::Internal => {
            Refusal::new(Kind::Unavailable, &refusal.reason, "The gateway cannot be asked now; try again.")
        }
        _ => refusal,
    })
}
