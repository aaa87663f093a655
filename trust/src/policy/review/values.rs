//! What values a rule's conditions leave to each attribute: sets and bounds, no requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::condition::{Condition, Test};
use crate::policy::request::{attribute, kind};
use crate::policy::rule::{Rule, Scope, owner_of};
use crate::policy::schema::{self, ATTRIBUTES, Fact, Part, Type};

/// The values that one attribute may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    /// Only these; none when there is no list.
    among: Option<BTreeSet<Fact>>,
    without: BTreeSet<Fact>,
    /// Bounds of numbers and times: from, and below.
    from: i64,
    below: i64,
}

impl Values {
    /// Every value of an attribute. Flags and levels have a list; numbers and times begin at one, since
    /// zero counts as missing.
    pub(super) fn all(position: usize) -> Self {
        let among = match ATTRIBUTES.get(position).map(|attribute| attribute.kind) {
            Some(Type::Flag) => Some([Fact::Flag(false), Fact::Flag(true)].into()),
            Some(Type::Level(levels)) => Some((0..levels.len() as i64).map(Fact::Ordered).collect()),
            _ => None,
        };
        Self { among, without: BTreeSet::new(), from: 1, below: i64::MAX }
    }

    /// Only the listed values.
    pub(super) fn listed(facts: impl IntoIterator<Item = Fact>) -> Self {
        Self { among: Some(facts.into_iter().collect()), without: BTreeSet::new(), from: 1, below: i64::MAX }
    }

    fn keep(&mut self, fits: impl Fn(&Fact) -> bool) -> bool {
        match &mut self.among {
            Some(among) => {
                among.retain(fits);
                true
            }
            None => false,
        }
    }

    fn narrow(&mut self, test: &Test) {
        if self.keep(|fact| test.accepts(fact) != Some(false)) {
            return;
        }
        match test {
            Test::Equals(fact) => self.restrict([fact.clone()].into()),
            Test::OneOf(facts) => self.restrict(facts.iter().cloned().collect()),
            Test::NotOneOf(facts) => self.without.extend(facts.iter().cloned()),
            Test::AtLeast(bound) => self.from = self.from.max(*bound),
            Test::Below(bound) => self.below = self.below.min(*bound),
            Test::Present | Test::SameAs(_) => {}
        }
    }

    fn restrict(&mut self, facts: BTreeSet<Fact>) {
        let (from, below) = (self.from, self.below);
        let without = std::mem::take(&mut self.without);
        let within = |fact: &Fact| !matches!(fact, Fact::Ordered(value) if *value < from || *value >= below);
        self.among = Some(facts.into_iter().filter(|fact| within(fact) && !without.contains(fact)).collect());
    }

    /// What both leave.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.from = both.from.max(other.from);
        both.below = both.below.min(other.below);
        both.without.extend(other.without.iter().cloned());
        match (&self.among, &other.among) {
            (Some(among), None) | (None, Some(among)) => both.restrict(among.clone()),
            (Some(a), Some(b)) => both.restrict(a.intersection(b).cloned().collect()),
            (None, None) => {}
        }
        both
    }

    pub(super) fn is_empty(&self) -> bool {
        self.among.as_ref().map_or(self.from >= self.below, BTreeSet::is_empty)
    }

    /// The list, when there is one.
    pub(super) fn among(&self) -> Option<&BTreeSet<Fact>> {
        self.among.as_ref()
    }

    /// The least and the largest number or time that is left.
    pub(super) fn bounds(&self) -> (i64, i64) {
        let ordered = |fact: &Fact| if let Fact::Ordered(value) = fact { Some(*value) } else { None };
        match &self.among {
            Some(among) => {
                let values: Vec<i64> = among.iter().filter_map(ordered).collect();
                (values.iter().copied().min().unwrap_or(1), values.iter().copied().max().unwrap_or(i64::MAX))
            }
            None => (self.from, self.below.saturating_sub(1)),
        }
    }

    /// Whether every one of the values satisfies a test.
    fn all_satisfy(&self, test: &Test) -> bool {
        if let Some(among) = &self.among {
            return among.iter().all(|fact| test.accepts(fact) == Some(true));
        }
        match test {
            Test::Equals(_) | Test::OneOf(_) | Test::SameAs(_) => false,
            Test::NotOneOf(facts) => facts.iter().all(|fact| {
                let outside = matches!(fact, Fact::Ordered(value) if *value < self.from || *value >= self.below);
                outside || self.without.contains(fact)
            }),
            Test::AtLeast(bound) => self.from >= *bound,
            Test::Below(bound) => self.below <= *bound,
            Test::Present => true,
        }
    }
}

/// What a request must look like for a rule's conditions to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// Attributes that the request must have, and with which values.
    values: BTreeMap<usize, Values>,
    same: BTreeSet<(usize, usize)>,
}

impl Profile {
    pub(super) fn of(rule: &Rule) -> Self {
        let mut profile = Self { values: always_given(rule), same: BTreeSet::new() };
        for condition in &rule.conditions {
            profile.entry(condition.attribute()).narrow(condition.test());
            if let Test::SameAs(other) = condition.test() {
                profile.same.insert(pair(condition.attribute(), *other));
            }
        }
        // Twice, so that what one pair leaves reaches another.
        for (a, b) in profile.same.iter().chain(&profile.same).copied().collect::<Vec<_>>() {
            let of_b = profile.entry(b).clone();
            let both = profile.entry(a).and(&of_b);
            profile.values.extend([(a, both.clone()), (b, both)]);
        }
        profile
    }

    fn entry(&mut self, position: usize) -> &mut Values {
        self.values.entry(position).or_insert_with(|| Values::all(position))
    }

    /// What is left to an attribute that the conditions ask for.
    pub(super) fn values(&self, position: usize) -> Option<&Values> {
        self.values.get(&position)
    }

    /// An attribute that no value is left for.
    pub(super) fn contradiction(&self) -> Option<usize> {
        self.values.iter().find(|(_, values)| values.is_empty()).map(|(position, _)| *position)
    }

    /// Whether a condition holds for every request that fits.
    pub(super) fn ensures(&self, condition: &Condition) -> bool {
        self.values.contains_key(&condition.attribute()) && self.never_fails(condition)
    }

    /// Whether a condition holds or cannot be judged, whatever request fits.
    pub(super) fn never_fails(&self, condition: &Condition) -> bool {
        let of = |position| self.values.get(&position).cloned().unwrap_or_else(|| Values::all(position));
        let Test::SameAs(other) = condition.test() else {
            return of(condition.attribute()).all_satisfy(condition.test());
        };
        let only = |position| of(position).among().filter(|among| among.len() == 1).cloned();
        let equal = only(condition.attribute());
        self.same.contains(&pair(condition.attribute(), *other)) || (equal.is_some() && equal == only(*other))
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// What every request has that a rule speaks of, since others are denied before.
fn always_given(rule: &Rule) -> BTreeMap<usize, Values> {
    let texts = |names: &[&str]| Values::listed(names.iter().map(|name| Fact::Text((*name).to_owned())));
    let mut given = BTreeMap::new();
    let mut give = |name, values| given.extend(schema::position(Part::Resource, name).map(|at| (at, values)));
    give(attribute::KIND, texts(&kind::ALL));
    match &rule.scope {
        Scope::Everything => {
            if let Some(owner) = schema::position(Part::Resource, attribute::OWNER) {
                given.insert(owner, Values::all(owner));
            }
        }
        Scope::Owners(owners) => {
            give(attribute::OWNER, texts(&owners.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        Scope::Datasets(datasets) => {
            let owners: Vec<&str> = datasets.iter().filter_map(|dataset| owner_of(dataset)).collect();
            give(attribute::OWNER, texts(&owners));
            give(attribute::DATASET, texts(&datasets.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
    given
}
