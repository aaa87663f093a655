//! Which rules speak of an owner, a data set and an action, so that a decision reads few of them.
//!
//! Three levels: a data set's own rules, else its owner's, else those for everything. Each already holds
//! the rules of the wider ones, so exactly one answers a request. Where many rules speak of the same,
//! they are divided further by what they ask of the request.

mod division;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rule::{Rule, Scope, owner_of};
use super::schema::Facts;
use super::{Action, PolicyError};
use division::Division;

/// Places of rules in buckets, at most: a rule for everything stands in every bucket of its actions.
const PLACES_MAX: usize = 500_000;

/// Rules that are judged together.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Name of the section of the casbin model that holds these rules.
    pub(super) section: String,
    /// Positions of the rules, in file order.
    pub(super) rules: Vec<usize>,
}

/// The rules that speak of one owner, data set and action.
#[derive(Debug)]
pub(super) struct Speaking {
    /// Positions of all of them, in file order.
    pub(super) rules: Vec<usize>,
    division: Division,
}

impl Speaking {
    /// Those of the rules that can allow, hold or deny a request with these facts.
    pub(super) fn bucket(&self, facts: &Facts) -> &Bucket {
        self.division.find(facts)
    }

    /// Most rules that are judged for a request that lacks nothing.
    pub(super) fn judged_max(&self) -> usize {
        self.division.judged_max()
    }
}

#[derive(Debug, Default)]
struct OwnerBuckets {
    any: Option<Speaking>,
    datasets: HashMap<String, Speaking>,
}

#[derive(Debug, Default)]
struct ActionBuckets {
    any: Option<Speaking>,
    owners: HashMap<String, OwnerBuckets>,
}

/// All buckets of a policy.
#[derive(Debug, Default)]
pub(super) struct Index {
    actions: HashMap<Action, ActionBuckets>,
}

/// Rules for all of an owner's data sets, and those for each by its name.
type OfOwner = (BTreeSet<usize>, BTreeMap<String, BTreeSet<usize>>);

#[derive(Default)]
struct Sorted {
    everything: BTreeSet<usize>,
    owners: BTreeMap<String, OfOwner>,
}

impl Index {
    /// Sorts rules into buckets.
    ///
    /// # Errors
    /// [`PolicyError::TooManyRules`] when wide rules times narrow buckets is out of bounds.
    pub(super) fn build(rules: &[Rule]) -> Result<Self, PolicyError> {
        let mut builder = Builder { rules, places: 0, divided: Numbering::default() };
        let mut index = Self::default();
        for (action, sorted) in sort(rules) {
            let mut buckets = ActionBuckets { any: builder.speaking(&[&sorted.everything])?, owners: HashMap::new() };
            for (owner, (own, datasets)) in &sorted.owners {
                let mut of_owner =
                    OwnerBuckets { any: builder.speaking(&[&sorted.everything, own])?, datasets: HashMap::new() };
                for (dataset, narrow) in datasets {
                    if let Some(speaking) = builder.speaking(&[&sorted.everything, own, narrow])? {
                        of_owner.datasets.insert(dataset.clone(), speaking);
                    }
                }
                buckets.owners.insert(owner.clone(), of_owner);
            }
            index.actions.insert(action, buckets);
        }
        Ok(index)
    }

    /// The rules that speak of this; none when no rule does.
    pub(super) fn find(&self, action: Action, owner: &str, dataset: Option<&str>) -> Option<&Speaking> {
        let buckets = self.actions.get(&action)?;
        let Some(of_owner) = buckets.owners.get(owner) else { return buckets.any.as_ref() };
        dataset.and_then(|dataset| of_owner.datasets.get(dataset)).or(of_owner.any.as_ref())
    }

    /// The rules of every action, owner and data set.
    pub(super) fn all(&self) -> impl Iterator<Item = (Action, &Speaking)> {
        self.actions.iter().flat_map(|(action, buckets)| {
            let narrow = buckets.owners.values().flat_map(|owner| owner.any.iter().chain(owner.datasets.values()));
            buckets.any.iter().chain(narrow).map(|speaking| (*action, speaking))
        })
    }

    /// Every bucket.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.all().flat_map(|(_, speaking)| speaking.division.buckets())
    }
}

fn sort(rules: &[Rule]) -> HashMap<Action, Sorted> {
    let mut actions: HashMap<Action, Sorted> = HashMap::new();
    for (position, rule) in rules.iter().enumerate() {
        for action in &rule.actions {
            let sorted = actions.entry(*action).or_default();
            match &rule.scope {
                Scope::Everything => {
                    sorted.everything.insert(position);
                }
                Scope::Owners(owners) => {
                    for owner in owners {
                        sorted.owners.entry(owner.clone()).or_default().0.insert(position);
                    }
                }
                Scope::Datasets(datasets) => {
                    for dataset in datasets {
                        let owner = owner_of(dataset).unwrap_or_default().to_owned();
                        let narrow = &mut sorted.owners.entry(owner).or_default().1;
                        narrow.entry(dataset.clone()).or_default().insert(position);
                    }
                }
            }
        }
    }
    actions
}

struct Builder<'a> {
    rules: &'a [Rule],
    places: usize,
    divided: Numbering,
}

impl Builder<'_> {
    fn speaking(&mut self, sets: &[&BTreeSet<usize>]) -> Result<Option<Speaking>, PolicyError> {
        let rules: BTreeSet<usize> = sets.iter().flat_map(|set| set.iter().copied()).collect();
        if rules.is_empty() {
            return Ok(None);
        }
        self.places += rules.len();
        if self.places > PLACES_MAX {
            return Err(PolicyError::TooManyRules);
        }
        let rules: Vec<usize> = rules.into_iter().collect();
        let division = Division::of(self.rules, rules.clone(), &mut self.divided);
        Ok(Some(Speaking { rules, division }))
    }
}

/// Names buckets and counts the rules in them.
#[derive(Default)]
struct Numbering {
    buckets: usize,
    places: usize,
}

impl Numbering {
    fn bucket(&mut self, rules: Vec<usize>) -> Bucket {
        self.buckets += 1;
        self.places += rules.len();
        Bucket { section: format!("p{}", self.buckets), rules }
    }
}
