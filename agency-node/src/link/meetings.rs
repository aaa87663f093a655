//! Places as circumstances: everyone who was in a cell at a minute; on the side that is related to, in the
//! cells around it too, so that two who are just across from each other meet, and meet once.

use std::{collections::HashMap, sync::Arc};

use sallyport_join::link::{LinkEvidence, seal::LinkKeys};
use sallyport_trust::{
    error::Refusal,
    policy::Permit,
    question::{LinkPart, OpenedQuestion},
};

use super::{Circumstance, Found, MINUTE_MS, Whom, added, by_number, day};
use crate::{
    holdings::{CELL, EventScan, Events, NEVER, NOBODY, Scan},
    identifier::IdentifierType,
    linkage::epochs::Agreed,
    node::Node,
};

/// A cell and those next to it.
pub(super) const NEAR: usize = 7;

/// Where those who were in a cell are to be met: cells, by number, and what each one's area is called.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<u32, Vec<(u32, u16)>>);

impl Places {
    /// Nothing for a cell whose area has no tag yet.
    pub(super) fn around(&self, cell: u32) -> &[(u32, u16)] {
        self.0.get(&cell).map_or(&[], Vec::as_slice)
    }
}

/// Reads who was where and when.
pub(super) async fn found(
    node: &Arc<Node>,
    agreed: &Agreed,
    question: &OpenedQuestion,
    part: &LinkPart,
    whom: &Whom<'_>,
    permit: &Permit,
) -> Result<Found, Refusal> {
    let indicator = &part.indicator;
    if node.holdings.dataset(&indicator.dataset)?.place.is_none() {
        let message = format!("`{}` does not say where its rows were; ask another data set.", indicator.dataset);
        return Err(Refusal::bad_input("place_missing", message));
    }
    let scan = Scan {
        identifier: &whom.identifier.name,
        window: question.header.window.and(indicator.window),
        filter: &indicator.filter,
        within: whom.within.as_deref(),
        strength_of: None,
    };
    let wanted = EventScan { scan, contact: Some(CELL), both_ways: false, of: None };
    let events = node.holdings.events(permit, &indicator.dataset, &wanted).await?;
    let newest_ms = events.moments_ms.iter().copied().max().filter(|&moment| moment != NEVER);
    let keys = LinkKeys::derive(&agreed.secret, &question.id.0, part.link);
    let names = by_number(node.holdings.tags(IdentifierType::Cell, &agreed.tags), |tags| keys.places(tags));
    let (node, follower) = (node.clone(), part.follower);
    let work = tokio::task::spawn_blocking(move || {
        let seen = seen(&events);
        let rows = seen.iter().map(|circumstance| u64::from(circumstance.evidence.events)).sum();
        let places = places(&node, &names, &seen, follower);
        (seen, Some(places), rows)
    });
    let (circumstances, places, rows) = work.await.map_err(|error| Refusal::internal("relation_failed", &error))?;
    let about = whom.identifier.kind;
    Ok(Found { circumstances, keyed: IdentifierType::Cell, places, about, rows, newest_ms, unrecorded: None })
}

/// Who was in which cell at which minute, each once, cell by cell.
fn seen(events: &Events) -> Vec<Circumstance> {
    let mut seen: Vec<Circumstance> = (0..events.len())
        .filter(|&event| events.contact(event) != NOBODY)
        .filter_map(|event| {
            let moment_ms = events.moments_ms[event];
            Some(Circumstance {
                keyed: events.contact(event),
                minute: Some(u32::try_from(moment_ms.div_euclid(MINUTE_MS)).ok()?),
                about: events.subjects[event],
                evidence: LinkEvidence {
                    strength_thousandths: 1_000,
                    newest_day: day(moment_ms),
                    events: 1,
                    ..LinkEvidence::default()
                },
            })
        })
        .collect();
    let same = |seen: &Circumstance| (seen.keyed, seen.minute, seen.about);
    seen.sort_unstable_by_key(same);
    seen.dedup_by(|again, kept| {
        let repeated = same(again) == same(kept);
        if repeated {
            kept.evidence = added(kept.evidence, again.evidence);
        }
        repeated
    });
    seen
}

/// Where each cell's people are to be met. `names` are what areas are called, by number.
fn places(node: &Node, names: &[Option<u16>], seen: &[Circumstance], follower: bool) -> Places {
    let name = |area: u32| names.get(area as usize).copied().flatten();
    let around = |cell: u32| {
        let near = node.holdings.cells_near(cell).into_iter().filter(|(near, _)| !follower || *near == cell);
        near.filter_map(|(near, area)| Some((near, name(area)?))).collect()
    };
    let cells = seen.chunk_by(|one, next| one.keyed == next.keyed).map(|in_cell| in_cell[0].keyed);
    Places(cells.map(|cell| (cell, around(cell))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stays_is_seen_once_a_minute_and_nobody_without_place_or_time() {
        let events = Events {
            subjects: vec![4, 4, 4, 5, 6, 7],
            contacts: vec![9, 9, 9, 9, NOBODY, 9],
            moments_ms: vec![60_000, 119_999, 120_000, 60_000, 60_000, NEVER],
            values: Vec::new(),
        };
        let seen = seen(&events);
        let told: Vec<_> = seen.iter().map(|one| (one.keyed, one.minute, one.about, one.evidence.events)).collect();
        assert_eq!(told, [(9, Some(1), 4, 2), (9, Some(1), 5, 1), (9, Some(2), 4, 1)]);
    }
}
