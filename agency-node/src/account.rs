//! Which of this node's rows were released, written down at their owner.

use sallyport_join::keys::QuestionKeys;
use sallyport_proto::node::v1::AccountRequest;
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::Act,
    identity::SpiffeId,
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{PERSON, QuestionId, TOP_MAX},
};

use crate::{
    identifier::IdentifierType,
    node::{Contributed, Node},
};

/// identify gateway → open audit entry → authorise → find the own rows → complete audit
pub(crate) async fn account(node: &Node, peer: SpiffeId, released: AccountRequest) -> Result<(), Refusal> {
    node.only_gateway(&peer)?;
    let id = QuestionId(released.question_id.as_slice().try_into().map_err(|_| unknown())?);
    let question = node.take_contributed(id, released.part as usize).ok_or_else(unknown)?;
    let dataset = if question.dataset.is_empty() { "own list" } else { &question.dataset };
    let act = Act::by(&peer, "account", dataset)
        .because(&question.purpose, &question.case_number, &question.reason)
        .about(Some(id));
    let mut trail = node.guard.begin(act).await?;
    let worked = (|| {
        if released.keys.len() > TOP_MAX as usize {
            return Err(Refusal::bad_input("too_many_keys", "More rows than a question may release."));
        }
        let request = Request {
            subject: Attributes::new().with(attribute::ROLE, "gateway"),
            resource: Attributes::new().with(attribute::KIND, kind::AUDIT).with(attribute::OWNER, node.agency.clone()),
            action: Action::Account,
            context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
        };
        let _permit = node.guard.authorise(&mut trail, &request)?;
        let own = own_rows(node, id, &question, &released.keys)?;
        trail.count("released", released.keys.len() as u64);
        trail.count("released_own_rows", own as u64);
        Ok(())
    })();
    trail.complete(worked.as_ref().err()).await?;
    worked
}

/// How many of the keys are of this node's own records.
fn own_rows(node: &Node, id: QuestionId, question: &Contributed, keys: &[Vec<u8>]) -> Result<usize, Refusal> {
    let keys = keys.iter().filter_map(|key| <[u8; 16]>::try_from(key.as_slice()).ok());
    if question.subject == PERSON {
        let pseudonyms = node.holdings.pseudonyms.of(&id.0, &question.dataset);
        let records = node.holdings.manifest(&question.dataset).map_or(0, |manifest| manifest.records);
        let number = |key: [u8; 16]| pseudonyms.record(u128::from_be_bytes(key));
        return Ok(keys.filter_map(number).filter(|&record| u64::from(record) < records).count());
    }
    let agreed = node.agreed()?;
    let subject: IdentifierType = question.subject.parse().map_err(|_| unknown())?;
    let names = QuestionKeys::derive(&agreed.secret, &id.0, question.minimum_datasets);
    let order = node.holdings.order(subject, &agreed.locators).ok_or_else(unknown)?;
    Ok(keys.filter(|key| order.subject(&agreed.locators, names.tag_of(key)).is_some()).count())
}

fn unknown() -> Refusal {
    Refusal::new(Kind::NotFound, "question_unknown", "This node did not contribute to that question lately.")
}
