//! Takes what opened, key by key, and finds what connects records.
//!
//! An identifier that is the same connects its records for certain, unless both are records of persons:
//! then it is one more thing that agrees, worth as much as it is rare, as families share telephones.
//! Memory is bounded; what is beyond the bounds is counted.

use std::collections::BTreeMap;

use super::{
    Connections, IDENTIFIER_KINDS_FROM,
    group::{Bond, Compared, Comparisons, Cut, Entity, Record, group},
};
use crate::{
    agreement::{Choice, Gatherer, KeyRow, Limits, Link, Linked, Report, Resolution, Scheme, link},
    link::{LinkPiece, merge::Meeting},
};

/// Bonds of identifiers that are kept, at most.
pub const BONDS_MAX: usize = 5_000_000;

/// A data set that sends records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// Records that it announced.
    pub records: u32,
    /// It holds every subject once.
    pub once: bool,
}

/// What came of all keys.
#[derive(Debug)]
pub struct Collected {
    /// Entities, in an order that says nothing.
    pub entities: Vec<Entity>,
    /// Bonds that were not followed.
    pub cut: Cut,
    /// Bonds beyond the bound.
    pub refused: u64,
    /// Of each pair of parties that compared persons: the threshold and what to expect of it.
    pub choices: BTreeMap<(u8, u8), Choice>,
    /// What the comparisons did, added up.
    pub report: Report,
}

/// What opened so far.
pub struct Collector {
    parties: Vec<Party>,
    limits: Limits,
    gatherers: BTreeMap<(u8, u8), Gatherer>,
    bonds: Vec<Bond>,
    refused: u64,
}

impl Collector {
    /// For at most 64 data sets; `limits` hold for all comparisons together.
    pub fn new(parties: &[Party], limits: Limits) -> Self {
        let pairs = (parties.len() * parties.len().saturating_sub(1) / 2).max(1);
        let limits = Limits {
            rows_max: limits.rows_max / pairs,
            pairs_max: limits.pairs_max / pairs as u64,
            pairs_per_key_max: limits.pairs_per_key_max,
        };
        Self { parties: parties.to_vec(), limits, gatherers: BTreeMap::new(), bonds: Vec::new(), refused: 0 }
    }

    /// Takes what at least two data sets sent under one key. Keys come once each.
    pub fn take(&mut self, meeting: &Meeting<'_>) {
        self.connect(meeting);
        for (left, left_pieces) in (0u8..).zip(meeting.parties) {
            for (right, right_pieces) in (0u8..).zip(meeting.parties).skip(usize::from(left) + 1) {
                let rows = [left_pieces, right_pieces].map(|pieces| pieces.iter().filter_map(key_row).collect());
                let [left_rows, right_rows]: [Vec<KeyRow>; 2] = rows;
                if left_rows.is_empty() || right_rows.is_empty() {
                    continue;
                }
                let announced = [left, right].map(|party| self.parties[usize::from(party)].records);
                let gatherer = self
                    .gatherers
                    .entry((left, right))
                    .or_insert_with(|| Gatherer::new(Scheme::persons(), self.limits, announced));
                gatherer.push(&left_rows, &right_rows);
            }
        }
    }

    /// Bonds of an identifier, from one record that is no person's to all others, or, if there is none,
    /// no bonds: persons are compared.
    fn connect(&mut self, meeting: &Meeting<'_>) {
        let records: Vec<(Record, &LinkPiece)> = (0u8..)
            .zip(meeting.parties)
            .flat_map(|(party, pieces)| {
                pieces.iter().map(move |piece| (Record { party, reference: piece.reference }, piece))
            })
            .filter(|(_, piece)| piece.evidence.kind >= IDENTIFIER_KINDS_FROM)
            .collect();
        let Some((hub, piece)) = records.iter().find(|(_, piece)| piece.evidence.fields == 0) else { return };
        let by = Connections::identifier(piece.evidence.kind);
        for (record, _) in records.iter().filter(|(record, _)| record != hub) {
            if self.bonds.len() >= BONDS_MAX {
                self.refused += 1;
                continue;
            }
            self.bonds.push(Bond {
                ends: [*hub, *record],
                probability: 1.0,
                shared_by: records.len() as u32,
                by,
                compared: false,
            });
        }
    }

    /// Compares persons, then groups.
    pub fn finish(self) -> Collected {
        let once: Vec<bool> = self.parties.iter().map(|party| party.once).collect();
        let mut report = Report::default();
        let linked = self.gatherers.into_iter().map(|((left, right), gatherer)| {
            let both_once = once[usize::from(left)] && once[usize::from(right)];
            let resolution = if both_once { Resolution::OneToOne } else { Resolution::ManyToMany };
            let linked = link(gatherer, resolution);
            report.add(&linked.report);
            ((left, right), linked)
        });
        let linked: BTreeMap<(u8, u8), Linked> = linked.collect();
        let choices = linked.iter().map(|(parties, linked)| (*parties, linked.choice)).collect();
        let (entities, cut) = join(&linked, self.bonds, &once);
        Collected { entities, cut, refused: self.refused, choices, report }
    }
}

/// Entities from what was linked between each two parties, the smaller number first, and from `bonds` of
/// identifiers; `once` says of each party whether it holds every subject once.
pub fn join(linked: &BTreeMap<(u8, u8), Linked>, mut bonds: Vec<Bond>, once: &[bool]) -> (Vec<Entity>, Cut) {
    let mut compared = Comparisons::default();
    for (&(left, right), linked) in linked {
        let ends = |link: &Link| {
            [Record { party: left, reference: link.left }, Record { party: right, reference: link.right }]
        };
        let pairs = linked.links.iter().chain(&linked.below);
        let prior_bits = linked.model.prior_bits();
        compared.pairs.extend(pairs.map(|link| Compared { ends: ends(link), bits: prior_bits + link.weight_bits }));
        compared.recall.insert((left, right), linked.choice.recall);
        bonds.extend(linked.links.iter().map(|link| Bond {
            ends: ends(link),
            probability: link.probability,
            shared_by: 2,
            by: linked.patterns.get(link.pattern as usize).map(Connections::agreeing).unwrap_or_default(),
            compared: true,
        }));
    }
    group(bonds, &compared, once)
}

/// A row that compares persons; a record without fields is no person's.
fn key_row(piece: &LinkPiece) -> Option<KeyRow> {
    let evidence = &piece.evidence;
    (evidence.fields != 0).then_some(KeyRow {
        record: piece.reference,
        kind: evidence.kind,
        rarity: evidence.rarity,
        present: evidence.fields,
    })
}
