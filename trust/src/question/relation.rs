//! How one indicator's events belong to those of another: in time, by the contacts they share, or by where they were.

use std::collections::{BTreeMap, BTreeSet};

pub use sallyport_join::{interval::Order, link::gather::PLACES_MAX};

use super::{Indicator, Measure, Question, TEXT_BYTES_MAX};
use crate::error::Refusal;

/// Different places at which a pair must have met, at least: one place is where somebody was, and no evidence.
const PLACES_MIN: u32 = 2;
/// Relations in one question, at most.
pub const RELATIONS_MAX: usize = 4;
/// Minutes between related events, at most: 90 days.
pub const MINUTES_MAX: u32 = 90 * 24 * 60;
/// Minutes between those who meet at a place, at most: a day.
pub const PLACE_MINUTES_MAX: u32 = 24 * 60;

/// What an indicator has to do with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Name of the other indicator, or its data set if it has no name.
    pub to: String,
    /// How.
    pub kind: RelationKind,
    /// Different ones (contacts in common, subjects that a ranked contact has, or places at which two met)
    /// at which the evidence is one half; 1 to 1,000,000.
    pub half_at: u32,
}

/// The kinds of relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// The same subject, within so many minutes of the other event.
    InTime {
        /// On which side.
        order: Order,
        /// 1 to [`MINUTES_MAX`].
        minutes: u32,
    },
    /// Subjects who have the contacts of the other indicator's subjects.
    CommonContacts {
        /// 1: their contacts; 2: the contacts of their contacts.
        hops: u8,
    },
    /// Subjects that were where the same one of the other indicator's was, whoever both are.
    SamePlace {
        /// Apart at most; 1 to [`PLACE_MINUTES_MAX`].
        minutes: u32,
        /// Different places at least; 2 to [`PLACES_MAX`].
        places: u32,
    },
}

impl RelationKind {
    /// True where what is ranked comes from the relation alone: plain rows would say nothing of it.
    pub fn ranks_alone(self) -> bool {
        !matches!(self, Self::InTime { .. })
    }

    /// Whether it can look at an indicator as this one is: at a place events count as they are.
    pub(super) fn suits(self, indicator: &Indicator) -> bool {
        let as_they_are = indicator.measure == Measure::Presence && indicator.contact.is_empty();
        as_they_are || !matches!(self, Self::SamePlace { .. })
    }
}

impl Question {
    /// True when what is ranked comes from a relation alone: plain rows would say nothing of it.
    pub fn is_linked_only(&self) -> bool {
        let mut relations = self.indicators.iter().filter_map(|indicator| indicator.relation.as_ref());
        self.rank_contacts || relations.any(|relation| relation.kind.ranks_alone())
    }

    /// Indicators that stand in relation, with the one each is related to, by position.
    pub fn related(&self) -> Vec<(usize, usize, &Relation)> {
        let indicators = self.indicators.iter().enumerate();
        indicators
            .filter_map(|(follower, indicator)| {
                let relation = indicator.relation.as_ref()?;
                Some((follower, self.place(&relation.to)?, relation))
            })
            .collect()
    }

    /// Position of the indicator that a relation means: by its name, or by its data set if it has none.
    fn place(&self, to: &str) -> Option<usize> {
        let means = |indicator: &Indicator| {
            if indicator.name.is_empty() { indicator.dataset == to } else { indicator.name == to }
        };
        self.indicators.iter().position(means)
    }

    pub(super) fn validate_relations(&self) -> Result<(), Refusal> {
        let mut names = BTreeSet::new();
        for name in self.indicators.iter().map(|indicator| &indicator.name).filter(|name| !name.is_empty()) {
            if name.len() > TEXT_BYTES_MAX || !names.insert(name) {
                return Err(Refusal::bad_input(
                    "indicator_name",
                    format!("Two indicators are called `{name}`, or the name is too long; give each its own."),
                ));
            }
        }
        let relations: Vec<&Relation> = self.indicators.iter().filter_map(|i| i.relation.as_ref()).collect();
        if relations.len() > RELATIONS_MAX {
            return Err(Refusal::bad_input(
                "relation_count",
                format!("A question takes at most {RELATIONS_MAX} relations."),
            ));
        }
        relations.iter().try_for_each(|relation| relation.validate())?;
        self.validate_ends()?;
        self.validate_no_circle()?;
        if self.is_linked_only() { self.validate_linked_only() } else { Ok(()) }
    }

    fn validate_ends(&self) -> Result<(), Refusal> {
        for (place, indicator) in self.indicators.iter().enumerate() {
            let Some(relation) = &indicator.relation else { continue };
            let Some(other) = self.place(&relation.to) else {
                return Err(Refusal::bad_input(
                    "relation_unknown",
                    format!("No indicator is called `{}`; give the one you mean that `name`.", relation.to),
                ));
            };
            if other == place {
                return Err(Refusal::bad_input(
                    "relation_to_itself",
                    format!("`{}` stands in relation to itself; name another indicator.", relation.to),
                ));
            }
            let anchor = &self.indicators[other];
            if anchor.dataset == indicator.dataset {
                return Err(Refusal::bad_input(
                    "relation_same_dataset",
                    "A relation joins two data sets; within one of them its owner need not ask anybody.",
                ));
            }
            if [anchor, indicator].iter().any(|side| !side.measure.is_of_events()) {
                return Err(Refusal::bad_input(
                    "relation_measure",
                    "Burst, silence, regularity and strongest are of a subject and not of an event: they cannot stand in \
                     relation.",
                ));
            }
            if [anchor, indicator].iter().any(|side| !relation.kind.suits(side)) {
                return Err(Refusal::bad_input(
                    "same_place_settings",
                    "At the same place events count as they are: leave `measure` and `contact` out.",
                ));
            }
        }
        Ok(())
    }

    fn validate_no_circle(&self) -> Result<(), Refusal> {
        let next: BTreeMap<usize, usize> =
            self.related().into_iter().map(|(follower, anchor, _)| (follower, anchor)).collect();
        for &start in next.keys() {
            // Each has one next, so a walk longer than all of them has met somebody twice.
            let walk = std::iter::successors(Some(start), |place| next.get(place).copied());
            if walk.take(self.indicators.len() + 1).count() > self.indicators.len() {
                return Err(Refusal::bad_input(
                    "relation_circle",
                    "The relations go round in a circle; one indicator must stand alone.",
                ));
            }
        }
        Ok(())
    }

    fn validate_linked_only(&self) -> Result<(), Refusal> {
        let related = self.related();
        let [(follower, anchor, relation)] = related.as_slice() else {
            return Err(Refusal::bad_input(
                "relation_alone",
                "Ranking contacts, contacts in common and the same place take exactly one relation between two \
                 indicators.",
            ));
        };
        if self.indicators.len() != 2 {
            return Err(Refusal::bad_input(
                "relation_alone",
                "Ranking contacts, contacts in common and the same place take exactly two indicators.",
            ));
        }
        if relation.kind.ranks_alone() && self.rank_contacts {
            return Err(Refusal::bad_input(
                "rank_contacts_in_common",
                "Contacts in common and the same place rank subjects; leave `rank` out.",
            ));
        }
        let needed = match relation.kind {
            RelationKind::CommonContacts { .. } => vec![*follower, *anchor],
            RelationKind::InTime { .. } => vec![*follower],
            RelationKind::SamePlace { .. } => Vec::new(),
        };
        match needed.into_iter().find(|&place| self.indicators[place].contact.is_empty()) {
            Some(place) => Err(Refusal::bad_input(
                "contact_missing",
                format!(
                    "`{}` must say which identifier is the contact, such as `contact = \"callee\"`.",
                    self.indicators[place].dataset
                ),
            )),
            None => Ok(()),
        }
    }
}

impl Relation {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        match self.kind {
            RelationKind::InTime { minutes, .. } if !(1..=MINUTES_MAX).contains(&minutes) => {
                Err(Refusal::bad_input("relation_minutes", "`within` must be one minute to 90 days."))
            }
            RelationKind::CommonContacts { hops } if !(1..=2).contains(&hops) => {
                Err(Refusal::bad_input("relation_hops", "`hops` must be 1 or 2."))
            }
            RelationKind::SamePlace { minutes, .. } if !(1..=PLACE_MINUTES_MAX).contains(&minutes) => {
                Err(Refusal::bad_input("relation_minutes", "At the same place `within` must be one minute to a day."))
            }
            RelationKind::SamePlace { places, .. } if !(PLACES_MIN..=PLACES_MAX).contains(&places) => {
                Err(Refusal::bad_input("relation_places", format!("`places` must be {PLACES_MIN} to {PLACES_MAX}.")))
            }
            _ if !(1..=1_000_000).contains(&self.half_at) => {
                Err(Refusal::bad_input("half_at_out_of_range", "`others_half_at` must be 1 to 1,000,000."))
            }
            _ => Ok(()),
        }
    }
}
