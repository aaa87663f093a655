//! Persons of enough data sets, scored and sorted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_join::{
    agreement::{Choice, Scheme},
    entity::group::{Entity, Member},
    score,
};
use sallyport_proto::{
    common::v1::{Obligations, Outcome},
    gateway::v1::{Comparison, Evidence, Match, PersonRecord},
};
use sallyport_trust::question::{OpenedIndicator, OpenedQuestion};

use super::reveal::Revealed;
use crate::streams::ContributorStream;

pub(super) struct Ranking<'a> {
    question: &'a OpenedQuestion,
    streams: &'a [ContributorStream],
    step: u32,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(
        question: &'a OpenedQuestion,
        streams: &'a [ContributorStream],
        obligations: Obligations,
    ) -> Self {
        Self { question, streams, step: obligations.score_step_thousandths }
    }

    /// Persons in enough of the data sets that answered, and in all that are required; without the records
    /// of those that broke off.
    pub(super) fn of_enough(&self, entities: &[Entity], threshold: u32) -> Vec<Entity> {
        let answering = entities.iter().map(|entity| self.answering(entity));
        answering.filter(|entity| self.is_of_enough(entity, threshold)).collect()
    }

    fn answering(&self, entity: &Entity) -> Entity {
        let answered =
            |member: &&Member| self.streams[usize::from(member.record.party)].coverage.outcome() == Outcome::Answered;
        Entity { members: entity.members.iter().filter(answered).copied().collect(), by: entity.by }
    }

    fn is_of_enough(&self, entity: &Entity, threshold: u32) -> bool {
        let parties: BTreeSet<u8> = entity.members.iter().map(|member| member.record.party).collect();
        let has = |position: usize| parties.iter().any(|party| self.position(*party) == position);
        parties.len() as u32 >= threshold && self.required().all(has)
    }

    /// The best persons, and how many there are in all.
    pub(super) fn best(&self, entities: &[Entity], evidence: &Revealed, threshold: u32, top: u32) -> (Vec<Match>, u64) {
        // A data set may have broken off since it was counted.
        let still = self.of_enough(entities, threshold);
        let mut ranked: Vec<(u64, Match)> = still.iter().map(|entity| self.found(entity, evidence)).collect();
        let matched = ranked.len() as u64;
        ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
        ranked.truncate(top as usize);
        let mut matches: Vec<Match> = ranked.into_iter().map(|(_, found)| found).collect();
        // Rounded scores may tie: then the order must not tell the finer score.
        matches.sort_by(|a, b| b.qe_millionths.cmp(&a.qe_millionths).then_with(|| a.key.cmp(&b.key)));
        (matches, matched)
    }

    fn found(&self, entity: &Entity, revealed: &Revealed) -> (u64, Match) {
        let mut evidence: BTreeMap<usize, Evidence> = BTreeMap::new();
        for member in &entity.members {
            let told = revealed.get(&member.record).copied().unwrap_or_default();
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
        let key = entity.members.iter().fold(0, |all: u128, member| all.wrapping_add(member.record.reference));
        let found = Match {
            key: key.to_be_bytes().to_vec(),
            qe_millionths: score::round_down(score::quality_of_evidence(sum_of_squares), self.step),
            evidence: evidence.into_values().collect(),
            others: None,
            connected_by: entity.by.names(Scheme::persons().fields()).into_iter().map(str::to_owned).collect(),
            records: entity.members.iter().map(|member| self.record(member)).collect(),
        };
        (sum_of_squares, found)
    }

    fn record(&self, member: &Member) -> PersonRecord {
        PersonRecord {
            indicator: self.position(member.record.party) as u32,
            reference: member.record.reference.to_be_bytes().to_vec(),
            bond_thousandths: self.rounded((member.bond * 1_000.0) as u32),
        }
    }

    /// How each two data sets that describe persons were compared.
    pub(super) fn comparisons(&self, choices: &BTreeMap<(u8, u8), Choice>) -> Vec<Comparison> {
        let thousandths = |share: f64| (share * 1_000.0).round() as u32;
        let told = choices.iter().map(|((left, right), choice)| Comparison {
            left_indicator: self.position(*left) as u32,
            right_indicator: self.position(*right) as u32,
            threshold_thousandths: thousandths(choice.threshold),
            precision_thousandths: thousandths(choice.precision),
            recall_thousandths: thousandths(choice.recall),
        });
        told.collect()
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
