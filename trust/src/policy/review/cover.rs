//! Which rules leave nothing for another to do.

use super::values::Profile;
use crate::policy::engine::Engine;
use crate::policy::rule::{Effect, Rule, Scope, owner_of};
use crate::policy::{Action, Obligations};

/// A rule with what its conditions leave.
pub(super) struct Read<'a> {
    pub(super) position: usize,
    pub(super) rule: &'a Rule,
    pub(super) profile: Profile,
}

/// All rules of a policy, read.
pub(super) struct Rules<'a> {
    engine: &'a Engine,
    all: Vec<Read<'a>>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(engine: &'a Engine) -> Self {
        let read = |(position, rule)| Read { position, rule, profile: Profile::of(rule) };
        Self { engine, all: engine.book().rules().iter().enumerate().map(read).collect() }
    }

    pub(super) fn all(&self) -> &[Read<'a>] {
        &self.all
    }

    /// The other rules that speak of an action on a part of a rule's scope.
    fn beside<'b>(&'b self, read: &'b Read<'a>, action: Action, part: Part<'b>) -> impl Iterator<Item = &'b Read<'a>> {
        let speaking = match part {
            // A rule about everything is covered by rules about everything alone: they stand in any bucket.
            Part::Everything => self.engine.index().find(action, "", None),
            Part::Owner(owner) => self.engine.index().find(action, owner, None),
            Part::Dataset(dataset) => {
                self.engine.index().find(action, owner_of(dataset).unwrap_or_default(), Some(dataset))
            }
        };
        let positions = speaking.map_or(&[][..], |speaking| &speaking.rules);
        positions.iter().filter(|at| **at != read.position).filter_map(|at| self.all.get(*at))
    }

    /// Deny rules that together refuse whatever the rule would allow; none when something is left.
    pub(super) fn denied_by(&self, read: &Read<'a>) -> Option<Vec<&'a str>> {
        self.covered(read, |denying| {
            let refuses = |condition| read.profile.never_fails(condition);
            denying.rule.effect == Effect::Deny && denying.rule.conditions.iter().all(refuses)
        })
    }

    /// Rules that together do whatever the rule does, and no less strictly.
    pub(super) fn implied_by(&self, read: &Read<'a>) -> Option<Vec<&'a str>> {
        self.covered(read, |other| does_as_much(other, read) && !(does_as_much(read, other) && is_first(read, other)))
    }

    /// An earlier rule that says the same.
    pub(super) fn duplicate_of(&self, read: &Read<'a>) -> Option<&'a str> {
        let (action, part) = (read.rule.actions.first()?, parts(&read.rule.scope).into_iter().next()?);
        let same = |other: &&Read<'a>| other.position < read.position && says_the_same(other, read);
        self.beside(read, *action, part).find(same).map(|other| other.rule.id.as_str())
    }

    /// For each action on each part of the rule's scope another rule that fits; their names.
    fn covered(&self, read: &Read<'a>, fits: impl Fn(&Read<'a>) -> bool) -> Option<Vec<&'a str>> {
        let mut by = Vec::new();
        for action in &read.rule.actions {
            for part in parts(&read.rule.scope) {
                let covering =
                    self.beside(read, *action, part).find(|other| covers(&other.rule.scope, part) && fits(other))?;
                by.push(covering.rule.id.as_str());
            }
        }
        by.sort_unstable();
        by.dedup();
        Some(by)
    }
}

/// One of what a rule speaks of.
#[derive(Clone, Copy)]
enum Part<'a> {
    Everything,
    Owner(&'a str),
    Dataset(&'a str),
}

fn parts(scope: &Scope) -> Vec<Part<'_>> {
    match scope {
        Scope::Everything => vec![Part::Everything],
        Scope::Owners(owners) => owners.iter().map(|owner| Part::Owner(owner)).collect(),
        Scope::Datasets(datasets) => datasets.iter().map(|dataset| Part::Dataset(dataset)).collect(),
    }
}

fn covers(scope: &Scope, part: Part<'_>) -> bool {
    let owners = |of: &str| matches!(scope, Scope::Owners(owners) if owners.iter().any(|owner| owner == of));
    match part {
        _ if *scope == Scope::Everything => true,
        Part::Everything => false,
        Part::Owner(owner) => owners(owner),
        Part::Dataset(dataset) => {
            let named = matches!(scope, Scope::Datasets(datasets) if datasets.iter().any(|name| name == dataset));
            named || owner_of(dataset).is_some_and(owners)
        }
    }
}

/// Whether a rule does for every request what another does, where both speak of it.
fn does_as_much(rule: &Read<'_>, other: &Read<'_>) -> bool {
    let mut conditions = rule.rule.conditions.iter();
    match (rule.rule.effect, other.rule.effect) {
        // A deny rule counts wherever it does not fail.
        (Effect::Deny, Effect::Deny) => conditions.all(|condition| other.profile.never_fails(condition)),
        (Effect::Allow | Effect::Hold, Effect::Allow) => {
            is_no_stricter(other.rule, rule.rule) && conditions.all(|condition| other.profile.ensures(condition))
        }
        (Effect::Hold, Effect::Hold) => {
            rule.rule.release_by == other.rule.release_by
                && rule.rule.releases >= other.rule.releases
                && is_no_stricter(other.rule, rule.rule)
                && conditions.all(|condition| other.profile.ensures(condition))
        }
        _ => false,
    }
}

fn is_no_stricter(rule: &Rule, than: &Rule) -> bool {
    Obligations::strictest(than.obligations, rule.obligations) == than.obligations
}

/// Of two rules that imply each other the later one is told of.
fn is_first(read: &Read<'_>, other: &Read<'_>) -> bool {
    read.position < other.position
}

fn says_the_same(a: &Read<'_>, b: &Read<'_>) -> bool {
    let (one, other) = (a.rule, b.rule);
    one.effect == other.effect
        && one.actions == other.actions
        && one.scope == other.scope
        && one.obligations == other.obligations
        && (&one.release_by, one.releases) == (&other.release_by, other.releases)
        && a.profile == b.profile
}
