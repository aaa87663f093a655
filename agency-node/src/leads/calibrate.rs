//! What the outcomes of the agency's own leads teach about weights, for a person who may read the leads. No
//! subject leaves this file, and nothing is changed by it.

use sallyport_lead::{
    calibrate::{self, Calibrated, Judgement, Lesson, NoProposal, Proportion, Proposal, Sample},
    lead::Lead,
};
use sallyport_proto::node::v1 as pb;
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::Action,
    question::Asker,
};

use super::desk::{LEADS, permits, request};
use crate::{node::Node, settle::blocking};

/// What leads teach, and what it was learnt from.
pub(crate) struct Learnt {
    sample: Sample,
    proposal: Proposal,
}

/// identify person → open audit entry → authorise what the leads are about → estimate → complete audit → show
pub(crate) async fn calibrate(
    node: &Node,
    peer: SpiffeId,
    playbook: &str,
    watch: Option<&str>,
) -> Result<Learnt, Refusal> {
    let person = node.person(&peer)?;
    let mut trail = node.guard.begin(Act::by(&peer, Action::Leads.as_str(), LEADS)).await?;
    let learnt = async {
        let sample = sample(node, &mut trail, &person, (playbook, watch))?;
        trail.tell("calibrated");
        trail.count("outcomes", sample.judged.len() as u64);
        // Of many leads it is much to calculate.
        blocking(move || learn(sample)).await?
    }
    .await;
    trail.complete(learnt.as_ref().err()).await?;
    learnt
}

/// The leads of a playbook, and of one watch if one is named, as far as the person may read them.
fn sample(
    node: &Node,
    trail: &mut Trail,
    person: &Asker,
    (playbook, watch): (&str, Option<&str>),
) -> Result<Sample, Refusal> {
    let is_wanted = |lead: &Lead| {
        lead.plan.playbook == playbook && watch.is_none_or(|watch| lead.sighting.watch.as_deref() == Some(watch))
    };
    let lesson = |lead: &Lead| is_wanted(lead).then(|| (lead.sighting.pattern.clone(), Lesson::of(lead)));
    let mut lessons = node.leads.store.pick(lesson);
    let patterns = lessons.iter().map(|(pattern, _)| pattern.as_deref());
    let asked = |pattern: Option<&str>| request(node, person, Action::Leads, pattern);
    let permits = permits(&node.guard, trail, patterns, asked)?;
    lessons.retain(|(pattern, _)| permits.contains_key(pattern));
    if lessons.is_empty() {
        return Err(Refusal::new(
            Kind::NotFound,
            "no_leads",
            "You may see no lead of this playbook and watch; `sallyport lead list --closed` lists those that you may \
             see, and `lead show` names their playbook and watch.",
        ));
    }
    Ok(Sample::of(lessons.into_iter().map(|(_, lesson)| lesson)))
}

fn learn(sample: Sample) -> Result<Learnt, Refusal> {
    let proposal = calibrate::propose(&sample.judged, sample.datasets.len()).map_err(refusal)?;
    Ok(Learnt { sample, proposal })
}

fn refusal(none: NoProposal) -> Refusal {
    let kind = match none {
        NoProposal::Unfit => Kind::Internal,
        NoProposal::TooManyDatasets(_) => Kind::BadInput,
        NoProposal::TooFew { .. } | NoProposal::NothingTells => Kind::Conflict,
    };
    Refusal::new(kind, none.reason(), none.to_string())
}

impl From<Learnt> for pb::CalibrateResponse {
    fn from(Learnt { sample, proposal }: Learnt) -> Self {
        let positive = sample.positive();
        let causes = sample.causes.into_iter();
        let weights = sample.datasets.into_iter().zip(proposal.weights);
        Self {
            positive: positive as u32,
            negative: (sample.judged.len() - positive) as u32,
            open: sample.open as u32,
            untold: sample.untold as u32,
            causes: causes.map(|(cause, leads)| pb::CalibrationCause { cause, leads: leads as u32 }).collect(),
            weights: weights
                .map(|(dataset, weight)| pb::ProposedWeight {
                    dataset,
                    weight: weight.value,
                    low: weight.low,
                    high: weight.high,
                    learnt: weight.learnt,
                })
                .collect(),
            present: Some(judgement(&proposal.present)),
            proposed: Some(judgement(&proposal.proposed)),
            calibration: proposal.calibration.iter().map(group).collect(),
        }
    }
}

fn judgement(judged: &Judgement) -> pb::RankingJudgement {
    pb::RankingJudgement {
        base: Some(share(&judged.base)),
        precision: judged.precision.iter().map(share).collect(),
        lift_of: judged.lift.of as u32,
        lift: judged.lift.ratio,
        lift_low: judged.lift.low,
        lift_high: judged.lift.high,
        concordance: judged.concordance,
    }
}

fn group(calibrated: &Calibrated) -> pb::CalibrationGroup {
    pb::CalibrationGroup { expected: calibrated.expected, came_true: Some(share(&calibrated.observed)) }
}

fn share(proportion: &Proportion) -> pb::Share {
    let Proportion { right, of, low, high } = *proportion;
    pb::Share { right: right as u32, of: of as u32, low, high }
}
