//! References become subjects again, only here and only for this node's own records.

mod counts;
mod persons;

pub(crate) use counts::too_many as too_many_counts;
use sallyport_join::keys::QuestionKeys;
use sallyport_lead::event::Evidence;
use sallyport_proto::{
    gateway::v1::{Answer, Comparison, Match},
    node::v1::{DeskAnswer, DeskComparison, DeskEvidence, DeskMatch},
};
use sallyport_trust::{
    error::Refusal,
    policy::{Mask, Permit},
    question::{Question, QuestionId},
};

use crate::{
    identifier::{Canonical, Hidden, IdentifierType, mask},
    leads::Matched,
    linkage::epochs::Agreed,
    node::Node,
};

/// What the gateway sent back.
pub(crate) struct Joined {
    pub(crate) answer: Answer,
    /// For a question of counts.
    pub(crate) sums: Vec<u8>,
}

/// The answer as the person may see it: own subjects masked as the policy asks, with the outcome that
/// own data hold; all others stay references.
pub(crate) async fn resolve(
    node: &Node,
    agreed: &Agreed,
    question: &Question,
    id: QuestionId,
    Joined { answer, sums }: Joined,
    permit: &Permit,
) -> Result<DeskAnswer, Refusal> {
    if question.is_of_counts() {
        let counts = counts::opened(agreed, question, id, &answer, &sums)?;
        return Ok(DeskAnswer {
            question_id: id.to_string(),
            subject: question.subject.clone(),
            coverage: answer.coverage,
            counts: Some(counts),
            ..DeskAnswer::default()
        });
    }
    let matches = match question.is_of_persons() {
        true => persons::matches(node, question, id, &answer, permit).await?,
        false => subjects(node, agreed, question, id, &answer, permit).await?,
    };
    Ok(DeskAnswer {
        question_id: id.to_string(),
        subject: question.subject.clone(),
        matches,
        coverage: answer.coverage,
        subjects_matched: answer.subjects_matched,
        ranks_objects: question.rank_contacts,
        comparisons: answer.comparisons.iter().map(|told| comparison(question, told)).collect(),
        ..DeskAnswer::default()
    })
}

async fn subjects(
    node: &Node,
    agreed: &Agreed,
    question: &Question,
    id: QuestionId,
    answer: &Answer,
    permit: &Permit,
) -> Result<Vec<DeskMatch>, Refusal> {
    let kind = IdentifierType::asked(&question.subject)?;
    let keys = QuestionKeys::derive(&agreed.secret, &id.0, question.minimum_datasets);
    let order = agreed.order(kind);
    let numbers: Vec<Option<u32>> = answer
        .matches
        .iter()
        .map(|found| {
            let key: [u8; 16] = found.key.as_slice().try_into().ok()?;
            order.as_ref()?.subject(&agreed.locators, keys.tag_of(&key))
        })
        .collect();
    let own: Vec<u32> = numbers.iter().flatten().copied().collect();
    let statuses = node.holdings.labels(permit, kind, &own).await?;
    let hidden = hidden(permit);
    let outcomes = node.leads.labels(kind, node.clock.now_ms());
    let subjects: Vec<_> =
        numbers.iter().map(|number| number.and_then(|number| node.holdings.identifier(kind, number))).collect();
    let matches =
        answer.matches.iter().zip(&numbers).zip(&subjects).zip(1..).map(|(((found, number), subject), rank)| {
            // What became of a lead is newer than what was recorded before there were leads.
            let outcome = subject.as_ref().and_then(|subject| outcomes.get(subject.as_str()));
            DeskMatch {
                rank,
                reference: reference(found),
                label: subject.as_ref().map(|identifier| mask(kind, identifier, hidden)),
                status: outcome.map(|outcome| (*outcome).to_owned()).or_else(|| statuses.get(&(*number)?).cloned()),
                qe_millionths: found.qe_millionths,
                evidence: evidence(question, found),
                others: found.others,
                ..DeskMatch::default()
            }
        });
    let matches: Vec<DeskMatch> = matches.collect();
    node.leads.recent.keep(&id.to_string(), kind, matched(&matches, subjects), node.clock.now_ms());
    Ok(matches)
}

/// What can be raised as a lead from the answer.
fn matched(matches: &[DeskMatch], subjects: Vec<Option<Canonical>>) -> Vec<Matched> {
    let matched = matches.iter().zip(subjects).map(|(shown, subject)| Matched {
        rank: shown.rank,
        subject,
        qe_millionths: shown.qe_millionths,
        evidence: shown
            .evidence
            .iter()
            .map(|piece| Evidence {
                dataset: piece.dataset.clone(),
                strength_thousandths: piece.strength_thousandths,
                newest_day: piece.newest_day,
            })
            .collect(),
    });
    matched.collect()
}

fn comparison(question: &Question, told: &Comparison) -> DeskComparison {
    let name = |position: u32| {
        question.indicators.get(position as usize).map(|indicator| indicator.dataset.clone()).unwrap_or_default()
    };
    DeskComparison {
        left: name(told.left_indicator),
        right: name(told.right_indicator),
        threshold_thousandths: told.threshold_thousandths,
        precision_thousandths: told.precision_thousandths,
        recall_thousandths: told.recall_thousandths,
    }
}

/// How much of own subjects a person may see.
pub(crate) fn hidden(permit: &Permit) -> Hidden {
    match permit.obligations().mask {
        Mask::None => Hidden::None,
        Mask::LastFour => Hidden::Last(4),
        Mask::All => Hidden::All,
    }
}

/// The first half of the join key: enough to tell matches of one answer apart.
fn reference(found: &Match) -> String {
    found.key.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn evidence(question: &Question, found: &Match) -> Vec<DeskEvidence> {
    let pieces = found.evidence.iter().filter_map(|piece| {
        let indicator = question.indicators.get(piece.indicator as usize)?;
        Some(DeskEvidence {
            dataset: indicator.dataset.clone(),
            strength_thousandths: piece.strength_thousandths,
            newest_day: piece.newest_day,
        })
    });
    pieces.collect()
}
