//! Joins records along their bonds.
//!
//! Union-find (Tarjan, JACM 22, 1975) over matched records only, the surest bond first. A bond that would
//! make an entity larger than [`RECORDS_MAX`], or put two records of a data set that holds everyone once
//! into one entity, is cut and counted: one plate that hundreds share must not make them one subject.
//!
//! One likely pair must not chain two persons together whose other records do not agree. So entities are
//! joined by a comparison only if that is likelier than not over *all* pairs of records that would come
//! together: the sum of their log-odds is above zero (correlation clustering: Bansal, Blum, Chawla, Machine
//! Learning 56, 2004; here greedily). A pair counts at most [`BITS_MAX`] for it, as records of one person
//! repeat each other, and at most what a pair against it that no key found: log2(1 − recall), the chance
//! that a match is missed.

use std::collections::{BTreeMap, HashMap};

use super::Connections;
use crate::agreement::PAIR_BITS_MIN;

/// Records of one entity, at most.
pub const RECORDS_MAX: u32 = 50;

/// What one pair can say for joining, in bits of log-odds; and against it, where hardly a match is missed.
pub const BITS_MAX: f64 = -PAIR_BITS_MIN;

/// A record of a party, by its pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// Number of the party.
    pub party: u8,
    /// What the party calls it.
    pub reference: u128,
}

/// What holds two records together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bond {
    /// The two.
    pub ends: [Record; 2],
    /// Probability that they are one subject's, 0 to 1.
    pub probability: f64,
    /// How many records share what connects them; the rarer is the surer.
    pub shared_by: u32,
    /// What connects them.
    pub by: Connections,
    /// Found by comparing persons, and not by an identifier that says it for certain.
    pub compared: bool,
}

/// Two compared records, whether a bond or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// The two.
    pub ends: [Record; 2],
    /// log2 of the odds that they are one person's.
    pub bits: f64,
}

/// What all comparisons said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparisons {
    /// Pairs that are more than one in a thousand probable.
    pub pairs: Vec<Compared>,
    /// By the numbers of two parties, the smaller first: share of matches among their pairs that become
    /// bonds, 0 to 1. Parties that are missing were not compared.
    pub recall: BTreeMap<(u8, u8), f64>,
}

impl Comparisons {
    /// Bits that a missed pair says for joining, which are less than none.
    fn missed_bits(&self, one: u8, other: u8) -> f64 {
        let recall = self.recall.get(&(one.min(other), one.max(other))).copied().unwrap_or(0.0);
        (1.0 - recall).max(0.0).log2().max(-BITS_MAX)
    }
}

/// A record in its entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// The record.
    pub record: Record,
    /// Probability of its surest bond.
    pub bond: f64,
}

/// Records that are taken for one subject's.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// At least two, by party and reference.
    pub members: Vec<Member>,
    /// Everything that connects any of them.
    pub by: Connections,
}

/// Bonds that were not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// They would have made an entity too large.
    pub too_large: u64,
    /// They would have put two records of a data set without duplicates into one entity.
    pub twice: u64,
    /// Other records of the two persons speak against it.
    pub contradicted: u64,
}

/// Groups; `once` says of each party whether it holds every subject once.
pub fn group(mut bonds: Vec<Bond>, compared: &Comparisons, once: &[bool]) -> (Vec<Entity>, Cut) {
    bonds.sort_by(|a, b| {
        let surer = b.probability.total_cmp(&a.probability).then(a.shared_by.cmp(&b.shared_by));
        surer.then(a.ends.cmp(&b.ends))
    });
    let mut forest = Forest::default();
    for record in bonds.iter().flat_map(|bond| bond.ends) {
        forest.number(record, once);
    }
    let odds = Odds::new(compared, &forest);
    let mut cut = Cut::default();
    let mut followed = Vec::new();
    for bond in &bonds {
        let ends = bond.ends.map(|record| forest.number(record, once));
        let roots = ends.map(|end| forest.root(end));
        if roots[0] != roots[1] {
            if forest.sizes[roots[0]] + forest.sizes[roots[1]] > RECORDS_MAX {
                cut.too_large += 1;
                continue;
            }
            if forest.once[roots[0]] & forest.once[roots[1]] != 0 {
                cut.twice += 1;
                continue;
            }
            if bond.compared && odds.of_joining(roots, &forest) <= 0.0 {
                cut.contradicted += 1;
                continue;
            }
            forest.join(roots);
        }
        followed.push((ends, bond));
    }
    (entities(&mut forest, &followed), cut)
}

fn entities(forest: &mut Forest, followed: &[([usize; 2], &Bond)]) -> Vec<Entity> {
    let mut surest = vec![0f64; forest.records.len()];
    let mut by: HashMap<usize, Connections> = HashMap::new();
    for (ends, bond) in followed {
        for &end in ends {
            surest[end] = surest[end].max(bond.probability);
        }
        let connections = by.entry(forest.root(ends[0])).or_default();
        *connections = connections.and(bond.by);
    }
    let mut members: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for (number, &bond) in surest.iter().enumerate().filter(|(_, bond)| **bond > 0.0) {
        let member = Member { record: forest.records[number], bond };
        members.entry(forest.root(number)).or_default().push(member);
    }
    let whole = members.into_iter().map(|(root, mut members)| {
        members.sort_by_key(|member| member.record);
        Entity { members, by: by.get(&root).copied().unwrap_or_default() }
    });
    whole.collect()
}

/// What comparisons say, by record.
struct Odds<'a> {
    compared: &'a Comparisons,
    /// The other record, and what the pair says.
    listed: Vec<Vec<(usize, f64)>>,
}

impl<'a> Odds<'a> {
    fn new(compared: &'a Comparisons, forest: &Forest) -> Self {
        let mut listed = vec![Vec::new(); forest.records.len()];
        for pair in &compared.pairs {
            let ends = pair.ends.map(|record| forest.numbers.get(&record).copied());
            if let [Some(one), Some(other)] = ends {
                listed[one].push((other, pair.bits));
                listed[other].push((one, pair.bits));
            }
        }
        Self { compared, listed }
    }

    /// log2 of the odds that all records of both entities are one person's, as far as they were compared.
    fn of_joining(&self, roots: [usize; 2], forest: &Forest) -> f64 {
        let [ones, others] = roots.map(|root| &forest.members[root]);
        let party = |record: usize| forest.records[record].party;
        let missed = |one: usize, other: usize| match [one, other].iter().any(|&end| self.listed[end].is_empty()) {
            // Who was in no comparison is no person, or has nothing to compare.
            true => 0.0,
            false => self.compared.missed_bits(party(one), party(other)),
        };
        let all: f64 = ones.iter().flat_map(|&one| others.iter().map(move |&other| missed(one, other))).sum();
        let mut listed = 0.0;
        for &one in ones {
            for &(other, bits) in self.listed[one].iter().filter(|(other, _)| others.contains(other)) {
                let least = missed(one, other);
                listed += bits.clamp(least, BITS_MAX) - least;
            }
        }
        all + listed
    }
}

#[derive(Default)]
struct Forest {
    numbers: HashMap<Record, usize>,
    records: Vec<Record>,
    parents: Vec<usize>,
    sizes: Vec<u32>,
    /// Of each root, its records.
    members: Vec<Vec<usize>>,
    /// Of each root, the parties without duplicates that it has a record of, a bit each.
    once: Vec<u64>,
}

impl Forest {
    fn number(&mut self, record: Record, once: &[bool]) -> usize {
        let next = self.records.len();
        let number = *self.numbers.entry(record).or_insert(next);
        if number == next {
            let is_once = once.get(usize::from(record.party)).copied().unwrap_or(false);
            self.records.push(record);
            self.parents.push(next);
            self.sizes.push(1);
            self.members.push(vec![next]);
            self.once.push(u64::from(is_once) << (record.party % 64));
        }
        number
    }

    fn root(&mut self, mut number: usize) -> usize {
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }

    fn join(&mut self, [one, other]: [usize; 2]) {
        let (small, large) = if self.sizes[one] < self.sizes[other] { (one, other) } else { (other, one) };
        self.parents[small] = large;
        self.sizes[large] += self.sizes[small];
        self.once[large] |= self.once[small];
        let moved = std::mem::take(&mut self.members[small]);
        self.members[large].extend(moved);
    }
}
