//! The parts that a question is shown in: each party reads its own and a commitment for the rest.

use std::collections::BTreeMap;

use super::{INDICATORS_MAX, Indicator, Question, RELATIONS_MAX, Relation, RelationKind};
use crate::error::Refusal;

/// One opened part of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenedIndicator {
    /// A data set's part: what it holds of each subject.
    Dataset(Indicator),
    /// The home node's own list of the subjects that are looked up.
    OwnList,
    /// One side of a relation.
    Link(LinkPart),
}

impl OpenedIndicator {
    /// What it asks of a data set; nothing for the asker's own list.
    pub fn indicator(&self) -> Option<&Indicator> {
        match self {
            Self::Dataset(indicator) => Some(indicator),
            Self::Link(part) => Some(&part.indicator),
            Self::OwnList => None,
        }
    }

    /// Whether it asks how many events there were.
    pub fn is_counted(&self) -> bool {
        self.indicator().is_some_and(|indicator| indicator.tally.is_some())
    }

    /// The data set that it asks; nothing for the asker's own list.
    pub fn dataset(&self) -> Option<&str> {
        self.indicator().map(|indicator| indicator.dataset.as_str())
    }
}

/// One side of a relation, as the party that holds its data set reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkPart {
    /// The side's indicator, without its name and relation.
    pub indicator: Indicator,
    /// Position of that indicator in the question.
    pub position: usize,
    /// Number of the relation, from 0.
    pub link: u8,
    /// The side that stands in relation, or the one it is related to.
    pub follower: bool,
    /// How.
    pub kind: RelationKind,
    /// As in the relation.
    pub half_at: u32,
    /// Rows of the follower are about contacts and not about subjects.
    pub rank_contacts: bool,
    /// Only events of the subjects that are looked up.
    pub own_list: bool,
}

impl LinkPart {
    /// Whether it asks where records were.
    pub fn is_at_places(&self) -> bool {
        matches!(self.kind, RelationKind::SamePlace { .. })
    }

    pub(super) fn validate(&self) -> Result<(), Refusal> {
        let relation = Relation { to: String::new(), kind: self.kind, half_at: self.half_at };
        relation.validate()?;
        let bounded =
            self.indicator.tally.is_none() && self.position < INDICATORS_MAX && usize::from(self.link) < RELATIONS_MAX;
        if bounded && self.indicator.measure.is_of_events() && self.kind.suits(&self.indicator) {
            return Ok(());
        }
        Err(Refusal::bad_input("question_out_of_bounds", "A part of the question is out of its bounds."))
    }
}

/// The parts of a question and the point at which each takes its shares.
///
/// Plain indicators come first, in their order, then the asker's own list, which counts as one more
/// data set, then both sides of every relation. A question that ranks by a relation alone has no plain
/// parts.
///
/// # Errors
/// When a look-up's list, which stays at `lookup_at`, can narrow no side of the relation.
pub(super) fn parts(question: &Question, lookup_at: Option<&str>) -> Result<Vec<(OpenedIndicator, u8)>, Refusal> {
    let mut points: BTreeMap<&str, u8> = BTreeMap::new();
    for indicator in &question.indicators {
        let next = points.len() as u8 + 1;
        points.entry(&indicator.dataset).or_insert(next);
    }
    let own_list_point = points.len() as u8 + 1;
    let point = |indicator: &Indicator| points.get(indicator.dataset.as_str()).copied().unwrap_or(own_list_point);
    let mut parts = Vec::new();
    if !question.is_linked_only() {
        let plain = question.indicators.iter();
        parts.extend(plain.map(|indicator| (OpenedIndicator::Dataset(bare(indicator)), point(indicator))));
        parts.extend(lookup_at.map(|_| (OpenedIndicator::OwnList, own_list_point)));
    }
    for (link, (follower, anchor, relation)) in (0u8..).zip(question.related()) {
        let listed = listed_side(question, (follower, anchor, relation.kind), lookup_at)?;
        for (position, is_follower) in [(anchor, false), (follower, true)] {
            let indicator = &question.indicators[position];
            let side = LinkPart {
                indicator: bare(indicator),
                position,
                link,
                follower: is_follower,
                kind: relation.kind,
                half_at: relation.half_at,
                rank_contacts: question.rank_contacts,
                own_list: listed == Some(position),
            };
            parts.push((OpenedIndicator::Link(side), point(indicator)));
        }
    }
    Ok(parts)
}

/// The side of a relation that a look-up's list narrows, where only the relation ranks: one whose data
/// set is at the node that keeps the list.
fn listed_side(
    question: &Question,
    (follower, anchor, kind): (usize, usize, RelationKind),
    lookup_at: Option<&str>,
) -> Result<Option<usize>, Refusal> {
    let needs_list = matches!(kind, RelationKind::CommonContacts { .. });
    let Some(home) = lookup_at.filter(|_| question.is_linked_only()) else {
        return if needs_list {
            Err(Refusal::bad_input(
                "lookup_needed",
                "Contacts in common with whom? Look somebody up: `lookup = [\"…\"]` in the file, or --lookup-file.",
            ))
        } else {
            Ok(None)
        };
    };
    let own = |position: &usize| question.indicators[*position].owner() == home;
    let sides = if kind.ranks_alone() { vec![anchor] } else { vec![anchor, follower] };
    sides.into_iter().find(own).map(Some).ok_or_else(|| {
        Refusal::bad_input(
            "own_list_elsewhere",
            "Whom you look up is known at your own node only: one side of the relation must be your agency's data set \
             (for contacts in common and the same place, the one it is related to).",
        )
    })
}

/// An indicator as its owner reads it: what it has to do with others is not the owner's affair.
fn bare(indicator: &Indicator) -> Indicator {
    Indicator { name: String::new(), relation: None, ..indicator.clone() }
}
