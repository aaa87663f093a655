//! Questions about persons: records of all data sets, opened where two have an equal key, compared,
//! and grouped into persons.
//!
//! Nothing is kept of a record that no other data set shares a key with. Memory grows with the records
//! that do, within [`LIMITS`]; whatever is left out for it is told in the coverage. What records are worth
//! is asked of their owners when it is known which of them are in enough data sets, and of no others.

mod ranking;
mod reveal;

use bytes::Bytes;
use sallyport_join::{
    agreement::Limits,
    entity::collect::{Collected, Collector, Party},
    link::{LINK_ROW_BYTES, merge::LinkMerger},
    merge::Step,
};
use sallyport_proto::{
    common::v1::{Obligations, Outcome},
    gateway::v1::{Comparison, Match},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    question::OpenedQuestion,
};
use tokio::time::Instant;

use crate::{
    contributors::Contributors,
    streams::{ContributorStream, Next, broken_format, patience},
};
use ranking::Ranking;
use reveal::reveal;

/// For all comparisons of one question: about 600 MiB at most.
const LIMITS: Limits = Limits { rows_max: 10_000_000, pairs_per_key_max: 20_000, pairs_max: 20_000_000 };
/// Rows of one key and one data set that are looked at, at most.
const ROWS_OF_A_KEY_MAX: usize = 100_000;

/// Persons, best first, and what the work was.
pub(crate) struct Persons {
    pub(crate) matches: Vec<Match>,
    pub(crate) persons_matched: u64,
    pub(crate) rows: u64,
    pub(crate) unopened: u64,
    pub(crate) comparisons: Vec<Comparison>,
}

/// Reads every stream, compares, groups, asks for the evidence of those in enough data sets, and ranks.
///
/// A stream that breaks off leaves the others: what had been opened of it is left out.
pub(crate) async fn rank(
    contributors: &Contributors,
    question: &OpenedQuestion,
    (threshold, top): (u32, u32),
    obligations: Obligations,
    streams: &mut [ContributorStream],
    soft: Instant,
    hard: Instant,
) -> Result<Persons, Refusal> {
    let (collector, merger) = collect(question, streams, soft, hard).await;
    let comparing = tokio::task::spawn_blocking(move || collector.finish());
    let collected = tokio::time::timeout_at(hard, comparing).await.map_err(|_| too_long())?;
    let collected = collected.map_err(|error| Refusal::internal("comparison_failed", &error))?;
    tell_what_was_cut(streams, &collected, merger.skipped());
    let wanted = Ranking::new(question, streams, obligations).of_enough(&collected.entities, threshold);
    let evidence = reveal(contributors, question, streams, &wanted, hard).await;
    let ranking = Ranking::new(question, streams, obligations);
    let (matches, persons_matched) = ranking.best(&wanted, &evidence, threshold, top);
    let comparisons = ranking.comparisons(&collected.choices);
    Ok(Persons { matches, persons_matched, rows: merger.rows(), unopened: merger.unopened(), comparisons })
}

/// Opens what at least two data sets have in common.
async fn collect(
    question: &OpenedQuestion,
    streams: &mut [ContributorStream],
    soft: Instant,
    hard: Instant,
) -> (Collector, LinkMerger<Bytes>) {
    let points: Vec<u8> = streams.iter().map(|stream| question.header.commitments[stream.part].share_point).collect();
    let parties: Vec<Party> =
        streams.iter().map(|stream| Party { records: stream.records, once: stream.once }).collect();
    let mut merger: LinkMerger<Bytes> = LinkMerger::new(&points, ROWS_OF_A_KEY_MAX);
    let mut collector = Collector::new(&parties, LIMITS);
    loop {
        match merger.advance(|meeting| collector.take(&meeting)) {
            Step::Done => return (collector, merger),
            Step::Failed(stream, fault) => {
                streams[stream].fail(&broken_format(&fault.to_string()));
                merger.finish(stream);
            }
            Step::Needs(stream) => match streams[stream].next(LINK_ROW_BYTES, patience(soft, hard)).await {
                Next::Rows(rows) => {
                    if let Err(fault) = merger.push(stream, rows) {
                        streams[stream].fail(&broken_format(&fault.to_string()));
                        merger.finish(stream);
                    }
                }
                Next::End | Next::Broken => merger.finish(stream),
            },
        }
    }
}

fn too_long() -> Refusal {
    Refusal::new(
        Kind::TimedOut,
        "deadline_passed",
        "Comparing the persons took longer than the question's deadline; ask with a longer one, or narrow it.",
    )
}

fn tell_what_was_cut(streams: &mut [ContributorStream], collected: &Collected, skipped: u64) {
    let report = &collected.report;
    let cuts = [
        (collected.cut.too_large, "bonds were not followed, as a person would have had more than 50 records"),
        (collected.cut.twice, "bonds were not followed, as a data set that holds everyone once would have had two"),
        (collected.cut.contradicted, "bonds were not followed, as other records of the two persons speak against it"),
        (report.keys_skipped, "keys were too common to find pairs by"),
        (collected.refused + report.rows_refused + skipped, "rows were more than can be compared; narrow the question"),
    ];
    let told: Vec<String> =
        cuts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}.")).collect();
    if let Some(stream) = streams.iter_mut().find(|stream| stream.coverage.outcome() == Outcome::Answered) {
        stream.coverage.explanation.push_str(&told.join(" "));
    }
}
