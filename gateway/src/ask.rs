//! The way of a question through the gateway, each step a line: see [`ask`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use sallyport_join::{
    merge::{Merged, Merger, Step, StreamRule},
    row::ROW_BYTES,
    score,
};
use sallyport_proto::{
    common::v1::{Coverage, Obligations, Outcome, SignedQuestion as WireQuestion},
    gateway::v1::{Answer, AskEvent, Evidence, Match, Progress, ask_event::Event},
};
use sallyport_trust::{
    error::Refusal,
    guard::{Act, Trail},
    identity::SpiffeId,
    policy::{Action, Attributes, Permit, attribute, kind},
    question::{Header, OpenedIndicator, OpenedQuestion, SignedQuestion},
};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;

use crate::{
    account,
    counts::{self, Added},
    links::{self, Link, band},
    persons::{self, Persons},
    run::Gateway,
    streams::{ContributorStream, Next, broken_format, open_all, patience},
};

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 500_000;

/// Where a question's events go.
pub(crate) type Events = mpsc::Sender<Result<AskEvent, Status>>;

/// identify node → open audit entry → validate → authorise → fan out → merge → score → complete audit
/// → return, and tell each contributor which of its rows were released.
pub(crate) async fn ask(
    gateway: Arc<Gateway>,
    peer: SpiffeId,
    question: WireQuestion,
    events: Events,
) -> Result<(), Refusal> {
    let started = Instant::now();
    let home = gateway.member(&peer)?;
    let signed = SignedQuestion::from_wire(question)?;
    let mut trail = gateway.guard.begin(Act::of_question(&peer, "ask", "federation", &signed)).await?;
    let worked = tokio::select! {
        worked = answer(&gateway, &home, signed, &mut trail, &events, started) => worked,
        () = events.closed() => Err(cancelled()),
    };
    trail.complete(worked.as_ref().err()).await?;
    let Worked { answer, sums, streams, question } = worked?;
    let released = answer.matches.clone();
    for sums in sums {
        let _ = events.send(Ok(AskEvent { event: Some(Event::Sums(sums)) })).await;
    }
    let _ = events.send(Ok(AskEvent { event: Some(Event::Answer(answer)) })).await;
    account::tell_contributors(&gateway, &question, &streams, &released).await;
    Ok(())
}

/// What is to be sent back, and to be accounted for.
struct Worked {
    answer: Answer,
    /// Of counts, in pieces.
    sums: Vec<Vec<u8>>,
    streams: Vec<ContributorStream>,
    question: OpenedQuestion,
}

async fn answer(
    gateway: &Gateway,
    home: &str,
    signed: SignedQuestion,
    trail: &mut Trail,
    events: &Events,
    started: Instant,
) -> Result<Worked, Refusal> {
    let question = validate(gateway, home, &signed)?;
    let permit = gateway.guard.authorise(trail, &request(gateway, &question.header))?;
    let (soft, hard) = deadlines(started, question.header.deadline_ms);
    let mut streams = open_all(&gateway.contributors, &signed, &question, hard).await;
    let obligations = strictest(&permit, &streams);
    let top = question.header.top.min(obligations.maximum_results);
    let threshold = question.header.minimum_datasets.max(obligations.minimum_datasets);
    if question.header.is_of_counts() {
        let added = counts::add_up(&mut streams, soft, hard).await;
        let answer = of_counts(&question, obligations, &added, &streams, trail);
        return Ok(Worked { answer, sums: added.sums, streams, question });
    }
    if question.header.is_of_persons() {
        let persons =
            persons::rank(&gateway.contributors, &question, (threshold, top), obligations, &mut streams, soft, hard)
                .await?;
        let answer = of_persons(&question, obligations, persons, &streams, trail);
        return Ok(Worked { answer, sums: Vec::new(), streams, question });
    }
    let links = links::merge_all(&question, &mut streams, soft, hard).await;
    let merged = match links.as_slice() {
        [alone] if ranks_alone(&question) => alone.ranked(threshold, top),
        related => merge(&question, related, (threshold, top), &mut streams, events, soft, hard).await,
    };
    trail.count("rows", merged.rows);
    trail.count("subjects_matched", merged.subjects_matched);
    trail.count("unopened", merged.unopened);
    let answer = score(&question, &links, obligations, &merged, &streams);
    count(trail, &answer);
    Ok(Worked { answer, sums: Vec::new(), streams, question })
}

fn of_counts(
    question: &OpenedQuestion,
    obligations: Obligations,
    added: &Added,
    streams: &[ContributorStream],
    trail: &mut Trail,
) -> Answer {
    trail.count("rows", added.rows);
    trail.count("sums", added.count);
    let coverage = coverage(question, streams);
    let answer = Answer { coverage, obligations: Some(obligations), ..Answer::default() };
    count(trail, &answer);
    answer
}

fn of_persons(
    question: &OpenedQuestion,
    obligations: Obligations,
    persons: Persons,
    streams: &[ContributorStream],
    trail: &mut Trail,
) -> Answer {
    trail.count("rows", persons.rows);
    trail.count("subjects_matched", persons.persons_matched);
    trail.count("unopened", persons.unopened);
    let answer = Answer {
        matches: persons.matches,
        coverage: coverage(question, streams),
        subjects_matched: persons.persons_matched,
        obligations: Some(obligations),
        comparisons: persons.comparisons,
    };
    count(trail, &answer);
    answer
}

fn count(trail: &mut Trail, answer: &Answer) {
    trail.count("released", answer.matches.len() as u64);
    trail.count("datasets_asked", answer.coverage.len() as u64);
    let answered = answer.coverage.iter().filter(|coverage| coverage.outcome() == Outcome::Answered).count();
    trail.count("datasets_answered", answered as u64);
}

fn validate(gateway: &Gateway, home: &str, signed: &SignedQuestion) -> Result<OpenedQuestion, Refusal> {
    let question = signed.open(&gateway.identity, gateway.clock.now_ms())?;
    if question.header.home_agency != home {
        return Err(Refusal::denied(
            "question_wrong_signer",
            "Only the node that signed a question may bring it to the gateway.",
        ));
    }
    if question.indicators.len() != question.header.commitments.len() {
        return Err(Refusal::bad_input("question_opening", "The gateway needs an opening for every indicator."));
    }
    question.check_share_points()?;
    gateway.replays.take(&question.header, 0, gateway.clock.now_ms())?;
    Ok(question)
}

fn request(gateway: &Gateway, header: &Header) -> sallyport_trust::policy::Request {
    let resource = Attributes::new()
        .with(attribute::KIND, kind::FEDERATION)
        .with(attribute::OWNER, gateway.identity.id().federation.clone());
    header.policy_request(Action::Federate, resource, gateway.clock.now_ms())
}

fn deadlines(started: Instant, deadline_ms: u32) -> (Instant, Instant) {
    let whole = Duration::from_millis(u64::from(deadline_ms));
    // A tenth is left for opening the last matches, the audit and the way back.
    let hard = started + whole * 9 / 10;
    (started + whole * 7 / 10, hard)
}

fn strictest(permit: &Permit, streams: &[ContributorStream]) -> Obligations {
    let own = permit.obligations();
    let own = Obligations {
        minimum_datasets: own.minimum_datasets,
        maximum_results: own.maximum_results,
        score_step_thousandths: own.score_step_thousandths,
    };
    streams.iter().filter_map(|stream| stream.obligations).fold(own, |a, b| Obligations {
        minimum_datasets: a.minimum_datasets.max(b.minimum_datasets),
        maximum_results: a.maximum_results.min(b.maximum_results),
        score_step_thousandths: a.score_step_thousandths.max(b.score_step_thousandths),
    })
}

/// True when there are no plain rows to merge.
fn ranks_alone(question: &OpenedQuestion) -> bool {
    question.indicators.values().all(|part| matches!(part, OpenedIndicator::Link(_)))
}

/// Reads each plain stream as the merge needs it.
async fn merge(
    question: &OpenedQuestion,
    links: &[Link],
    (threshold, top): (u32, u32),
    streams: &mut [ContributorStream],
    events: &Events,
    soft: Instant,
    hard: Instant,
) -> Merged {
    // Plain parts come first; the streams of relations have been merged before.
    let is_link =
        |stream: &ContributorStream| matches!(question.indicators.get(&stream.part), Some(OpenedIndicator::Link(_)));
    let plain = streams.iter().position(is_link).unwrap_or(streams.len());
    let streams = &mut streams[..plain];
    let mut merger: Merger<Bytes> = Merger::new(rules(question, links, streams), threshold, top);
    let mut reported = 0;
    loop {
        match merger.advance() {
            Step::Done => return merger.finish_all(),
            Step::Failed(stream, fault) => fail(streams, stream, &broken_format(&fault.to_string())),
            Step::Needs(stream) => match streams[stream].next(ROW_BYTES, patience(soft, hard)).await {
                Next::Rows(rows) => {
                    if let Err(fault) = merger.push(stream, rows) {
                        merger.fail(stream);
                        fail(streams, stream, &broken_format(&fault.to_string()));
                    }
                }
                Next::End => merger.finish(stream),
                Next::Broken => {
                    merger.fail(stream);
                    fail_siblings(streams, stream);
                }
            },
        }
        if merger.rows() >= reported + PROGRESS_ROWS {
            reported = merger.rows();
            let progress = progress(&merger, streams);
            // A reader that does not keep up misses a report, not the answer.
            let _ = events.try_send(Ok(AskEvent { event: Some(Event::Progress(progress)) }));
        }
    }
}

fn rules(question: &OpenedQuestion, links: &[Link], streams: &[ContributorStream]) -> Vec<StreamRule> {
    let owners: Vec<&str> = streams.iter().map(|s| s.owner.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let commitments = &question.header.commitments;
    question
        .indicators
        .iter()
        .zip(streams)
        .zip(commitments)
        .map(|(((&position, indicator), stream), commitment)| {
            let (weight_thousandths, required) = match indicator {
                OpenedIndicator::Dataset(indicator) => (indicator.weight_thousandths, indicator.required),
                // Who is looked up must be on the list; being on it is no evidence.
                OpenedIndicator::OwnList | OpenedIndicator::Link(_) => (0, true),
            };
            let contributor = owners.iter().position(|owner| *owner == stream.owner).unwrap_or_default();
            let link = links.iter().find(|link| link.follower.position == position);
            let linked = link.map(|link| link.evidence(question));
            StreamRule { share_point: commitment.share_point, weight_thousandths, required, contributor, linked }
        })
        .collect()
}

/// A party fails as a whole: its evidence of another indicator would be as incomplete.
fn fail(streams: &mut [ContributorStream], stream: usize, refusal: &Refusal) {
    streams[stream].fail(refusal);
    fail_siblings(streams, stream);
}

fn fail_siblings(streams: &mut [ContributorStream], broken: usize) {
    let owner = streams[broken].owner.clone();
    let (outcome, reason) = (streams[broken].coverage.outcome, streams[broken].coverage.reason.clone());
    for stream in streams.iter_mut().filter(|s| s.owner == owner && s.coverage.outcome() == Outcome::Answered) {
        stream.fail(&broken_format("another stream of the same node did"));
        stream.coverage.outcome = outcome;
        stream.coverage.reason.clone_from(&reason);
    }
}

fn progress(merger: &Merger<Bytes>, streams: &[ContributorStream]) -> Progress {
    Progress {
        rows_merged: merger.rows(),
        subjects_matched: merger.subjects_matched(),
        datasets_finished: streams.iter().filter(|stream| !stream.is_open()).count() as u32,
        datasets_asked: streams.len() as u32,
    }
}

/// Scores as they leave: rounded as the strictest party asks, with what each is made of.
fn score(
    question: &OpenedQuestion,
    links: &[Link],
    obligations: Obligations,
    merged: &Merged,
    streams: &[ContributorStream],
) -> Answer {
    let step = obligations.score_step_thousandths;
    let is_list = |n: usize| matches!(question.indicators.get(&n), Some(OpenedIndicator::OwnList));
    let mut matches: Vec<Match> = merged
        .best
        .iter()
        .map(|found| Match {
            key: found.key.to_be_bytes().to_vec(),
            qe_millionths: score::round_down(score::quality_of_evidence(found.sum_of_squares), step),
            evidence: found
                .pieces
                .iter()
                .filter(|piece| !is_list(piece.indicator))
                .map(|piece| Evidence {
                    indicator: piece.indicator as u32,
                    strength_thousandths: score::round_down(u32::from(piece.strength_thousandths) * 1_000, step)
                        / 1_000,
                    newest_day: u32::from(piece.newest_day),
                })
                .collect(),
            others: match links {
                [alone] if ranks_alone(question) => alone.linked.get(&found.key).map(|linked| band(linked.count)),
                _ => None,
            },
            ..Match::default()
        })
        .collect();
    // Rounded scores may tie: then the order must not tell the finer score.
    matches.sort_by(|a, b| b.qe_millionths.cmp(&a.qe_millionths).then_with(|| a.key.cmp(&b.key)));
    let mut coverage = coverage(question, streams);
    if merged.incomplete {
        for entry in coverage.iter_mut().filter(|entry| entry.outcome() != Outcome::Answered) {
            entry.explanation.push_str(" More than one node broke off: the last ranks may be incomplete.");
        }
    }
    Answer {
        matches,
        coverage,
        subjects_matched: merged.subjects_matched,
        obligations: Some(obligations),
        comparisons: Vec::new(),
    }
}

/// What became of each indicator: the worst of its streams, if it has more than one.
fn coverage(question: &OpenedQuestion, streams: &[ContributorStream]) -> Vec<Coverage> {
    let mut told: BTreeMap<u32, Coverage> = BTreeMap::new();
    for stream in streams {
        if matches!(question.indicators.get(&stream.part), Some(OpenedIndicator::OwnList)) {
            continue;
        }
        let entry = told.entry(stream.coverage.indicator).or_insert_with(|| stream.coverage.clone());
        if entry.outcome() == Outcome::Answered {
            let explanation = std::mem::take(&mut entry.explanation);
            if stream.coverage.outcome() != Outcome::Answered {
                *entry = stream.coverage.clone();
            } else {
                entry.explanation =
                    if explanation.is_empty() { stream.coverage.explanation.clone() } else { explanation };
            }
        }
    }
    told.into_values().collect()
}

fn cancelled() -> Refusal {
    Refusal::new(sallyport_trust::error::Kind::TimedOut, "cancelled", "The asking node went away before the answer.")
}
