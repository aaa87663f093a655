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
    guard::{Act, Ruled, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Permit, attribute, kind},
    question::{Header, Indicator, OpenedIndicator, OpenedQuestion, SignedQuestion},
};
use tokio::sync::mpsc;
use tonic::Status;

use crate::{
    about::About,
    account,
    consent::{self, Consent},
    counts::{self, Counts},
    dataset::Dataset,
    history::history,
    holdings::{Held, Holding, HoldingsError, Scan},
    identifier::IdentifierType,
    link::{self, Side},
    linkage::epochs::Agreed,
    node::{Node, own_list_elsewhere},
    reveal,
};

/// Bytes of rows in one message, about.
pub(crate) const MESSAGE_BYTES: usize = 64 * 1024;
const ROWS_AT_A_TIME: usize = MESSAGE_BYTES / ROW_BYTES;
/// Subjects that a look-up must hide among, at least.
pub(crate) const HIDDEN_AMONG_MIN: usize = 100;

/// Where the rows go.
pub(crate) type Rows = mpsc::Sender<Result<Contributed, Status>>;

/// identify gateway → open audit entry → verify signature, freshness, nonce → authorise, or wait for
/// release → scan → use up the release → take from budgets → key, sort, seal, stream → complete audit →
/// close the stream
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
    let (index, part) = only_part(&question)?;
    node.replays.take(&question.header, index, node.clock.now_ms())?;
    let agreed = node.epochs.answering(&question.header.home_agency, &question.header.epoch_digest)?;
    let share_point = question.header.commitments[index].share_point;
    let work = match part.indicator() {
        None => Work::Plain(own_list(node, &question)?),
        Some(indicator) => {
            let consent = authorise(node, trail, &agreed, &question, (part, indicator)).await?;
            let (work, evidence) =
                read(node, &agreed, &question, (part, indicator), share_point, &consent.permit).await?;
            consent.use_up(node, question.id)?;
            if let Some(evidence) = evidence {
                node.revealing.keep(question.id, index, node.clock.now_ms(), evidence);
            }
            work
        }
    };
    let left = account::open(node, &question, index).await?;
    let (mut preamble, what, count) = match &work {
        Work::Plain((preamble, subjects)) => (preamble.clone(), "subjects", subjects.len() as u64),
        Work::Link(preamble, side) => (preamble.clone(), "subjects", side.rows),
        Work::Counts(preamble, counts) => (preamble.clone(), "cells", counts.cells.len() as u64),
    };
    if let Some(coverage) = &mut preamble.coverage {
        coverage.budgets = left.into_iter().map(Into::into).collect();
    }
    trail.count(what, count);
    if rows.send(Ok(message(Part::Preamble(preamble)))).await.is_err() {
        return Ok(0);
    }
    let rows = rows.clone();
    let (id, minimum_datasets) = (question.id.0, question.header.minimum_datasets);
    // On a thread of its own, as fast as the gateway takes the rows.
    let sealing = tokio::task::spawn_blocking(move || match work {
        Work::Plain((_, subjects)) => {
            let keys = QuestionKeys::derive(&agreed.secret, &id, minimum_datasets);
            stream(&keys, index as u8, share_point, subjects, &rows)
        }
        Work::Link(_, side) => side.stream(&rows),
        Work::Counts(_, counts) => counts.stream(&agreed.secret, &id, index as u8, &rows),
    });
    sealing.await.map_err(|error| Refusal::internal("sealing_failed", &error))
}

/// What is left to key, sort and seal.
enum Work {
    Plain((Preamble, Subjects)),
    Link(Preamble, Box<Side>),
    Counts(Preamble, Counts),
}

fn only_part(question: &OpenedQuestion) -> Result<(usize, &OpenedIndicator), Refusal> {
    let mut indicators = question.indicators.iter();
    match (indicators.next(), indicators.next()) {
        (Some((&index, indicator)), None) => Ok((index, indicator)),
        _ => Err(Refusal::bad_input("question_opening", "A contributor is asked one part at a time.")),
    }
}

/// What the part asks of its data set; and, of persons, the evidence that is told later.
async fn read(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    (part, indicator): (&OpenedIndicator, &Indicator),
    share_point: u8,
    permit: &Permit,
) -> Result<(Work, Option<reveal::Evidence>), Refusal> {
    if let OpenedIndicator::Link(link) = part {
        let side = link::side(node, agreed, question, link, share_point, permit).await?;
        return Ok((Work::Link(link_preamble(node, indicator, &side, permit)?, Box::new(side)), None));
    }
    if let Some(tally) = &indicator.tally {
        let (preamble, counts) = counts::count(node, question, (indicator, tally), permit).await?;
        return Ok((Work::Counts(preamble, counts), None));
    }
    if question.header.is_of_persons() {
        let persons = link::persons(node, agreed, question, indicator, share_point, permit).await?;
        let preamble = link_preamble(node, indicator, &persons.side, permit)?;
        let preamble = Preamble { records: persons.records, once: persons.once, ..preamble };
        return Ok((Work::Link(preamble, Box::new(persons.side)), Some(persons.evidence)));
    }
    Ok((Work::Plain(scan(node, agreed, question, indicator, permit).await?), None))
}

/// By the owner's policy, and by whether anything is left of its budgets; what a rule holds needs a release.
async fn authorise(
    node: &Arc<Node>,
    trail: &mut Trail,
    agreed: &Agreed,
    question: &OpenedQuestion,
    (part, indicator): (&OpenedIndicator, &Indicator),
) -> Result<Consent, Refusal> {
    let header = &question.header;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let action = if header.is_lookup() { Action::LookUp } else { Action::Ask };
    let kind = match part {
        OpenedIndicator::Link(part) if part.is_at_places() => kind::PLACES,
        part if part.is_counted() => kind::COUNTS,
        _ => kind::DATASET,
    };
    let resource = Attributes::new()
        .with(attribute::KIND, kind)
        .with(attribute::OWNER, node.agency.clone())
        .with(attribute::DATASET, indicator.dataset.clone())
        .with(attribute::SENSITIVITY, dataset.sensitivity.name());
    let now_ms = node.clock.now_ms();
    let mut request = header.policy_request(action, resource, now_ms);
    request.context.subject_type = link::subject_told(dataset, &header.subject, part);
    let consent = match node.guard.rule(trail, &request)? {
        Ruled::Allowed(permit) => Consent::not_needed(permit),
        Ruled::Held(hold) => consent::released(node, trail, agreed, question, (part, indicator), hold).await?,
    };
    let (index, _) = only_part(question)?;
    node.books.budgets.check(&account::charged(question, index), &account::asking(question, index), now_ms)?;
    Ok(consent)
}

type Subjects = Vec<(crate::linkage::oprf::Tag, Evidence)>;

/// The asker's own list of subjects: this node's person asked, so it is here.
fn own_list(node: &Node, question: &OpenedQuestion) -> Result<(Preamble, Subjects), Refusal> {
    let tags = node.take_lookup(&question.id).ok_or_else(own_list_elsewhere)?;
    let evidence = Evidence { strength_thousandths: 1_000, ..Evidence::default() };
    let coverage = Coverage { outcome: Outcome::Answered.into(), ..Default::default() };
    let subjects = tags.into_iter().map(|tag| (tag, evidence)).collect();
    Ok((Preamble { coverage: Some(coverage), ..Default::default() }, subjects))
}

async fn scan(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    indicator: &Indicator,
    permit: &Permit,
) -> Result<(Preamble, Subjects), Refusal> {
    let header = &question.header;
    let subject = IdentifierType::asked(&header.subject)?;
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let identifier = dataset.identifier_for(subject, &indicator.identifier).map_err(HoldingsError::Identifier)?;
    let within = header.is_lookup().then(|| node.hidden_among(subject, agreed, &header.ranges));
    let within = within.as_deref();
    let window = header.window.and(indicator.window);
    let (holding, unrecorded) = if indicator.measure.is_behaviour() {
        behaving(node, header, indicator, &identifier.name, within, permit).await?
    } else {
        let strength_of = indicator.measure.strength_of();
        let scan = Scan { identifier: &identifier.name, window, filter: &indicator.filter, within, strength_of };
        let holding = node.holdings.fold(permit, &indicator.dataset, &scan).await?;
        let unmeasured = holding.unmeasured();
        (holding, unmeasured)
    };
    let as_of_ms = window.until_ms.unwrap_or(header.issued_at_ms);
    let tags = node.holdings.tags(subject, &agreed.tags);
    let over = node.over_budget();
    let mut untagged = 0;
    let evidence = |held: &Held| Evidence {
        strength_thousandths: indicator.measure.strength(
            u64::from(held.events),
            held.newest_ms,
            as_of_ms,
            held.strongest,
        ),
        newest_day: held.newest_ms.map_or(0, day),
        labels: 0,
    };
    let subjects = holding
        .subjects
        .iter()
        .filter(|held| !over.holds(About::Subject(subject, held.subject)))
        .filter_map(|held| {
            let tag = tags.as_ref().and_then(|tags| tags.get(held.subject));
            untagged += u64::from(tag.is_none());
            Some((tag?, evidence(held)))
        })
        .collect();
    let over_budget = over.count(subject);
    let unusable = node.holdings.manifest(&dataset.name).map_or(0, |manifest| manifest.lost(&identifier.name));
    let told = Told { rows: holding.rows, unusable, newest_ms: holding.newest_ms, untagged, over_budget, unrecorded };
    Ok((preamble(dataset, told, permit), subjects))
}

/// As a fold of counts, with each subject's behaviour as its strength.
async fn behaving(
    node: &Node,
    header: &Header,
    indicator: &Indicator,
    identifier: &str,
    within: Option<&[u32]>,
    permit: &Permit,
) -> Result<(Holding, Option<String>), Refusal> {
    let history = history(node, permit, header, indicator, identifier, within).await?;
    let of_subjects = history.behaviour.map(|behaviour| behaviour.of_subjects).unwrap_or_default();
    let held = |behaving: &crate::behaviour::Behaving| Held {
        subject: behaving.subject,
        events: behaving.events,
        newest_ms: Some(behaving.newest_ms),
        strongest: behaving.strength,
    };
    let holding = Holding {
        subjects: of_subjects.iter().map(held).collect(),
        rows: of_subjects.iter().map(|behaving| u64::from(behaving.events)).sum(),
        newest_ms: of_subjects.iter().map(|behaving| behaving.newest_ms).max(),
        without_strength: 0,
    };
    Ok((holding, history.unrecorded))
}

/// What the coverage says of a part.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) rows: u64,
    pub(crate) unusable: u64,
    pub(crate) newest_ms: Option<i64>,
    pub(crate) untagged: u64,
    pub(crate) over_budget: u64,
    pub(crate) unrecorded: Option<String>,
}

fn link_preamble(node: &Node, indicator: &Indicator, side: &Side, permit: &Permit) -> Result<Preamble, Refusal> {
    let dataset = node.holdings.dataset(&indicator.dataset)?;
    let told = Told {
        rows: side.rows,
        unusable: side.unusable,
        newest_ms: side.newest_ms,
        untagged: side.untagged,
        over_budget: side.over_budget,
        unrecorded: side.unrecorded.clone(),
    };
    Ok(preamble(dataset, told, permit))
}

pub(crate) fn preamble(dataset: &Dataset, told: Told, permit: &Permit) -> Preamble {
    let obligations = permit.obligations();
    let coverage = Coverage {
        outcome: Outcome::Answered.into(),
        rows: told.rows,
        untagged: told.untagged,
        over_budget: told.over_budget,
        unusable: told.unusable,
        newest_day: told.newest_ms.map(|moment| u32::from(day(moment))),
        gaps: dataset.coverage.gaps.iter().cloned().chain(told.unrecorded).collect(),
        ..Default::default()
    };
    Preamble {
        coverage: Some(coverage),
        obligations: Some(WireObligations {
            minimum_datasets: obligations.minimum_datasets,
            maximum_results: obligations.maximum_results,
            score_step_thousandths: obligations.score_step_thousandths,
        }),
        ..Default::default()
    }
}

/// Days since 1970, as far as two bytes reach (to 2149).
fn day(moment_ms: i64) -> u16 {
    (moment_ms.div_euclid(86_400_000)).clamp(0, i64::from(u16::MAX)) as u16
}

/// Keys, sorts and seals; how many rows there were.
fn stream(keys: &QuestionKeys, index: u8, share_point: u8, subjects: Subjects, rows: &Rows) -> u64 {
    let tags: Vec<_> = subjects.iter().map(|(tag, _)| *tag).collect();
    let keyed = keys.join_keys(&tags);
    let mut sorted: Vec<_> = keyed.into_iter().zip(subjects.into_iter().map(|(_, evidence)| evidence)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let sealer = Sealer::new(keys, index, share_point);
    for chunk in sorted.chunks(ROWS_AT_A_TIME) {
        let mut bytes = Vec::with_capacity(chunk.len() * ROW_BYTES);
        sealer.seal(chunk, &mut bytes);
        if rows.blocking_send(Ok(rows_message(bytes))).is_err() {
            break;
        }
    }
    sorted.len() as u64
}

/// Rows on their way.
pub(crate) fn rows_message(bytes: Vec<u8>) -> Contributed {
    message(Part::Rows(bytes.into()))
}

fn message(part: Part) -> Contributed {
    Contributed { part: Some(part) }
}
