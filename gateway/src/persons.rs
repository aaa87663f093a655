//! Questions about persons: records of all data sets, opened where two have an equal key, compared,
//! and grouped into persons.
//!
//! Nothing is kept of a record that no other data set shares a key with. Memory grows with the records
//! that do, within [`LIMITS`]; whatever is left out for it is told in the coverage.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sallyport_join::{
    agreement::{Limits, Scheme},
    entity::{
        collect::{Collected, Collector, Party},
        group::{Entity, Member},
    },
    link::{LINK_ROW_BYTES, merge::LinkMerger},
    merge::Step,
    score,
};
use sallyport_proto::{
    common::v1::{Obligations, Outcome},
    gateway::v1::{Comparison, Evidence, Match, PersonRecord},
};
use sallyport_trust::{
    error::{Kind, Refusal},
    question::{OpenedIndicator, OpenedQuestion},
};
use tokio::time::Instant;

use crate::streams::{ContributorStream, Next, broken_format, patience};

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

/// Reads every stream as the merge needs it, compares, groups, and ranks those of enough data sets.
///
/// A stream that breaks off leaves the others: what had been opened of it is left out.
pub(crate) async fn rank(
    question: &OpenedQuestion,
    (threshold, top): (u32, u32),
    obligations: Obligations,
    streams: &mut [ContributorStream],
    soft: Instant,
    hard: Instant,
) -> Result<Persons, Refusal> {
    let points: Vec<u8> = streams.iter().map(|stream| question.header.commitments[stream.part].share_point).collect();
    let parties: Vec<Party> =
        streams.iter().map(|stream| Party { records: stream.records, once: stream.once }).collect();
    let mut merger: LinkMerger<Bytes> = LinkMerger::new(&points, ROWS_OF_A_KEY_MAX);
    let mut collector = Collector::new(&parties, LIMITS);
    loop {
        match merger.advance(|meeting| collector.take(&meeting)) {
            Step::Done => break,
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
    let comparing = tokio::task::spawn_blocking(move || collector.finish());
    let collected = tokio::time::timeout_at(hard, comparing).await.map_err(|_| too_long())?;
    let collected = collected.map_err(|error| Refusal::internal("comparison_failed", &error))?;
    tell_what_was_cut(streams, &collected, merger.skipped());
    let ranking = Ranking { question, streams, collected: &collected, step: obligations.score_step_thousandths };
    let (matches, persons_matched) = ranking.best(threshold, top);
    let comparisons = ranking.comparisons();
    Ok(Persons { matches, persons_matched, rows: merger.rows(), unopened: merger.unopened(), comparisons })
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
        (report.keys_skipped, "keys were too common to find pairs by"),
        (collected.refused + report.rows_refused + skipped, "rows were more than can be compared; narrow the question"),
    ];
    let told: Vec<String> =
        cuts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}.")).collect();
    if let Some(stream) = streams.iter_mut().find(|stream| stream.coverage.outcome() == Outcome::Answered) {
        stream.coverage.explanation.push_str(&told.join(" "));
    }
}

struct Ranking<'a> {
    question: &'a OpenedQuestion,
    streams: &'a [ContributorStream],
    collected: &'a Collected,
    step: u32,
}

impl Ranking<'_> {
    /// The best persons that enough data sets hold, and how many there are in all.
    fn best(&self, threshold: u32, top: u32) -> (Vec<Match>, u64) {
        let mut ranked: Vec<(u64, Match)> =
            self.collected.entities.iter().filter_map(|entity| self.found(entity, threshold)).collect();
        let matched = ranked.len() as u64;
        ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
        ranked.truncate(top as usize);
        let mut matches: Vec<Match> = ranked.into_iter().map(|(_, found)| found).collect();
        // Rounded scores may tie: then the order must not tell the finer score.
        matches.sort_by(|a, b| b.qe_millionths.cmp(&a.qe_millionths).then_with(|| a.key.cmp(&b.key)));
        (matches, matched)
    }

    fn found(&self, entity: &Entity, threshold: u32) -> Option<(u64, Match)> {
        let answered =
            |member: &&Member| self.streams[usize::from(member.record.party)].coverage.outcome() == Outcome::Answered;
        let members: Vec<&Member> = entity.members.iter().filter(answered).collect();
        let parties: BTreeSet<u8> = members.iter().map(|member| member.record.party).collect();
        let has = |position: &usize| parties.iter().any(|party| self.position(*party) == *position);
        if (parties.len() as u32) < threshold || !self.required().all(|position| has(&position)) {
            return None;
        }
        let mut evidence: BTreeMap<usize, Evidence> = BTreeMap::new();
        for member in &members {
            let told = self.collected.evidence.get(&member.record).copied().unwrap_or_default();
            let position = self.position(member.record.party);
            let entry =
                evidence.entry(position).or_insert(Evidence { indicator: position as u32, ..Evidence::default() });
            // Evidence of a record that may be another's counts as much as it is sure.
            let strength = (f64::from(told.strength_thousandths) * member.bond) as u32;
            entry.strength_thousandths = entry.strength_thousandths.max(strength);
            entry.newest_day = entry.newest_day.max(u32::from(told.newest_day));
        }
        let squares = evidence
            .values()
            .map(|piece| score::square(self.weight(piece.indicator as usize), piece.strength_thousandths as u16));
        let sum_of_squares = squares.sum();
        for piece in evidence.values_mut() {
            piece.strength_thousandths = self.rounded(piece.strength_thousandths);
        }
        // Names of records are as good as random: their sum names the person in this answer.
        let key = members.iter().fold(0, |all: u128, member| all.wrapping_add(member.record.reference));
        let found = Match {
            key: key.to_be_bytes().to_vec(),
            qe_millionths: score::round_down(score::quality_of_evidence(sum_of_squares), self.step),
            evidence: evidence.into_values().collect(),
            others: None,
            connected_by: entity.by.names(Scheme::persons().fields()).into_iter().map(str::to_owned).collect(),
            records: members.iter().map(|member| self.record(member)).collect(),
        };
        Some((sum_of_squares, found))
    }

    fn record(&self, member: &Member) -> PersonRecord {
        PersonRecord {
            indicator: self.position(member.record.party) as u32,
            reference: member.record.reference.to_be_bytes().to_vec(),
            bond_thousandths: self.rounded((member.bond * 1_000.0) as u32),
        }
    }

    /// How each two data sets that describe persons were compared.
    fn comparisons(&self) -> Vec<Comparison> {
        let thousandths = |share: f64| (share * 1_000.0).round() as u32;
        let choices = self.collected.choices.iter().map(|((left, right), choice)| Comparison {
            left_indicator: self.position(*left) as u32,
            right_indicator: self.position(*right) as u32,
            threshold_thousandths: thousandths(choice.threshold),
            precision_thousandths: thousandths(choice.precision),
            recall_thousandths: thousandths(choice.recall),
        });
        choices.collect()
    }

    fn rounded(&self, thousandths: u32) -> u32 {
        score::round_down(thousandths * 1_000, self.step) / 1_000
    }

    /// The party's indicator: questions about persons have one part for each.
    fn position(&self, party: u8) -> usize {
        self.streams[usize::from(party)].part
    }

    fn weight(&self, position: usize) -> u32 {
        match self.question.indicators.get(&position) {
            Some(OpenedIndicator::Dataset(indicator)) => indicator.weight_thousandths,
            _ => 0,
        }
    }

    fn required(&self) -> impl Iterator<Item = usize> {
        self.question.indicators.iter().filter_map(|(&position, part)| match part {
            OpenedIndicator::Dataset(indicator) if indicator.required => Some(position),
            _ => None,
        })
    }
}
