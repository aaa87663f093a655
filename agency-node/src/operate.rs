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
    linkage::course::{Change, Plan},
    node::Node,
};

/// Proposed members that are shown of one proposal.
const SHOWN_MAX: usize = 64;

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
    let change = match wanted.change {
        None | Some(Wanted::GiveUp(_)) => return node.epochs.give_up().await,
        Some(Wanted::NewKeys(_)) => Change::NewKeys,
        Some(Wanted::AddMember(agency)) => Change::Add(named(node, agency)?),
        Some(Wanted::RemoveMember(agency)) => Change::Remove(named(node, agency)?),
    };
    node.epochs.begin(&change, Some(wanted.epoch).filter(|&epoch| epoch != 0)).await
}

/// The name of an agency, as certificates write it.
fn named(node: &Node, agency: String) -> Result<String, Refusal> {
    SpiffeId::new(&node.identity.id().federation, Role::Node { agency: agency.clone() })
        .map(|_| agency)
        .map_err(|error| Refusal::bad_input("agency_name", error.to_string()))
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
    let members = plan.members.iter().map(|member| {
        if *member == node.agency {
            return own(node, plan.epoch);
        }
        let told = node.epochs.reports.of(plan.epoch, member);
        let stage = match () {
            () if told.in_use => EpochStage::InUse,
            () if told.complete => EpochStage::Complete,
            () if told.digest.is_some() => EpochStage::Tagging,
            () if missing.contains(member) => EpochStage::Unheard,
            () => EpochStage::Begun,
        };
        let differs = told.digest.is_some() && digest.is_some() && told.digest != digest;
        let differs = differs.then(|| "It has agreed on other keys for this number; begin a new epoch.".to_owned());
        EpochMember {
            agency: member.clone(),
            stage: stage.into(),
            tagged_thousandths: told.tagged_thousandths,
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

fn own(node: &Node, epoch: u64) -> EpochMember {
    let progress = node.epochs.progress(epoch, node.holdings.identifier_count());
    let stage = match () {
        () if progress.in_use => EpochStage::InUse,
        () if progress.complete => EpochStage::Complete,
        () if !progress.epoch_digest.is_empty() => EpochStage::Tagging,
        () => EpochStage::Begun,
    };
    EpochMember {
        agency: node.agency.clone(),
        stage: stage.into(),
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
