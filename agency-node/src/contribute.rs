//! The way of another agency's question through this node, each step a line: see [`contribute`].
//!
//! The gateway brings the question and is trusted to carry it, no more: signature, freshness and the
//! owner's policy are checked here again. Rows leave sealed and sorted by key.

use std::sync::Arc;

use sallyport_join::{
    evidence::Evidence,
    keys::{QuestionKeys, Sealer},
    row::ROW_BYTES,
};
use sallyport_proto::{
    common::v1::{Coverage, Obligations as WireObligations, Outcome},
    node::v1::{Closing, Contributed, Preamble, contributed::Part},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Permit, attribute, kind},
    question::{Header, Indicator, OpenedIndicator, OpenedQuestion, SignedQuestion},
};
use tokio::sync::mpsc;
use tonic::Status;

use crate::{
    dataset::Dataset,
    holdings::{Holding, HoldingsError, Scan},
    identifier::IdentifierType,
    measures::strength,
    node::{Agreed, Node},
};

/// Rows in one message: 64 KiB.
const ROWS_AT_A_TIME: usize = 64 * 1024 / ROW_BYTES;
/// Subjects that a look-up must hide among, at least.
pub(crate) const HIDDEN_AMONG_MIN: usize = 100;

/// Where the rows go.
pub(crate) type Rows = mpsc::Sender<Result<Contributed, Status>>;

/// identify gateway → open audit entry → verify signature, freshness, nonce → authorise → scan → key,
/// sort, seal, stream → complete audit → close the stream
pub(crate) async fn contribute(
    node: Arc<Node>,
    peer: SpiffeId,
    signed: SignedQuestion,
    rows: Rows,
) -> Result<(), Refusal> {
    node.only_gateway(&peer)?;
    let dataset = signed.claimed_dataset().unwrap_or_else(|| "own list".to_owned());
    let mut trail = node.guard.begin(Act::of_question(&peer, "contribute", &dataset, &signed)).await?;
    let worked = tokio::select! {
        worked = answer(&node, &signed, &mut trail, &rows) => worked,
        () = rows.closed() => Err(Refusal::new(Kind::TimedOut, "cancelled", "Nobody waits for the rows any more.")),
    };
    trail.complete(worked.as_ref().err()).await?;
    let _ = rows.send(Ok(message(Part::Closing(Closing { rows: worked? })))).await;
    Ok(())
}

async fn answer(node: &Arc<Node>, signed: &SignedQuestion, trail: &mut Trail, rows: &Rows) -> Result<u64, Refusal> {
    let question = signed.open(&node.identity, node.clock.now_ms())?;
    let (index, indicator) = only_indicator(&question)?;
    node.replays.take(&question.header, index, node.clock.now_ms())?;
    let agreed = node.agreed()?;
    if question.header.epoch_digest != agreed.digest {
        return Err(node.epoch_differs());
    }
    let keys = QuestionKeys::derive(&agreed.secret, &question.id.0, question.header.minimum_datasets);
    let (preamble, subjects) = match indicator {
        OpenedIndicator::OwnList => own_list(node, &question)?,
        OpenedIndicator::Dataset(indicator) => {
            let permit = authorise(node, trail, &question.header, indicator)?;
            scan(node, &agreed, &question, indicator, &permit).await?
        }
    };
    node.remember(&question, index);
    trail.count("subjects", subjects.len() as u64);
    if rows.send(Ok(message(Part::Preamble(preamble)))).await.is_err() {
        return Ok(0);
    }
    let share_point = question.header.commitments[index].share_point;
    stream(keys, index as u8, share_point, subjects, rows.clone()).await
}

fn only_indicator(question: &OpenedQuestion) -> Result<(usize, &OpenedIndicator), Refusal> {
    let mut indicators = question.indicators.iter();
    match (indicators.next(), indicators.next()) {
        (Some((&index, indicator)), None) => Ok((index, indicator)),
        _ => Err(Refusal::bad_input("question_opening", "A contributor is asked one indicator at a time.")),
    }
}

fn authorise(node: &Node, trail: &mut Trail, header: &Header, indicator: &Indicator) -> Result<Permit, Refusal> {
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let action = if header.is_lookup() { Action::LookUp } else { Action::Ask };
    let resource = Attributes::new()
        .with(attribute::KIND, kind::DATASET)
        .with(attribute::OWNER, node.agency.clone())
        .with(attribute::DATASET, indicator.dataset.clone())
        .with(attribute::SENSITIVITY, dataset.sensitivity.name());
    node.guard.authorise(trail, &header.policy_request(action, resource, node.clock.now_ms()))
}

type Subjects = Vec<(crate::linkage::oprf::Tag, Evidence)>;

/// The asker's own list of subjects: this node's person asked, so it is here.
fn own_list(node: &Node, question: &OpenedQuestion) -> Result<(Preamble, Subjects), Refusal> {
    let tags = node.take_lookup(&question.id).ok_or_else(|| {
        Refusal::denied("own_list_elsewhere", "The list of a look-up is at the node of the person who asks.")
    })?;
    let evidence = Evidence { strength_thousandths: 1_000, ..Evidence::default() };
    let coverage = Coverage { outcome: Outcome::Answered.into(), ..Default::default() };
    let subjects = tags.into_iter().map(|tag| (tag, evidence)).collect();
    Ok((Preamble { coverage: Some(coverage), obligations: None }, subjects))
}

async fn scan(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    indicator: &Indicator,
    permit: &Permit,
) -> Result<(Preamble, Subjects), Refusal> {
    let header = &question.header;
    let subject: IdentifierType = header.subject.parse().map_err(|_| {
        Refusal::bad_input(
            "subject_unknown",
            format!("`{}` is no type of identifier that this node knows.", header.subject),
        )
    })?;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let identifier = dataset.identifier_for(subject, &indicator.identifier).map_err(HoldingsError::Identifier)?;
    let within = header.is_lookup().then(|| node.hidden_among(subject, agreed, &header.ranges));
    let scan = Scan {
        identifier: &identifier.name,
        window: header.window,
        filter: &indicator.filter,
        within: within.as_deref(),
    };
    let holding = node.holdings.fold(permit, &indicator.dataset, &scan).await?;
    let as_of_ms = header.window.until_ms.unwrap_or(header.issued_at_ms);
    let preamble = preamble(node, dataset, &identifier.name, &holding, permit);
    let measure = indicator.measure;
    let tags = node.holdings.tags(subject);
    let mut untagged = 0;
    let subjects = holding
        .subjects
        .iter()
        .filter_map(|held| {
            let Some(tag) = tags.as_ref().and_then(|tags| tags.get(held.subject)) else {
                untagged += 1;
                return None;
            };
            let newest_day = held.newest_ms.map_or(0, day);
            let strength_thousandths = strength(measure, held.events, held.newest_ms, as_of_ms);
            Some((tag, Evidence { strength_thousandths, newest_day, labels: 0 }))
        })
        .collect();
    let coverage = preamble.coverage.map(|coverage| Coverage { untagged, ..coverage });
    Ok((Preamble { coverage, ..preamble }, subjects))
}

fn preamble(node: &Node, dataset: &Dataset, identifier: &str, holding: &Holding, permit: &Permit) -> Preamble {
    let obligations = permit.obligations();
    let coverage = Coverage {
        outcome: Outcome::Answered.into(),
        rows: holding.rows,
        unusable: node.holdings.manifest(&dataset.name).map_or(0, |manifest| manifest.lost(identifier)),
        newest_day: holding.newest_ms.map(|moment| u32::from(day(moment))),
        gaps: dataset.coverage.gaps.clone(),
        ..Default::default()
    };
    Preamble {
        coverage: Some(coverage),
        obligations: Some(WireObligations {
            minimum_datasets: obligations.minimum_datasets,
            maximum_results: obligations.maximum_results,
            score_step_thousandths: obligations.score_step_thousandths,
        }),
    }
}

/// Days since 1970, as far as two bytes reach (to 2149).
fn day(moment_ms: i64) -> u16 {
    (moment_ms.div_euclid(86_400_000)).clamp(0, i64::from(u16::MAX)) as u16
}

/// Keys, sorts and seals on a thread of its own, as fast as the gateway takes the rows.
async fn stream(
    keys: QuestionKeys,
    index: u8,
    share_point: u8,
    subjects: Subjects,
    rows: Rows,
) -> Result<u64, Refusal> {
    let sealing = tokio::task::spawn_blocking(move || {
        let tags: Vec<_> = subjects.iter().map(|(tag, _)| *tag).collect();
        let keyed = keys.join_keys(&tags);
        let mut sorted: Vec<_> = keyed.into_iter().zip(subjects.into_iter().map(|(_, evidence)| evidence)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        let sealer = Sealer::new(&keys, index, share_point);
        for chunk in sorted.chunks(ROWS_AT_A_TIME) {
            let mut bytes = Vec::with_capacity(chunk.len() * ROW_BYTES);
            sealer.seal(chunk, &mut bytes);
            if rows.blocking_send(Ok(message(Part::Rows(bytes.into())))).is_err() {
                break;
            }
        }
        sorted.len() as u64
    });
    sealing.await.map_err(|error| Refusal::internal("sealing_failed", &error))
}

fn message(part: Part) -> Contributed {
    Contributed { part: Some(part) }
}
