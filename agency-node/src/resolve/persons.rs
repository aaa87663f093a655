//! Persons of an answer: whom this node's own records describe, masked; others' records stay references.

use std::collections::{BTreeMap, HashMap};

use sallyport_proto::{
    gateway::v1::{Answer, Match, PersonRecord},
    node::v1::{DeskMatch, DeskRecord},
};
use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{Question, QuestionId},
};

use super::{evidence, hidden, reference};
use crate::{
    holdings::{Described, Records},
    identifier::{Hidden, IdentifierType, mask},
    node::Node,
};

/// The matches as the person may see them.
pub(super) async fn matches(
    node: &Node,
    question: &Question,
    id: QuestionId,
    answer: &Answer,
    permit: &Permit,
) -> Result<Vec<DeskMatch>, Refusal> {
    let own = OwnRecords::of(node, question, id, permit).await?;
    let mut matches = Vec::with_capacity(answer.matches.len());
    for (rank, found) in (1..).zip(&answer.matches) {
        let records: Vec<DeskRecord> = found.records.iter().map(|record| own.shown(node, question, record)).collect();
        matches.push(DeskMatch {
            rank,
            reference: reference(found),
            label: records.iter().find_map(|record| record.label.clone()),
            status: own.status(node, found, permit).await?,
            qe_millionths: found.qe_millionths,
            evidence: evidence(question, found),
            others: None,
            connected_by: found.connected_by.clone(),
            link_thousandths: weakest_bond(found),
            records,
        });
    }
    Ok(matches)
}

/// How surely the least sure data set belongs to the match: by its surest record.
fn weakest_bond(found: &Match) -> Option<u32> {
    let mut of_datasets: BTreeMap<u32, u32> = BTreeMap::new();
    for record in &found.records {
        let surest = of_datasets.entry(record.indicator).or_default();
        *surest = record.bond_thousandths.max(*surest);
    }
    of_datasets.into_values().min()
}

/// The question's data sets that are this node's.
struct OwnRecords {
    datasets: HashMap<u32, (std::sync::Arc<Records>, crate::pseudonym::Pseudonyms)>,
    hidden: Hidden,
}

impl OwnRecords {
    async fn of(node: &Node, question: &Question, id: QuestionId, permit: &Permit) -> Result<Self, Refusal> {
        let mut datasets = HashMap::new();
        for (position, indicator) in (0u32..).zip(&question.indicators) {
            if indicator.owner() == node.agency
                && let Ok(dataset) = node.holdings.dataset(&indicator.dataset)
            {
                let records = node.holdings.records(permit, dataset).await?;
                datasets.insert(position, (records, node.holdings.pseudonyms.of(&id.0, &indicator.dataset)));
            }
        }
        Ok(Self { datasets, hidden: hidden(permit) })
    }

    fn number(&self, record: &PersonRecord) -> Option<(&Records, u32)> {
        let (records, pseudonyms) = self.datasets.get(&record.indicator)?;
        let name = u128::from_be_bytes(record.reference.as_slice().try_into().ok()?);
        let number = pseudonyms.record(name).filter(|number| u64::from(*number) < records.count())?;
        Some((records, number))
    }

    fn shown(&self, node: &Node, question: &Question, record: &PersonRecord) -> DeskRecord {
        let indicator = question.indicators.get(record.indicator as usize);
        DeskRecord {
            dataset: indicator.map(|indicator| indicator.dataset.clone()).unwrap_or_default(),
            reference: record.reference.iter().map(|byte| format!("{byte:02x}")).collect(),
            bond_thousandths: record.bond_thousandths,
            label: self.number(record).and_then(|(records, number)| self.label(node, records, number)),
        }
    }

    /// The described person, or else the record's first identifier.
    fn label(&self, node: &Node, records: &Records, number: u32) -> Option<String> {
        let described = records.described(number).filter(|described| !described.name.is_empty());
        described.map(|described| masked(described, self.hidden)).or_else(|| {
            let key = records.keys(number).iter().find(|key| key.identifier_type() != IdentifierType::PersonKey)?;
            let identifier = node.holdings.identifier(key.identifier_type(), key.number)?;
            Some(mask(key.identifier_type(), &identifier, self.hidden))
        })
    }

    /// What own data say became of the subject, by any identifier of its own records.
    async fn status(&self, node: &Node, found: &Match, permit: &Permit) -> Result<Option<String>, Refusal> {
        let mut by_type: BTreeMap<IdentifierType, Vec<u32>> = BTreeMap::new();
        for (records, number) in found.records.iter().filter_map(|record| self.number(record)) {
            for key in records.keys(number).iter().filter(|key| key.identifier_type() != IdentifierType::PersonKey) {
                by_type.entry(key.identifier_type()).or_default().push(key.number);
            }
        }
        for (kind, numbers) in by_type {
            if let Some(label) = node.holdings.labels(permit, kind, &numbers).await?.into_values().next() {
                return Ok(Some(label));
            }
        }
        Ok(None)
    }
}

/// A name with its initials alone, or not at all, where the policy hides something.
fn masked(described: &Described, hidden: Hidden) -> String {
    let name = match hidden {
        Hidden::None => described.name.clone(),
        Hidden::Last(_) => {
            let initials = described.name.split_whitespace().filter_map(|word| word.chars().next());
            initials.map(|initial| format!("{initial}.")).collect::<Vec<_>>().join(" ")
        }
        Hidden::All => "X".to_owned(),
    };
    match (described.birth_year.as_str(), hidden) {
        ("", _) | (_, Hidden::All) => name,
        (year, _) => format!("{name} {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_shown_as_the_policy_asks() {
        let described = Described { name: "Ana María Pérez".to_owned(), birth_year: "1985".to_owned() };
        assert_eq!(masked(&described, Hidden::None), "Ana María Pérez 1985");
        assert_eq!(masked(&described, Hidden::Last(4)), "A. M. P. 1985");
        assert_eq!(masked(&described, Hidden::All), "X");
    }

    #[test]
    fn a_match_is_as_sure_as_its_least_sure_data_set() {
        let record = |indicator, bond_thousandths| PersonRecord { indicator, bond_thousandths, ..Default::default() };
        let found = Match { records: vec![record(0, 900), record(0, 700), record(1, 800)], ..Default::default() };
        assert_eq!(weakest_bond(&found), Some(800));
        assert_eq!(weakest_bond(&Match::default()), None);
    }
}
