//! Which of this node's rows were released, written down at their owner.

use sallyport_join::keys::QuestionKeys;
use sallyport_proto::node::v1::AccountRequest;
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::Act,
    identity::SpiffeId,
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::{QuestionId, TOP_MAX},
};

use crate::{identifier::IdentifierType, node::Node};

/// identify gateway → open audit entry → authorise → find the own rows → complete audit
pub(crate) async fn account(node: &Node, peer: SpiffeId, released: AccountRequest) -> Result<(), Refusal> {
    node.only_gateway(&peer)?;
    let unknown =
        || Refusal::new(Kind::NotFound, "question_unknown", "This node did not contribute to that question lately.");
    let id = QuestionId(released.question_id.as_slice().try_into().map_err(|_| unknown())?);
    let question = node.take_contributed(id, released.part as usize).ok_or_else(unknown)?;
    let act = Act::by(&peer, "account", "released rows")
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
        let agreed = node.agreed()?;
        let subject: IdentifierType = question.subject.parse().map_err(|_| unknown())?;
        let keys = QuestionKeys::derive(&agreed.secret, &id.0, question.minimum_datasets);
        let order = node.holdings.order(subject, &agreed.locators).ok_or_else(unknown)?;
        let own = released
            .keys
            .iter()
            .filter_map(|key| <[u8; 16]>::try_from(key.as_slice()).ok())
            .filter(|key| order.subject(&agreed.locators, keys.tag_of(key)).is_some())
            .count();
        trail.count("released", released.keys.len() as u64);
        trail.count("released_own_rows", own as u64);
        Ok(())
    })();
    trail.complete(worked.as_ref().err()).await?;
    worked
}
