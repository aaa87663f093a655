//! What an operator of the agency's node sees and decides about epochs and members.
//!
//! A decision holds for this node alone: the others' operators must decide the same, and until they have,
//! nothing changes for anybody who asks.

use sallyport_proto::node::v1::{
    ChangeEpochRequest, EpochMember, EpochProposal, EpochResponse, EpochStage, EpochState,
    change_epoch_request::Change as Wanted,
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::{Role, SpiffeId},
    policy::{Action, Attributes, Context, Request, attribute, kind},
    question::Asker,
};

use crate::{
    linkage::{
        course::{Change, Plan},
        progress::Told,
    },
    node::Node,
};

/// Proposed members that are shown of one proposal.
const SHOWN_MAX: usize = 64;
/// Characters that are shown of a name that is none.
const NAME_SHOWN_MAX: usize = 64;

/// Every epoch and how far its members are.
pub(crate) async fn show(node: &Node, peer: &SpiffeId) -> Result<EpochResponse, Refusal> {
    node.person(peer)?;
    Ok(state(node).await)
}

/// identify person → open audit entry → authorise → begin or give up → complete audit → show
pub(crate) async fn change(node: &Node, peer: SpiffeId, wanted: ChangeEpochRequest) -> Result<EpochResponse, Refusal> {
    let asker = node.person(&peer)?;
    let resource = match &wanted.change {
        Some(Wanted::NewKeys(_)) => "epoch: new keys",
        Some(Wanted::AddMember(_)) => "epoch: add a member",
        Some(Wanted::RemoveMember(_)) => "epoch: remove a member",
        Some(Wanted::GiveUp(_)) => "epoch: give up the next",
        None => return Err(Refusal::bad_input("change_missing", "Say what is to change.")),
    };
    let mut trail = node.guard.begin(Act::by(&peer, Action::Operate.as_str(), resource)).await?;
    let worked = decide(node, &mut trail, asker, wanted).await;
    trail.complete(worked.as_ref().err()).await?;
    worked?;
    Ok(state(node).await)
}

async fn decide(node: &Node, trail: &mut Trail, asker: Asker, wanted: ChangeEpochRequest) -> Result<(), Refusal> {
    let request = Request {
        subject: asker.into_iter().collect(),
        resource: Attributes::new().with(attribute::KIND, kind::LINKAGE).with(attribute::OWNER, node.agency.clone()),
        action: Action::Operate,
        context: Context { at_ms: node.clock.now_ms(), ..Context::default() },
    };
    let _permit = node.guard.authorise(trail, &request)?;
    let federation = &node.identity.id().federation;
    let change = match wanted.change {
        None | Some(Wanted::GiveUp(_)) => return node.epochs.give_up().await,
        Some(Wanted::NewKeys(_)) => Change::NewKeys,
        Some(Wanted::AddMember(agency)) => Change::Add(named(federation, agency)?),
        Some(Wanted::RemoveMember(agency)) => Change::Remove(named(federation, agency)?),
    };
    node.epochs.begin(&change, Some(wanted.epoch).filter(|&epoch| epoch != 0)).await
}

/// The name of an agency, as certificates write it.
fn named(federation: &str, agency: String) -> Result<String, Refusal> {
    SpiffeId::new(federation, Role::Node { agency: agency.clone() }).map(|_| agency.clone()).map_err(|error| {
        let shown: String = agency.chars().filter(|c| !c.is_control()).take(NAME_SHOWN_MAX).collect();
        Refusal::bad_input("agency_name", format!("`{shown}` is not an agency's name: {error}."))
    })
}

async fn state(node: &Node) -> EpochResponse {
    let course = node.epochs.plans();
    let mut in_use = of_plan(node, &course.in_use).await;
    in_use.keeps_keys = false;
    let next = match &course.next {
        Some(next) => Some(of_plan(node, next).await),
        None => None,
    };
    let proposals = node.epochs.reports.proposals(course.highest).into_iter().map(|(agency, proposal)| EpochProposal {
        agency,
        epoch: proposal.epoch,
        members: proposal.members.into_iter().take(SHOWN_MAX).collect(),
    });
    EpochResponse { in_use: Some(in_use), next, earlier: course.earlier, proposals: proposals.collect() }
}

async fn of_plan(node: &Node, plan: &Plan) -> EpochState {
    let missing = node.epochs.drafts().lock().await.get(&plan.epoch).map(|draft| draft.missing()).unwrap_or_default();
    let agreed = node.epochs.agreed(plan.epoch);
    let digest = agreed.as_ref().map(|agreed| agreed.digest);
    // After a restart, nothing is known of the others until they have been greeted.
    let is_in_use = node.epochs.plans().in_use.epoch == plan.epoch;
    let members = plan.members.iter().map(|member| {
        if *member == node.agency {
            return own(node, plan.epoch);
        }
        let told = node.epochs.reports.of(plan.epoch, member);
        let is_heard = told.digest.is_some() || (!is_in_use && !missing.contains(member));
        let differs = told.digest.is_some() && digest.is_some() && told.digest != digest;
        let differs = differs.then(|| "It has agreed on other keys for this number; begin a new epoch.".to_owned());
        EpochMember {
            agency: member.clone(),
            stage: if is_heard { stage(&told) } else { EpochStage::Unheard }.into(),
            // What is complete stays so, whatever was heard before.
            tagged_thousandths: if told.complete { 1_000 } else { told.tagged_thousandths },
            waiting_because: differs.or(told.failed).unwrap_or_default(),
        }
    });
    EpochState {
        epoch: plan.epoch,
        digest: digest.iter().flatten().take(16).map(|byte| format!("{byte:02x}")).collect(),
        keeps_keys: plan.keeps_keys,
        members: members.collect(),
    }
}

/// The first epoch is used while identifiers are tagged: it counts as in use when that is done.
fn stage(told: &Told) -> EpochStage {
    match () {
        () if told.complete && told.in_use => EpochStage::InUse,
        () if told.complete => EpochStage::Complete,
        () if told.digest.is_some() => EpochStage::Tagging,
        () => EpochStage::Begun,
    }
}

fn own(node: &Node, epoch: u64) -> EpochMember {
    let progress = node.epochs.progress(epoch, node.holdings.identifier_count());
    let told = Told {
        digest: progress.epoch_digest.as_slice().try_into().ok(),
        complete: progress.complete,
        in_use: progress.in_use,
        ..Told::default()
    };
    EpochMember {
        agency: node.agency.clone(),
        stage: stage(&told).into(),
        tagged_thousandths: progress.tagged_thousandths,
        waiting_because: String::new(),
    }
}

/// What an operator should know of a change, in a sentence.
pub(crate) fn advice(node: &Node) -> Vec<String> {
    let course = node.epochs.plans();
    let next = course
        .next
        .map(|next| format!("Epoch {} is being prepared; `sallyport epoch show` tells whom it waits for.", next.epoch));
    let proposed = node.epochs.reports.proposals(course.highest).into_iter().map(|(agency, proposal)| {
        format!(
            "The node of `{agency}` has begun epoch {} with: {}. Begin it here too, if that was agreed on.",
            proposal.epoch,
            proposal.members.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join(", ")
        )
    });
    next.into_iter().chain(proposed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_in_use_when_it_is_complete_and_uses_the_epoch() {
        let told = |digest: bool, complete, in_use| {
            stage(&Told { digest: digest.then_some([1; 32]), complete, in_use, ..Told::default() })
        };
        assert_eq!(told(false, false, true), EpochStage::Begun);
        assert_eq!(told(true, false, true), EpochStage::Tagging, "the first epoch is used while it is tagged");
        assert_eq!(told(true, true, false), EpochStage::Complete);
        assert_eq!(told(true, true, true), EpochStage::InUse);
    }

    #[test]
    fn what_is_no_name_is_named_and_refused() {
        assert_eq!(named("border.example", "acme".to_owned()).unwrap(), "acme");
        for wrong in ["../x", "Acme", ""] {
            let refusal = named("border.example", wrong.to_owned()).unwrap_err();
            assert_eq!(refusal.reason, "agency_name");
            assert!(refusal.message.starts_with(&format!("`{wrong}` is not an agency's name:")), "{}", refusal.message);
        }
    }
}
