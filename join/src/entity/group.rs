//! Joins records along their bonds.
//!
//! Union-find (Tarjan, JACM 22, 1975) over matched records only, the surest bond first. A bond that would
//! make an entity larger than [`RECORDS_MAX`], or put two records of a data set that holds everyone once
//! into one entity, is cut and counted: one plate that hundreds share must not make them one subject.

use std::collections::{BTreeMap, HashMap};

use super::Connections;

/// Records of one entity, at most.
pub const RECORDS_MAX: u32 = 50;

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
}

/// Groups; `once` says of each party whether it holds every subject once.
pub fn group(mut bonds: Vec<Bond>, once: &[bool]) -> (Vec<Entity>, Cut) {
    bonds.sort_by(|a, b| {
        let surer = b.probability.total_cmp(&a.probability).then(a.shared_by.cmp(&b.shared_by));
        surer.then(a.ends.cmp(&b.ends))
    });
    let mut forest = Forest::default();
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

#[derive(Default)]
struct Forest {
    numbers: HashMap<Record, usize>,
    records: Vec<Record>,
    parents: Vec<usize>,
    sizes: Vec<u32>,
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
    }
}
